/*
 * User code in loops over pages, each with an instruction that accesses memory: flags, the stack
 * and vector registers must be the same after it, wherever its page had to come from.
 * esi: the first page, edx: how many; adds to ebx; ends with int $0x30. In a page: a number at 0,
 * counters at 4 and 8, a copy of it at 12, misses_leaf at 16, 16 bytes each at 32 and 48.
 */
        .text
        .globl  misses_run, misses_load, misses_leaf

        .macro  pages
        movl    %esi, %edi
        movl    %edx, %ecx
1:
        .endm

        .macro  next
        leal    4096(%edi), %edi
        leal    -1(%ecx), %ecx
        jecxz   2f
        jmp     1b
2:
        .endm

        .balign 16
misses_run:
        pages                           # a load between what sets CF and what uses it
        stc
        movl    (%edi), %eax
        adcl    %eax, %ebx
        next
        pages                           # read and written; INC leaves CF alone
        stc
        incl    4(%edi)
        adcl    $0, %ebx
        next
        pages
        pushl   (%edi)
        popl    %eax
        addl    %eax, %ebx
        next
        pages
        movl    (%edi), %eax
        xchgl   %eax, 12(%edi)
        next
        pages
        call    *16(%edi)
        next
        pages
        movups  32(%edi), %xmm0
        addl    (%edi), %ebx
        movups  %xmm0, 48(%edi)
        next
        pages
        lock addl $2, 8(%edi)
        next
        int     $0x30

misses_load:
        pages
        stc
        movl    (%edi), %eax
        adcl    %eax, %ebx
        next
        int     $0x30

misses_leaf:
        incl    %ebx
        ret

        .section .note.GNU-stack, "", @progbits
