/*
 * Guest memory from translated code: the software TLB form.
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
 * The window form is the guest's own instruction with two prefixes, gs: and 67h: the address is 32
 * bits wide and the window's base is added, so no guest address leaves the window. Where a base
 * must be added first (FS, GS, stack) the address is in r8d.
 *
 * A segment that is not flat (KEY_SEG) always has the TLB form. Its offset is compared with the
 * limit in bt_seg before the base is added; what is beyond makes the probe miss. With 16-bit
 * addresses in real mode, where limits are 64 KiB at least, only an operand across offset 64K is:
 * its last byte's offset wraps, and with it the page, so that the probe misses.
 */
#include "cpu/tlb.h"
#include "translator/emit.h"


/* Offset in struct vcpu of a segment's base. */
static uint32_t segment_base(unsigned seg)
{
    return (uint32_t)(offsetof(struct vcpu, seg) + seg * sizeof(struct segment) +
                      offsetof(struct segment, base));
}

/* Is its base 0 and its limit 4 GiB? (FS and GS have forms of their own.) */
static bool segment_flat(const struct builder *b, unsigned seg)
{
    static const uint32_t bent[SEG_COUNT] = { [SEG_ES] = KEY_ES, [SEG_SS] = KEY_SS,
                                              [SEG_DS] = KEY_DS };

    if (!(b->key & KEY_SEG))
        return seg == SEG_DS || seg == SEG_ES || seg == SEG_SS || seg == SEG_CS;
    return bent[seg] && !(b->key & bent[seg]);
}

/* Goes through bt_seg? */
static bool segmented(const struct builder *b, unsigned seg)
{
    return b->key & KEY_SEG && !segment_flat(b, seg);
}

static bool stack_narrow(const struct builder *b)
{
    return b->key & KEY_STACK16;
}

