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
 */
#include "translator/emit.h"


/* Offset in struct vcpu of a segment's base. */
static uint32_t segment_base(unsigned seg)
{
    return (uint32_t)(offsetof(struct vcpu, seg) + seg * sizeof(struct segment) +
                      offsetof(struct segment, base));
}

static bool segment_flat(unsigned seg)
{
    return seg == SEG_DS || seg == SEG_ES || seg == SEG_SS || seg == SEG_CS;
}

bool access_possible(const struct builder *b, const struct insn *in, enum mem_access access)
{
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

/* mov rcx, [tag]: of the TLB, or for a kernel's FS and GS of the one that stands for their
 * state. */
static void load_tag(struct builder *b, enum mem_access access, unsigned seg)
{
    if ((b->key & KEY_USER) || segment_flat(seg)) {
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
    if (!(b->key & KEY_USER) && !segment_flat(seg))
        slow->info |= seg << ACCESS_SEG_SHIFT;
    emit32(b, 0);
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* hit: mov rcx, r11 */
    EMIT(b, 0x4f, 0x8b, 0x94, 0xd5);           /* mov r10, [r13 + r10*8 + addend] */
    emit32(b, TLB_ADDEND);
}

static void address(struct builder *b, const struct insn *in)
{
    if (in->base == REG_NONE && in->index == REG_NONE && segment_flat(in->seg)) {
        emit_mov_r8d_imm(b, (uint32_t)in->disp);
        return;
    }
    emit_lea(b, R8, in->base, in->index, in->scale, (int32_t)in->disp);
    if (segment_flat(in->seg))
        return;
    emit_vcpu(b, 0x8b, R9, segment_base(in->seg)); /* mov r9d, [segment base] */
    EMIT(b, 0x47, 0x8d, 0x04, 0x08);           /* lea r8d, [r8 + r9] */
}

static bool windowed(const struct builder *b)
{
    return b->key & KEY_WINDOW && !b->adapted;
}

bool access_in_window(const struct builder *b, const struct insn *in)
{
    return windowed(b) && segment_flat(in->seg);
}

void access_operand(struct builder *b, const struct insn *in, enum mem_access access, unsigned size)
{
    uint32_t retry = here(b);

    if (access_in_window(b, in)) {
        b->form = FORM_WINDOW;
        return;
    }
    address(b, in);
    b->form = windowed(b) && (b->key & KEY_USER) ? FORM_WINDOW_R8 : FORM_TLB;
    if (b->form == FORM_TLB)
        probe(b, access, size, retry, in->info->attr & (A_X87 | A_MMX | A_SSE | A_AVX),
              in->seg);
}

bool access_at_direct(const struct builder *b)
{
    return windowed(b);
}

void access_at(struct builder *b, unsigned base, int8_t disp, enum mem_access access, unsigned size)
{
    uint32_t retry = here(b);

    if (windowed(b)) {
        b->form = FORM_WINDOW_AT;
        b->base = (uint8_t)base;
        b->disp = disp;
        return;
    }
    emit_lea(b, R8, base, REG_NONE, 0, disp);
    b->form = FORM_TLB;
    probe(b, access, size, retry, false, SEG_SS);
}

void access_set_esp(struct builder *b)
{
    if (b->form == FORM_WINDOW_AT)
        emit_lea(b, RSP, b->base, REG_NONE, 0, b->disp);
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

void access_store_imm_at(struct builder *b, uint32_t imm)
{
    move_r8(b, 0xc7, 0);
    emit32(b, imm);
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
    if (in->prefixes & PREFIX_OPSIZE)
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
