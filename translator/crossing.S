/*
 * INT n from virtual-8086 mode to flat code of CPL 0 and the IRET back, as crossing.c remembers
 * them. Reached as bt_light_call is, with everything for it in r8-r11: there it goes on with
 * whatever is not as remembered. Nothing of the guest's has changed by then.
 */
#include "translator/offsets.h"

#define GPR(n) (OFF_GPR + 8 * (n))(%r15)
#define SEG(n, word) (OFF_SEG + 24 * (n) + 8 * (word))(%r15)
#define READ 0
#define ES 0
#define CS 1
#define SS 2
#define DS 3
#define FS 4
#define GS 5

#define FLAG_IF 0x200
#define FLAG_DF 0x400
#define FLAG_VM 0x20000
#define FLAG_TF 0x100
#define FLAG_NT 0x4000
#define FLAG_RF 0x10000
#define FLAG_AC 0x40000
#define FLAG_VIF 0x80000
#define FLAG_VIP 0x100000
#define FLAG_ID 0x200000
#define IOPL_3 0x3000
#define ARITHMETIC 0x8d5

#define ATTR_V86 0xf3
#define ATTR_UNUSABLE 0x10000
#define FRAME_SIZE 36

/* rax: the guest's flags, as bt_light_call has them. */
.macro KEEP_GUEST
    mov     %rax, GPR(0)
    mov     %rcx, GPR(1)
    mov     %rdx, GPR(2)
    seto    %al
    lahf
.endm

.macro RECALL_GUEST
    add     $0x7f, %al              /* OF */
    sahf
    mov     GPR(0), %rax
    mov     GPR(1), %rcx
    mov     GPR(2), %rdx
    mov     $12, %r12d
.endm

/* The jump table of the struct bt_mode at this operand, if it has that mode's code. */
.macro FIND_JUMPS mode, base, table, scratch
    mov     \mode(\base), \table
    test    \table, \table
    jz      miss
    mov     \mode + MODE_KEY(\base), \scratch
    cmp     \scratch, JUMP_KEY(\table)
    jne     miss
.endm

/* On in that mode but for FS and GS; r9 is used. */
.macro ENTER_JUMPS mode, base, table
    mov     \mode + MODE_WINDOW(\base), %r9
    test    %r9, %r9
    jz      1f
    cmp     OFF_WINDOW(%r15), %r9
    je      1f
    mov     %r9, OFF_WINDOW(%r15)
    wrgsbase %r9
1:  mov     \mode + MODE_TLB(\base), %r13
    mov     %r13, OFF_TLB(%r15)
    mov     \table, OFF_JUMPS(%r15)
    mov     \table, OFF_JUMP_TABLE(%r15)
.endm

.macro ENTER_MODE mode, base, table
    ENTER_JUMPS \mode, \base, \table
    lea     bt_never(%rip), %r9     /* FS and GS are not whole */
    mov     %r9, OFF_SEG_TLB(%r15)
    mov     %r9, OFF_SEG_TLB + 8(%r15)
.endm

    .text
miss:
    RECALL_GUEST
    jmp     bt_light_call

/* To the place r8, whose first slot r9 points to. All of the state is as it will be. */
go:
    cmpb    $0, OFF_EXIT_REQUEST(%r15) /* kicked before the jump table was set, U4 */
    jne     kicked
go_unkicked:                        /* looked at behind ENTER_JUMPS; a later kick is r14's */
    mov     (%r9), %rcx
    lea     1(%rcx,%r8), %rcx
    test    %rcx, %rcx
    jnz     second
    RECALL_GUEST
    mov     OFF_JUMP_TABLE(%r15), %r14
    .globl  bt_jump_6
bt_jump_6:
    jmp     *JUMP_HOST(%r9)
second:
    RECALL_GUEST
    jmp     bt_exit_second
kicked:
    RECALL_GUEST
    jmp     bt_exit_lookup

/* --- INT ---------------------------------------------------------------------------------- */

.macro COMPARE n
    mov     CROSSING_AT + 8 * \n(%r12), %rcx
    mov     CROSSING_BYTES + 8 * \n(%r12), %rdx
    cmp     %rdx, (%rcx)
    jne     miss
.endm

.macro PUSH_SELECTOR seg, at
    movzwl  SEG(\seg, 0), %edx
    mov     %edx, \at(%rcx)
.endm

.macro NULL_SEGMENT seg             /* rdx: its selector and attributes; r8: 0 */
    mov     %rdx, SEG(\seg, 0)
    mov     %r8, SEG(\seg, 1)
    mov     %r8, SEG(\seg, 2)
.endm

.macro LOAD_SEGMENT seg, from
    mov     \from(%r12), %rdx
    mov     %rdx, SEG(\seg, 0)
    mov     \from + 8(%r12), %rdx
    mov     %rdx, SEG(\seg, 1)
    mov     \from + 16(%r12), %rdx
    mov     %rdx, SEG(\seg, 2)
.endm

/* r8d = the vector; rip is the next instruction's. */
    .globl  bt_cross_in
