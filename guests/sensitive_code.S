/*
 * The instructions of sensitive.c. Each runs with all general registers set to marks, edi at a
 * buffer of 64 bytes and arithmetic flags all set.
 */
#include "guests/lib/snippet.inc"

        snippet_table sensitive_snippets

/* Robin and Irvine: sensitive registers */
        snippet "sgdt"
        sgdt    (%edi)
        end
        snippet "sidt"
        sidt    (%edi)
        end
        snippet "sgdt, 16 bit"
        data16 sgdt (%edi)
        end
        snippet "sldt m16"
        sldt    (%edi)
        end
        snippet "sldt r16"
        sldt    %ax
        end
        snippet "sldt r32"
        sldt    %eax
        end
        snippet "str m16"
        str     (%edi)
        end
        snippet "str r16"
        str     %ax
        end
        snippet "str r32"
        str     %eax
        end
        snippet "smsw m16"
        smsw    (%edi)
        end
        snippet "smsw r16"
        smsw    %ax
        end
        snippet "smsw r32"
        smsw    %eax
        end

/* Flags */
        snippet "pushf"
        pushfl
        popl    %eax
        end
        snippet "pushf, 16 bit"
        pushfw
        popw    %ax
        end
        snippet "popf of nothing"
        pushl   $0
        popfl
        end
        snippet "popf of IF, IOPL, NT, AC, ID, DF"
        pushl   $0x247600
        popfl
        pushfl
        popl    %eax
        pushl   $2
        popfl
        end
        snippet "popf of VM, RF, VIF, VIP"
        pushl   $0x1b0002
        popfl
        pushfl
        popl    %eax
        end
        snippet "popf, 16 bit, of IF, IOPL"
        pushw   $0x3202
        popfw
        pushfl
        popl    %eax
        end
        snippet "cli"
        cli
        end
        snippet "sti"
        sti
        nop
        pushfl
        popl    %eax
        cli
        end

/* Segment registers */
        snippet "mov cs, r32"
        movl    %cs, %eax
        end
        snippet "mov cs, m16"
        movw    %cs, (%edi)
        end
        snippet "mov ss, r16"
        movw    %ss, %ax
        end
        snippet "push cs"
        pushl   %cs
        popl    %eax
        movzwl  %ax, %eax
        end
        snippet "push ss, ds, es"
        pushl   %ss
        pushl   %ds
        pushl   %es
        popl    %eax                    # upper halves may be the stack's
        popl    %ebx
        popl    %ecx
        movzwl  %ax, %eax
        movzwl  %bx, %ebx
        movzwl  %cx, %ecx
        end
        snippet "push fs, gs, 16 bit"
        pushw   %fs
        pushw   %gs
        popl    %eax
        end
        snippet "pop ds of itself"
        pushl   %ds
        popl    %ds
        movl    %ds, %eax
        end
        snippet "pop ss of itself"
        pushl   %ss
        popl    %ss
        movl    %ss, %eax
        end
        snippet "pop es of null"
        pushl   $0
        popl    %es
        movl    %es, %eax
        end
        snippet "access through null"
        xorl    %eax, %eax
        movl    %eax, %fs
        movl    %fs:(%edi), %eax
        end
        snippet "mov null, ss"
        xorl    %eax, %eax
        movl    %eax, %ss
        end
        snippet "lss"
        movl    %esp, (%edi)
        movw    %ss, 4(%edi)
        lss     (%edi), %esp
        movl    $0, (%edi)
        end
        snippet "lfs of itself"
        movl    $0x12345678, (%edi)
        movw    %ds, 4(%edi)
        lfs     (%edi), %eax
        movl    %fs, %ebx
        end

/* Far transfers to where they are */
        snippet "lcall and lret"
        movl    %cs, %eax
        pushl   %eax
        call    1f
1:      addl    $2f - 1b, (%esp)
        lcall   *(%esp)
        jmp     3f
2:      popl    %ebx
        popl    %ecx
        pushl   %ecx
        pushl   %ebx
        lret
3:      addl    $8, %esp
        movl    $0, %ebx
        end
        snippet "int3"
        int3
        end
        snippet "int 0x21"
        int     $0x21
        end
        snippet "int 0x80"
        int     $0x80
        end
        snippet "into"
        into
        end
        snippet "int1"
        .byte   0xf1
        end
        snippet "iret to itself"
        pushl   $0x2d7
        pushl   %cs
        call    1f
1:      addl    $2f - 1b, (%esp)
        iret
2:      pushfl
        popl    %eax
        pushl   $2
        popfl
        end
        snippet "iret with IOPL 3, VIF and VIP"
        pushl   $0x1830d7
        pushl   %cs
        call    1f
1:      addl    $2f - 1b, (%esp)
        iret
2:      pushfl
        popl    %eax
        end
        snippet "iret with NT"
        pushfl
        orl     $0x4000, (%esp)
        popfl
        iret
        end

/* Privileged */
        snippet "sti and hlt"
        sti
        hlt
        end
        snippet "hlt where it faults"
        movl    %cs, %eax
        testb   $3, %al
        jz      1f
        hlt
