/*
 * Where a static i386 program with no C library begins, and its way into the
 * kernel. System calls go where libc sends them: to the vDSO entry the kernel
 * named (AT_SYSINFO: SYSENTER, SYSCALL or int 0x80, as the CPU has it).
 */
        .globl _start, sys6, sys_int80
        .text
_start:
        xorl    %ebp, %ebp
        movl    %esp, %eax              # argc, argv..., 0, envp..., 0, auxv...
        andl    $-16, %esp
        subl    $12, %esp
        pushl   %eax
        call    rt_start

# long sys6(long number, long a, long b, long c, long d, long e, long f)
sys6:
        pushl   %ebp
        pushl   %ebx
        pushl   %esi
        pushl   %edi
        movl    20(%esp), %eax
        movl    24(%esp), %ebx
        movl    28(%esp), %ecx
        movl    32(%esp), %edx
        movl    36(%esp), %esi
        movl    40(%esp), %edi
        movl    44(%esp), %ebp
        call    *rt_vsyscall
        popl    %edi
        popl    %esi
        popl    %ebx
        popl    %ebp
        ret

sys_int80:
        int     $0x80
        ret

        .section .note.GNU-stack, "", @progbits
