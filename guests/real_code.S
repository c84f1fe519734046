/*
 * 16-bit code for real.c: a blob that is copied to REAL_AT, the way there and back. Selectors of
 * protected mode are the numbers that segments have in real mode, so that routines are the same.
 */
        .set    REAL_AT, 0x10000
        .set    REAL_CS, 0x1000
        .set    WANTED, 0xfff0          # words in the same segment, not in the code's pages
        .set    PROTECTED, 0xfff2

/* --- uint32_t real_run(uint32_t offset, uint32_t rounds, bool protected_mode) --------------- */
        .text
        .globl  real_run
real_run:
        pushl   %ebx
        pushl   %esi
        pushl   %edi
        pushl   %ebp
        pushfl
        cli
        movl    24(%esp), %eax
        movl    28(%esp), %ecx
        movl    32(%esp), %edx
        movw    %ax, REAL_AT + WANTED
        movw    %dx, REAL_AT + PROTECTED
        sgdt    saved_gdt
        sidt    saved_idt
        movl    %esp, saved_esp
        lgdt    real_gdtr
        lidt    real_idtr
        testl   %edx, %edx
        jz      1f
        lidt    prot_idtr
1:      ljmp    $0x18, $(enter - real_blob)
back:
        movw    $0x10, %dx
        movw    %dx, %ds
        movw    %dx, %es
        movw    %dx, %ss
        movw    %dx, %fs
        movw    %dx, %gs
        movl    saved_esp, %esp
        lgdt    saved_gdt
        lidt    saved_idt
        ljmp    $0x08, $1f
1:      popfl
        popl    %ebp
        popl    %edi
        popl    %esi
        popl    %ebx
        ret

        .globl  v86_handler             # of INT in virtual-8086 mode
v86_handler:
        incw    %ax
        iret

        .globl  v86_monitor             # the same, by code that reads and writes data
v86_monitor:
        pushl   %edx
        movw    $0x10, %dx
        movw    %dx, %ds
        movw    %dx, %es
        movl    saved_esp, %edx
        popl    %edx
        incw    %ax
        iret

        .data
        .balign 8
real_gdt:
        .quad   0
        .quad   0x00cf9b000000ffff      # 08: 32-bit code
        .quad   0x00cf93000000ffff      # 10: data
        .quad   0x00009b010000ffff      # 18: 16-bit code at REAL_AT
        .quad   0x000093010000ffff      # 20: 16-bit data
        .skip   0x1000 - 0x28
        .quad   0x00009b010000ffff
        .skip   0x1000 - 8
        .quad   0x000093020000ffff
        .skip   0x1000 - 8
        .quad   0x000093030000ffff
        .skip   0x1000 - 8
        .quad   0x000093040000ffff
real_gdtr:
        .word   . - real_gdt - 1
        .long   real_gdt
        .balign 8
prot_idt:
        .skip   8 * 0x60
        .word   real_handler, REAL_CS, 0x8600, 0 # gates of 16 bits
        .word   real_dos, REAL_CS, 0x8600, 0
        .quad   0
        .word   real_hooked, REAL_CS, 0x8600, 0
        .word   real_chained, REAL_CS, 0x8600, 0
prot_idtr:
        .word   . - prot_idt - 1
        .long   prot_idt
real_idtr:
        .word   0x3ff
        .long   0
        .balign 4
saved_gdt:
        .skip   8
saved_idt:
        .skip   8
saved_esp:
        .long   0

/* --- The blob ------------------------------------------------------------------------------- */
        .code16
        .balign 64
        .globl  real_blob, real_blob_end
real_blob:
enter:
        movw    $0x20, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    %ax, %fs
        movw    %ax, %gs
        cmpw    $0, %ds:PROTECTED
        jnz     1f
        movl    %cr0, %eax
        andb    $0xfe, %al
        movl    %eax, %cr0
1:      ljmp    $REAL_CS, $(1f - real_blob)
1:      movw    $0x2000, %ax
        movw    %ax, %ss
        movl    $0xfff0, %esp
        movw    $0x3000, %ax
        movw    %ax, %ds
        movw    $0x4000, %ax
        movw    %ax, %es
        cld
        callw   *%cs:WANTED
        movl    %eax, %ebx
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        movl    %ebx, %eax
        ljmpl   $0x08, $back

        .globl  real_v86_end
        .set    real_v86_end, . - real_blob
        int     $0x30

#include "guests/real_routines.inc"
real_blob_end:
        .section .note.GNU-stack, "", @progbits
