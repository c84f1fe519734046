/*
 * Into and out of traps. Every vector has a stub that makes the frames alike and goes on to
 * trap_dispatch (trap.c), which decides whether the trap resumes or ends trap_run.
 */
        .set    KERNEL_DS, 0x10
        .set    FRAME_EIP, 56
        .set    FRAME_CS, 60
        .set    FRAME_FLAGS, 64
        .set    FRAME_ESP, 68
        .set    FRAME_SS, 72
        .set    FLAG_VM, 0x20000

        .text

/* Vectors 8, 10 to 14 and 17 come with an error code; the others get a 0 pushed. */
        .set    vector, 0
        .rept   256
        .balign 16
        .globl  trap_stubs
        .if     vector == 0
trap_stubs:
        .endif
        .if     !(vector == 8 || vector == 17 || (vector >= 10 && vector <= 14))
        pushl   $0
        .endif
        pushl   $vector
        jmp     common
        .set    vector, vector + 1
        .endr

common:
        pushal
        pushl   %ds
        pushl   %es
        pushl   %fs
        pushl   %gs
        movl    $KERNEL_DS, %eax
        movl    %eax, %ds
        movl    %eax, %es
        cld
        movl    %esp, %ebx
        pushl   %ebx
        call    trap_dispatch
        movl    %ebx, %esp
        popl    %gs
        popl    %fs
        popl    %es
        popl    %ds
        popal
        addl    $8, %esp
        iret

/* void trap_enter(struct frame *frame): see trap_run. There must be room below frame. */
        .globl  trap_enter
trap_enter:
        pushfl
        pushal
        movl    %esp, trap_return_esp
        movl    40(%esp), %edx
        testl   $FLAG_VM, FRAME_FLAGS(%edx)
        jnz     enter_outer
        testl   $3, FRAME_CS(%edx)
        jnz     enter_outer
        movl    FRAME_ESP(%edx), %ecx   # the same ring: IRET does not load SS:ESP
        subl    $12, %ecx
        .irp    offset, 0, 4, 8
        movl    FRAME_EIP + \offset(%edx), %eax
        movl    %eax, \offset(%ecx)
        .endr
        movl    %ecx, enter_stack
        movl    FRAME_SS(%edx), %eax
        movl    %eax, enter_stack + 4
        movl    %edx, %esp
        popl    %gs
        popl    %fs
        popl    %es
        popl    %ds
        popal
        lss     %cs:enter_stack, %esp
        iret
enter_outer:
        movl    %edx, %esp
        popl    %gs
        popl    %fs
        popl    %es
        popl    %ds
        popal
        addl    $8, %esp
        iret

/* The end of trap_enter, from trap_dispatch or as a task's state. */
        .globl  trap_leave
trap_leave:
        movl    trap_return_esp, %esp
        movl    $KERNEL_DS, %eax
        movl    %eax, %ss
        movl    %eax, %ds
        movl    %eax, %es
        popal
        popfl
        ret

/* The double-fault task: reports the main task's state and makes it end its trap_enter. */
        .globl  trap_double_fault
trap_double_fault:
        call    trap_double_fault_c
        addl    $4, %esp                # the error code
        iret
        jmp     trap_double_fault

/* Loads CS by a far return and the others from KERNEL_DS. */
        .globl  trap_load_segments
trap_load_segments:
        movl    $KERNEL_DS, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        xorl    %eax, %eax
        movl    %eax, %fs
        movl    %eax, %gs
        popl    %eax
        pushl   $8
        pushl   %eax
        lret

        .bss
        .balign 4
        .globl  trap_return_esp
trap_return_esp:
        .skip   4
enter_stack:
        .skip   8

        .section .note.GNU-stack, "", @progbits
