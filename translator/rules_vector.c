/*
 * VEX- and EVEX-encoded instructions: the guest's own, with a new prefix when its operand is in
 * r8-r11.
 * Reference: SDM volume 2, 2.3.5, 2.3.12 and 2.7; volume 1, 14.9 (faults of masked elements).
 *
 * In 32-bit code VEX.B, the top bit of vvvv and, where it selects the size of a general register,
 * W are ignored; in 64-bit mode they are not: they are made what they mean.
 *
 * A masked move touches only the elements that its mask selects. In a window the CPU sees to that;
 * the TLB form asks for the whole operand, and the interpreter decides where that cannot be had.
 * Gathers run natively in windows only: one that faults has done a part of its work, has noted so
 * in its mask, and goes on with the rest.
 */
#include "translator/rules.h"

/* VEX bits, inverted: they extend ModRM.reg, the SIB's index, and ModRM.rm or the SIB's base. */
enum { NOT_R = 0x80, NOT_X = 0x40, NOT_B = 0x20, NOT_R2 = 0x10, TOP_V = 0x40, BIT_W = 0x80 };

static bool has_general_operand(const struct insn *in)
{
    const uint8_t *kind = in->info->operand;

    for (unsigned i = 0; i < 3; i++)
        if (kind[i] == OPND_Ey || kind[i] == OPND_Gy || kind[i] == OPND_By)
            return true;
    return false;
}

/* The third byte of a three-byte VEX prefix: W, vvvv, L, pp. */
static uint8_t last_byte(const struct insn *in)
{
    uint8_t byte = in->bytes[in->opcode_at - 1] | TOP_V;

    if (in->bytes[in->opcode_at - 2] == 0xc5 && in->map == 1)
        return byte & ~BIT_W; /* of a two-byte prefix: this was R */
    return has_general_operand(in) ? byte & ~BIT_W : byte;
}

/* EVEX has the inverted bits where VEX has them, and two more of its own: R' and V'. */
static void put_evex(struct builder *b, const struct insn *in, uint8_t extend)
{
    const uint8_t *opcode = in->bytes + in->opcode_at;
    uint8_t middle = opcode[-2] | TOP_V;

    if (has_general_operand(in))
        middle &= ~BIT_W;
    EMIT(b, 0x62, extend | NOT_R2 | in->map, middle, opcode[-1] | EVEX_NOT_V, in->opcode);
}

static void put_vex(struct builder *b, const struct insn *in, uint8_t extend)
{
    if (in->prefixes & PREFIX_EVEX) {
        put_evex(b, in, extend);
        return;
    }
    EMIT(b, 0xc4, extend | in->map, last_byte(in), in->opcode);
}

/* The bits for the form that the operand is in. */
static uint8_t extension(const struct builder *b)
{
    if (b->form == FORM_TLB)
        return NOT_R; /* [r10 + r8] */
    return b->form == FORM_WINDOW_R8 ? NOT_R | NOT_X : NOT_R | NOT_X | NOT_B;
}

/* The top bit of a register in an immediate is ignored in 32-bit code. */
static void put_immediate(struct builder *b, const struct insn *in)
{
    if (in->info->operand[3] == OPND_Lx)
        emit8(b, in->imm & 0x7f);
    else
        emit(b, in->bytes + in->imm_at, in->imm_len);
}

static void put_register_form(struct builder *b, const struct insn *in)
{
    put_vex(b, in, NOT_R | NOT_X | NOT_B);
    if (in->has_modrm)
        emit8(b, in->modrm);
    put_immediate(b, in);
}

static bool is_gather(const struct insn *in)
{
    return in->info->operand[0] == OPND_Mgather || in->info->operand[1] == OPND_Mgather;
}

/* The index is a vector register: ModRM, SIB and displacement stay as they are. */
static bool gather(struct builder *b, const struct insn *in)
{
    if (!access_possible(b, in, MEM_READ) || !access_in_window(b, in))
        return false;
    EMIT(b, 0x65, 0x67);
    put_vex(b, in, NOT_R | NOT_X | NOT_B);
    emit(b, in->bytes + in->modrm_at, 2u + in->disp_len);
    return true;
}

static bool vex_form(struct builder *b, const struct insn *in)
{
    enum mem_access access = in->info->attr & A_WRITES_MEM ? MEM_WRITE : MEM_READ;

    if (!in->has_mem) {
        put_register_form(b, in);
        return true;
    }
    if (!in->memsize || !access_possible(b, in, access))
        return false;
    access_operand(b, in, access, in->memsize);
    if (b->form != FORM_TLB)
        EMIT(b, 0x65, 0x67);
    put_vex(b, in, extension(b));
    access_emit_operand(b, in, in->reg);
    put_immediate(b, in);
    return true;
}

bool rule_vector(struct builder *b, const struct insn *in)
{
    if (!(b->key & KEY_AVX) || in->info->attr & A_IMPLICIT_MEM ||
        (in->info->attr & A_MASK && !(b->key & KEY_AVX512)))
        return false;
    return is_gather(in) ? gather(b, in) : vex_form(b, in);
}

bool rule_bmi(struct builder *b, const struct insn *in)
{
    return b->t->bmi && vex_form(b, in);
}
