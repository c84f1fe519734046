/*
 * void task_switch(struct task *from, const struct task *to): leaves by one stack and comes back by
 * another. EAX, ECX and EDX are anybody's after a call, so they are not saved.
 */
        .set    ESP, 0
        .set    CR3, 4

        .text
        .globl  task_switch
task_switch:
        movl    4(%esp), %eax
        movl    8(%esp), %edx
        pushl   %ebp
        pushl   %ebx
        pushl   %esi
        pushl   %edi
        movl    %esp, ESP(%eax)
        movl    CR3(%edx), %ecx
        movl    %cr3, %eax
        cmpl    %eax, %ecx
        je      1f                      # the same address space: a write would only empty the TLB
        movl    %ecx, %cr3
1:      movl    ESP(%edx), %esp
        popl    %edi
        popl    %esi
        popl    %ebx
        popl    %ebp
        ret

        .section .note.GNU-stack, "", @progbits
