/*
 * Code with a known number of instructions: void count_run(uint32_t n) executes 109
 * instructions a round, and some. Beside each part is how many it has. An instruction that faults
 * has been begun and counts; the handlers step over it.
 */
        .text
        .globl  count_run, count_de, count_pf
        .balign 64
count_run:
        pushl   %ebx
        pushl   %esi
        pushl   %edi
        pushl   %ebp
        movl    20(%esp), %ebp
        cld
round:
        movl    $10, %ecx               # 31: a loop inside a unit
1:      incl    %eax
        decl    %ecx
        jnz     1b

        movl    $7, %ecx                # 26: LOOP, and a way out early for odd ecx
2:      testb   $1, %cl
        jnz     3f
        incl    %edx
3:      loop    2b
        incl    %edx

        call    leaf                    # 9: call, return, indirect call and jump
        movl    $leaf, %ebx
        call    *%ebx
        movl    $4f, %ebx
        jmp     *%ebx
4:
        xorl    %ecx, %ecx              # 6: a divide error in the middle
        movl    $5, %eax
        divl    %ecx
        incl    %esi

        movl    $0x80000000, %ebx       # 11: a page fault in the middle
        movl    (%ebx), %eax
        incl    %esi

        pushl   0x80000000              # 10: and in an instruction that also writes
        invlpg  count_data              # 5: faults that the guest does not see
        movl    count_data, %eax
        incl    count_data
        pushl   count_data
        popl    %eax

        movl    $count_data, %edi       # 6: strings, one over a page's end
        movl    $6000, %ecx
        rep     stosb
        movl    $count_data, %edi
        movl    $16, %ecx
        rep     stosl

        cpuid                           # 5: called out; flags; the round
        pushfl
        popfl
        decl    %ebp
        jnz     round

        popl    %ebp
        popl    %edi
        popl    %esi
        popl    %ebx
        ret

leaf:   nop
        ret

        /* The instruction is 2 bytes, or 6 when it is the push. 2; 8 or 9 instructions. */
count_de:
        addl    $2, (%esp)
        iretl
        .balign 16
count_pf:
        popl    %eax
        call    step_over
        iretl
step_over:
        movl    4(%esp), %eax
        cmpb    $0xff, (%eax)
        jne     5f
        addl    $4, 4(%esp)
5:      addl    $2, 4(%esp)
        ret

        .bss
        .balign 4096
        .globl  count_data
count_data:
        .skip   8192

        .section .note.GNU-stack, "", @progbits
