/*
 * Code for traps.elf. Tables of struct trap_case (traps.h): every case says which exception it ends
 * with and, by the label 7, the EIP that must be saved.
 */
        .macro  table symbol
        .section .rodata.cases, "a"
        .globl  \symbol
\symbol:
        .text
        .endm

        .macro  case name vector error=0 rings=9
        .pushsection .rodata.names, "a"
9000:   .asciz  "\name"
        .popsection
        .pushsection .rodata.cases, "a"
        .long   9000b, 9001f, \vector, \error, \rings, 7f
        .popsection
9001:
        .endm

        .macro  endcase
        int     $0x30
        int     $0x30
        .endm

        .macro  table_end
        .section .rodata.cases, "a"
        .long   0, 0, 0, 0, 0, 0
        .text
        .endm

        .set    DE, 0
        .set    BP, 3
        .set    OF, 4
        .set    BR, 5
        .set    UD, 6
        .set    NM, 7
        .set    TS, 10
        .set    NP, 11
        .set    SS, 12
        .set    GP, 13
        .set    MF, 16
        .set    AC, 17
        .set    XM, 19
        .set    END, 0x30

/* rings: bit n for ring n. ecx is 0; edi at 64 bytes of zeros, aligned. */
        table   traps_cases
        case    "div by 0" DE
7:      divl    %ecx
        endcase
        case    "div overflow" DE
        movl    $1, %edx
        movl    $1, %ecx
7:      divl    %ecx
        endcase
        case    "idiv of INT_MIN by -1" DE
        movl    $0x80000000, %eax
        cltd
        movl    $-1, %ecx
7:      idivl   %ecx
        endcase
        case    "idiv of INT_MIN by -1 in memory" DE
        movl    $0x80000000, %eax
        cltd
        movl    $-1, (%edi)
7:      idivl   (%edi)
        endcase
        case    "idiv, 16 bit, of -32768 by -1" DE
        movw    $0x8000, %ax
        cwtd
        movw    $-1, %cx
7:      idivw   %cx
        endcase
        case    "idiv, 8 bit, of -128 by -1" DE
        movw    $-128, %ax
        movb    $-1, %cl
7:      idivb   %cl
        endcase
        case    "div, 8 bit, overflow" DE
        movw    $0x100, %ax
        movb    $1, %cl
7:      divb    %cl
        endcase
        case    "aam by 0" DE
7:      aam     $0
        endcase
        case    "idiv of INT_MIN by 1" END
        movl    $0x80000000, %eax
        cltd
        movl    $1, %ecx
        idivl   %ecx
        int     $0x30
7:
        endcase
        case    "int3" BP
        int3
7:
        endcase
        case    "int 3" BP
        .byte   0xcd, 3
7:
        endcase
        case    "into" OF
        movl    $0x7fffffff, %eax
        incl    %eax
        into
7:
        endcase
        case    "into without OF" END
        xorl    %eax, %eax
        into
        int     $0x30
7:
        endcase
        case    "int 4 from ring 3" OF
        int     $4
7:
        endcase
        case    "int 13 from ring 3" GP 13*8+2 8
7:      int     $13
        endcase
        case    "bound above" BR
        movl    $10, 4(%edi)
        movl    $11, %eax
7:      boundl  %eax, (%edi)
        endcase
        case    "bound below" BR
        movl    $-1, %eax
7:      boundl  %eax, (%edi)
        endcase
        case    "bound within" END
        movl    $10, 4(%edi)
        movl    $10, %eax
        boundl  %eax, (%edi)
        int     $0x30
7:
        endcase
        case    "ud2" UD
7:      ud2
        endcase
        case    "ud0" UD
7:      .byte   0x0f, 0xff, 0xc0
        endcase
        case    "lock nop" UD
7:      .byte   0xf0, 0x90
        endcase
        case    "lock cmp" UD
7:      .byte   0xf0, 0x39, 0x07
        endcase
        case    "mov to cs" UD
7:      .byte   0x8e, 0xc8
        endcase
        case    "les of a register" UD
7:      .byte   0xc4, 0xc0
        endcase
        case    "lea of a register" UD
7:      .byte   0x8d, 0xc0
        endcase
        case    "16 bytes" GP
