/*
 * Repeated string instructions of segmented code: STOS, LODS, SCAS and CMPS, forward, inside one
 * page and the segment, 8 bytes at a time. What that is not enough for (DF, a count of 0, another
 * page) is begun anew by a light call of the C in light.c; nothing of the guest's has changed by
 * then. (MOVS is rules_repeat.c's.)
 *
 * Reached by light_string()'s jump: r8d = the light call's argument, r12d = the mask of SI, DI and
 * CX; on to r11 when it has been done, r10 is the light call's other way. A byte that the guest's
 * own comparison would not come to may be read here: it lies in a page of RAM and in the segment.
 */
#include "translator/offsets.h"

#define GPR(n) (OFF_GPR + 8 * (n))(%r15)
#define READ 0
#define WRITE 1

/* rcx = rax if that is less, as signed numbers. */
.macro AT_MOST_RAX
    cmp     %rax, %rcx
    cmovg   %rax, %rcx
.endm

/*
 * at: an offset in the segment (struct bt_segment) that rdx points to; it becomes the host's
 * address. rcx, a number of bytes from there on, becomes no more than lie in the segment, below
 * what addresses reach, and in the page; r9 and r14 are used.
 */
.macro REACH at, at32, access
    mov     8 + 8 * \access(%rdx), %rax
    sub     \at, %rax
    inc     %rax
    AT_MOST_RAX
    mov     %r12, %rax
    sub     \at, %rax
    inc     %rax
    AT_MOST_RAX
    add     (%rdx), \at32
    mov     \at, %rax
    or      $-4096, %rax
    neg     %rax
    AT_MOST_RAX
    mov     \at32, %r9d
    shr     $12, %r9d
    movzbl  %r9b, %r14d
    mov     TLB_TAG(\access)(%r13,%r14,8), %rax
    add     %r9, %rax
    jnz     9f
    add     TLB_ADDEND(%r13,%r14,8), \at
.endm

.macro REACH_DESTINATION access
    lea     OFF_BT_SEG(%r15), %rdx  /* ES */
    and     %r12, %rdi
    REACH   %rdi, %edi, \access
.endm

.macro REACH_SOURCE
    movzwl  %r8w, %edx
    shr     $8, %edx
    lea     (%rdx,%rdx,2), %edx
    lea     OFF_BT_SEG(%r15,%rdx,8), %rdx
    and     %r12, %rsi
    REACH   %rsi, %esi, READ
.endm

/* rcx: the bytes of all elements, of 1 << shift each. */
.macro BEGIN name, shift
    .balign 64
\name:
    mov     %rax, GPR(0)
    mov     %rcx, GPR(1)
    mov     %rdx, GPR(2)
    mov     %rsi, GPR(6)
    mov     %rdi, GPR(7)
    seto    %al
    lahf
    mov     %rax, OFF_LIGHT_FLAGS(%r15)
    cmpb    $0, OFF_FLAG_DF+1(%r15)
    jnz     9f
    and     %r12, %rcx
    jz      9f
    shl     $\shift, %rcx
.endm

/* The guest's registers again, si and di (those given) and cx moved on by rax bytes. */
.macro ADVANCE shift, si, esi, di, edi
    mov     GPR(6), %rsi
    mov     GPR(7), %rdi
    mov     GPR(1), %rcx
    test    %r12d, %r12d
    js      7f
.ifnb \si
    add     %ax, \si
.endif
.ifnb \di
    add     %ax, \di
.endif
    shr     $\shift, %eax
    sub     %ax, %cx
    jmp     8f
7:
.ifnb \esi
    add     %eax, \esi
.endif
.ifnb \edi
    add     %eax, \edi
.endif
    shr     $\shift, %eax
    sub     %eax, %ecx
8:
.endm

.macro FLAGS_AS_BEFORE
    mov     OFF_LIGHT_FLAGS(%r15), %rax
    add     $0x7f, %al
    sahf
    mov     GPR(0), %rax
.endm

.macro END c
    jmp     done
9:  lea     \c(%rip), %r9
    jmp     begin_anew
.endm

/*
 * SCAS or CMPS (cmps), REPNE (until_equal) or REPE, of elements of 1 << shift bytes; suffix: of a
 * MOV that extends one with zeroes; a, si, r13: such parts of these registers.
 */
.macro SCAN name, cmps, until_equal, shift, suffix, a, si, r13
    BEGIN   \name, \shift
    REACH_DESTINATION READ
.if \cmps
    REACH_SOURCE
    sub     %rdi, %rsi              /* the source is [rdx + rsi], the destination [rdx] */
.endif
    and     $-(1 << \shift), %rcx
    jle     9f
    mov     ones_\shift(%rip), %r14
.if !\cmps                          /* rsi: the element, as often as it fits */
    mov\suffix GPR(0), %esi
    imul    %r14, %rsi
.endif
    mov     %rdi, %rdx
    add     %rdi, %rcx              /* the end; r9: the last place for 8 bytes */
    lea     -8(%rcx), %r9
    cmp     %r9, %rdx
    ja      3f

1:  mov     (%rdx), %rax
.if \cmps
    xor     (%rdx,%rsi), %rax
.else
    xor     %rsi, %rax
.endif
.if \until_equal                    /* the top bit of the first element that is 0 */
    mov     %rax, %r13
    sub     %r14, %r13
    andn    %r13, %rax, %rax
    and     tops_\shift(%rip), %rax
.endif
    jnz     2f
    add     $8, %rdx
    cmp     %r9, %rdx
    jbe     1b
    cmp     %rcx, %rdx
    jae     4f
    mov     %r9, %rdx               /* the last 8 bytes, some of them once more */
    jmp     1b

