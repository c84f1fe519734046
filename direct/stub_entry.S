/*
 * The stub's parts that must not depend on a stack or on any register's old value: see stub.h,
 * sandbox.h (D2, D3) and docs/decisions/0007.
 */
#include <asm/unistd.h>
#include "direct/stub.h"

        .text
        .globl _start
_start:
        mov     %rsp, %rdi
        and     $-16, %rsp
        call    stub_setup
        ud2

/* stub_on_stack(void *top, void (*next)(void *), void *arg): leaves the old stack for good. */
        .globl stub_on_stack
stub_on_stack:
        mov     %rdi, %rsp
        mov     %rdx, %rdi
        xor     %ebp, %ebp
        call    *%rsi
        ud2

/* stub_clone(flags, stack top, child_tid, next): returns in the parent only. */
        .globl stub_clone
stub_clone:
        mov     %rdx, %r10
        mov     %rcx, %r9
        xor     %edx, %edx
        xor     %r8d, %r8d
        mov     $__NR_clone, %eax
        syscall
        test    %rax, %rax
        jz      1f
        ret
1:      call    *%r9
        ud2

/* The time, into the report at rbx, unless RDTSC would fault now (rbp: the orders). */
        .macro  STAMP at
        cmpl    $STUB_TSC_FAULTS, ORDERS_TSC(%rbp)
        je      1f
        rdtsc
        mov     %eax, \at(%rbx)
        mov     %edx, \at + 4(%rbx)
1:
        .endm

/* The signal handler of everything: rsp is the frame that the kernel has made. */
        .globl stub_handler
stub_handler:
        movabs  $STUB_REPORT, %rbx
        movabs  $STUB_ORDERS, %rbp
        STAMP   REPORT_TSC_OUT
        mov     %ds, REPORT_DS(%rbx)
        mov     %es, REPORT_ES(%rbx)
        mov     %fs, REPORT_FS(%rbx)
        mov     %gs, REPORT_GS(%rbx)
        mov     %rsp, REPORT_RSP(%rbx)
        testl   $STUB_FSGSBASE, ORDERS_FLAGS(%rbp)
        jz      1f
        rdfsbase %rax
        mov     %rax, REPORT_FS_BASE(%rbx)
        rdgsbase %rax
        mov     %rax, REPORT_GS_BASE(%rbx)
1:      mov     ORDERS_RUN(%rbp), %r12d
        mov     %r12d, REPORT_EXIT(%rbx)
        mov     $__NR_futex, %eax
        lea     REPORT_EXIT(%rbx), %rdi
        mov     $1, %esi                        /* FUTEX_WAKE */
        mov     $1, %edx
        syscall
        .globl stub_at_wake
stub_at_wake:
2:      cmp     ORDERS_RUN(%rbp), %r12d
        jne     3f
        mov     $__NR_futex, %eax
        lea     ORDERS_RUN(%rbp), %rdi
        xor     %esi, %esi                      /* FUTEX_WAIT */
        mov     %r12d, %edx
        xor     %r10d, %r10d
        syscall
        .globl stub_at_wait
stub_at_wait:
        jmp     2b                              /* a late wake-up of the mapper's is no order */
/* From here on only what is in the orders counts (D3). */
3:      movabs  $STUB_ORDERS, %rbp
        testl   $STUB_START, ORDERS_FLAGS(%rbp)
        jz      3f
        movabs  $STUB_REPORT + REPORT_GO, %rdi
2:      mov     (%rdi), %edx                    /* what is mapped first is new: if a program has */
        cmp     ORDERS_START(%rbp), %edx        /* forged this word it faults on that, no more */
        je      3f
        mov     $__NR_futex, %eax
        xor     %esi, %esi                      /* FUTEX_WAIT */
        xor     %r10d, %r10d
        syscall
        .globl stub_at_go
stub_at_go:
        jmp     2b
3:      testl   $STUB_ALTSTACK_AGAIN, ORDERS_FLAGS(%rbp)
        jz      4f
        xor     %esp, %esp                      /* on no stack, whatever is set at present */
        mov     $__NR_sigaltstack, %eax
        lea     ORDERS_STACK(%rbp), %rdi
        xor     %esi, %esi
        syscall
        .globl stub_at_altstack
