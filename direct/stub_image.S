/* The stub's ELF file, as bytes in novt. */
        .section .rodata
        .globl stub_image, stub_image_end
        .balign 16
stub_image:
        .incbin STUB_FILE
stub_image_end:
        .section .note.GNU-stack, "", @progbits
