/*
 * The first instructions, and the last ones: a multiboot header, a stack, and the two entries of
 * the IDT that this kernel has. No library: all of it is here and in bare_bones.c.
 *
 * Reference: Multiboot Specification 0.6.96, section 3.1.
 */
        .set    MAGIC, 0x1badb002

        .section .multiboot, "a"
        .balign 4
        .long   MAGIC, 0, -MAGIC

        .text
        .globl  start
start:
        cli
        cld
        movl    $stack_end, %esp
        call    kernel_main
1:      hlt
        jmp     1b

/* IRQ 0, and everything else that nobody expects. */
        .globl  entry_timer
entry_timer:
        pushal
        cld
        call    on_timer
        popal
        iret

        .globl  entry_unexpected
entry_unexpected:
        call    on_unexpected

        .bss
        .balign 16
        .skip   4096
stack_end:

        .section .note.GNU-stack, "", @progbits
