/*
 * Repeated string instructions of segmented code, in both directions, inside the segment and in
 * pages that follow each other in the host's memory as well, mostly 8 bytes at a time. What that is
 * not enough for (a count of 0, pages elsewhere) is begun anew by a light call of the C in light.c;
 * nothing of the guest's has changed by then. (Most MOVS upwards is rules_repeat.c's already.)
 *
 * Reached by light_string()'s jump: r8d = the light call's argument, r12d = the mask of SI, DI and
 * CX; on to r11 when it has been done, r10 is the light call's other way. A byte that the guest's
 * own comparison would not come to may be read here: it lies in a page of RAM and in the segment.
 */
#include "translator/offsets.h"
#include "translator/light.inc"

#define READ 0
#define WRITE 1
#define RUN_MAX 0x10000 /* bytes, and a page: more is for light.c */

/* rcx = rax if that is less, as signed numbers. */
.macro AT_MOST_RAX
    cmp     %rax, %rcx
    cmovg   %rax, %rcx
.endm

/*
 * at: a linear address becomes the host's. rcx, a number of bytes from there in the direction of
 * step, becomes no more than lie in pages that the TLB has and that follow each other in the host's
 * memory too; rdx of them lie in the first. back is the other direction.
 */
.macro TRANSLATE at, at32, access, step, back
    mov     \at32, %r9d
    shr     $12, %r9d
    movzbl  %r9b, %r14d
    neg     %r9
    cmp     %r9, TLB_TAG(\access)(%r13,%r14,8)
    jne     9f
    mov     TLB_ADDEND(%r13,%r14,8), %rax
    add     %rax, \at
    cmp     %rcx, %rdx
    jge     .Lwhole\@
.Lpage\@:
    \back   %r9
    \step   %r14b
    cmp     %r9, TLB_TAG(\access)(%r13,%r14,8)
    jne     .Lpart\@
    cmp     %rax, TLB_ADDEND(%r13,%r14,8)
    jne     .Lpart\@
    add     $4096, %rdx
    cmp     %rcx, %rdx
    jge     .Lwhole\@
    cmp     $RUN_MAX, %rdx
    jl      .Lpage\@
.Lpart\@:
    mov     %rdx, %rcx
.Lwhole\@:
.endm

/*
 * at: an offset in the segment (struct bt_segment) that rdx points to; it becomes the host's
 * address. rcx, a number of bytes from there on, becomes no more than lie in the segment, below
 * what addresses reach, and where TRANSLATE comes to; r9 and r14 are used.
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
    mov     \at, %rdx
    or      $-4096, %rdx
    neg     %rdx
    TRANSLATE \at, \at32, \access, inc, dec
.endm

/* The same for the element at that offset and those below it: at becomes its host address. */
.macro REACH_DOWN at, at32, access, shift
    mov     8 + 8 * \access(%rdx), %rax
    sub     \at, %rax
    cmp     $(1 << \shift) - 1, %rax
    jl      9f
.if \shift
    mov     %r12, %rax
    sub     \at, %rax
    cmp     $(1 << \shift) - 1, %rax
    jb      9f
.endif
    lea     (1 << \shift)(\at), %rax
    AT_MOST_RAX
    add     (%rdx), \at32
    mov     \at32, %edx
    and     $4095, %edx
.if \shift
    cmp     $4096 - (1 << \shift), %edx
    ja      9f
.endif
    add     $(1 << \shift), %edx
    TRANSLATE \at, \at32, \access, dec, inc
.endm

.macro REACH_DESTINATION access, down=0, shift=0
    lea     OFF_BT_SEG(%r15), %rdx  /* ES */
    and     %r12, %rdi
.if \down
    REACH_DOWN %rdi, %edi, \access, \shift
.else
    REACH   %rdi, %edi, \access
.endif
.endm

