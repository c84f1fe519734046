# 32-bit guest code for test_shadow.c: ways to write an entry of a page table. edi: its address
# (linear), eax: the lower half, edx: the upper half (kept unless the form writes 8 bytes), esp: a
# stack. Every form may destroy all registers, is copied to wherever the test wants it, and ends
# with hlt.

        .macro  form name, wide=0
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

        form    "mov"
        movl    %eax, (%edi)
        end
        form    "mov bytes"
        movb    %al, (%edi)
        movb    %ah, 1(%edi)
        shrl    $16, %eax
        movb    %al, 2(%edi)
        movb    %ah, 3(%edi)
        end
        form    "mov words"
        movw    %ax, (%edi)
        shrl    $16, %eax
        movw    %ax, 2(%edi)
        end
# This one crosses a page end where the entry is the first of a table.
        form    "mov from before"
        movl    -2(%edi), %ebx
        movw    %ax, %cx
        shll    $16, %ecx
        movw    %bx, %cx
        movl    %ecx, -2(%edi)
        shrl    $16, %eax
        movw    %ax, 2(%edi)
        end
        form    "xchg"
        xchgl   %eax, (%edi)
        end
        form    "and, or"
        andl    $0, (%edi)
        orl     %eax, (%edi)
        end
        form    "lock xor"
        xorl    (%edi), %eax
        lock xorl %eax, (%edi)
        end
        form    "xadd"
        subl    (%edi), %eax
        lock xaddl %eax, (%edi)
        end
        form    "cmpxchg"
        movl    %eax, %ecx
        movl    (%edi), %eax
        lock cmpxchgl %ecx, (%edi)
        end
        form    "cmpxchg8b", 1
        movl    %eax, %ebx
        movl    %edx, %ecx
        movl    (%edi), %eax
        movl    4(%edi), %edx
        lock cmpxchg8b (%edi)
        end
        form    "inc, neg, not"
        notl    %eax
        negl    %eax
        movl    %eax, (%edi)
        negl    (%edi)
        notl    (%edi)
        incl    (%edi)
        decl    (%edi)
        end
        form    "btc by offsets"
        movl    (%edi), %ecx
        xorl    %eax, %ecx
        leal    -0x1000(%edi), %ebx
        movl    $31, %esi
1:      btl     %esi, %ecx
        jnc     2f
        leal    0x8000(%esi), %edx
        lock btcl %edx, (%ebx)
2:      decl    %esi
        jns     1b
        end
        form    "bts, btr by negative offsets"
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
        form    "stosl"
        stosl
        end
        form    "rep stosb, rep stosl"
        movl    %edi, %esi
        movl    $4, %ecx
        rep stosb
        movl    %esi, %edi
        movl    $1, %ecx
        rep stosl
        end
        form    "std stosb"
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
        form    "movsl"
        pushl   %eax
        movl    %esp, %esi
        movsl
        end
        form    "rep movsb"
        pushl   %eax
        movl    %esp, %esi
        movl    $4, %ecx
        rep movsb
        end
        form    "push"
        movl    %esp, %ebp
        leal    4(%edi), %esp
        pushl   %eax
        movl    %ebp, %esp
        end
        form    "push of memory"
        movl    %eax, -4(%esp)
        leal    -4(%esp), %ebx
        leal    4(%edi), %esp
        pushl   (%ebx)
        end
        form    "pop"
        pushl   %eax
        popl    (%edi)
        end
        form    "call"                          # first the return address, then the entry
        leal    4(%edi), %esp
        call    1f
1:      movl    %eax, (%edi)
        end
        form    "shld, rol"
        movl    $0, (%edi)
        movl    %eax, %ecx
        shldl   $16, %eax, (%edi)
        shll    $16, %ecx
        shldl   $16, %ecx, (%edi)
        roll    $9, (%edi)
        rorl    $9, (%edi)
        end
        form    "setcc"
        movl    %eax, (%edi)
        cmpl    %eax, %eax
        setne   (%edi)
        movb    %al, (%edi)
        end
        form    "fistpl"
        pushl   %eax
        fninit
        fildl   (%esp)
        fistpl  (%edi)
        end
        form    "fistpll", 1
        pushl   %edx
        pushl   %eax
        fninit
        fildll  (%esp)
        fistpll (%edi)
        end
        form    "movd"
        movd    %eax, %xmm0
        movd    %xmm0, (%edi)
        end
        form    "movq of MMX", 1
        pushl   %edx
        pushl   %eax
        movq    (%esp), %mm0
        movq    %mm0, (%edi)
        emms
        end
        form    "movlps", 1
        pushl   %edx
        pushl   %eax
        movlps  (%esp), %xmm1
        movlps  %xmm1, (%edi)
        end
        form    "movups"                        # 16 bytes, of which 12 stay
        movups  (%edi), %xmm0
        subl    $16, %esp
        movups  %xmm0, (%esp)
        movl    %eax, (%esp)
        movups  (%esp), %xmm0
        movups  %xmm0, (%edi)
        end
        form    "movups from before"
        subl    $16, %esp
        movups  -8(%edi), %xmm0
        movups  %xmm0, (%esp)
        movl    %eax, 8(%esp)
        movups  (%esp), %xmm0
        movups  %xmm0, -8(%edi)
        end
        form    "movnti"
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
