/*
 * The software TLB's probe, which makes the guest's operand [r10 + r8] or leaves the unit:
 *
 *     lea   r8d, [guest address]
 *     lea   r9d, [r8 + size - 1]      pages of the first and the last byte: an access across a
 *     shrx  r10d, r8d, r12d           page end probes the first page's slot for the last page's
 *     shrx  r9d, r9d, r12d            number, and misses
 *     movzx r10d, r10b
 *     mov   r11, rcx
 *     mov   rcx, [r13 + r10*8 + tag]
 *     lea   rcx, [rcx + r9]
 *     jrcxz hit
 *     jmp   slow
 * hit: mov  rcx, r11
 *     mov   r10, [r13 + r10*8 + addend]
 *
 * and the operand is [r10 + r8]. No flag changes.
 *
 * In a segment that is not flat (KEY_SEG) the operand's offset is compared with the limit in bt_seg
 * before the base is added; what is beyond makes the probe miss. With 16-bit
 * addresses in real mode, where limits are 64 KiB at least, only an operand across offset 64K is:
 * its last byte's offset wraps, and with it the page, so that the probe misses.
 *
 * Where the stack is beside code, pushes of real mode ask for the line (cpu/tlb.h, T4) before the
 * page.
 */
#include "translator/probe.h"

#include "cpu/tlb.h"
#include "translator/switch.h"

bool probe_flat(const struct builder *b, unsigned seg)
{
    static const uint32_t bent[SEG_COUNT] = { [SEG_ES] = KEY_ES, [SEG_SS] = KEY_SS,
                                              [SEG_DS] = KEY_DS };

    if (!(b->key & KEY_SEG))
        return seg == SEG_DS || seg == SEG_ES || seg == SEG_SS || seg == SEG_CS;
    return bent[seg] && !(b->key & bent[seg]);
}

/* In flat user code: neither null nor whole? */
static bool limited(const struct builder *b, unsigned seg)
{
    return b->key & KEY_LIMITED && ((seg == SEG_FS && !(b->key & KEY_FS)) ||
                                    (seg == SEG_GS && !(b->key & KEY_GS)));
}

bool probe_segmented(const struct builder *b, unsigned seg)
{
    return limited(b, seg) || (b->key & KEY_SEG && !probe_flat(b, seg));
}

/* Shift right by 12 without BMI2: flags survive in ax, rax in r11. */
static void shift_pages_old(struct builder *b, bool two)
{
    EMIT(b, 0x49, 0x89, 0xc3);            /* mov r11, rax */
    EMIT(b, 0x9f, 0x0f, 0x90, 0xc0);      /* lahf; seto al */
    EMIT(b, 0x45, 0x89, 0xc2);            /* mov r10d, r8d */
    EMIT(b, 0x41, 0xc1, 0xea, 12);        /* shr r10d, 12 */
    if (two)
        EMIT(b, 0x41, 0xc1, 0xe9, 12);    /* shr r9d, 12 */
    else
        EMIT(b, 0x45, 0x89, 0xd1);        /* mov r9d, r10d */
    EMIT(b, 0x04, 0x7f, 0x9e);            /* add al, 0x7f; sahf */
    EMIT(b, 0x4c, 0x89, 0xd8);            /* mov rax, r11 */
}

static void pages(struct builder *b, unsigned size)
{
    if (size > 1) {
        EMIT(b, 0x45, 0x8d, 0x88);        /* lea r9d, [r8 + size - 1] */
        emit32(b, size - 1);
    }
    if (!b->t->bmi2) {
        shift_pages_old(b, size > 1);
        return;
    }
    if (size > 1) {
        EMIT(b, 0xc4, 0x42, 0x1b, 0xf7, 0xd0); /* shrx r10d, r8d, r12d */
        EMIT(b, 0xc4, 0x42, 0x1b, 0xf7, 0xc9); /* shrx r9d, r9d, r12d */
    } else {
        EMIT(b, 0xc4, 0x42, 0x1b, 0xf7, 0xc8); /* shrx r9d, r8d, r12d */
        EMIT(b, 0x45, 0x89, 0xca);             /* mov r10d, r9d */
    }
}

/* SEG_NONE: the address is linear. */
static bool plain_tlb(const struct builder *b, unsigned seg)
{
    return b->key & KEY_USER || seg == SEG_NONE || probe_flat(b, seg);
}