7:      .fill   15, 1, 0x2e
        nop
        endcase
        case    "15 bytes" END
        .fill   14, 1, 0x2e
        nop
        int     $0x30
7:
        endcase
        case    "absent segment" NP 0x68
        movl    $0x6b, %eax
7:      movl    %eax, %es
        endcase
        case    "absent stack segment" SS 0x68 8
        movl    $0x6b, %eax
7:      movl    %eax, %ss
        endcase
        case    "absent gate" NP 0x70*8+2
7:      int     $0x70
        endcase
        case    "privileged segment" GP 0x10 8
        movl    $0x10, %eax
7:      movl    %eax, %ds
        endcase
        case    "null stack segment" GP
7:      movl    %ecx, %ss
        endcase
        case    "selector beyond the table" GP 0xfff8
        movl    $0xfffb, %eax
7:      movl    %eax, %ds
        endcase
        case    "x87 division by 0" MF
        fninit
        pushl   $0x37b                  # division by zero unmasked
        fldcw   (%esp)
        addl    $4, %esp
        fld1
        fldz
        fdivrp  %st, %st(1)
7:      fwait
        endcase
        case    "x87 invalid, seen by the next" MF
        fninit
        pushl   $0x37e
        fldcw   (%esp)
        addl    $4, %esp
        fldz
        fldz
        fdivrp  %st, %st(1)
        movl    $1, %eax
7:      fld1
        endcase
        case    "x87 error, not waited for" END
        fninit
        pushl   $0x37e
        fldcw   (%esp)
        addl    $4, %esp
        fldz
        fldz
        fdivrp  %st, %st(1)
        fnstsw  %ax
        fnclex
        int     $0x30
7:
        endcase
        table_end

/* With CR0.AM set. The code sets AC. */
        .section .rodata.cases, "a"
        .globl  traps_align_cases
traps_align_cases:
        .text
        .macro  set_ac
        pushl   $0x40002
        popfl
        .endm
        case    "unaligned read" AC 0 8
        set_ac
7:      movl    1(%edi), %eax
        endcase
        case    "unaligned write" AC 0 8
        set_ac
7:      movw    %ax, 3(%edi)
        endcase
        case    "unaligned push" AC 0 8
        leal    -3(%esp), %esp
        pushl   $0x40002
        popfl
7:      pushl   %eax
        endcase
        case    "unaligned, aligned access" END 0 8
        set_ac
        movl    4(%edi), %eax
        movw    2(%edi), %ax
        movb    1(%edi), %al
        int     $0x30
7:
        endcase
        case    "unaligned in ring 0" END 0 1
        set_ac
        movl    1(%edi), %eax
        pushl   $2
        popfl
        int     $0x30
7:
        endcase
        table_end

/* With CR0.TS set, EM set, and so on: traps.c says which. */
        .globl  traps_fninit, traps_fwait, traps_sse, traps_sse_divide
traps_fninit:
        fninit
        endcase
traps_fwait:
        fwait
        endcase
traps_sse:
        xorps   %xmm0, %xmm0
        endcase
traps_sse_divide:
        ldmxcsr (%edi)
        xorps   %xmm0, %xmm0
        movl    $0x3f800000, 4(%edi)
        movss   4(%edi), %xmm1
        divss   %xmm0, %xmm1
        endcase

/* As kernels do that switch the FPU's state when it is used: TS is set and cleared between. */
        .globl  traps_ts_set, traps_ts_toggled, traps_ts_cleared
traps_ts_set:
        fldz
        movl    %cr0, %eax
        orl     $8, %eax
        movl    %eax, %cr0
        movl    %cr0, %ecx
        fld1
        endcase
traps_ts_toggled:
        fninit
        fldz
        movl    %cr0, %eax
        orl     $8, %eax
        movl    %eax, %cr0
        movl    $7, (%edi)
        clts
        fld1
        fstps   (%edi)
        fstps   4(%edi)
        endcase
traps_ts_cleared:
        clts
        fninit
        fld1
        fstps   (%edi)
        endcase

/* Single steps. Each case is followed by the EIPs at which #DB must be seen, and 0. */
        .macro  steps name symbol tf=1
        .pushsection .rodata.names, "a"