.macro REACH_SOURCE down=0, shift=0
    movzwl  %r8w, %edx
    shr     $8, %edx
    lea     (%rdx,%rdx,2), %edx
    lea     OFF_BT_SEG(%r15,%rdx,8), %rdx
    and     %r12, %rsi
.if \down
    REACH_DOWN %rsi, %esi, READ, \shift
.else
    REACH   %rsi, %esi, READ
.endif
.endm

/* rcx: the bytes of all elements, of 1 << shift each. To BEGIN_DOWN where DF is set. */
.macro BEGIN name, shift
    .balign 64
\name:
    KEEP
    jnz     \name\()_down
    COUNT   \shift
.endm

.macro BEGIN_DOWN name, shift
    .balign 64
\name\()_down:
    COUNT   \shift
.endm

.macro COUNT shift
    and     %r12, %rcx
    jz      9f
    shl     $\shift, %rcx
.endm

/* Not 0: DF is set. */
.macro KEEP
    KEEP_GUEST
    cmpb    $0, OFF_FLAG_DF+1(%r15)
.endm

/* The guest's registers again, si and di (those given) and cx moved on by rax bytes: step is add,
 * or sub. */
.macro ADVANCE step, shift, si, esi, di, edi
    mov     GPR(6), %rsi
    mov     GPR(7), %rdi
    mov     GPR(1), %rcx
    test    %r12d, %r12d
    js      7f
.ifnb \si
    \step   %ax, \si
.endif
.ifnb \di
    \step   %ax, \di
.endif
    shr     $\shift, %eax
    sub     %ax, %cx
    jmp     8f
7:
.ifnb \esi
    \step   %eax, \esi
.endif
.ifnb \edi
    \step   %eax, \edi
.endif
    shr     $\shift, %eax
    sub     %eax, %ecx
8:
.endm

.macro END c
    jmp     done
9:  lea     \c(%rip), %r9
    jmp     begin_anew
.endm

/* rdi: the elements; rsi: what they are compared with; rcx: how many bytes. r14: ones of shift. */
.macro SCANNED cmps, shift, suffix, down=0
    REACH_DESTINATION READ, \down, \shift
.if \cmps
    REACH_SOURCE \down, \shift
.endif
    and     $-(1 << \shift), %rcx
    jle     9f
    mov     ones_\shift(%rip), %r14
.if \cmps
    sub     %rdi, %rsi              /* the source is [rdx + rsi], the destination [rdx] */
.else
    mov\suffix GPR(0), %esi         /* the element, as often as it fits */
    imul    %r14, %rsi
.endif
.endm

/* rax: in what the 8 bytes [rdx] differ from what they are compared with. */
.macro DIFFERENCE cmps
    mov     (%rdx), %rax
.if \cmps
    xor     (%rdx,%rsi), %rax
.else
    xor     %rsi, %rax
.endif
.endm

/* eax, a bit's number in such 8 bytes, becomes the number of its element's first byte. */
.macro ELEMENT_OF_BIT shift
    shr     $3, %eax
.if \shift
    and     $-(1 << \shift), %eax
.endif
.endm

/* The element [rdx] and what it is compared with: to stop, or on. */
.macro SCAN_ELEMENT cmps, until_equal, a, si, stop
.if \cmps
    mov     (%rdx,%rsi), \a
    cmp     (%rdx), \a
.else
    cmp     \si, (%rdx)
.endif
.if \until_equal
    je      \stop
.else
    jne     \stop
.endif
.endm

/* To 9 where rax bytes are not the whole count. */
.macro WHOLE shift
    mov     GPR(1), %r9
    and     %r12, %r9
    shl     $\shift, %r9
    cmp     %r9, %rax
    jne     9f
.endm

/* rax bytes have been compared, the last ones at rdx: the flags are theirs. */
.macro SCAN_END step, cmps, shift, a, r13
.if \cmps
    mov     (%rdx,%rsi), \r13
    ADVANCE \step, \shift, %si, %esi, %di, %edi
    mov     GPR(0), %rax
    cmp     (%rdx), \r13
    END     bt_rep_cmps
