/*
 * void debug_steps(void): instructions that are hard to step over, each with a label. The test
 * steps from label to label; the order is in tests/debug/stub.py. Interrupts are off but where it
 * says so. void debug_string(void): stores by strings, over debug_buffer.
 */
        .text
        .globl  debug_steps, debug_string, debug_sysenter_entry, debug_sysenter_stack
        .globl  debug_buffer
        .balign 16
debug_steps:
        pushl   %ebx
        pushl   %edi
step_pushf:
        pushfl
step_pop:
        popl    %eax
step_push:
        pushl   %eax
step_popf:
        popfl
step_load_ss:
        movw    %ss, %dx
step_mov_ss:
        movw    %dx, %ss
step_shadow:
        movl    $3, %ecx
        movl    $debug_buffer, %edi
step_rep:
        rep     stosb
step_after_rep:
        int     $0x81                   # its handler does nothing
step_after_int:
        pushfl
        pushl   %cs
        pushl   $step_after_iret
step_iret:
        iret
        ud2
step_after_iret:
        movl    %esp, %ebx
step_sysenter:
        sysenter
debug_sysenter_entry:
        movl    %ebx, %esp
step_cpuid:
        pushl   %ebx
        cpuid
        popl    %ebx
step_ud2:
        ud2
step_after_ud2:
        pushfl
        orl     $0x100, (%esp)
step_popf_tf:
        popfl
step_trapped:
        nop                             # the guest's own single step comes after it
step_after_trap:
        sti
step_hlt:
        hlt
step_after_hlt:
        cli
step_end:
        popl    %edi
        popl    %ebx
        ret

debug_string:
        pushl   %edi
        movl    $debug_buffer, %edi
        movl    $64, %ecx
        xorl    %eax, %eax
string_rep:
        rep     stosl
string_after:
        movl    $debug_buffer, %edi
        movl    $4, %ecx
        movl    $0x01020304, %eax
        rep     stosl
        popl    %edi
        ret

        .bss
        .balign 4096
debug_buffer:
        .skip   4096
        .skip   256
debug_sysenter_stack:
        .skip   16

        .section .note.GNU-stack, "", @progbits
