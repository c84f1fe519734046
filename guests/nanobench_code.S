/*
 * The loops of nanobench.c (and of nanobench_native.c, those that need no privilege) and the
 * shortest handlers that can be.
 *
 * A kernel loop is void f(uint32_t n). A user loop counts in edi and ends with int $0x30.
 */
        .macro  kernel_loop name
        .balign 64
        .globl  \name
\name:
        pushl   %ebx
        pushl   %esi
        pushl   %edi
        movl    16(%esp), %edi
        movl    nano_pte, %ebx
        movl    nano_page, %esi
        movl    (%ebx), %edx            # the entry as it is when present
        .balign 16
1:
        .endm

        .macro  kernel_loop_end
        decl    %edi
        jnz     1b
        popl    %edi
        popl    %esi
        popl    %ebx
        ret
        .endm

        .text
        kernel_loop nano_callret
        call    just_return
        kernel_loop_end

        kernel_loop nano_indcall
        movl    $just_return, %eax
        call    *%eax
        kernel_loop_end

just_return:
        ret

        kernel_loop nano_in_pic
        inb     $0x21, %al
        kernel_loop_end

        kernel_loop nano_in_80
        inb     $0x80, %al
        kernel_loop_end

        kernel_loop nano_pushf_popf
        pushfl
        popfl
        kernel_loop_end

        kernel_loop nano_cli_sti
        cli
        sti
        kernel_loop_end

        kernel_loop nano_int_iret
        int     $0x81
        kernel_loop_end

        kernel_loop nano_cr3wr
        movl    %cr3, %eax
        movl    %eax, %cr3
        kernel_loop_end

        kernel_loop nano_cr4wr
        movl    %cr4, %eax
        movl    %eax, %cr4
        kernel_loop_end

/* TS changes each time. */
        kernel_loop nano_cr0ts
        movl    %cr0, %eax
        xorl    $8, %eax
        movl    %eax, %cr0
        kernel_loop_end

/* To the other address space, and a page of it that is elsewhere there. */
        kernel_loop nano_ctxsw
        movl    %cr3, %eax
        xorl    nano_other_cr3, %eax
        movl    %eax, %cr3
        movl    (%esi), %eax
        kernel_loop_end

/* The local APIC's version. */
        kernel_loop nano_mmio
        movl    nano_mmio_page, %eax
        movl    0x30(%eax), %eax
        kernel_loop_end

/* 239 ticks of the 8254 (channel 0, mode 0) asleep. */
        kernel_loop nano_hlt
        cli                             # else the timer may come before HLT
        movb    $0x30, %al
        outb    %al, $0x43
        movb    $239, %al
        outb    %al, $0x40
        xorl    %eax, %eax
        outb    %al, $0x40
        sti
        hlt
        kernel_loop_end

/* 1 KiB */
        kernel_loop nano_repmovs
        movl    %edi, %eax
        movl    $nano_from, %esi
        movl    $nano_to, %edi
        movl    $256, %ecx
        rep movsl
        movl    %eax, %edi
        kernel_loop_end

        kernel_loop nano_divzero
        xorl    %ecx, %ecx
        divl    %ecx                    # 2 bytes: nano_skip_div knows
        kernel_loop_end

        kernel_loop nano_pgfault
        movl    0x40020000, %eax        # never mapped; 5 bytes: nano_skip_load knows
        kernel_loop_end

        kernel_loop nano_ptemod_same
        movl    %edx, (%ebx)
        kernel_loop_end

        kernel_loop nano_ptemod_same_invlpg
        movl    %edx, (%ebx)
        invlpg  (%esi)
        kernel_loop_end

        kernel_loop nano_ptemod_toggle
        xorl    $1, %edx
        movl    %edx, (%ebx)
        kernel_loop_end

        kernel_loop nano_ptemod_toggle_invlpg
        xorl    $1, %edx
        movl    %edx, (%ebx)
        invlpg  (%esi)
        kernel_loop_end

        kernel_loop nano_ptemod_map_touch
        movl    %edx, (%ebx)
        movl    (%esi), %eax
        movl    $0, (%ebx)
        invlpg  (%esi)
        kernel_loop_end

/* The same 16 pages after each other: mapped, written, unmapped. */
        kernel_loop nano_ptemod_map_write
        movl    %edi, %ecx
        andl    $15, %ecx
        movl    %edx, (%ebx, %ecx, 4)
        shll    $12, %ecx
        movl    %edi, (%esi, %ecx)
        shrl    $12, %ecx
        movl    $0, (%ebx, %ecx, 4)
        shll    $12, %ecx
        invlpg  (%esi, %ecx)
        kernel_loop_end

/* Entry n becomes what entry 0 is, from the last to the first. */
        kernel_loop nano_pte_store
        movl    %edx, (%ebx, %edi, 4)
        kernel_loop_end

        kernel_loop nano_pte_store_invlpg
        movl    %edx, (%ebx, %edi, 4)
        movl    %edi, %ecx
        shll    $12, %ecx
        invlpg  (%esi, %ecx)
        kernel_loop_end

/* User loops */
        .balign 64
        .globl  nano_user_int80
nano_user_int80:
        int     $0x80
        decl    %edi
        jnz     nano_user_int80
        int     $0x30

        .balign 64
        .globl  nano_user_sysenter
nano_user_sysenter:
        movl    %esp, %ecx
        movl    $1f, %edx
        sysenter
1:      decl    %edi
        jnz     nano_user_sysenter
        int     $0x30

/* Handlers */
        .balign 16
        .globl  nano_iret
nano_iret:
        iret

        .balign 16
        .globl  nano_sysexit
nano_sysexit:
        sysexit

        .balign 16
        .globl  nano_skip_div
nano_skip_div:
        addl    $2, (%esp)
        iret

        .balign 16
        .globl  nano_skip_load
nano_skip_load:
        addl    $4, %esp                # the error code
        addl    $5, (%esp)
        iret

        .balign 16
        .globl  nano_timer
nano_timer:
        movb    $0x20, %al              # nano_hlt does not need it
        outb    %al, $0x20
        iret

        .section .note.GNU-stack, "", @progbits
