/*
 * void fpu_run(struct fpu_frame *): loads the guest's FPU state, runs a thunk, stores the state and
 * gives the host's registers the ABI's defaults again. No C code runs in between (T4 of
 * fpu_thunk.h).
 *
 *   rbx    the frame; the thunk keeps it
 *   r12    fpu_run_fault: where the signal handler sends a thunk that faulted
 */
    .set    AREA, 0
    .set    CODE, 8
    .set    MASK, 16
    .set    RAX, 24
    .set    RCX, 32
    .set    RDX, 40
    .set    OPERAND, 48
    .set    FLAGS, 56

    .text
    .globl  fpu_run
    .type   fpu_run, @function
fpu_run:
    push    %rbx
    push    %r12
    mov     %rdi, %rbx
    lea     fpu_run_fault(%rip), %r12
    mov     AREA(%rbx), %rsi
    mov     MASK(%rbx), %eax
    xor     %edx, %edx
    test    %eax, %eax
    jz      1f
    xrstor64 (%rsi)
    jmp     2f
1:  fxrstor64 (%rsi)
2:  mov     FLAGS(%rbx), %ecx
    mov     %ecx, %eax
    shr     $11, %eax
    and     $1, %eax
    mov     %cl, %ah
    add     $0x7f, %al              /* OF */
    sahf
    mov     RAX(%rbx), %rax
    mov     RCX(%rbx), %rcx
    mov     RDX(%rbx), %rdx
    mov     OPERAND(%rbx), %rdi
    call    *CODE(%rbx)
3:  pushf
    pop     FLAGS(%rbx)
    mov     %rax, RAX(%rbx)
    mov     %rcx, RCX(%rbx)
    mov     AREA(%rbx), %rsi
    mov     MASK(%rbx), %eax
    xor     %edx, %edx
    test    %eax, %eax
    jz      6f
    xsave64 (%rsi)
    test    $1, %al
    jz      4f
    fninit
4:  test    $6, %al
    jz      5f
    ldmxcsr default_mxcsr(%rip)
    test    $4, %al
    jz      5f
    vzeroupper
5:  pop     %r12
    pop     %rbx
    ret
6:  fxsave64 (%rsi)
    fninit
    ldmxcsr default_mxcsr(%rip)
    jmp     5b
    .size   fpu_run, . - fpu_run

    .globl  fpu_run_fault
    .hidden fpu_run_fault
fpu_run_fault:
    add     $8, %rsp                /* the thunk's return address */
    jmp     3b

    .section .rodata
    .balign 4
default_mxcsr:
    .long   0x1f80

    .section .note.GNU-stack,"",@progbits
