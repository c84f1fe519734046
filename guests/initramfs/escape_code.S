/*
 * Ways out of a 32-bit program, for escape.c: to selector 33h, where a 64-bit host under us has its
 * 64-bit code, and what is tried there. Where there is no such thing each of them faults.
 *
 *   void escape_WAY(void): goes to escape_64 in 64-bit code
 *   escape_mode (escape.h) selects what happens there; escape_table has its operands: rax rdi rsi
 *   rdx r10 r8 r9, and for MODE_GO rip rsp rbp rbx
 */
        .globl escape_jump, escape_call, escape_return, escape_iret, escape_nostack
        .globl escape_mode, escape_table, escape_64, escape_selector_jump, escape_getpid
        .globl escape_code, escape_code_end

        .text
escape_code:
escape_jump:
        ljmp    $0x33, $escape_64
escape_call:
        lcall   $0x33, $escape_64
        ret
escape_return:
        pushl   $0x33
        pushl   $escape_64
        lret
escape_iret:
        pushfl
        pushl   $0x33
        pushl   $escape_64
        iretl
escape_nostack:
        xorl    %esp, %esp
        lcall   $0x33, $escape_64

# void escape_selector_jump(void): to the far pointer escape_table
escape_selector_jump:
        ljmp    *escape_table

# Where lies say that the program was: behind a system call.
        int     $0x80
escape_getpid:
        ud2

        .code64
escape_64:
        mov     $escape_table, %ebx
        mov     $escape_mode, %ecx
        mov     (%rcx), %ecx
        mov     (%rbx), %rax
        mov     8(%rbx), %rdi
        mov     16(%rbx), %rsi
        mov     24(%rbx), %rdx
        mov     32(%rbx), %r10
        mov     40(%rbx), %r8
        mov     48(%rbx), %r9
        cmp     $9, %ecx
        ja      0f
        mov     $modes, %r11d
        mov     (%r11, %rcx, 4), %r11d
        jmp     *%r11
0:      ud2

mode_syscall:
        syscall
        ud2
mode_int80:                             # with its own registers for operands
        mov     %rdi, %rbx
        mov     %rsi, %rcx
        int     $0x80
        ud2
mode_sysenter:
        mov     %rdi, %rbx
        mov     %rsi, %rcx
        sysenter
        ud2
mode_go:                                # into the stub, or anywhere
        mov     64(%rbx), %rsp
        mov     72(%rbx), %rbp
        mov     56(%rbx), %r11
        mov     80(%rbx), %rbx
        jmp     *%r11
mode_write:                             # writes all of [rdi, rsi), once; a fault ends it
        mov     (%rdi), %rdx
        mov     %rax, (%rdi)
        rol     $13, %rax
        add     $0x1e3779b9, %rax
        add     $8, %rdi
        cmp     %rsi, %rdi
        jb      mode_write
        ud2
mode_write_on:                          # the same for ever
        mov     %rdi, %r11
1:      mov     %rax, (%rdi)
        rol     $13, %rax
        add     $0x1e3779b9, %rax
        add     $8, %rdi
        cmp     %rsi, %rdi
        jb      1b
        mov     %r11, %rdi
        jmp     1b
mode_loop:
        jmp     mode_loop
mode_copy:                              # rdx bytes from rdi to rsi
        mov     %rdx, %rcx
        xchg    %rdi, %rsi
        rep movsb
        ud2

# Says at once that each run has ended, and fills [rdi, rsi) all the time: the monitor reads while
# this writes. r8: its word that counts the runs; r9: where their ends are said.
mode_pretend:
        mov     %rdi, %r11
1:      mov     %rax, (%rdi)
        rol     $13, %rax
        add     $0x1e3779b9, %rax
        mov     (%r8), %edx
        mov     %edx, (%r9)
        add     $8, %rdi
        cmp     %rsi, %rdi
        jb      1b
        mov     %r11, %rdi
        jmp     1b

# Lies of which each is a possible end of a run, rdx of them, with registers made of rax. r8, r9 as
# above; the kernel's frame is where the last one was.
mode_lie:
        mov     32(%r9), %r12           # struct stub_report.rsp
        mov     %rdx, %r15
        mov     (%r8), %r14d
1:      lea     48(%r12), %rdi          # the registers in the frame
        mov     $23, %ecx
2:      rol     $13, %rax
        add     $0x1e3779b9, %rax
        mov     %eax, %edx
        mov     %rdx, (%rdi)
        add     $8, %rdi
        dec     %ecx
        jnz     2b
        movq    $20, 48 + 13 * 8(%r12)  # rax: getpid
        mov     %rax, %rdx
        shr     $40, %rdx
        and     $31, %edx
        mov     %rdx, 48 + 20 * 8(%r12) # trap
        test    $0x300, %eax
        jz      3f
        mov     $escape_getpid, %edx
        mov     %rdx, 48 + 16 * 8(%r12) # rip
3:      movabs  $0x002b000000000023, %rdx
        mov     %rdx, 48 + 18 * 8(%r12) # selectors
        mov     %eax, %ecx
        shr     $4, %ecx
        and     $3, %ecx
        mov     $signals, %edx
        movzbl  (%rdx, %rcx), %ecx
        mov     %ecx, 312(%r12)         # signo
        movl    $1, 320(%r12)           # si_code
        movl    $20, 336(%r12)          # number
        movl    $0x40000003, 340(%r12)  # of an i386 system call
        movl    $0x002b002b, 8(%r9)     # ds, es
        movl    $0, 12(%r9)             # fs, gs
        mov     %r12, 32(%r9)
        mov     %r14d, (%r9)
4:      pause                           # the monitor believes it, and starts the next run
        cmp     (%r8), %r14d
        je      4b
        mov     (%r8), %r14d
        dec     %r15
        jnz     1b
        ud2

        .p2align 2
modes:  .long   mode_syscall, mode_int80, mode_sysenter, mode_go, mode_write, mode_write_on
        .long   mode_loop, mode_copy, mode_pretend, mode_lie
signals:
        .byte   11, 31, 10, 5           # SIGSEGV, SIGSYS, SIGUSR1, SIGTRAP
escape_code_end:

        .bss
        .p2align 3
escape_mode:
        .skip   8
escape_table:
        .skip   96

        .section .note.GNU-stack, "", @progbits