.else
    ADVANCE \step, \shift, , , %di, %edi
    mov     GPR(0), %rax
    cmp     (%rdx), \a
    END     bt_rep_scas
.endif
.endm

/*
 * SCAS or CMPS (cmps), REPNE (until_equal) or REPE, of elements of 1 << shift bytes; suffix: of a
 * MOV that extends one with zeroes; a, si, r13: such parts of these registers.
 */
.macro SCAN name, cmps, until_equal, shift, suffix, a, si, r13
    BEGIN   \name, \shift
    SCANNED \cmps, \shift, \suffix
    mov     %rdi, %rdx
    add     %rdi, %rcx              /* the end; r9: the last place for 8 bytes */
    lea     -8(%rcx), %r9
    cmp     %r9, %rdx
    ja      3f

1:  DIFFERENCE \cmps
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
    ELEMENT_OF_BIT \shift
    lea     (1 << \shift)(%rdx,%rax), %rax
    jmp     6f

3:                                  /* fewer than 8 bytes */
    SCAN_ELEMENT \cmps, \until_equal, \a, \si, 5f
    add     $(1 << \shift), %rdx
    cmp     %rcx, %rdx
    jb      3b

4:  mov     %rcx, %rax              /* nothing has stopped it */
    sub     %rdi, %rax
    WHOLE   \shift
    jmp     6f

5:  lea     (1 << \shift)(%rdx), %rax
    sub     %rdi, %rax
6:  lea     -(1 << \shift)(%rdi,%rax), %rdx
    SCAN_END add, \cmps, \shift, \a, \r13
.endm

/*
 * The same downwards, from the element at rdi. Where equal elements are looked for the one that
 * counts is the highest, so that no borrow from those below may pass for one: other arithmetic.
 */
.macro SCAN_DOWN name, cmps, until_equal, shift, suffix, a, si, r13
    BEGIN_DOWN \name, \shift
    SCANNED \cmps, \shift, \suffix, 1
    lea     (1 << \shift)(%rdi), %r9
    lea     -8(%r9), %rdx           /* the highest place for 8 bytes */
    sub     %rcx, %r9               /* the lowest */
    mov     lows_\shift(%rip), %r14
    cmp     %r9, %rdx
    jb      3f

1:  DIFFERENCE \cmps
.if \until_equal                    /* the top bits of elements that are 0, and no others */
    mov     %rax, %r13
    and     %r14, %r13
    add     %r14, %r13
    or      %r14, %rax
    or      %r13, %rax
    not     %rax
    test    %rax, %rax
.endif
    jnz     2f
    sub     $8, %rdx
    cmp     %r9, %rdx
    jae     1b
    lea     8(%rdx), %rax
    cmp     %r9, %rax
    je      4f
    mov     %r9, %rdx               /* the lowest 8 bytes, some of them once more */
    jmp     1b

2:  bsr     %rax, %rax
    ELEMENT_OF_BIT \shift
    add     %rax, %rdx
    jmp     5f

3:  mov     %rdi, %rdx              /* fewer than 8 bytes */
7:  SCAN_ELEMENT \cmps, \until_equal, \a, \si, 5f
    sub     $(1 << \shift), %rdx
    cmp     %r9, %rdx
    jae     7b

4:  mov     %rcx, %rax              /* nothing has stopped it */
    mov     %r9, %rdx
    WHOLE   \shift
    jmp     6f

5:  lea     (1 << \shift)(%rdi), %rax
    sub     %rdx, %rax
6:  SCAN_END sub, \cmps, \shift, \a, \r13
.endm

#define LONG 256 /* bytes: the host's own instruction is faster */

