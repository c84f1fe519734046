/*
 * Where a guest begins: the multiboot 1 header and the first stack.
 *
 * Reference: Multiboot Specification 0.6.96, sections 3.1 and 3.2.
 */
        .set    MAGIC, 0x1badb002
        .set    FLAGS, 3                # modules on page boundaries, tell the memory's size

        .section .multiboot, "a"
        .balign 4
        .long   MAGIC, FLAGS, -(MAGIC + FLAGS)

        .text
        .globl  start
start:
        cli
        cld
        movl    $boot_stack_end, %esp
        pushl   $0
        popfl
        xorl    %ebp, %ebp
        pushl   %ebx                    # multiboot information
        pushl   %eax                    # multiboot's magic
        call    boot_start
        ud2

        .bss
        .balign 16
        .skip   65536
boot_stack_end:

        .section .note.GNU-stack, "", @progbits
