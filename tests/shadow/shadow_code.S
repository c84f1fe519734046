# 32-bit guest code for test_shadow.c: ways to write an entry of a page table. edi: its address
# (linear), eax: the lower half, edx: the upper half (kept unless the form writes 8 bytes), esp: a
# stack. Every form may destroy all registers, is copied to wherever the test wants it, and ends
# with hlt.

        .macro  snippet name, wide=0
        .pushsection .rodata.names, "a"
9000:   .asciz  "\name"
        .popsection
        .pushsection .data.rel.ro, "aw"
        .quad   9000b, 9001f, 9002f, \wide
        .popsection
9001:
        .endm

        .macro  end
        hlt
9002:
        .endm

        .section .data.rel.ro, "aw"
        .globl  shadow_forms
        .balign 8
shadow_forms:
        .section .rodata.forms, "a"
        .code32

#include "guests/lib/entry_forms.inc"
        snippet "cmpxchg8b", 1
        movl    %eax, %ebx
        movl    %edx, %ecx
        movl    (%edi), %eax
        movl    4(%edi), %edx
        lock cmpxchg8b (%edi)
        end
        snippet "fistpll", 1
        pushl   %edx
        pushl   %eax
        fninit
        fildll  (%esp)
        fistpll (%edi)
        end
        snippet "movd"
        movd    %eax, %xmm0
        movd    %xmm0, (%edi)
        end
        snippet "movq of MMX", 1
        pushl   %edx
        pushl   %eax
        movq    (%esp), %mm0
        movq    %mm0, (%edi)
        emms
        end
        snippet "movlps", 1
        pushl   %edx
        pushl   %eax
        movlps  (%esp), %xmm1
        movlps  %xmm1, (%edi)
        end
        snippet "movups"                        # 16 bytes, of which 12 stay
        movups  (%edi), %xmm0
        subl    $16, %esp
        movups  %xmm0, (%esp)
        movl    %eax, (%esp)
        movups  (%esp), %xmm0
        movups  %xmm0, (%edi)
        end
        snippet "movups from before"
        subl    $16, %esp
        movups  -8(%edi), %xmm0
        movups  %xmm0, (%esp)
        movl    %eax, 8(%esp)
        movups  (%esp), %xmm0
        movups  %xmm0, -8(%edi)
        end
        snippet "movnti"
        movnti  %eax, (%edi)
        end

        .section .data.rel.ro, "aw"
        .quad   0, 0, 0, 0

# What the test runs besides: eax, edi, esp as above.
        .section .rodata.forms, "a"
        .macro  code name
        .globl  shadow_\name, shadow_\name\()_end
shadow_\name:
        .endm
        .macro  code_end name
        hlt
shadow_\name\()_end:
        .endm

        code    read
        movl    (%edi), %eax
        code_end read
        code    write
        movl    %eax, 8(%edi)
        code_end write
        code    add
        addl    %eax, 8(%edi)
        code_end add
        code    invlpg
        invlpg  (%edi)
        code_end invlpg
        code    cr3
        movl    %eax, %cr3
        code_end cr3
        code    cr0
        movl    %eax, %cr0
        code_end cr0

        .section .note.GNU-stack, "", @progbits
