/*
 * Every vector pushes an error code, if the CPU has not, and its number, and goes on to trap() with
 * a frame (unixlike.h). trap_return leaves by a frame; the first user program starts there.
 */
        .set    DATA, 16

        .text
        .set    vector, 0
        .rept   256
        .balign 16
        .if     vector == 0
        .globl  trap_vectors
trap_vectors:
        .endif
        .if     !(vector == 8 || vector == 17 || (vector >= 10 && vector <= 14))
        pushl   $0
        .endif
        pushl   $vector
        jmp     trap_common
        .set    vector, vector + 1
        .endr

trap_common:
        pushl   %ds
        pushl   %es
        pushal
        movl    $DATA, %eax
        movl    %eax, %ds
        movl    %eax, %es
        cld
        pushl   %esp
        call    trap
        popl    %esp
        .globl  trap_return
trap_return:
        popal
        popl    %es
        popl    %ds
        addl    $8, %esp
        iret

/* void user_enter(struct frame *frame) */
        .globl  user_enter
user_enter:
        movl    4(%esp), %esp
        jmp     trap_return

        .section .note.GNU-stack, "", @progbits
