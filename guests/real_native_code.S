/*
 * 16-bit code for real_native.c: the way there and back, by 32-bit code of an ordinary program.
 * Selectors are those of the guest's with the table's bit and CPL 3.
 */
        .set    REAL_CS, 0x1007
        .set    REAL_AT, 0              # not used here
        .set    WANTED, 0xfff0          # as in real_code.S
        .set    HOST_CS, 0x23           # Linux's, of 32-bit programs

# --- uint32_t real_run(uint32_t offset, uint32_t rounds) -------------------------------------
        .text
        .globl  real_run
real_run:
        pushl   %ebx
        pushl   %esi
        pushl   %edi
        pushl   %ebp
        movl    20(%esp), %eax
        movl    24(%esp), %ecx
        movl    real_code, %edx
        movw    %ax, WANTED(%edx)
        movl    %esp, saved_esp
        movw    %ss, saved_ss
        movw    $0x3007, %ax
        movw    %ax, %ds
        movw    $0x4007, %ax
        movw    %ax, %es
        movw    $0x2007, %ax
        movw    %ax, %ss
        movl    $0xfff0, %esp
        ljmp    $REAL_CS, $(enter - real_blob)
back:
        movw    %cs:saved_ss, %ss
        movl    %cs:saved_esp, %esp
        pushl   %ss
        popl    %ds
        pushl   %ss
        popl    %es
        popl    %ebp
        popl    %edi
        popl    %esi
        popl    %ebx
        ret

        .data
        .balign 4
saved_esp:
        .long   0
saved_ss:
        .word   0

        .code16
        .balign 64
        .globl  real_blob, real_blob_end
real_blob:
enter:
        cld
        callw   *%cs:WANTED
        ljmpl   $HOST_CS, $back

#include "guests/real_routines.inc"
real_blob_end:
        .section .note.GNU-stack, "", @progbits