/* mov rcx, [tag]: of the TLB, or for a kernel's FS and GS of the one that stands for their
 * state. */
static void load_tag(struct builder *b, enum mem_access access, unsigned seg)
{
    if (plain_tlb(b, seg)) {
        EMIT(b, 0x4b, 0x8b, 0x8c, 0xd5);       /* mov rcx, [r13 + r10*8 + tag] */
    } else {
        EMIT(b, 0x49, 0x8b, 0x8f);             /* mov rcx, [seg_tlb] */
        emit32(b, OFF_SEG_TLB + 8 * (seg - SEG_FS));
        EMIT(b, 0x4a, 0x8b, 0x8c, 0xd1);       /* mov rcx, [rcx + r10*8 + tag] */
    }
    emit32(b, TLB_TAG(access));
}

/* To what follows if the tag in rcx is that of the page in r9, else to the slow end. */
static struct slow_end *compare_tag(struct builder *b, const struct reach *to)
{
    struct slow_end *slow = &b->slow[b->slows++];

    EMIT(b, 0x4a, 0x8d, 0x0c, 0x09);           /* lea rcx, [rcx + r9] */
    EMIT(b, 0xe3, 5, 0xe9);                    /* jrcxz hit; jmp slow */
    slow->field = here(b);
    slow->retry = to->retry;
    slow->info = (uint32_t)to->access << ACCESS_SHIFT | to->size | (to->fpu ? ACCESS_FPU : 0);
    emit32(b, 0);
    return slow;
}

/* The operand's place, once the tag has fitted. */
static void load_addend(struct builder *b, struct slow_end *slow)
{
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* mov rcx, r11 */
    EMIT(b, 0x4f, 0x8b, 0x94, 0xd5);           /* mov r10, [r13 + r10*8 + addend] */
    emit32(b, TLB_ADDEND);
    slow->hit = here(b);
}

/* T6, where it is worth while. */
static bool may_have_spots(const struct builder *b, const struct reach *to)
{
    return b->spots && to->access == MEM_WRITE && !to->fpu && to->size <= 8 &&
           !(to->size & (to->size - 1));
}

void probe_page(struct builder *b, const struct reach *to)
{
    bool plain = plain_tlb(b, to->seg);
    struct slow_end *slow;

    pages(b, to->size);
    EMIT(b, 0x45, 0x0f, 0xb6, 0xd2);           /* movzx r10d, r10b */
    EMIT(b, 0x49, 0x89, 0xcb);                 /* mov r11, rcx */
    load_tag(b, to->access, to->seg);
    slow = compare_tag(b, to);
    if (!plain)
        slow->info |= to->seg << ACCESS_SEG_SHIFT;
    /* a kernel's write to a watched frame: without paging, perhaps beside real mode's code */
    if (b->adapted && to->access == MEM_WRITE && plain && !to->fpu && b->t->bmi2 &&
        !(b->key & (KEY_USER | KEY_SEG)))
        slow->info |= ACCESS_LINES;
    if (plain && may_have_spots(b, to))
        slow->info |= ACCESS_SPOTS;
    load_addend(b, slow);
}

/* The limit of a segment less the last byte's offset into rcx: 0 where it is not negative, else
 * ffh. r8d: the offset; r9 is free. */
static void compare_limit(struct builder *b, unsigned seg, enum mem_access access, unsigned size)
{
    EMIT(b, 0x4d, 0x89, 0xc1);                 /* mov r9, r8 */
    EMIT(b, 0x49, 0xf7, 0xd1);                 /* not r9 */
    EMIT(b, 0x49, 0x8b, 0x8f);                 /* mov rcx, [limit] */
    emit32(b, (uint32_t)(offsetof(struct vcpu, bt_seg) + seg * sizeof(struct bt_segment) +
                         offsetof(struct bt_segment, limit) + 8 * (access == MEM_WRITE)));
    EMIT(b, 0x4a, 0x8d, 0x8c, 0x09);           /* lea rcx, [rcx + r9 + 2 - size] */
    emit32(b, 2 - size);
    EMIT(b, 0x48, 0x0f, 0xc9);                 /* bswap rcx */
    EMIT(b, 0x0f, 0xb6, 0xc9);                 /* movzx ecx, cl */
}