.macro STOS name, shift, suffix, a
    BEGIN   \name, \shift
    mov     %rcx, %rsi
    REACH_DESTINATION WRITE
    STORE   add, \shift, \suffix, \a
    BEGIN_DOWN \name, \shift
    mov     %rcx, %rsi
    REACH_DESTINATION WRITE, 1, \shift
    add     $(1 << \shift), %rdi
    sub     %rcx, %rdi
    STORE   sub, \shift, \suffix, \a
.endm

/* rcx bytes at rdi, which must be the whole count. */
.macro STORE step, shift, suffix, a
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
    ADVANCE \step, \shift, , , %di, %edi
    FLAGS_AS_KEPT
    END     bt_rep_stos
.endm

/* Of RAM only the last element is ever seen. */
.macro LODS name, shift, a, d
    BEGIN   \name, \shift
    mov     %rcx, %rdi
    REACH_SOURCE
    add     %rcx, %rsi              /* behind it */
    LOAD    add, \shift, \a, \d
    BEGIN_DOWN \name, \shift
    mov     %rcx, %rdi
    REACH_SOURCE 1, \shift
    add     $2 << \shift, %rsi
    sub     %rcx, %rsi
    LOAD    sub, \shift, \a, \d
.endm

.macro LOAD step, shift, a, d
    cmp     %rdi, %rcx
    jne     9f
    mov     -(1 << \shift)(%rsi), \d
    mov     %rcx, %rax
    ADVANCE \step, \shift, %si, %esi
    FLAGS_AS_KEPT
    mov     \d, \a
    END     bt_rep_lods
.endm

/* From rsi to rdi and on, at is where from there; step is add, or sub. */
.macro MOVE_PIECE step, at, bytes, part
    mov     \at(%rsi), \part
    mov     \part, \at(%rdi)
    \step   $\bytes, %rsi
    \step   $\bytes, %rdi
.endm

/* rcx bytes, 8 at a time. */
.macro MOVE_EIGHTS step, at8, at4, at2, at1
    sub     $8, %rcx
    jl      2f
1:  MOVE_PIECE \step, \at8, 8, %r9
    sub     $8, %rcx
    jge     1b
2:  test    $4, %cl
    jz      1f
    MOVE_PIECE \step, \at4, 4, %r9d
1:  test    $2, %cl
    jz      1f
    MOVE_PIECE \step, \at2, 2, %r9w
1:  test    $1, %cl
    jz      1f
    MOVE_PIECE \step, \at1, 1, %r9b
1:
.endm

/* Both ends of rcx bytes, which are the whole count. */
.macro MOVE_ENDS shift, down
    COUNT   \shift
    REACH_DESTINATION WRITE, \down, \shift
    REACH_SOURCE \down, \shift
    mov     %rcx, %rax
    WHOLE   \shift
.endm

.macro MOVE_END step, shift
    ADVANCE \step, \shift, %si, %esi, %di, %edi
    FLAGS_AS_KEPT
    END     bt_rep_movs
.endm

/* Bytes up to which moves are not the host's REP MOVS: it takes 26 cycles more where they cross the
 * end of a page, and a hundred where what it reads it has written just before. */
#define SHORT 128
#define CLOSE 32

/*
 * MOVS upwards is the host's by bytes, which is the fastest. What overlaps, or is short, goes in
 * steps of 8 bytes, or of one where what is read has just been written. Downwards the host takes 3
 * cycles a byte: ends that do not overlap, or are the same, may as well go upwards; else it goes in
 * steps of 8 bytes, or 32. What light.c has the host do is elements that overlap each other, and
 * downwards a destination up to 7 bytes below the source.
 */
.macro MOVS name, shift
    .balign 64
\name:
    KEEP
    jnz     \name\()_down
    MOVE_ENDS \shift, 0
    mov     %rdi, %rdx
    sub     %rsi, %rdx              /* how far the destination lies above, less one */
    dec     %rdx
.if \shift
    cmp     $(1 << \shift) - 1, %rdx
    jb      9f
.endif
    cmp     $7, %rdx
    jb      3f
    cmp     $SHORT, %rcx
    jbe     4f
    lea     -1(%rcx), %r9
    cmp     %r9, %rdx
    jae     6f
