/*
 * Guest memory from translated code: the forms that an operand has, and the host instructions that
 * use it.
 *
 * The TLB form is [r10 + r8], once the probe (translator/probe.c) has hit. A segment that is not
 * flat (KEY_SEG) always has it.
 *
 * The window form is the guest's own instruction with two prefixes, gs: and 67h: the address is 32
 * bits wide and the window's base is added, so no guest address leaves the window. Where a base
 * must be added first (FS, GS, stack) the address is in r8d.
 */
#include "translator/live.h"
#include "translator/probe.h"

/* Offset in struct vcpu of a segment's base. */
static uint32_t segment_base(unsigned seg)
{
    return (uint32_t)(offsetof(struct vcpu, seg) + seg * sizeof(struct segment) +
                      offsetof(struct segment, base));
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
        return b->key & (KEY_FS | KEY_LIMITED) || !(b->key & KEY_USER);
    if (in->seg == SEG_GS)
        return b->key & (KEY_GS | KEY_LIMITED) || !(b->key & KEY_USER);
    return in->seg != SEG_CS || access == MEM_READ;
}

static void narrow_r8(struct builder *b)
{
    EMIT(b, 0x45, 0x0f, 0xb7, 0xc0);           /* movzx r8d, r8w */
}

/* base + index + displacement of an operand into r8d. */
static void sum(struct builder *b, const struct insn *in)
{
    if (b->live & LIVE_DISPLACEMENT)
        live_offset(b, in);
    else
        emit_lea(b, R8, in->base, in->index, in->scale, (int32_t)in->disp);
}

/* The offset of an operand into r8d. */
static void offset_of(struct builder *b, const struct insn *in)
{
    bool narrow = in->addrsize == 2;

    if (in->base == REG_NONE && in->index == REG_NONE && !(b->live & LIVE_DISPLACEMENT)) {
        emit_mov_r8d_imm(b, (uint32_t)in->disp & (narrow ? 0xffff : UINT32_MAX));
        return;
    }
    sum(b, in);
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

static bool windowed(const struct builder *b)
{
    return b->key & KEY_WINDOW && !b->adapted;
}

bool access_in_window(const struct builder *b, const struct insn *in)
{
    return windowed(b) && probe_flat(b, in->seg) && in->addrsize == 4;
}

/* The CPU stores an FSTP of 80 bits in two parts, and leaves the first where the second faults:
 * only a probe of both pages keeps U3. */
static bool stored_in_parts(enum mem_access access, unsigned size)
{
    return access != MEM_READ && size == 10;
}

/* At the offset in r8d. */
static void reach_r8(struct builder *b, const struct reach *to)
{
    bool flat = probe_flat(b, to->seg);

    if (probe_segmented(b, to->seg) || (to->parts && to->narrow)) {
        b->form = FORM_TLB;
        probe_segment(b, to);
        return;
    }
    if (!flat)
        add_whole_base(b, to->seg);
    b->form = windowed(b) && !stored_in_parts(to->access, to->size) && (flat || b->key & KEY_USER)
                  ? FORM_WINDOW_R8 : FORM_TLB;
    if (b->form == FORM_TLB)
        probe_page(b, to);
}

void access_operand(struct builder *b, const struct insn *in, enum mem_access access, unsigned size)
{
    struct reach to = { in->seg, size, access, here(b),
                        in->info->attr & (A_X87 | A_MMX | A_SSE | A_AVX), in->addrsize == 2,
                        b->parts };

    b->parts = false;
    if (access_in_window(b, in) && !stored_in_parts(access, size)) {
        b->form = FORM_WINDOW;
        return;
    }
    offset_of(b, in);
    reach_r8(b, &to);
}

bool access_at_direct(const struct builder *b)
{
    return windowed(b) && probe_flat(b, SEG_SS) && !stack_narrow(b);
}

/* At seg:[base + disp]. */
static void reach_at(struct builder *b, unsigned base, int32_t disp, const struct reach *to)
{
    b->base = (uint8_t)base;
    b->disp = disp;
    if (windowed(b) && probe_flat(b, to->seg) && !to->narrow) {
        b->form = FORM_WINDOW_AT;
        return;
    }
    emit_lea(b, R8, base, REG_NONE, 0, disp);
    if (to->narrow)
        narrow_r8(b);
    b->form = FORM_TLB;
    if (probe_segmented(b, to->seg) || (to->parts && to->narrow))
        probe_segment(b, to);
    else
        probe_page(b, to);
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
    bool narrow = in->addrsize == 2;

    if (narrow)
        narrow_r8(b);
    reach_r8(b, &(struct reach){ in->seg, size, access, retry, false, narrow, false });
}

void access_linear(struct builder *b, enum mem_access access, unsigned size, uint32_t retry)
{
    b->form = FORM_TLB;
    probe_page(b, &(struct reach){ .seg = SEG_NONE, .size = size, .access = access,
                                   .retry = retry });
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

void access_operate_at(struct builder *b, uint8_t op, unsigned reg, unsigned size)
{
    move_r8_sized(b, op, reg, size);
}

void access_operate_0f_at(struct builder *b, uint8_t op, unsigned reg, unsigned size, bool lock)
{
    if (b->form != FORM_TLB)
        EMIT(b, 0x65, 0x67);
    if (lock)
        emit8(b, 0xf0);
    if (size == 2)
        emit8(b, 0x66);
    EMIT(b, rex(b, reg), 0x0f, op);
    operand_r8(b, reg);
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

static void prefixes(struct builder *b, const struct insn *in)
{
    if (b->form != FORM_TLB)
        EMIT(b, 0x65, 0x67);
    if (in->prefixes & PREFIX_LOCK)
        emit8(b, 0xf0);
    emit_prefixes(b, in);
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
    prefixes(b, in);
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
