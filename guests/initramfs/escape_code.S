/*
 * Ways out of a 32-bit program, for escape.c: to selector 33h, where a 64-bit host under us has its
 * 64-bit code, and what is tried there. Where there is no such thing each of them faults.
 *
 *   void escape_WAY(void): goes to escape_code64 in 64-bit code
 *   escape_mode selects what happens there; escape_table has its operands
 */
        .globl escape_jump, escape_call, escape_return, escape_iret, escape_nostack
        .globl escape_mode, escape_table, escape_64, escape_selector_jump

        .text
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
        cmp     $0, %ecx
        je      0f
        cmp     $1, %ecx
        je      1f
        cmp     $2, %ecx
        je      2f
        cmp     $3, %ecx
        je      3f
        cmp     $4, %ecx
        je      4f
        cmp     $5, %ecx
        je      5f
        cmp     $6, %ecx
        je      6f
        cmp     $7, %ecx
        je      7f
        ud2
0:      syscall
        ud2
1:      int     $0x80
        ud2
2:      sysenter
        ud2
3:      mov     %rsi, %rsp              # into the stub, or anywhere: to rdi with stack rsi
        push    %rdi
        mov     %r10, %rbx
        mov     %r8, %rbp
        xor     %edi, %edi
        ret
4:      mov     (%rdi), %rdx            # writes all of [rdi, rsi), once; a fault ends it
        mov     %rax, (%rdi)
        rol     $13, %rax
        add     $0x1e3779b9, %rax
        add     $8, %rdi
        cmp     %rsi, %rdi
        jb      4b
        ud2
5:      mov     %rdi, %r11              # the same for ever
51:     mov     %rax, (%rdi)
        rol     $13, %rax
        add     $0x1e3779b9, %rax
        add     $8, %rdi
        cmp     %rsi, %rdi
        jb      51b
        mov     %r11, %rdi
        jmp     51b
6:      jmp     6b
7:      mov     %rdx, %rcx              # copies rdx bytes from rdi to rsi
        xchg    %rdi, %rsi
        rep movsb
        ud2

        .bss
        .p2align 3
escape_mode:
        .skip   8
escape_table:
        .skip   64

        .section .note.GNU-stack, "", @progbits
