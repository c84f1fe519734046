/*
 * uint32_t ask_NAME(void): executes the instruction, returns what it got. EBX, ESI, EDI and EBP are
 * the caller's.
 */
        .set    CODE, 0x08
        .set    DATA, 0x10
        .set    BASED, 0x63             # selector 60h, RPL 3
        .set    IOPL1, 0x1002
        .set    FLAG_IF, 0x200
        .set    PE_MP_EM_TS, 0xf

        .macro  ASK name
        .globl  ask_\name
ask_\name:
        .endm

        .text
        .irp    instruction, sgdt, sidt
ASK \instruction
        \instruction buffer
        movl    buffer + 2, %eax
        ret
        .endr
        .irp    instruction, sldt, str
ASK \instruction
        \instruction %eax
        movzwl  %ax, %eax
        ret
        .endr
ASK smsw
        smsw    %eax
        andl    $PE_MP_EM_TS, %eax
        ret

/* The flags. */
ASK pushf
        pushl   $IOPL1
        popfl                           # IOPL 1: ours, and a program's it cannot be
        pushfl
        popl    %eax
        shrl    $12, %eax
        andl    $3, %eax
        pushl   $2
        popfl
        ret
ASK popf
        sti
        pushl   $2
        popfl
        pushfl
        popl    %eax
        andl    $FLAG_IF, %eax
        cli
        ret

/* What a descriptor says. */
ASK lar
        movl    $CODE, %ecx
        xorl    %eax, %eax
        larl    %ecx, %eax
        andl    $0xe0fe00, %eax         # without A and AVL
        ret
ASK lsl
        movl    $CODE, %ecx
        xorl    %eax, %eax
        lsll    %ecx, %eax
        ret
        .irp    instruction, verr, verw
ASK \instruction
        movl    $DATA, %ecx
        xorl    %eax, %eax
        \instruction %cx
        setz    %al
        ret
        .endr

/* Segment registers. */
ASK mov
        movl    %ds, %eax
        ret
ASK push
        pushl   %cs
        popl    %eax
        movzwl  %ax, %eax
        ret
ASK pop
        pushl   $BASED
        popl    %es
        leal    buffer, %ecx            # ES:[offset - base] is buffer, if ES has our base
        movl    $0x600d, (%ecx)
        subl    $0x1000, %ecx
        xorl    %eax, %eax
        cmpl    $0x600d, %es:(%ecx)
        jne     1f
        movl    $0x1000, %eax
1:      movl    $DATA, %ecx
        movl    %ecx, %es
        ret

/* From one code segment to another, and what CS is there. */
ASK call
        lcall   $CODE, $1f
        ret
1:      movl    %cs, %eax
        lret
ASK jmp
        ljmp    $CODE, $1f
1:      movl    %cs, %eax
        ret
ASK ret
        pushl   $CODE
        pushl   $1f
        lret
1:      movl    %cs, %eax
        ret
ASK int
        int     $0x40
        ret
        .globl  seventeen_gate
seventeen_gate:
        movl    %cs, %eax
        iret

        .bss
        .balign 16
buffer: .skip   16

        .section .note.GNU-stack, "", @progbits
