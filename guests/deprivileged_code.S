/*
 * void deprivileged_run(void): the instructions that Robin and Irvine name, each behind a label
 * audit_NAME. Executed in ring 3 each of them but INT does something else without a trap; the
 * selectors are chosen so that a process of Linux has descriptors of its own behind them.
 */
        .set    CODE0, 0x08
        .set    DATA0, 0x10
        .set    CONFORMING, 0x23        # RPL 3: a ring 0 program's CS becomes 20h all the same
        .set    DATA3, 0x2b             # not where a process's is
        .set    STACK3, 0x3b

        .macro  AT name
        .globl  audit_\name
audit_\name:
        .endm

        .text
        .globl  deprivileged_run
deprivileged_run:
        pushal
        movl    %esp, saved_esp
AT sgdt
        sgdt    buffer
AT sidt
        sidt    buffer
AT sldt
        sldt    %eax
AT str
        str     %eax
AT smsw
        smsw    %eax
AT pushf
        pushfl
        popl    %eax
        pushl   $0x202                  # interrupts on; all of them are masked
AT popf
        popfl
        cli
AT push
        pushl   %ds
        popl    %eax
        pushl   $DATA3
AT pop
        popl    %es
        movl    $DATA0, %eax
        movl    %eax, %es
AT mov
        movl    %ds, %eax
        movl    $CODE0, %eax
AT lar
        larl    %eax, %ebx
AT lsl
        lsll    %eax, %ebx
AT verr
        verr    %ax
        movl    $DATA0, %eax
AT verw
        verw    %ax
AT jmp
        ljmp    $CONFORMING, $1f
1:      ljmp    $CODE0, $2f
2:
AT call
        lcall   $CONFORMING, $called
returned:
AT int
        int     $0x40
        pushl   $STACK3
        pushl   $stack3_end
        pushl   $CONFORMING
        pushl   $outer
AT ret
        lret
back:
        popal
        ret

called: addl    $8, %esp
        ljmp    $CODE0, $returned

outer:  int     $0x40                   # ring 3; there is no other way back

/* Vector 40h: from ring 0 nothing, from ring 3 back to the end of the above. */
        .globl  deprivileged_gate
deprivileged_gate:
        testb   $3, 4(%esp)
        jnz     1f
        iret
1:      movl    $DATA0, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    saved_esp, %esp
        jmp     back

        .bss
        .balign 16
saved_esp:
        .skip   16
buffer: .skip   16
        .skip   256
stack3_end:
        .skip   16

        .section .note.GNU-stack, "", @progbits
