/* Instructions for virtual-8086 mode; ds:di is a buffer. */
#include "guests/lib/snippet.inc"
        .code16
        snippet_table sensitive_v86_snippets
        snippet "cli"
        cli
        end16
        snippet "sti"
        sti
        end16
        snippet "pushf"
        pushfw
        popw    %ax
        end16
        snippet "pushfl"
        pushfl
        popl    %eax
        end16
        snippet "popf of IF, IOPL, NT"
        pushw   $0x7202
        popfw
        pushfl
        popl    %eax
        end16
        snippet "popfl of VM, RF, AC, ID"
        pushl   $0x270002
        popfl
        pushfl
        popl    %eax
        end16
        snippet "int3"
        int3
        end16
        snippet "int 0x80"
        int     $0x80
        end16
        snippet "into"
        into
        end16
        snippet "iret"
        pushw   $0x3003
        pushw   %cs
        call    1f
1:      popw    %ax
        addw    $2f - 1b, %ax
        pushw   %ax
        iretw
2:      xorw    %ax, %ax
        end16
        snippet "in"
        inb     $0x21, %al
        end16
        snippet "in of an open port"
        inb     $0x70, %al
        movb    $0, %al
        end16
        snippet "out"
        movb    $0xff, %al
        outb    %al, $0x21
        end16
        snippet "mov sreg"
        movw    $0x1234, %ax
        movw    %ax, %es
        movw    %es, %bx
        end16
        snippet "far call and return"
        pushw   %cs
        call    1f
1:      popw    %ax
        addw    $2f - 1b, %ax
        pushw   %ax
        movw    %sp, %bp
        lcall   *(%bp)
        jmp     3f
2:      lret
3:      addw    $4, %sp
        xorw    %ax, %ax
        end16
        snippet "mov cr0"
        movl    %cr0, %eax
        end16
        snippet "clts"
        clts
        end16
        snippet "lmsw"
        lmsw    %ax
        end16
        snippet "smsw"
        smsw    %ax
        end16
        snippet "lgdt"
        lgdt    (%di)
        end16
        snippet "sgdt"
        sgdt    (%di)
        end16
        snippet "sldt"
        sldt    %ax
        end16
        snippet "str"
        str     %ax
        end16
        snippet "lar"
        larw    %ax, %bx
        end16
        snippet "verr"
        verr    %ax
        end16
        snippet "lldt"
        lldt    %ax
        end16
        snippet "rdmsr"
        rdmsr
        end16
        snippet "invlpg"
        invlpg  (%di)
        end16
        snippet "wbinvd"
        wbinvd
        end16
        snippet "ljmp to another segment"
        ljmp    $0x7010, $0x0700
        end16
        snippet "access at the segment's end"
        movw    $0xffff, %bx
        movw    (%bx), %ax
        end16
        snippet_table_end
        .section .note.GNU-stack, "", @progbits