/* r8d += the segment's base, through r10. */
static void add_base(struct builder *b, unsigned seg, bool also_r9)
{
    EMIT(b, 0x4d, 0x8b, 0x97);                 /* mov r10, [base] */
    emit32(b, (uint32_t)(offsetof(struct vcpu, bt_seg) + seg * sizeof(struct bt_segment)));
    EMIT(b, 0x47, 0x8d, 0x04, 0x10);           /* lea r8d, [r8 + r10] */
    if (also_r9)
        EMIT(b, 0x47, 0x8d, 0x0c, 0x11);       /* lea r9d, [r9 + r10] */
}

/* Page numbers: r10d of r8d, r9d of itself or (for one byte) of r8d. */
static void shift_pages(struct builder *b, unsigned size)
{
    EMIT(b, 0xc4, 0x42, 0x1b, 0xf7, 0xd0);     /* shrx r10d, r8d, r12d */
    if (size > 1)
        EMIT(b, 0xc4, 0x42, 0x1b, 0xf7, 0xc9); /* shrx r9d, r9d, r12d */
    else
        EMIT(b, 0x45, 0x89, 0xd1);             /* mov r9d, r10d */
    EMIT(b, 0x45, 0x0f, 0xb6, 0xd2);           /* movzx r10d, r10b */
}

/* What boot sectors and DOS programs write beside their code. (Parts wrap each by itself.) */
static bool has_lines(const struct builder *b, const struct reach *to, bool limitless)
{
    return !(b->key & KEY_USER) && to->access == MEM_WRITE && !to->fpu && (!to->parts || limitless);
}

static uint32_t segmented_info(const struct builder *b, const struct reach *to, bool wraps,
                               bool limitless)
{
    return ACCESS_SEGMENTED | to->seg << ACCESS_SEG_SHIFT | (wraps ? ACCESS_WRAPS : 0) |
           (has_lines(b, to, limitless) ? ACCESS_LINES : 0);
}

/* Is the last byte's offset inside the segment after all? r9d: 0 if so, else less than 256. */
static void compare_last(struct builder *b, uint32_t info)
{
    uint32_t segment = (uint32_t)(offsetof(struct vcpu, bt_seg) +
                                  (info >> ACCESS_SEG_SHIFT) * sizeof(struct bt_segment));

    EMIT(b, 0x4d, 0x8b, 0x8f), emit32(b, segment); /* mov r9, [base] */
    EMIT(b, 0x49, 0xf7, 0xd1);                 /* not r9 */
    EMIT(b, 0x47, 0x8d, 0x4c, 0x01, (uint8_t)info); /* lea r9d, [r9 + r8 + size] */
    if (info & ACCESS_WRAPS) {
        EMIT(b, 0xc4, 0x43, 0x7b, 0xf0, 0xc9, 16); /* rorx r9d, r9d, 16 */
        EMIT(b, 0x45, 0x0f, 0xb7, 0xc9);       /* movzx r9d, r9w */
        return;
    }
    EMIT(b, 0x49, 0xf7, 0xd1);                 /* not r9 */
    EMIT(b, 0x49, 0x8b, 0x8f);                 /* mov rcx, [limit of writes] */
    emit32(b, segment + (uint32_t)offsetof(struct bt_segment, limit[MEM_WRITE]));
    EMIT(b, 0x4a, 0x8d, 0x4c, 0x09, 1);        /* lea rcx, [rcx + r9 + 1] */
    EMIT(b, 0x48, 0x0f, 0xc9);                 /* bswap rcx */
    EMIT(b, 0x44, 0x0f, 0xb6, 0xc9);           /* movzx r9d, cl */
}

/* mov rcx, [line tag of the line in r10d]; lea rcx, [rcx + r9] */
static void compare_line(struct builder *b)
{
    EMIT(b, 0x45, 0x0f, 0xb6, 0xd2);           /* movzx r10d, r10b */
    EMIT(b, 0x4b, 0x8b, 0x8c, 0xd5), emit32(b, TLB_LINE_TAG); /* mov rcx, [r13 + r10*8 + tag] */
    EMIT(b, 0x4a, 0x8d, 0x0c, 0x09);           /* lea rcx, [rcx + r9] */
}

/* To the operand, whose tag's index is in r10, if rcx is 0, else on. */
static void line_hits(struct builder *b, const struct slow_end *slow)
{
    EMIT(b, 0xe3, 2, 0xeb, 16);                /* jrcxz hit; jmp slow */
    EMIT(b, 0x4f, 0x8b, 0x94, 0xd5), emit32(b, TLB_LINE_ADDEND); /* hit: mov r10, [addend] */
    EMIT(b, 0x4c, 0x89, 0xd9, 0xe9), emit32(b, 0); /* mov rcx, r11; jmp */
    emit_patch(b, here(b) - 4, slow->hit);
}