9000:   .asciz  "\name"
        .popsection
        .pushsection .rodata.steps, "a"
        .long   9000b, \symbol, \tf
        .popsection
\symbol:
        .endm
        .macro  stops list:vararg
        int     $0x30
        .pushsection .rodata.steps, "a"
        .long   \list
        .long   0
        .popsection
        .endm

        .section .rodata.steps, "a"
        .globl  traps_steps
traps_steps:
        .text
        steps   "arithmetic", step_add
        addl    %eax, %eax
1:      subl    $1, %eax
2:      leal    (%eax, %eax), %ecx
3:      stops   1b, 2b, 3b
        steps   "jumps", step_jumps
        xorl    %eax, %eax
1:      jnz     2f
2:      jz      3f
        nop
3:      jmp     4f
        nop
4:      movl    $5f, %eax
5:      nop
        movl    $6f, %eax
7:      jmp     *%eax
        nop
6:      stops   1b, 2b, 3b, 4b, 5b, 5b + 1, 7b, 6b
        steps   "call and ret", step_call
        call    2f
1:      jmp     3f
2:      ret
3:      stops   2b, 1b, 3b
        steps   "loop", step_loop
        movl    $2, %ecx
1:      loop    1b
2:      stops   1b, 1b, 2b
        steps   "rep movsb", step_rep
        movl    %edi, %esi
1:      movl    $3, %ecx
2:      rep movsb
3:      rep movsb
4:      stops   1b, 2b, 2b, 2b, 3b, 4b
        steps   "popf that clears TF", step_popf_clear
        pushl   $2
1:      popfl
2:      nop
        nop
        stops   1b, 2b
        steps   "popf that sets TF", step_popf_set, 0
        pushl   $0x102
        popfl
        nop
1:      nop
2:      stops   1b, 2b
        steps   "iret that sets TF", step_iret_set, 0
        pushl   $0x102
        pushl   %cs
        pushl   $1f
        iret
        nop
1:      nop
2:      nop
3:      stops   2b, 3b
        steps   "iret that clears TF", step_iret_clear
        pushl   $2
1:      pushl   %cs
2:      pushl   $3f
4:      iret
        nop
3:      nop
        nop
        stops   1b, 2b, 4b, 3b
        steps   "pushf", step_pushf
        pushfl
1:      popl    %eax
2:      andl    $0x100, %eax
3:      jnz     4f
        ud2
4:      stops   1b, 2b, 3b, 4b
        steps   "mov ss", step_mov_ss
        movl    %ss, %eax
1:      movl    %eax, %ss
        nop
2:      nop
3:      stops   1b, 2b, 3b
        steps   "pop ss", step_pop_ss
        pushl   %ss
1:      popl    %ss
        movl    %eax, %eax
2:      stops   1b, 2b
        steps   "segment registers", step_segment
        movl    %ds, %eax
1:      movl    %eax, %es
2:      pushl   %es
3:      popl    %es
4:      stops   1b, 2b, 3b, 4b
        steps   "far jump", step_far
        pushl   %cs
1:      pushl   $3f
2:      lret
3:      stops   1b, 2b, 3b
        steps   "memory", step_memory
        movl    %eax, (%edi)
1:      incl    (%edi)
2:      xchgl   %eax, (%edi)
3:      pushl   (%edi)
4:      popl    (%edi)
5:      pushal
6:      popal
7:      enter   $8, $0
8:      leave
9:      stops   1b, 2b, 3b, 4b, 5b, 6b, 7b, 8b, 9b
        steps   "x87 and cpuid", step_fpu
        fninit
1:      fld1
2:      fstpl   (%edi)
3:      cpuid
4:      stops   1b, 2b, 3b, 4b
        steps   "cmov, setcc, bits", step_bits
        cmovzl  %eax, %ecx
1:      setz    %al
2:      btsl    %eax, %ecx
3:      shldl   $3, %eax, %ecx
4:      imull   %eax, %ecx
5:      stops   1b, 2b, 3b, 4b, 5b
        .section .rodata.steps, "a"
        .long   0
        .text