bt_cross_in:
    KEEP_GUEST
    mov     %r8d, %r12d
    and     $15, %r12d
    imul    $CROSSING_SIZE, %r12d, %r12d
    lea     OFF_CROSSINGS(%r15,%r12), %r12
    lea     1(%r8), %ecx
    cmp     %rcx, (%r12)
    jne     miss
    COMPARE 0
    COMPARE 1
    COMPARE 2
    COMPARE 3
    mov     CROSSING_STACK_TAG(%r12), %rcx
    mov     CROSSING_STACK_PAGE(%r12), %rdx
    cmp     %rdx, (%rcx)
    jne     miss
    FIND_JUMPS CROSSING_MODE, %r12, %rcx, %edx

    ENTER_MODE CROSSING_MODE, %r12, %rcx
    mov     CROSSING_FRAME(%r12), %rcx
    mov     OFF_EFLAGS(%r15), %r8d
    and     $~(ARITHMETIC | FLAG_IF | FLAG_DF | FLAG_RF), %r8d
    movzbl  %ah, %edx
    movzbl  %al, %r9d
    shl     $11, %r9d
    or      %r8d, %edx
    or      OFF_FLAG_IF(%r15), %r9d
    or      OFF_FLAG_DF(%r15), %edx
    or      %r9d, %edx
    mov     %edx, 8(%rcx)
    and     $~(FLAG_VM | FLAG_NT), %r8d
    mov     %r8d, OFF_EFLAGS(%r15)
    and     $~UNIT_FLAGS, %r8d
    mov     %r8d, OFF_SYSTEM_FLAGS(%r15)
    mov     CROSSING_FLAG_IF(%r12), %edx
    and     %edx, OFF_FLAG_IF(%r15)
    mov     OFF_RIP(%r15), %edx
    mov     %edx, (%rcx)
    mov     %esp, 12(%rcx)
    mov     CROSSING_ESP(%r12), %esp
    PUSH_SELECTOR CS, 4
    PUSH_SELECTOR SS, 16
    PUSH_SELECTOR ES, 20
    PUSH_SELECTOR DS, 24
    PUSH_SELECTOR FS, 28
    PUSH_SELECTOR GS, 32
    movabs  $(ATTR_UNUSABLE << 32), %rdx
    xor     %r8d, %r8d
    NULL_SEGMENT ES
    NULL_SEGMENT DS
    NULL_SEGMENT FS
    NULL_SEGMENT GS
    LOAD_SEGMENT CS, CROSSING_CS
    LOAD_SEGMENT SS, CROSSING_SS
    movb    $0, OFF_CPL(%r15)
    incq    OFF_SOFT_INTERRUPTS(%r15)
    mov     CROSSING_PLACE(%r12), %r8
    mov     CROSSING_SLOT(%r12), %r9
    jmp     go

/* --- IRET --------------------------------------------------------------------------------- */

/* The frame's selector at the offset from rcx; r10: ATTR_V86 << 32, r11: its limit. */
.macro V86_SEGMENT seg, at
    movzwl  \at(%rcx), %r8d
    lea     (%r8,%r10), %r9
    shl     $4, %r8d
    mov     %r9, SEG(\seg, 0)
    mov     %r11, SEG(\seg, 1)
    mov     %r8, SEG(\seg, 2)
    mov     %r8, OFF_BT_SEG + 24 * \seg(%r15)
.endm

.macro V86_LIMITS seg
    mov     %r11, OFF_BT_SEG + 24 * \seg + 8(%r15)
    mov     %r11, OFF_BT_SEG + 24 * \seg + 16(%r15)
.endm

/* At CPL 0, CS and SS are flat. */
    .globl  bt_cross_out
bt_cross_out:
    KEEP_GUEST
    mov     %esp, %ecx
    mov     %esp, %edx
    and     $0xfff, %edx
    cmp     $0x1000 - FRAME_SIZE, %edx
    ja      miss
    mov     %ecx, %edx
    shr     $12, %edx
    movzbl  %dl, %r12d
    add     TLB_TAG(READ)(%r13,%r12,8), %rdx
    jnz     miss
    add     TLB_ADDEND(%r13,%r12,8), %rcx
    mov     8(%rcx), %edx
    mov     %edx, %r12d
    and     $(FLAG_VM | IOPL_3 | FLAG_TF | FLAG_NT | FLAG_RF | FLAG_AC), %r12d
    cmp     $(FLAG_VM | IOPL_3), %r12d
    jne     miss
    mov     %edx, %r12d
    xor     OFF_EFLAGS(%r15), %r12d
    test    $(FLAG_NT | FLAG_RF | FLAG_AC | FLAG_VIF | FLAG_VIP | FLAG_ID), %r12d
    jne     miss
    cmpl    $0xffff, (%rcx)
    ja      miss
    test    $FLAG_IF, %edx
    jz      1f
    cmpb    $0, OFF_INTR_LINE(%r15)
    jne     miss
