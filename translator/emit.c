/* Bytes and single host instructions. Reference: SDM volume 2, chapter 2. */
#include "translator/emit.h"

void emit(struct builder *b, const uint8_t *bytes, unsigned len)
{
    if ((size_t)(b->end - b->out) < len) {
        b->full = true;
        return;
    }
    for (unsigned i = 0; i < len; i++)
        *b->out++ = bytes[i];
}

void emit8(struct builder *b, uint8_t value)
{
    emit(b, &value, 1);
}

void emit32(struct builder *b, uint32_t value)
{
    emit(b, (const uint8_t *)&value, 4);
}

void emit64(struct builder *b, uint64_t value)
{
    emit(b, (const uint8_t *)&value, 8);
}

void emit_patch(struct builder *b, uint32_t field, uint32_t to)
{
    uint32_t rel = to - (field + 4);

    if (!b->full)
        __builtin_memcpy(b->start + field, &rel, 4);
}

uint32_t emit_jump_short(struct builder *b, uint8_t op)
{
    EMIT(b, op, 0);
    return here(b);
}

void emit_land(struct builder *b, uint32_t from)
{
    if (!b->full)
        b->start[from - 1] = (uint8_t)(here(b) - from);
}

void emit_jump_thunk(struct builder *b, enum thunk thunk)
{
    const uint8_t *to = b->t->exec + b->t->thunks + thunk * 8;

    emit8(b, 0xe9);
    emit32(b, (uint32_t)(to - (b->exec + here(b) + 4)));
}

void emit_modrm_mem(struct builder *b, unsigned reg, unsigned base, unsigned index, unsigned scale,
                    int32_t disp)
{
    unsigned mod = disp == 0 && base != RBP ? 0 : disp == (int8_t)disp ? 1 : 2;

    if (base == REG_NONE) { /* without a base: SIB form, since the short one is RIP-relative */
        EMIT(b, reg << 3 | 4, scale << 6 | (index == REG_NONE ? 4 : index) << 3 | 5);
        emit32(b, (uint32_t)disp);
        return;
    }
    if (index == REG_NONE && base != RSP)
        EMIT(b, mod << 6 | reg << 3 | base);
    else
        EMIT(b, mod << 6 | reg << 3 | 4, scale << 6 | (index == REG_NONE ? 4 : index) << 3 | base);
    if (mod == 1)
        emit8(b, (uint8_t)disp);
    else if (mod == 2)
        emit32(b, (uint32_t)disp);
}

/* In 16-bit code the operand size's prefix means the other size; what else 66 says stays. */
static bool wants_66(const struct builder *b, const struct insn *in)
{
    const uint32_t vectors = A_X87 | A_MMX | A_SSE | A_AVX;

    return b->key & KEY_CODE16 && !(in->info->attr & vectors) ? in->opsize == 2
                                                              : in->prefixes & PREFIX_OPSIZE;
}

void emit_prefixes(struct builder *b, const struct insn *in)
{
    if (wants_66(b, in))
        emit8(b, 0x66);
    if (in->prefixes & PREFIX_REPNE)
        emit8(b, 0xf2);
    if (in->prefixes & PREFIX_REP)
        emit8(b, 0xf3);
}

void emit_vcpu(struct builder *b, uint8_t op, unsigned reg, uint32_t offset)
{
    EMIT(b, 0x41 | (reg >> 3) << 2, op, 0x87 | (reg & 7) << 3);
    emit32(b, offset);
}

void emit_mov_r8d_imm(struct builder *b, uint32_t imm)
{
    EMIT(b, 0x41, 0xb8);
    emit32(b, imm);
}

void emit_lea(struct builder *b, unsigned reg, unsigned base, unsigned index, unsigned scale,
              int32_t disp)
{
    if (reg >= 8)
        emit8(b, 0x44);
    emit8(b, 0x8d);
    emit_modrm_mem(b, reg & 7, base, index, scale, disp);
}
