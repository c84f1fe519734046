/*
 * Entering and leaving translated code, and the slow ends of its fragments.
 *
 * While translated code runs:
 *   eax ... edi    the guest's registers (esp in rsp: there is no host stack)
 *   host flags     the guest's arithmetic flags; the host's DF is 0
 *   r8-r11         scratch; r12 = 12; r13 = the TLB; r14 = the jump table; r15 = struct vcpu
 * The stubs below are reached by jumps with everything they need in r8-r11.
 */
#include "translator/offsets.h"
#include "translator/light.inc"

/* The guest's registers and flags into struct vcpu; then the monitor's stack. */
.macro SAVE_GUEST
    mov     %rax, GPR(0)
    mov     %rcx, GPR(1)
    mov     %rdx, GPR(2)
    mov     %rbx, GPR(3)
    mov     %rsp, GPR(4)
    mov     %rbp, GPR(5)
    mov     %rsi, GPR(6)
    mov     %rdi, GPR(7)
    seto    %cl
    lahf
    movzbl  %ah, %edx
    mov     %dl, OFF_EFLAGS(%r15)
    shl     $3, %cl
    mov     OFF_EFLAGS+1(%r15), %dl
    and     $0xf1, %dl
    or      %dl, %cl
    or      OFF_FLAG_IF+1(%r15), %cl
    or      OFF_FLAG_DF+1(%r15), %cl
    mov     %cl, OFF_EFLAGS+1(%r15)
    mov     OFF_HOST_RSP(%r15), %rsp
.endm

/*
 * The reverse, then a jump to the host address in r8. r14 is loaded last: a kick that comes earlier
 * has poisoned the memory, one that comes at the jump is recognized by the jump's address.
 */
.macro LOAD_GUEST_AND_JUMP label
    mov     OFF_TLB(%r15), %r13
    mov     OFF_EFLAGS(%r15), %ecx
    and     $~UNIT_FLAGS, %ecx
    mov     %ecx, OFF_SYSTEM_FLAGS(%r15)
    mov     OFF_EFLAGS(%r15), %ecx
    mov     %ecx, %edx
    and     $0x200, %edx
    mov     %edx, OFF_FLAG_IF(%r15)
    mov     %ecx, %edx
    and     $0x400, %edx
    mov     %edx, OFF_FLAG_DF(%r15)
    shr     $11, %ecx
    and     $1, %ecx
    movzbl  OFF_EFLAGS(%r15), %eax
    shl     $8, %eax
    add     $0x7f, %cl              /* OF */
    sahf
    mov     GPR(0), %rax
    mov     GPR(1), %rcx
    mov     GPR(2), %rdx
    mov     GPR(3), %rbx
    mov     GPR(4), %rsp
    mov     GPR(5), %rbp
    mov     GPR(6), %rsi
    mov     GPR(7), %rdi
    mov     OFF_JUMP_TABLE(%r15), %r14
    .globl  \label
\label:
    jmp     *%r8
.endm

    .text

/* uint64_t bt_enter(struct vcpu *, const void *host): until a stub leaves; its reason. */
    .globl  bt_enter
    .type   bt_enter, @function
bt_enter:
    push    %rbx
    push    %rbp
    push    %r12
    push    %r13
    push    %r14
    push    %r15
    sub     $8, %rsp
    mov     %rdi, %r15
    mov     %rsi, %r8
    mov     %rsp, OFF_HOST_RSP(%r15)
    mov     $12, %r12d
    LOAD_GUEST_AND_JUMP bt_jump_1
    .size   bt_enter, . - bt_enter

/* Back to bt_enter's caller with rax. Registers have been saved. */
leave:
    add     $8, %rsp
    pop     %r15
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %rbp
    pop     %rbx
    ret

/* Resume at the host address in rax, or leave when it is NULL. */
resume:
    test    %rax, %rax
    jz      leave
    mov     %rax, %r8
    LOAD_GUEST_AND_JUMP bt_jump_2

/* The jump table does not have the place r8 in its first slot: is it in the second? See
 * jump_second_slot(). The table is not that of r14, which may be poisoned; flags are kept. */
    .globl  bt_exit_second