1:  cmpb    $0, OFF_NMI_PENDING(%r15)
    jne     miss
    FIND_JUMPS OFF_CROSSING_OUT, %r15, %r12, %edx

    ENTER_MODE OFF_CROSSING_OUT, %r15, %r12
    mov     8(%rcx), %edx
    mov     %dl, %ah
    mov     %edx, %r8d
    shr     $11, %r8d
    and     $1, %r8d
    mov     %r8b, %al
    mov     %edx, %r9d
    and     $FLAG_IF, %edx
    and     $FLAG_DF, %r9d
    mov     %edx, OFF_FLAG_IF(%r15)
    mov     %r9d, OFF_FLAG_DF(%r15)
    mov     OFF_EFLAGS(%r15), %edx
    or      $(FLAG_VM | IOPL_3), %edx
    mov     %edx, OFF_EFLAGS(%r15)
    and     $~UNIT_FLAGS, %edx
    mov     %edx, OFF_SYSTEM_FLAGS(%r15)
    movb    $3, OFF_CPL(%r15)
    movb    $0, OFF_NMI_BLOCKED(%r15)
    movabs  $(ATTR_V86 << 32), %r10
    mov     $0xffff, %r11d
    V86_SEGMENT SS, 16
    V86_SEGMENT ES, 20
    V86_SEGMENT DS, 24
    V86_SEGMENT FS, 28
    V86_SEGMENT GS, 32
    V86_SEGMENT CS, 4               /* r8: its base */
    cmpb    $0, OFF_CROSSING_REACH(%r15)
    jne     1f
    V86_LIMITS ES
    V86_LIMITS CS
    V86_LIMITS SS
    V86_LIMITS DS
    V86_LIMITS FS
    V86_LIMITS GS
    movb    $1, OFF_CROSSING_REACH(%r15)
1:  mov     12(%rcx), %esp
    mov     (%rcx), %edx
    mov     %r8, %rcx
    shl     $32, %rcx
    add     %edx, %r8d
    mov     %r8d, %r9d
    or      %rcx, %r8               /* unit_place() */
    shr     $2, %r9d                /* jump_slot() */
    movzwl  %r9w, %r9d
    lea     (%r12,%r9,8), %r9
    jmp     go

/* --- Other modes of CPL 0 ----------------------------------------------------------------- */

.macro REFRESH_TLB seg
    lea     bt_never(%rip), %rcx
    mov     OFF_SEG + 24 * \seg + 4(%r15), %r9d
    and     $DATA_BITS, %r9d
    cmp     $DATA_ALL, %r9d
    jne     1f
    cmpl    $-1, SEG(\seg, 1)
    cmove   %r13, %rcx
1:  mov     %rcx, OFF_SEG_TLB + 8 * (\seg - FS)(%r15)
.endm

/* To the place r8 in the mode r9d, but flat code's if all segments are; MODE_SHADOW: no interrupt
 * before the next instruction. Segments are as they will be. */
    .globl  bt_change_mode
bt_change_mode:
    KEEP_GUEST
    mov     %r9d, OFF_SCRATCH(%r15)
    mov     %r9d, %edx
    btr     $31, %edx
    test    $MODE_BENT, %edx
    jnz     1f
    mov     OFF_SEG + 24 * CS + 4(%r15), %ecx
    and     $CODE_BITS, %ecx
    cmp     $CODE_FLAT, %ecx
    jne     1f
    cmpl    $-1, SEG(CS, 1)
    jne     1f
    cmpq    $0, SEG(CS, 2)
    jne     1f
    and     $~MODE_SEGMENTS, %edx
1:  mov     $MODE_INDEX, %ecx
    pext    %ecx, %edx, %ecx
    shl     $5, %ecx
    lea     OFF_MODES(%r15,%rcx), %r10
    mov     (%r10), %r11
    test    %r11, %r11
    jz      unknown
    cmp     MODE_KEY(%r10), %edx
    jne     unknown
    cmp     JUMP_KEY(%r11), %edx
    jne     unknown
    ENTER_JUMPS 0, %r10, %r11
    test    $MODE_SEGMENTED, %edx
    jnz     2f
    REFRESH_TLB FS
    REFRESH_TLB GS
2:  cmpb    $0, OFF_EXIT_REQUEST(%r15)
    jne     unknown
    mov     %r8d, %r9d              /* jump_slot() */
    shr     $2, %r9d
    movzwl  %r9w, %r9d
    lea     (%r11,%r9,8), %r9
    cmpl    $0, OFF_SCRATCH(%r15)
    jns     go_unkicked
    mov     (%r9), %rcx
    lea     1(%rcx,%r8), %rcx
    test    %rcx, %rcx
    jz      go_unkicked             /* with no way to take an interrupt before it has run */
unknown:
    mov     OFF_SCRATCH(%r15), %edx
    shr     $31, %edx
    or      %dl, OFF_INTR_SHADOW(%r15)
    or      %dl, OFF_DEBUG_SHADOW(%r15)
    RECALL_GUEST
    jmp     bt_exit_mode

    .section .note.GNU-stack,"",@progbits