/* Breakpoints: a write to (%edi), then reads. */
        .globl  traps_break_here, traps_break_data, traps_break_written, traps_break_read
        .globl  traps_break_code
traps_break_code:
        nop
traps_break_here:
        incl    %eax
        endcase
traps_break_data:
        movl    %eax, 4(%edi)
        movl    4(%edi), %ebx
        movl    %eax, (%edi)
traps_break_written:
        movl    (%edi), %ebx
traps_break_read:
        nop
        endcase

/* Interrupt shadows: an interrupt is pending and IF clear. The label behind is where it must be
 * taken. */
        .macro  shadow name symbol
        .pushsection .rodata.names, "a"
9000:   .asciz  "\name"
        .popsection
        .pushsection .rodata.shadows, "a"
        .long   9000b, \symbol, 1f
        .popsection
\symbol:
        .endm
        .section .rodata.shadows, "a"
        .globl  traps_shadows
traps_shadows:
        .text
        shadow  "sti", shadow_sti
        sti
        nop
1:      nop
        endcase
        shadow  "sti, sti", shadow_sti2
        sti
        sti
1:      nop
        endcase
        shadow  "sti, cli", shadow_sti_cli
        sti
        cli
        nop
        int     $0x30
1:
        endcase
        shadow  "sti, hlt", shadow_sti_hlt
        sti
        hlt
1:      nop
        endcase
        shadow  "popf", shadow_popf
        pushl   $0x202
        popfl
1:      nop
        endcase
        shadow  "iret", shadow_iret
        pushl   $0x202
        pushl   %cs
        pushl   $1f
        iret
        nop
1:      nop
        endcase
        shadow  "sti, jmp", shadow_sti_jmp
        sti
        jmp     1f
        nop
1:      nop
        endcase
        shadow  "popf, after mov ss", shadow_mov_ss
        pushl   $0x202
        movl    %ss, %eax
        movl    %eax, %ss
        popfl
1:      nop
        endcase
        shadow  "sti, mov ss", shadow_sti_mov_ss
        movl    %ss, %eax
        sti
        nop
1:      movl    %eax, %ss
        endcase
        .section .rodata.shadows, "a"
        .long   0
        .text

/* Call gates and tasks */
        .globl  traps_gate_call, traps_gate_target, traps_gate_back, traps_task, traps_task_call
        .globl  traps_task_back, traps_gate16_call
traps_gate_call:
        pushl   $0x11111111
        pushl   $0x22222222
        pushl   $0x33333333
        lcall   $0x73, $0
traps_gate_back:
        endcase
traps_gate_target:
        movl    8(%esp), %eax           # the parameters, as copied
        movl    12(%esp), %ebx
        movl    16(%esp), %ecx
        movl    4(%esp), %edx           # the caller's cs
        movl    24(%esp), %esi          # and ss
        lret    $12

traps_gate16_call:
        lcall   $0x7b, $0
        endcase

traps_task_call:
        lcall   $0x80, $0
traps_task_back:
        endcase
traps_task:
        incl    %eax                    # stays in the TSS
        pushfl
        popl    %ebx
        iret
        jmp     traps_task

/* 16-bit code, run at its own offsets of a 16-bit segment with base traps_code16. */
        .balign 16
        .globl  traps_code16, traps_code16_end
traps_code16:
        .code16
        pushw   %ax                     # sp 0: at fffe
        pushl   %ebx
        popl    %ecx
        popw    %dx
        call    1f
1:      popw    %si
        movw    $0xffff, %bp
        leaw    3(%bp), %di             # wraps
        xorw    %cx, %cx
        decw    %cx
        jcxz    2f
        loop    3f
2:      ud2
3:      pushw   %cs
        pushw   $4f - traps_code16
        lret
4:      int     $0x30
        .code32
traps_code16_end:

/* Virtual-8086 code: prints by int 0x21 as a program for DOS would. */
        .globl  traps_v86, traps_v86_end
traps_v86:
        .code16
        movw    $0x1234, %ax
        int     $0x21
        movw    %ax, %bx
        sti
        pushfw
        popw    %dx
        cli
        hlt
        .code32
traps_v86_end:

        .section .note.GNU-stack, "", @progbits
