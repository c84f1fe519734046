/*
 * The user program, which the kernel copies to address 0. It asks for everything by INT 40h: EAX
 * the call, EBX and ECX its arguments.
 */
        .set    SYS_WRITE, 1            # EBX text, ECX length
        .set    SYS_READ, 2             # EBX where to; returns a character, once there is one
        .set    SYS_SLEEP, 3            # EBX ticks
        .set    SYS_BLOCK, 4            # EBX where to, ECX the sector of the second disk
        .set    SYS_EXIT, 5             # EBX the status

        .section .user, "ax"
        .globl  user_start, user_end
user_start:
        movl    $SYS_WRITE, %eax
        movl    $hello - user_start, %ebx
        movl    $hello_end - hello, %ecx
        int     $0x40
        movl    $SYS_SLEEP, %eax
        movl    $5, %ebx
        int     $0x40
        movl    $SYS_BLOCK, %eax
        movl    $buffer - user_start, %ebx
        movl    $1, %ecx
        int     $0x40
        movl    $SYS_WRITE, %eax
        movl    $buffer - user_start, %ebx
        movl    $32, %ecx
        int     $0x40
        movl    $SYS_WRITE, %eax
        movl    $prompt - user_start, %ebx
        movl    $prompt_end - prompt, %ecx
        int     $0x40

/* What is typed comes back, to the end of a line that is empty. */
        xorl    %edi, %edi              # characters in this line
echo:   movl    $SYS_READ, %eax
        int     $0x40
        movl    $buffer - user_start, %ebx
        movb    %al, (%ebx)
        incl    %edi
        cmpb    $'\n', %al
        jne     1f
        decl    %edi
        jz      over
        xorl    %edi, %edi
1:      movl    $SYS_WRITE, %eax
        movl    $1, %ecx
        int     $0x40
        jmp     echo
over:   movl    $SYS_EXIT, %eax
        movl    $0, %ebx
        int     $0x40

hello:  .ascii  "user: hello\n"
hello_end:
prompt: .ascii  "\n$ "
prompt_end:
buffer: .skip   512
user_end:

        .section .note.GNU-stack, "", @progbits