bool access_possible(const struct builder *b, const struct insn *in, enum mem_access access)
{
    if (b->key & KEY_SEG)
        return true;
    if (in->addrsize != 4)
        return false;
    if (in->seg == SEG_FS)
        return b->key & KEY_FS || !(b->key & KEY_USER);
    if (in->seg == SEG_GS)
        return b->key & KEY_GS || !(b->key & KEY_USER);
    return in->seg != SEG_CS || access == MEM_READ;
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
    return b->key & KEY_USER || seg == SEG_NONE || segment_flat(b, seg);
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

static void probe(struct builder *b, enum mem_access access, unsigned size, uint32_t retry,
                  bool fpu, unsigned seg)
{
    struct slow_end *slow = &b->slow[b->slows++];

    pages(b, size);
    EMIT(b, 0x45, 0x0f, 0xb6, 0xd2);           /* movzx r10d, r10b */
    EMIT(b, 0x49, 0x89, 0xcb);                 /* mov r11, rcx */
    load_tag(b, access, seg);
    EMIT(b, 0x4a, 0x8d, 0x0c, 0x09);           /* lea rcx, [rcx + r9] */
    EMIT(b, 0xe3, 5, 0xe9);                    /* jrcxz hit; jmp slow */
    slow->field = here(b);
    slow->retry = retry;
    slow->info = (uint32_t)access << ACCESS_SHIFT | size | (fpu ? ACCESS_FPU : 0);
    if (!plain_tlb(b, seg))
        slow->info |= seg << ACCESS_SEG_SHIFT;
    /* a kernel's write to a watched frame: without paging, perhaps beside real mode's code */
    if (b->adapted && access == MEM_WRITE && plain_tlb(b, seg) && !fpu && b->t->bmi2 &&
        !(b->key & (KEY_USER | KEY_SEG)))
        slow->info |= ACCESS_LINES;
    emit32(b, 0);
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* hit: mov rcx, r11 */
    EMIT(b, 0x4f, 0x8b, 0x94, 0xd5);           /* mov r10, [r13 + r10*8 + addend] */
    emit32(b, TLB_ADDEND);
    slow->hit = here(b);
}

static void narrow_r8(struct builder *b)
{
    EMIT(b, 0x45, 0x0f, 0xb7, 0xc0);           /* movzx r8d, r8w */
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

/* What segmented operands need besides their place. */
struct reach {
    unsigned seg, size;
    enum mem_access access;
    uint32_t retry;
    bool fpu, narrow; /* narrow: 16-bit addresses */
    bool parts;
};

/* What boot sectors and DOS programs write beside their code. (Parts wrap each by itself.) */
static bool has_lines(const struct builder *b, const struct reach *to, bool limitless)
{
    return !(b->key & KEY_USER) && to->access == MEM_WRITE && !to->fpu && (!to->parts || limitless);
}

static void segmented_slow(struct builder *b, const struct reach *to, bool wraps, bool limitless)
{
    struct slow_end *slow = &b->slow[b->slows++];

    slow->field = here(b);
    slow->retry = to->retry;
    slow->info = (uint32_t)to->access << ACCESS_SHIFT | to->size | ACCESS_SEGMENTED |
                 to->seg << ACCESS_SEG_SHIFT | (wraps ? ACCESS_WRAPS : 0) |
                 (to->fpu ? ACCESS_FPU : 0);
    if (has_lines(b, to, limitless))
        slow->info |= ACCESS_LINES;
    emit32(b, 0);
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

void access_line(struct builder *b, const struct slow_end *slow)
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
    EMIT(b, 0x45, 0x0f, 0xb6, 0xd2);           /* movzx r10d, r10b */
    EMIT(b, 0x4b, 0x8b, 0x8c, 0xd5), emit32(b, TLB_LINE_TAG); /* mov rcx, [r13 + r10*8 + tag] */
    EMIT(b, 0x4a, 0x8d, 0x0c, 0x09);           /* lea rcx, [rcx + r9] */
    EMIT(b, 0xe3, 2, 0xeb, 16);                /* jrcxz hit; jmp slow */
    EMIT(b, 0x4f, 0x8b, 0x94, 0xd5), emit32(b, TLB_LINE_ADDEND); /* hit: mov r10, [addend] */
    EMIT(b, 0x4c, 0x89, 0xd9, 0xe9), emit32(b, 0); /* mov rcx, r11; jmp */
    emit_patch(b, here(b) - 4, slow->hit);
}

/* r8d: the offset in the segment. */
static void segmented_probe(struct builder *b, const struct reach *to)
{
    bool limitless = to->narrow && (b->key & (KEY_REAL | KEY_ODD)) == KEY_REAL;
    bool wraps = limitless || (to->parts && to->narrow);

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
    EMIT(b, 0x4a, 0x8d, 0x0c, 0x09);           /* lea rcx, [rcx + r9] */
    EMIT(b, 0xe3, 5, 0xe9);                    /* jrcxz hit; jmp slow */
    segmented_slow(b, to, wraps, limitless);
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* hit: mov rcx, r11 */
    EMIT(b, 0x4f, 0x8b, 0x94, 0xd5);           /* mov r10, [r13 + r10*8 + addend] */
    emit32(b, TLB_ADDEND);
    b->slow[b->slows - 1].hit = here(b);
}

/* The offset of an operand into r8d. */
static void offset_of(struct builder *b, const struct insn *in)
{
    bool narrow = in->addrsize == 2;

    if (in->base == REG_NONE && in->index == REG_NONE) {
        emit_mov_r8d_imm(b, (uint32_t)in->disp & (narrow ? 0xffff : UINT32_MAX));
        return;
    }
    emit_lea(b, R8, in->base, in->index, in->scale, (int32_t)in->disp);
    if (narrow)
        narrow_r8(b);
}

void access_offset(struct builder *b, const struct insn *in)
{
    offset_of(b, in);
}

/* r8d += the base of FS or GS in flat code. */
static void add_whole_base(struct builder *b, unsigned seg)
{
    emit_vcpu(b, 0x8b, R9, segment_base(seg)); /* mov r9d, [segment base] */
    EMIT(b, 0x47, 0x8d, 0x04, 0x08);           /* lea r8d, [r8 + r9] */
}

static void address(struct builder *b, const struct insn *in)
{
    if (segment_flat(b, in->seg)) {
        offset_of(b, in);
        return;
    }
    emit_lea(b, R8, in->base, in->index, in->scale, (int32_t)in->disp);
    add_whole_base(b, in->seg);
}

static bool windowed(const struct builder *b)
{
    return b->key & KEY_WINDOW && !b->adapted;
}

bool access_in_window(const struct builder *b, const struct insn *in)
{
    return windowed(b) && segment_flat(b, in->seg) && in->addrsize == 4;
}

void access_operand(struct builder *b, const struct insn *in, enum mem_access access, unsigned size)
{
    struct reach to = { in->seg, size, access, here(b),
                        in->info->attr & (A_X87 | A_MMX | A_SSE | A_AVX), in->addrsize == 2,
                        b->parts };
    bool flat = segment_flat(b, in->seg);

    b->parts = false;
    if (access_in_window(b, in)) {
        b->form = FORM_WINDOW;
        return;
    }
    if (segmented(b, in->seg) || (to.parts && to.narrow)) {
        offset_of(b, in);
        b->form = FORM_TLB;
        segmented_probe(b, &to);
        return;
    }
    address(b, in);
    b->form = windowed(b) && (flat || b->key & KEY_USER) ? FORM_WINDOW_R8 : FORM_TLB;
    if (b->form == FORM_TLB)
        probe(b, access, size, to.retry, to.fpu, in->seg);
}

bool access_at_direct(const struct builder *b)
{
    return windowed(b) && segment_flat(b, SEG_SS) && !stack_narrow(b);
}

/* At seg:[base + disp]. */
static void reach_at(struct builder *b, unsigned base, int32_t disp, const struct reach *to)
{
    b->base = (uint8_t)base;
    b->disp = disp;
    if (windowed(b) && segment_flat(b, to->seg) && !to->narrow) {
        b->form = FORM_WINDOW_AT;
        return;
    }
    emit_lea(b, R8, base, REG_NONE, 0, disp);
    if (to->narrow)
        narrow_r8(b);
    b->form = FORM_TLB;
    if (segmented(b, to->seg) || (to->parts && to->narrow))
        segmented_probe(b, to);
    else
        probe(b, to->access, to->size, to->retry, false, to->seg);
}

void access_at(struct builder *b, unsigned base, int32_t disp, enum mem_access access,
               unsigned size)
{
    reach_at(b, base, disp,
             &(struct reach){ SEG_SS, size, access, here(b), false, stack_narrow(b), b->parts });
    b->parts = false;
}

void access_r8(struct builder *b, const struct insn *in, enum mem_access access, unsigned size,
               uint32_t retry)
{
    struct reach to = { in->seg, size, access, retry, false, in->addrsize == 2, false };

    if (to.narrow)
        narrow_r8(b);
    b->form = FORM_TLB;
    if (segmented(b, in->seg)) {
        segmented_probe(b, &to);
        return;
    }
    if (!segment_flat(b, in->seg))
        add_whole_base(b, in->seg);
    probe(b, access, size, retry, false, in->seg);
}

void access_linear(struct builder *b, enum mem_access access, unsigned size, uint32_t retry)
{
    b->form = FORM_TLB;
    probe(b, access, size, retry, false, SEG_NONE);
}

void access_string(struct builder *b, const struct insn *in, unsigned seg, unsigned base,
                   enum mem_access access, unsigned size)
{
    reach_at(b, base, 0,
             &(struct reach){ seg, size, access, here(b), false, in->addrsize == 2, false });
}

void access_move_sp(struct builder *b, unsigned base, int32_t disp)
{
    if (stack_narrow(b))
        emit8(b, 0x66);
    emit_lea(b, RSP, base, REG_NONE, 0, disp);
}

void access_set_esp(struct builder *b)
{
    if (b->form == FORM_WINDOW_AT || b->key & KEY_SEG)
        access_move_sp(b, b->base, b->disp);
    else
        EMIT(b, 0x44, 0x89, 0xc4);        /* mov esp, r8d */
}

/* ModRM and SIB of the operand in any form but FORM_WINDOW. */
static void operand_r8(struct builder *b, unsigned reg)
{
    if (b->form == FORM_WINDOW_AT)
        emit_modrm_mem(b, reg & 7, b->base, REG_NONE, 0, b->disp);
    else if (b->form == FORM_TLB)
        EMIT(b, (reg & 7) << 3 | 4, 0x02); /* [r10 + r8] */
    else
        emit8(b, (uint8_t)((reg & 7) << 3)); /* [r8] */
}

static uint8_t rex(const struct builder *b, unsigned reg)
{
    static const uint8_t base[] = { [FORM_TLB] = 0x43, [FORM_WINDOW_R8] = 0x41,
                                    [FORM_WINDOW_AT] = 0x40 };

    return base[b->form] | (uint8_t)(reg >> 3 << 2);
}

static void move_r8(struct builder *b, uint8_t op, unsigned reg)
{
    if (b->form != FORM_TLB)
        EMIT(b, 0x65, 0x67);
    EMIT(b, rex(b, reg), op);
    operand_r8(b, reg);
}

/* The same with an 8-bit (op - 1) or 16-bit operand. */
static void move_r8_sized(struct builder *b, uint8_t op, unsigned reg, unsigned size)
{
    if (b->form != FORM_TLB)
        EMIT(b, 0x65, 0x67);
    if (size == 2)
        emit8(b, 0x66);
    EMIT(b, rex(b, reg), size == 1 ? op - 1 : op);
    operand_r8(b, reg);
}

void access_load_sized_at(struct builder *b, unsigned reg, unsigned size)
{
    move_r8_sized(b, 0x8b, reg, size);
}

void access_store_sized_at(struct builder *b, unsigned reg, unsigned size)
{
    move_r8_sized(b, 0x89, reg, size);
}

void access_compare_at(struct builder *b, unsigned reg, unsigned size)
{
    move_r8_sized(b, 0x3b, reg, size);
}

void access_load_at(struct builder *b, unsigned reg)
{
    move_r8(b, 0x8b, reg);
}

void access_store_at(struct builder *b, unsigned reg)
{
    move_r8(b, 0x89, reg);
}

void access_store_imm_at(struct builder *b, uint32_t imm, unsigned size)
{
    move_r8_sized(b, 0xc7, 0, size);
    if (size == 2)
        EMIT(b, (uint8_t)imm, (uint8_t)(imm >> 8));
    else
        emit32(b, imm);
}

static void move_beside(struct builder *b, uint8_t op, unsigned reg, unsigned size, unsigned disp)
{
    int32_t before = b->disp;

    if (b->form == FORM_WINDOW_AT) {
        b->disp = before + (int32_t)disp;
        move_r8_sized(b, op, reg, size);
        b->disp = before;
        return;
    }
    if (size == 2)
        emit8(b, 0x66);
    EMIT(b, rex(b, reg), op, 0x44 | (reg & 7) << 3, 0x02, (uint8_t)disp); /* [r10 + r8 + disp] */
}

void access_load_beside(struct builder *b, unsigned reg, unsigned size, unsigned disp)
{
    move_beside(b, 0x8b, reg, size, disp);
}

void access_load16_beside(struct builder *b, unsigned reg, unsigned disp)
{
    EMIT(b, rex(b, reg), 0x0f, 0xb7, 0x44 | (reg & 7) << 3, 0x02, (uint8_t)disp);
}

void access_store_beside(struct builder *b, unsigned reg, unsigned size, unsigned disp)
{
    move_beside(b, 0x89, reg, size, disp);
}

/* A0-A3 have no ModRM byte: use 8A, 8B, 88, 89. */
static uint8_t opcode_with_modrm(const struct insn *in)
{
    static const uint8_t moffs[4] = { 0x8a, 0x8b, 0x88, 0x89 };

    if (in->has_modrm)
        return in->opcode;
    return moffs[in->opcode & 3];
}

static void emit_prefixes(struct builder *b, const struct insn *in)
{
    if (b->form != FORM_TLB)
        EMIT(b, 0x65, 0x67);
    if (in->prefixes & PREFIX_LOCK)
        emit8(b, 0xf0);
    if (emit_wants_66(b, in))
        emit8(b, 0x66);
    if (in->prefixes & PREFIX_REPNE)
        emit8(b, 0xf2);
    if (in->prefixes & PREFIX_REP)
        emit8(b, 0xf3);
    if (b->form == FORM_TLB)
        emit8(b, 0x43); /* REX.XB: index r8, base r10 */
    else if (b->form == FORM_WINDOW_R8)
        emit8(b, 0x41);
}

/* With a displacement of 4 bytes: one byte would count in operands (SDM 2, 2.7.5). */
static void modrm_mem32(struct builder *b, unsigned reg, const struct insn *in)
{
    bool sib = in->index != REG_NONE || in->base == RSP;

    EMIT(b, 0x80 | (reg & 7) << 3 | (sib ? 4 : in->base));
    if (sib)
        emit8(b, (uint8_t)(in->scale << 6 | (in->index == REG_NONE ? 4 : in->index) << 3 |
                           in->base));
    emit32(b, (uint32_t)in->disp);
}

void access_emit_operand(struct builder *b, const struct insn *in, unsigned reg)
{
    int32_t disp = (int32_t)in->disp;

    if (b->form != FORM_WINDOW)
        operand_r8(b, reg);
    else if (in->prefixes & PREFIX_EVEX && disp == (int8_t)disp && in->base != REG_NONE)
        modrm_mem32(b, reg, in);
    else
        emit_modrm_mem(b, reg, in->base, in->index, in->scale, disp);
}

void access_emit_insn(struct builder *b, const struct insn *in, unsigned reg)
{
    emit_prefixes(b, in);
    if (in->map)
        emit8(b, 0x0f);
    if (in->map >= 2)
        emit8(b, in->map == 2 ? 0x38 : 0x3a);
    emit8(b, in->opcode == 0x82 && !in->map ? 0x80 : opcode_with_modrm(in));
    access_emit_operand(b, in, reg);
    emit(b, in->bytes + in->imm_at, in->has_modrm ? in->imm_len : 0);
}

void access_load(struct builder *b, const struct insn *in, unsigned reg)
{
    if (b->form != FORM_WINDOW) {
        access_load_at(b, reg);
        return;
    }
    EMIT(b, 0x65, 0x67, 0x40 | (reg >> 3) << 2, 0x8b);
    emit_modrm_mem(b, reg & 7, in->base, in->index, in->scale, (int32_t)in->disp);
}

void access_load16(struct builder *b, const struct insn *in, unsigned reg)
{
    if (b->form == FORM_WINDOW) {
        EMIT(b, 0x65, 0x67, 0x40 | (reg >> 3) << 2, 0x0f, 0xb7);
        emit_modrm_mem(b, reg & 7, in->base, in->index, in->scale, (int32_t)in->disp);
        return;
    }
    if (b->form != FORM_TLB)
        EMIT(b, 0x65, 0x67);
    EMIT(b, rex(b, reg), 0x0f, 0xb7);
    operand_r8(b, reg);
}
