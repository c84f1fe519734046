/*
 * Ways to write a page-table entry. edi: its address, eax: the new lower half (the old one differs
 * in any bits), edx: the upper half. Everything may be destroyed; ends with int $0x30.
 */
#include "guests/lib/snippet.inc"

        snippet_table paging_edit_snippets
        snippet "mov"
        movl    %eax, (%edi)
        end
        snippet "mov bytes"
        movb    %al, (%edi)
        movb    %ah, 1(%edi)
        shrl    $16, %eax
        movb    %al, 2(%edi)
        movb    %ah, 3(%edi)
        end
        snippet "mov words"
        movw    %ax, (%edi)
        shrl    $16, %eax
        movw    %ax, 2(%edi)
        end
        snippet "mov unaligned"
        movw    -1(%edi), %bx
        movb    %bl, %bl
        movb    %al, %bh
        movw    %bx, -1(%edi)
        shrl    $8, %eax
        movw    %ax, 1(%edi)
        shrl    $16, %eax
        movb    %al, 3(%edi)
        end
        snippet "xchg"
        xchgl   %eax, (%edi)
        end
        snippet "and, or"
        andl    $0, (%edi)
        orl     %eax, (%edi)
        end
        snippet "add"
        subl    (%edi), %eax
        addl    %eax, (%edi)
        end
        snippet "lock xor"
        xorl    (%edi), %eax
        lock xorl %eax, (%edi)
        end
        snippet "xadd"
        subl    (%edi), %eax
        lock xaddl %eax, (%edi)
        end
        snippet "cmpxchg"
        movl    %eax, %ecx
        movl    (%edi), %eax
        lock cmpxchgl %ecx, (%edi)
        end
        snippet "not, neg, inc, dec"
        notl    %eax
        movl    %eax, (%edi)
        notl    (%edi)
        negl    (%edi)
        negl    (%edi)
        incl    (%edi)
        decl    (%edi)
        end
        snippet "btc of each bit by an offset"
        movl    (%edi), %ecx
        xorl    %eax, %ecx              # what differs
        leal    -0x1000(%edi), %ebx
        movl    $31, %esi
1:      btl     %esi, %ecx
        jnc     2f
        leal    0x8000(%esi), %edx      # bits of 0x1000 bytes further on
        lock btcl %edx, (%ebx)
2:      decl    %esi
        jns     1b
        end
        snippet "bts, btr with negative offsets"
        leal    0x2000(%edi), %ebx
        movl    $31, %esi
1:      leal    -0x10000(%esi), %edx
        btl     %esi, %eax
        jnc     2f
        btsl    %edx, (%ebx)
        jmp     3f
2:      btrl    %edx, (%ebx)
3:      decl    %esi
        jns     1b
        end
        snippet "cmpxchg8b"
        movl    %edi, %esi
        andl    $-8, %esi
        movl    %eax, %ebx
        movl    4(%esi), %ecx
        cmpl    %esi, %edi
        je      1f
        movl    (%esi), %ebx
        movl    %eax, %ecx
1:      movl    (%esi), %eax
        movl    4(%esi), %edx
        lock cmpxchg8b (%esi)
        end
        snippet "stos"
        stosl
        end
        snippet "rep stos"
        movl    $1, %ecx
        rep stosl
        end
        snippet "std stos bytes"
        std
        leal    3(%edi), %edi
        roll    $8, %eax
        stosb
        roll    $8, %eax
        stosb
        roll    $8, %eax
        stosb
        roll    $8, %eax
        stosb
        cld
        end
        snippet "movs"
        pushl   %eax
        movl    %esp, %esi
        movsl
        end
        snippet "rep movsb"
        pushl   %eax
        movl    %esp, %esi
        movl    $4, %ecx
        rep movsb
        end
        snippet "push"
        movl    %esp, %ebp
        leal    4(%edi), %esp
        pushl   %eax
        movl    %ebp, %esp
        end
        snippet "pop"
        pushl   %eax
        popl    (%edi)
        end
        snippet "call"
        movl    %esp, %ebp
        movl    %eax, (%edi)
        leal    4(%edi), %esp
        call    1f
1:      movl    %ebp, %esp
        movl    %eax, (%edi)
        end
        snippet "setcc, shifts"
        movl    %eax, (%edi)
        roll    $7, (%edi)
        rorl    $7, (%edi)
        end
        snippet "shld"
        movl    %eax, %ecx
        movl    $0, (%edi)
        shldl   $16, %eax, (%edi)
        shll    $16, %ecx
        shldl   $16, %ecx, (%edi)
        end
        snippet "fild, fistp"
        pushl   %eax
        fninit
        fildl   (%esp)
        fistpl  (%edi)
        popl    %eax
        end
        snippet_table_end

        .section .note.GNU-stack, "", @progbits
