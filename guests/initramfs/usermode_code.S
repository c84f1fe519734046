/* The parts of usermode that are not C: system calls with every register known, threads. */
        .globl um_clone, um_int80, um_sysinfo, um_compared_cs
        .text

# long um_clone(flags, stack, start, argument, tls, tid)
um_clone:
        pushl   %ebx
        pushl   %esi
        pushl   %edi
        movl    16(%esp), %ebx
        movl    20(%esp), %ecx
        subl    $8, %ecx
        movl    24(%esp), %eax
        movl    %eax, (%ecx)
        movl    28(%esp), %eax
        movl    %eax, 4(%ecx)
        movl    32(%esp), %esi
        movl    36(%esp), %edx
        movl    %edx, %edi
        movl    $120, %eax
        int     $0x80
        testl   %eax, %eax
        jz      1f
        popl    %edi
        popl    %esi
        popl    %ebx
        ret
1:      popl    %eax
        call    *%eax
        movl    $1, %eax
        xorl    %ebx, %ebx
        int     $0x80
        ud2

# void um_int80(uint32_t registers[8]), um_sysinfo: eax ebx ecx edx esi edi ebp flags
um_sysinfo:
        movl    $2f, %eax
        jmp     1f
um_int80:
        movl    $3f, %eax
1:      movl    4(%esp), %ecx
        pushal
        pushl   %ecx
        pushl   %eax
        movl    (%ecx), %eax
        movl    4(%ecx), %ebx
        movl    12(%ecx), %edx
        movl    16(%ecx), %esi
        movl    20(%ecx), %edi
        movl    24(%ecx), %ebp
        pushl   28(%ecx)
        popfl
        movl    8(%ecx), %ecx
        call    *(%esp)
        pushfl
        pushl   %ecx
        movl    12(%esp), %ecx
        movl    %eax, (%ecx)
        movl    %ebx, 4(%ecx)
        popl    8(%ecx)
        movl    %edx, 12(%ecx)
        movl    %esi, 16(%ecx)
        movl    %edi, 20(%ecx)
        movl    %ebp, 24(%ecx)
        popl    28(%ecx)
        addl    $8, %esp
        popal
        cld
        ret
2:      jmp     *rt_vsyscall
3:      int     $0x80
        ret

# uint32_t um_compared_cs(void): CS, compared as by programs that want to know whose kernel they run
# under. In a page of its own: what shares it need not be executed directly.
        .balign 4096
um_compared_cs:
        movl    %cs, %eax
        cmpl    $0x23, %eax
        ret
        .balign 4096

        .section .note.GNU-stack, "", @progbits