2:  sub     %rdi, %rdx
    tzcnt   %rax, %rax
    shr     $3, %eax
.if \shift
    and     $-(1 << \shift), %eax
.endif
    lea     (1 << \shift)(%rdx,%rax), %rax
    jmp     6f

3:                                  /* fewer than 8 bytes */
.if \cmps
    mov     (%rdx,%rsi), \a
    cmp     (%rdx), \a
.else
    cmp     \si, (%rdx)
.endif
    lea     (1 << \shift)(%rdx), %rdx
.if \until_equal
    je      5f
.else
    jne     5f
.endif
    cmp     %rcx, %rdx
    jb      3b

4:  mov     GPR(1), %rax            /* nothing has stopped it: was that the whole count? */
    and     %r12, %rax
    shl     $\shift, %rax
    add     %rdi, %rax
    cmp     %rax, %rdx
    jne     9f
5:  mov     %rdx, %rax
    sub     %rdi, %rax

6:  lea     -(1 << \shift)(%rdi,%rax), %rdx /* rax bytes have been compared */
.if \cmps
    mov     (%rdx,%rsi), \r13
    ADVANCE \shift, %si, %esi, %di, %edi
    mov     GPR(0), %rax
    cmp     (%rdx), \r13
    END     bt_rep_cmps
.else
    ADVANCE \shift, , , %di, %edi
    mov     GPR(0), %rax
    cmp     (%rdx), \a
    END     bt_rep_scas
.endif
.endm

#define LONG 256 /* bytes: the host's own instruction is faster */

.macro STOS name, shift, suffix, a
    BEGIN   \name, \shift
    mov     %rcx, %rsi
    REACH_DESTINATION WRITE
    cmp     %rsi, %rcx
    jne     9f
    mov\suffix GPR(0), %eax
    imul    ones_\shift(%rip), %rax
    mov     %rdi, %rdx
    lea     -8(%rdi,%rcx), %r9      /* the last place for 8 bytes */
    cmp     $LONG, %rcx
    ja      3f
    cmp     $8, %rcx
    jb      2f
1:  mov     %rax, (%rdx)
    add     $8, %rdx
    cmp     %r9, %rdx
    jb      1b
    mov     %rax, (%r9)
    jmp     4f

2:  mov     \a, (%rdx)
    add     $(1 << \shift), %rdx
    sub     $(1 << \shift), %rcx
    jnz     2b
    jmp     4f

3:  shr     $3, %rcx
    rep stosq
    mov     %rax, (%r9)
4:  mov     %rsi, %rax
    ADVANCE \shift, , , %di, %edi
    FLAGS_AS_BEFORE
    END     bt_rep_stos
.endm

/* Of RAM only the last element is ever seen. */
.macro LODS name, shift, a, d
    BEGIN   \name, \shift
    mov     %rcx, %rdi
    REACH_SOURCE
    cmp     %rdi, %rcx
    jne     9f
    mov     -(1 << \shift)(%rsi,%rcx), \d
    mov     %rcx, %rax
    ADVANCE \shift, %si, %esi
    FLAGS_AS_BEFORE
    mov     \d, \a
    END     bt_rep_lods
.endm

    .text
done:
    mov     GPR(2), %rdx
    mov     $12, %r12d
    mov     OFF_TLB(%r15), %r13
    mov     OFF_JUMP_TABLE(%r15), %r14
    .globl  bt_jump_5
bt_jump_5:
    jmp     *%r11

begin_anew:
    FLAGS_AS_BEFORE
    mov     GPR(1), %rcx
    mov     GPR(2), %rdx
    mov     GPR(6), %rsi
    mov     GPR(7), %rdi
    mov     $12, %r12d
    jmp     bt_light_call

.macro SCANS name, cmps, until_equal
    SCAN    \name\()_1, \cmps, \until_equal, 0, zbl, %al, %sil, %r13b
    SCAN    \name\()_2, \cmps, \until_equal, 1, zwl, %ax, %si, %r13w
    SCAN    \name\()_4, \cmps, \until_equal, 2, l, %eax, %esi, %r13d
.endm

    STOS    stos_1, 0, zbl, %al
    STOS    stos_2, 1, zwl, %ax
    STOS    stos_4, 2, l, %eax
    LODS    lods_1, 0, %al, %dl
    LODS    lods_2, 1, %ax, %dx
    LODS    lods_4, 2, %eax, %edx
    SCANS   repe_scas, 0, 0
    SCANS   repne_scas, 0, 1
    SCANS   repe_cmps, 1, 0
    SCANS   repne_cmps, 1, 1

/* By enum string_kind, and the logarithm of the element's size. */
    .section .data.rel.ro, "aw"
    .balign 8
    .globl  bt_strings
bt_strings:
    .quad   stos_1, stos_2, stos_4, lods_1, lods_2, lods_4
    .quad   repe_scas_1, repe_scas_2, repe_scas_4, repne_scas_1, repne_scas_2, repne_scas_4
    .quad   repe_cmps_1, repe_cmps_2, repe_cmps_4, repne_cmps_1, repne_cmps_2, repne_cmps_4

/* A 1 in each element of 1, 2, 4 bytes; each one's top bit. */
    .section .rodata
    .balign 64
ones_0: .quad   0x0101010101010101
ones_1: .quad   0x0001000100010001
ones_2: .quad   0x0000000100000001
tops_0: .quad   0x8080808080808080
tops_1: .quad   0x8000800080008000
tops_2: .quad   0x8000000080000000

    .section .note.GNU-stack,"",@progbits