4:  MOVE_EIGHTS add, 0, 0, 0, 0
    jmp     5f
3:  cmp     $CLOSE, %rcx
    ja      6f
1:  MOVE_PIECE add, 0, 1, %r9b
    dec     %rcx
    jnz     1b
    jmp     5f
6:  rep movsb
5:  MOVE_END add, \shift

    .balign 64
\name\()_down:
    MOVE_ENDS \shift, 1
    add     $(1 << \shift), %rdi    /* the ends */
    add     $(1 << \shift), %rsi
    mov     %rsi, %rdx
    sub     %rdi, %rdx              /* how far the destination lies below */
    jz      4f
    lea     -1(%rcx,%rdx), %r9
    lea     -1(%rcx,%rcx), %r14
    cmp     %r14, %r9
    jae     4f
    cmp     $8, %rdx
    jb      9f
    cmp     $32, %rdx
    jb      2f
    sub     $32, %rcx
    jl      1f
0:  mov     -8(%rsi), %r9
    mov     -16(%rsi), %r14
    mov     -24(%rsi), %r13
    mov     -32(%rsi), %rdx
    mov     %r9, -8(%rdi)
    mov     %r14, -16(%rdi)
    mov     %r13, -24(%rdi)
    mov     %rdx, -32(%rdi)
    sub     $32, %rsi
    sub     $32, %rdi
    sub     $32, %rcx
    jge     0b
1:  add     $32, %rcx
2:  MOVE_EIGHTS sub, -8, -4, -2, -1
    jmp     5f
4:  sub     %rcx, %rsi
    sub     %rcx, %rdi
    rep movsb
5:  MOVE_END sub, \shift
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
    GUEST_AS_KEPT
    mov     $12, %r12d
    jmp     bt_light_call

.macro SCANS name, cmps, until_equal
    SCAN    \name\()_1, \cmps, \until_equal, 0, zbl, %al, %sil, %r13b
    SCAN    \name\()_2, \cmps, \until_equal, 1, zwl, %ax, %si, %r13w
    SCAN    \name\()_4, \cmps, \until_equal, 2, l, %eax, %esi, %r13d
    SCAN_DOWN \name\()_1, \cmps, \until_equal, 0, zbl, %al, %sil, %r13b
    SCAN_DOWN \name\()_2, \cmps, \until_equal, 1, zwl, %ax, %si, %r13w
    SCAN_DOWN \name\()_4, \cmps, \until_equal, 2, l, %eax, %esi, %r13d
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
    MOVS    movs_1, 0
    MOVS    movs_2, 1
    MOVS    movs_4, 2

/* By enum string_kind, and the logarithm of the element's size. */
    .section .data.rel.ro, "aw"
    .balign 8
    .globl  bt_strings
bt_strings:
    .quad   stos_1, stos_2, stos_4, lods_1, lods_2, lods_4
    .quad   repe_scas_1, repe_scas_2, repe_scas_4, repne_scas_1, repne_scas_2, repne_scas_4
    .quad   repe_cmps_1, repe_cmps_2, repe_cmps_4, repne_cmps_1, repne_cmps_2, repne_cmps_4
    .quad   movs_1, movs_2, movs_4

/* A 1 in each element of 1, 2, 4 bytes; each one's top bit; all others. */
    .section .rodata
    .balign 64
ones_0: .quad   0x0101010101010101
ones_1: .quad   0x0001000100010001
ones_2: .quad   0x0000000100000001
tops_0: .quad   0x8080808080808080
tops_1: .quad   0x8000800080008000
tops_2: .quad   0x8000000080000000
lows_0: .quad   0x7f7f7f7f7f7f7f7f
lows_1: .quad   0x7fff7fff7fff7fff
lows_2: .quad   0x7fffffff7fffffff

    .section .note.GNU-stack,"",@progbits
