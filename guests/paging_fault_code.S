/*
 * Instructions that touch memory more than once. Each begins with esp and edi at the last bytes
 * of a page whose neighbour comes and goes (paging_fault.c).
 */
#include "guests/lib/snippet.inc"

/* The stack grows down from the second page into the first one, which is missing. */
        snippet_table paging_down_snippets
        snippet "push"
        pushl   %eax
        pushl   %ebx
        pushl   %ecx
        end
        snippet "pusha"
        pushal
        end
        snippet "pushaw"
        pushaw
        end
        snippet "call"
        call    1f
1:      call    2f
2:      call    3f
3:
        end
        snippet "enter"
        movl    $0, %ebp
        enter   $16, $0
        end
        snippet "enter with a display"
        leal    32(%esp), %ebp
        enter   $4, $3
        end
        snippet "pushf"
        pushfl
        pushfl
        pushfl
        end
        snippet "push of memory"
        pushl   12(%esp)
        pushl   12(%esp)
        pushl   12(%esp)
        end
        snippet "lcall"
        pushl   %cs
        pushl   $1f
        pushl   %eax
        lcall   *4(%esp)
1:
        end
        snippet_table_end

/* Reads and writes go up from the first page into the second one, which is missing. */
        .section .rodata.snippets, "a"
        .globl  paging_up_snippets
paging_up_snippets:
        .text
        snippet "pop"
        popl    %eax
        popl    %ebx
        popl    %ecx
        end
        snippet "popa"
        popal
        end
        snippet "mov"
        movl    %eax, 6(%edi)
        end
        snippet "add"
        addl    %eax, 6(%edi)
        end
        snippet "xchg"
        xchgl   %eax, 6(%edi)
        end
        snippet "lock xadd"
        lock xaddl %eax, 6(%edi)
        end
        snippet "cmpxchg8b"
        cmpxchg8b 4(%edi)
        end
        snippet "rep stosl"
        movl    $8, %ecx
        rep stosl
        end
        snippet "rep movsb"
        movl    $16, %ecx
        movl    %esp, %esi
        leal    -64(%edi), %edi
        rep movsb
        end
        snippet "rep movsl to there"
        movl    $8, %ecx
        leal    -64(%edi), %esi
        rep movsl
        end
        snippet "repe cmpsb"
        movl    $16, %ecx
        movl    %edi, %esi
        repe cmpsb
        end
        snippet "repne scasb"
        movl    $16, %ecx
        movb    $0x77, %al
        repne scasb
        end
        snippet "lods"
        leal    6(%edi), %esi
        lodsl
        end
        snippet "bts"
        movl    $70, %eax
        btsl    %eax, (%edi)
        end
        snippet "pop of memory"
        leal    6(%edi), %ebx
        popl    (%ebx)
        end
        snippet "shld"
        shldl   $5, %eax, 6(%edi)
        end
        snippet "sgdt"
        sgdt    4(%edi)
        end
        snippet "fnsave"
        fninit
        fnsave  (%edi)
        end
        snippet "fldt"
        fldt    (%edi)
        fstpt   1(%edi)
        end
        snippet "leave"
        leal    -4(%edi), %ebp
        leave
        popl    %eax
        popl    %eax
        popl    %eax
        end
        snippet "les"
        movw    %ds, 8(%edi)
        movw    %ds, 6(%edi)
        les     2(%edi), %eax
        movl    $0, (%edi)
        end
        snippet "bound"
        movl    $0, %eax
        movl    $0, 4(%edi)
        movl    $100, 8(%edi)
        boundl  %eax, 4(%edi)
        end
        snippet_table_end

        .section .note.GNU-stack, "", @progbits