1:      movl    $0, %eax
        end
        snippet "mov cr0, r32"
        movl    %cr0, %eax
        end
        snippet "mov r32, cr0"
        movl    %cr0, %eax
        orl     $8, %eax
        movl    %eax, %cr0
        movl    %cr0, %ebx
        clts
        end
        snippet "!mov r32, cr0 of PG without PE"
        movl    $0x80000000, %eax
        movl    %eax, %cr0
        end
        snippet "mov cr1, r32"
        .byte   0x0f, 0x20, 0xc8
        end
        snippet "mov cr2"
        movl    $0x12345678, %eax
        movl    %eax, %cr2
        movl    %cr2, %ebx
        end
        snippet "mov cr3"
        movl    %cr3, %eax
        movl    %eax, %cr3
        end
        snippet "!mov r32, cr4 of a reserved bit"
        movl    %cr4, %eax
        orl     $0x80000000, %eax
        movl    %eax, %cr4
        end
        snippet "mov dr7"
        movl    %dr7, %eax
        movl    %eax, %dr7
        end
        snippet "mov dr0, with mod 0"
        movl    $0x1234, %eax
        .byte   0x0f, 0x23, 0x00
        .byte   0x0f, 0x21, 0x03
        end
        snippet "mov dr4"
        .byte   0x0f, 0x21, 0xe0
        end
        snippet "clts"
        clts
        end
        snippet "lmsw of TS"
        movl    $0x3b, %eax
        lmsw    %ax
        smsw    %ebx
        clts
        end
        snippet "lmsw cannot clear PE"
        movl    $0x32, %eax
        lmsw    %ax
        smsw    %ebx
        end
        snippet "lgdt of itself"
        sgdt    (%edi)
        lgdt    (%edi)
        end
        snippet "lidt of itself"
        sidt    (%edi)
        lidt    (%edi)
        end
        snippet "lldt of itself"
        sldt    %eax
        lldt    %ax
        end
        snippet "ltr of a busy TSS"
        str     %eax
        ltr     %ax
        end
        snippet "rdmsr of SYSENTER_CS"
        movl    $0x174, %ecx
        rdmsr
        end
        snippet "rdmsr of none"
        movl    $0x12345678, %ecx
        rdmsr
        end
        snippet "wrmsr to none"
        movl    $0x12345678, %ecx
        wrmsr
        end
        snippet "invlpg"
        invlpg  (%edi)
        end
        snippet "invlpg of a register"
        .byte   0x0f, 0x01, 0xf8
        end
        snippet "wbinvd"
        wbinvd
        end
        snippet "in"
        inb     $0x21, %al
        end
        snippet "in, dx"
        movl    $0x21, %edx
        inb     %dx, %al
        end
        snippet "in of a word over a bitmap edge"
        movl    $0x77, %edx
        inw     %dx, %ax
        movl    $0, %eax
        end
        snippet "out"
        movb    $0xff, %al
        outb    %al, $0x21
        end
        snippet "out to an open port"
        outb    %al, $0x70
        end
        snippet "ins"
        movl    $0x21, %edx
        insb
        end
        snippet "outs"
        movl    $0xed, %edx
        movl    %edi, %esi
        outsb
        end
        snippet "rep ins 0 times"
        movl    $0x21, %edx
        movl    $0, %ecx
        rep insb
        end
        snippet "ud2"
        ud2
        end
        snippet "lock on a register"
        .byte   0xf0, 0x01, 0xc0
        end

/* The forms that take a selector, which is in ax (sensitive.c's second list). */
        snippet_table_end

        .data
        .section .rodata.snippets, "a"
        .globl  sensitive_selector_snippets
sensitive_selector_snippets:
        .text
        snippet "lar"
        lar     %eax, %ebx
        pushfl                          # bits 16 to 19 are undefined
        andl    $0xfff0ffff, %ebx
        popfl
        end
        snippet "lsl"
        lsl     %eax, %ebx
        end
        snippet "verr"
        verr    %ax
        end
        snippet "verw"
        verw    %ax
        end
        snippet "mov ds"
        movl    %eax, %ds
        end
        snippet "mov ss"
        movl    %eax, %ss
        nop
        movl    %ebp, %ss
        end
        snippet "pop gs"
        pushl   %eax
        popl    %gs
        end
        snippet "ljmp"
        movl    $0x700800, (%edi)
        movl    %eax, 4(%edi)
        ljmp    *(%edi)
        end
        snippet "lcall"
        movl    $0x700800, (%edi)
        movl    %eax, 4(%edi)
        lcall   *(%edi)
        end
        snippet "lret"
        pushl   %ebp
        pushl   %edi
        pushl   %eax
        pushl   $0x700800
        lret
        end
        snippet "iret"
        pushl   %ebp
        pushl   %edi
        pushl   $2
        pushl   %eax
        pushl   $0x700800
        iret
        end
        snippet "lldt"
        lldt    %ax
        end
        snippet_table_end

        .section .note.GNU-stack, "", @progbits
