/*
 * The kernel's first instructions. They run at physical addresses, so they map the first 4 MiB
 * twice, by one large page each: where they are, and where the kernel is linked.
 *
 * Reference: Multiboot Specification 0.6.96, section 3.1; SDM volume 3, section 4.3.
 */
        .set    KERNEL, 0x80000000
        .set    MAGIC, 0x1badb002
        .set    CR4_PSE, 0x10
        .set    CR0_PG_WP, 0x80010000
        .set    LARGE_PAGE, 0x83        # present, writable, 4 MiB

        .section .multiboot, "a"
        .balign 4
        .long   MAGIC, 0, -MAGIC

        .globl  entry_physical
        .set    entry_physical, entry - KERNEL

        .text
entry:
        movl    %cr4, %eax
        orl     $CR4_PSE, %eax
        movl    %eax, %cr4
        movl    $first_directory - KERNEL, %eax
        movl    %eax, %cr3
        movl    %cr0, %eax
        orl     $CR0_PG_WP, %eax
        movl    %eax, %cr0
        movl    $stack_end, %esp
        movl    $kernel_main, %eax
        jmp     *%eax                   # indirect: from here on at high addresses

        .data
        .balign 4096
first_directory:
        .long   LARGE_PAGE
        .skip   (512 - 1) * 4
        .long   LARGE_PAGE
        .skip   (512 - 1) * 4

        .bss
        .balign 16
        .skip   4096
        .globl  stack_end
stack_end:

        .section .note.GNU-stack, "", @progbits