stub_at_altstack:
4:      testl   $STUB_TSC_SET, ORDERS_FLAGS(%rbp)
        jz      4f
        mov     $__NR_prctl, %eax
        mov     $STUB_PR_SET_TSC, %edi
        mov     ORDERS_TSC(%rbp), %esi
        xor     %edx, %edx
        xor     %r10d, %r10d
        xor     %r8d, %r8d
        syscall
        .globl stub_at_tsc
stub_at_tsc:
4:      mov     ORDERS_DS(%rbp), %ds
        mov     ORDERS_ES(%rbp), %es
        mov     ORDERS_FS(%rbp), %fs
        mov     ORDERS_GS(%rbp), %gs
        testl   $STUB_FSGSBASE, ORDERS_FLAGS(%rbp)
        jz      5f
        mov     ORDERS_FS_BASE(%rbp), %rax
        wrfsbase %rax
        mov     ORDERS_GS_BASE(%rbp), %rax
        wrgsbase %rax
5:      movabs  $STUB_REPORT, %rbx
        STAMP   REPORT_TSC_IN
        lea     0x1000(%rbx), %rsp
        push    ORDERS_RFLAGS(%rbp)
        popfq
        lea     ORDERS_FRAME + 8(%rbp), %rsp
        mov     $__NR_rt_sigreturn, %eax
        syscall
        .globl stub_at_return
stub_at_return:
        ud2

/* The mapper: no stack, and no memory but the orders. Says that it is there, then serves. */
        .globl stub_mapper
stub_mapper:
        movabs  $STUB_ORDERS, %rbp
        xor     %ebx, %ebx
        xor     %eax, %eax
6:      lea     stub_errnos(%rip), %rsi         /* says -rax: one byte */
        neg     %rax
        add     %rax, %rsi
        mov     $__NR_write, %eax
        mov     $STUB_FD_DONE, %edi
        mov     $1, %edx
        syscall
7:      mov     ORDERS_MAP(%rbp), %eax
        cmp     %eax, %ebx
        jne     8f
        mov     $__NR_futex, %eax
        lea     ORDERS_MAP(%rbp), %rdi
        xor     %esi, %esi
        mov     %ebx, %edx
        xor     %r10d, %r10d
        syscall
        jmp     7b
8:      mov     %eax, %ebx
        mov     ORDERS_COUNT(%rbp), %r12d
        mov     ORDERS_FLAGS(%rbp), %r15d
        lea     STUB_REQUESTS(%rbp), %r13
        xor     %eax, %eax
9:      test    %r12d, %r12d
        jz      5f
        mov     (%r13), %rax
        mov     8(%r13), %rdi
        mov     16(%r13), %rsi
        mov     24(%r13), %rdx
        mov     32(%r13), %r10
        mov     40(%r13), %r8
        mov     48(%r13), %r9
        syscall
        movslq  %eax, %rcx                      /* modify_ldt's result has 32 bits */
        cmp     $-255, %rcx
        jb      1f
        mov     %rcx, %rax
        jmp     5f
1:      xor     %eax, %eax
        add     $64, %r13
        dec     %r12d
        jmp     9b
5:      test    $STUB_START, %r15d              /* the run that waits for these begins */
        jz      6b
        mov     %rax, %r14
        movabs  $STUB_REPORT + REPORT_GO, %rdi  /* it sleeps on one of two words */
        mov     %ebx, (%rdi)
        mov     $__NR_futex, %eax
        mov     $1, %esi                        /* FUTEX_WAKE */
        mov     $1, %edx
        syscall
        mov     $__NR_futex, %eax
        lea     ORDERS_RUN(%rbp), %rdi
        syscall
        mov     %r14, %rax
        jmp     6b

        .section .rodata
stub_errnos:
        n = 0
        .rept 256
        .byte n
        n = n + 1
        .endr

        .section .note.GNU-stack, "", @progbits
