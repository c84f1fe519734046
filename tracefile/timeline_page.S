/* The page of a timeline (timeline.c), as text that ends with a zero byte. */
    .section .rodata
    .globl  timeline_page
timeline_page:
    .incbin "tracefile/timeline.html"
    .byte   0

    .section .note.GNU-stack,"",@progbits