bt_exit_second:
    mov     %rcx, %r10
    mov     OFF_JUMPS(%r15), %r9
    lea     (%r8,%r8,8), %r11d
    rorx    $13, %r11d, %ecx
    lea     (%rcx,%r11), %ecx
    movzwl  %cx, %ecx
    lea     JUMP_SECOND(%r9,%rcx,8), %r9
    mov     (%r9), %rcx
    lea     1(%rcx,%r8), %rcx
    jrcxz   second_hit
    mov     %r10, %rcx
    jmp     bt_exit_lookup
second_hit:
    mov     %r10, %rcx
    mov     OFF_JUMP_TABLE(%r15), %r14
    .globl  bt_jump_4
bt_jump_4:
    jmp     *JUMP_HOST(%r9)

/* Leave the unit for the linear guest address in r8d: function says where its unit is. */
.macro LEAVE_FOR function
    SAVE_GUEST
    sub     OFF_CS_BASE(%r15), %r8d
    mov     %r8, OFF_RIP(%r15)
    mov     %r15, %rdi
    call    \function
    jmp     resume
.endm

/* Leave the unit for the linear guest address in r8d: the jump table does not know it, or an
 * interrupt has poisoned the table. */
    .globl  bt_exit_lookup
bt_exit_lookup:
    LEAVE_FOR bt_lookup

/* The same, where the mode of what follows was not as remembered (crossing.S). */
    .globl  bt_exit_mode
bt_exit_mode:
    LEAVE_FOR bt_lookup_mode

/* A direct exit that has not been chained: r9 = the exit's number. */
    .globl  bt_exit_chain
bt_exit_chain:
    SAVE_GUEST
    mov     %r15, %rdi
    mov     %r9d, %esi
    call    bt_chain
    jmp     resume

/* A memory probe missed: r8 = gla, r9d = access << 8 | size, r11 = where to try again. */
    .globl  bt_slow_access
bt_slow_access:
    SAVE_GUEST
    mov     %r15, %rdi
    mov     %r8, %rsi
    mov     %r9d, %edx
    mov     %r11, %rcx
    call    bt_access
    jmp     resume

/* r9 = struct site. */
    .globl  bt_callout
bt_callout:
    SAVE_GUEST
    mov     %r15, %rdi
    mov     %r9, %rsi
    call    bt_call_site
    jmp     resume

/* The signal handler sends a host fault in translated code here, rip being recorded: interpret. */
    .globl  bt_exit_fault
bt_exit_fault:
    SAVE_GUEST
    mov     %r15, %rdi
    call    bt_fault
    jmp     resume

/* ... and a fault in the window here: fault_gla, fault_write and host_rip are set. */
    .globl  bt_exit_window
bt_exit_window:
    SAVE_GUEST
    mov     %r15, %rdi
    call    bt_window
    jmp     resume

/*
 * A light call: only the registers that C may clobber are saved, in gpr[], and the flags, in
 * light_flags (AL: OF, AH: as LAHF has them); C may change them there.
 * r9 = the function, r8d = its argument; on to r11 when it returns true, to r10 when not. r8 is
 * what it has left in bt.scratch.
 */
    .globl  bt_light_call
bt_light_call:
    KEEP_GUEST
    mov     %r10, OFF_SAVED(%r15)
    mov     %r11, OFF_SAVED+8(%r15)
    mov     %rsp, GPR(4)
    mov     OFF_HOST_RSP(%r15), %rsp
    mov     %r15, %rdi
    mov     %r8d, %esi
    call    *%r9
    movzbl  %al, %ecx
    mov     OFF_SAVED(%r15,%rcx,8), %r11
    GUEST_AS_KEPT
    mov     GPR(4), %rsp
    mov     OFF_SCRATCH(%r15), %r8
    mov     OFF_TLB(%r15), %r13
    mov     OFF_JUMP_TABLE(%r15), %r14
    .globl  bt_jump_3
bt_jump_3:
    jmp     *%r11

    .section .note.GNU-stack,"",@progbits
