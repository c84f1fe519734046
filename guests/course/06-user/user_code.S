/*
 * The user programs. ECX comes from the kernel; INT 30h ends. They are all that runs in ring 3.
 */
        .set    SYS_PUT, 1
        .set    SYS_NOTHING, 2
        .set    SYS_BREAK, 3
        .set    SYS_UNKNOWN, 99

        .macro  CALL number
        movl    $\number, %eax
        int     $0x80
        .endm

        .text
        .globl  program_hello
program_hello:
        movl    $text, %esi
1:      movzbl  (%esi), %ebx
        testl   %ebx, %ebx
        jz      2f
        CALL    SYS_PUT
        incl    %esi
        jmp     1b
2:      xorl    %eax, %eax
        int     $0x30

        .globl  program_loop
program_loop:
        CALL    SYS_NOTHING
        decl    %ecx
        jnz     program_loop
        xorl    %eax, %eax
        int     $0x30

/* What only a kernel may do. */
        .globl  program_cli
program_cli:
        cli
        int     $0x30

/* What only a kernel may read. */
        .globl  program_secret
program_secret:
        movl    user_secret, %eax
        int     $0x30

/* Two pieces of memory, one that is too large, a call that is none: EAX counts what is right. */
        .globl  program_exercise
program_exercise:
        xorl    %edi, %edi
        movl    $64, %ebx
        CALL    SYS_BREAK
        movl    %eax, %esi
        cmpl    $-1, %eax
        je      1f
        movl    $0x600d, (%esi)         # usable
        incl    %edi
1:      CALL    SYS_BREAK
        subl    $64, %eax
        cmpl    %esi, %eax              # and the next piece right behind it
        jne     1f
        incl    %edi
1:      movl    $1 << 20, %ebx
        CALL    SYS_BREAK
        cmpl    $-1, %eax
        jne     1f
        incl    %edi
1:      CALL    SYS_UNKNOWN
        cmpl    $-1, %eax
        jne     1f
        incl    %edi
1:      movl    %edi, %eax
        int     $0x30

        .section .rodata
text:   .asciz  "hello from ring 3\n"

        .data
        .balign 4096
        .globl  user_secret
user_secret:
        .long   0x5ec2e7
        .balign 4096

        .section .note.GNU-stack, "", @progbits
