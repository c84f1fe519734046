/*
 * A boot sector as teaching systems have it: from the BIOS's real mode into protected mode, and on
 * to C (boot_main.c), which loads an ELF kernel from the sectors behind this one. Both fit into the
 * first sector.
 *
 * Reference: IBM AT Technical Reference (the 8042 and A20); SDM volume 3, section 9.9.1.
 */
        .set    CODE, 8
        .set    DATA, 16
        .set    CR0_PE, 1
        .set    KBC_COMMAND, 0x64
        .set    KBC_DATA, 0x60
        .set    KBC_FULL, 2

        .section .boot, "ax"
        .code16
        .globl  boot
boot:
        cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss

        .macro  KBC port value          # when it has taken the last one
1:      inb     $KBC_COMMAND, %al
        testb   $KBC_FULL, %al
        jnz     1b
        movb    $\value, %al
        outb    %al, $\port
        .endm
        KBC     KBC_COMMAND 0xd1        # the output port's next value:
        KBC     KBC_DATA 0xdf           # A20 on

        lgdt    gdt_pointer
        movl    %cr0, %eax
        orl     $CR0_PE, %eax
        movl    %eax, %cr0
        ljmp    $CODE, $protected

        .code32
protected:
        movw    $DATA, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        xorw    %ax, %ax
        movw    %ax, %fs
        movw    %ax, %gs
        movl    $boot, %esp
        call    boot_main               # comes back only if there is no kernel
1:      hlt
        jmp     1b

        .balign 4
gdt:    .quad   0
        .quad   0x00cf9a000000ffff
        .quad   0x00cf92000000ffff
gdt_pointer:
        .word   gdt_pointer - gdt - 1
        .long   gdt

        .section .note.GNU-stack, "", @progbits