/* Perhaps the first and the last byte are in two lines: both are asked for. r9: as probe_line() has
 * it, of the last. To what follows in 4 bytes with rcx 0 and the first line's index in r10. */
static void compare_two_lines(struct builder *b, unsigned size)
{
    EMIT(b, 0xb9, TLB_LINE_SHIFT, 0, 0, 0);    /* mov ecx, shift */
    EMIT(b, 0x45, 0x8d, 0x50, (uint8_t)(size - 1)); /* lea r10d, [r8 + size - 1] */
    EMIT(b, 0xc4, 0x42, 0x73, 0xf7, 0xd2);     /* shrx r10d, r10d, ecx */
    compare_line(b);
    EMIT(b, 0xe3, 2, 0xeb, 49);                /* jrcxz first; jmp slow */
    EMIT(b, 0xb9, TLB_LINE_SHIFT, 0, 0, 0);    /* first: mov ecx, shift */
    EMIT(b, 0xc4, 0x42, 0x73, 0xf7, 0xc8);     /* shrx r9d, r8d, ecx */
    EMIT(b, 0x45, 0x89, 0xca);                 /* mov r10d, r9d */
    compare_line(b);
}

void probe_line(struct builder *b, const struct slow_end *slow)
{
    bool compared = slow->info & ACCESS_SEGMENTED;
    unsigned size = slow->info & 0xff;

    if (compared)
        compare_last(b, slow->info);
    EMIT(b, 0xb9, TLB_LINE_SHIFT, 0, 0, 0);    /* mov ecx, shift */
    EMIT(b, 0x45, 0x8d, 0x50, (uint8_t)(size - 1)); /* lea r10d, [r8 + size - 1] */
    EMIT(b, 0xc4, 0x42, 0x73, 0xf7, 0xd2);     /* shrx r10d, r10d, ecx */
    if (compared)
        EMIT(b, 0x47, 0x8d, 0x0c, 0xca);       /* lea r9d, [r10 + r9*8]: no other line's tag fits */
    else
        EMIT(b, 0x45, 0x89, 0xd1);             /* mov r9d, r10d */
    EMIT(b, 0xc4, 0x42, 0x73, 0xf7, 0xd0);     /* shrx r10d, r8d, ecx */
    compare_line(b);
    if (size > 1 && size <= TLB_LINE_SIZE) {
        EMIT(b, 0xe3, 67);                     /* jrcxz hit */
        compare_two_lines(b, size);
    }
    line_hits(b, slow);
}

void probe_spot(struct builder *b, const struct slow_end *slow)
{
    uint8_t log2_size = (uint8_t)__builtin_ctz(slow->info & 0xff);

    if (slow->info & ACCESS_SEGMENTED) {
        compare_last(b, slow->info);
        EMIT(b, 0x49, 0x0f, 0xc9);             /* bswap r9: no tag fits but for 0 */
        EMIT(b, 0x4f, 0x8d, 0x4c, 0xc1, log2_size); /* lea r9, [r9 + r8*8 + log2_size] */
    } else {
        EMIT(b, 0x4e, 0x8d, 0x0c, 0xc5), emit32(b, log2_size); /* lea r9, [r8*8 + log2_size] */
    }
    EMIT(b, 0x49, 0xf7, 0xd1);                 /* not r9: minus tlb_spot() */
    EMIT(b, 0x45, 0x89, 0xc2);                 /* mov r10d, r8d */
    compare_line(b);
    line_hits(b, slow);
}

/* --- The line before the page -------------------------------------------------------------- */

/* A push, where the stack is beside code: it would miss its page each time. */
static bool line_first(const struct builder *b, const struct reach *to)
{
    return b->stack_beside && to->seg == SEG_SS && to->size <= sizeof(uint64_t) && !b->spots &&
           has_lines(b, to, true);
}

/* A last byte that is in another line misses, whether it wraps or not. */
static void probe_line_first(struct builder *b, const struct reach *to)
{
    struct slow_end *slow;

    EMIT(b, 0x49, 0x89, 0xcb);                 /* mov r11, rcx */
    EMIT(b, 0x45, 0x8d, 0x48, (uint8_t)(to->size - 1)); /* lea r9d, [r8 + size - 1] */
    EMIT(b, 0x45, 0x0f, 0xb7, 0xc9);           /* movzx r9d, r9w */
    add_base(b, to->seg, true);
    EMIT(b, 0xb9, TLB_LINE_SHIFT, 0, 0, 0);    /* mov ecx, shift */
    EMIT(b, 0xc4, 0x42, 0x73, 0xf7, 0xd0);     /* shrx r10d, r8d, ecx */
    EMIT(b, 0xc4, 0x42, 0x73, 0xf7, 0xc9);     /* shrx r9d, r9d, ecx */
    EMIT(b, 0x45, 0x0f, 0xb6, 0xd2);           /* movzx r10d, r10b */
    EMIT(b, 0x4b, 0x8b, 0x8c, 0xd5), emit32(b, TLB_LINE_TAG); /* mov rcx, [r13 + r10*8 + tag] */
    slow = compare_tag(b, to);
    slow->info |= to->seg << ACCESS_SEG_SHIFT | ACCESS_PAGE_SECOND;
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* mov rcx, r11 */
    EMIT(b, 0x4f, 0x8b, 0x94, 0xd5), emit32(b, TLB_LINE_ADDEND); /* mov r10, [addend] */
    slow->hit = here(b);
}

void probe_page_second(struct builder *b, const struct slow_end *slow)
{
    const struct reach to = { .seg = slow->info >> ACCESS_SEG_SHIFT, .size = slow->info & 0xff,
                              .access = MEM_WRITE, .retry = slow->retry, .narrow = true };

    EMIT(b, 0x4c, 0x89, 0xd9);                 /* mov rcx, r11 */
    EMIT(b, 0x4d, 0x8b, 0x97);                 /* mov r10, [base] */
    emit32(b, (uint32_t)(offsetof(struct vcpu, bt_seg) + to.seg * sizeof(struct bt_segment)));
    EMIT(b, 0x49, 0xf7, 0xd2);                 /* not r10 */
    EMIT(b, 0x47, 0x8d, 0x44, 0x10, 1);        /* lea r8d, [r8 + r10 + 1]: the offset again */
    b->stack_beside = b->spots = false;
    probe_segment(b, &to);
    emit8(b, 0xe9), emit32(b, 0);              /* jmp hit */
    emit_patch(b, here(b) - 4, slow->hit);
}

void probe_segment(struct builder *b, const struct reach *to)
{
    bool limitless = to->narrow && (b->key & (KEY_REAL | KEY_ODD)) == KEY_REAL;
    bool wraps = limitless || (to->parts && to->narrow);
    struct slow_end *slow;

    if (limitless && line_first(b, to)) {
        probe_line_first(b, to);
        return;
    }
    EMIT(b, 0x49, 0x89, 0xcb);                 /* mov r11, rcx */
    if (!limitless)
        compare_limit(b, to->seg, to->access, to->size);
    if (wraps && to->size > 1) {
        EMIT(b, 0x45, 0x8d, 0x48, (uint8_t)(to->size - 1)); /* lea r9d, [r8 + size - 1] */
        EMIT(b, 0x45, 0x0f, 0xb7, 0xc9);       /* movzx r9d, r9w */
    }
    add_base(b, to->seg, wraps && to->size > 1);
    if (!wraps && to->size > 1)
        EMIT(b, 0x45, 0x8d, 0x48, (uint8_t)(to->size - 1));
    shift_pages(b, to->size);
    if (limitless) {
        EMIT(b, 0x4b, 0x8b, 0x8c, 0xd5);       /* mov rcx, [r13 + r10*8 + tag] */
        emit32(b, TLB_TAG(to->access));
    } else {
        /* a multiple of 8 cannot make another page's tag fit: 255 * 8 is 248 modulo 256 */
        EMIT(b, 0x49, 0x8d, 0x0c, 0xc9);       /* lea rcx, [r9 + rcx*8] */
        EMIT(b, 0x4f, 0x8b, 0x8c, 0xd5);       /* mov r9, [r13 + r10*8 + tag] */
        emit32(b, TLB_TAG(to->access));
    }
    slow = compare_tag(b, to);
    slow->info |= segmented_info(b, to, wraps, limitless);
    if (may_have_spots(b, to) && (!to->parts || limitless))
        slow->info |= ACCESS_SPOTS;
    load_addend(b, slow);
}
