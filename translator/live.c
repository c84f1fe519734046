/*
 * Operands that are read from the guest's code when the instruction runs: its immediate or its
 * displacement has been written again and again (adapt.c), as unrolled loops, jump tables of one
 * entry, kernels' static keys and compilers do. Writes to these bytes change nothing that has been
 * translated: smc.c does not count them as code, and cpu/tlb.h (T6) lets them pass in line.
 *
 *  L1. Nothing of a live operand's value is in the unit, nor in what C keeps of the instruction
 *      (unit_site.in, slow_site.in): C fetches it anew. Its opcode, and so its length, is code as
 *      any.
 *  L2. The operand is read behind the last probe of the instruction that can leave the unit for the
 *      interpreter, or before anything is written; so that it is what the instruction itself finds.
 *
 * What has no form here is fetched and interpreted each time. Reference: SDM 3, 8.1.3.
 */
#include "translator/live.h"

#include "base/physmem.h"

void live_mark(struct builder *b, const struct insn *in)
{
    if (b->live & LIVE_DISPLACEMENT)
        b->soft[b->softs++] = (struct soft){ (uint16_t)(b->at - b->eip + in->disp_at),
                                             in->disp_len };
    if (b->live & LIVE_IMMEDIATE)
        b->soft[b->softs++] = (struct soft){ (uint16_t)(b->at - b->eip + in->imm_at), in->imm_len };
}

/* movsx (mov) reg32, the len operand bytes at offset of the instruction; reg: R8 or R9. */
static void load_signed(struct builder *b, unsigned reg, unsigned offset, unsigned len)
{
    uint64_t gpa = b->gpa + (b->at - b->eip) + offset;
    uint8_t low = reg & 7, modrm = (uint8_t)(low << 3 | low); /* reg, [reg] */

    EMIT(b, 0x49, 0xb8 | low);                         /* mov reg, the bytes' address */
    emit64(b, (uint64_t)(uintptr_t)physmem_ptr(b->t->vcpu->mem, gpa));
    if (len == 4)
        EMIT(b, 0x45, 0x8b, modrm);
    else
        EMIT(b, 0x45, 0x0f, len == 1 ? 0xbe : 0xbf, modrm);
}

void live_offset(struct builder *b, const struct insn *in)
{
    load_signed(b, R8, in->disp_at, in->disp_len);
    if (in->base != REG_NONE)
        EMIT(b, 0x46, 0x8d, 0x44, in->base, 0);        /* lea r8d, [base + r8 + 0] */
    if (in->index != REG_NONE)                         /* lea r8d, [r8 + index << scale] */
        EMIT(b, 0x45, 0x8d, 0x04, in->scale << 6 | in->index << 3);
}

/* --- Immediates ------------------------------------------------------------------------------ */

static void load_immediate(struct builder *b, const struct insn *in)
{
    load_signed(b, R9, in->imm_at, in->imm_len);
}

/* op reg, r9 with the operand size; op: that of more than a byte, reg in r/m. */
static void operate(struct builder *b, uint8_t op, unsigned reg, unsigned size)
{
    bool high = size == 1 && reg >= 4;
    unsigned low = high ? reg - 4 : reg;

    if (high)
        EMIT(b, 0x86, 0xc0 | reg << 3 | low);          /* xchg low, high */
    if (size == 2)
        emit8(b, 0x66);
    EMIT(b, 0x44, size == 1 ? op - 1 : op, 0xc8 | low);
    if (high)
        EMIT(b, 0x86, 0xc0 | reg << 3 | low);
}

static unsigned size_of(const struct insn *in)
{
    unsigned more = !in->has_modrm && in->id == M_MOV ? in->opcode & 8u : in->opcode & 1u;

    return more ? in->opsize : 1;
}

/* op r/m, imm */
static bool combine(struct builder *b, const struct insn *in, uint8_t op)
{
    unsigned size = size_of(in);
    bool writes = in->info->attr & A_WRITES_MEM;

    if (!in->has_mem) {
        load_immediate(b, in);
        operate(b, op, in->has_modrm ? in->rm : op == 0x89 ? in->opcode & 7u : RAX, size);
        return true;
    }
    if (!access_possible(b, in, writes ? MEM_WRITE : MEM_READ))
        return false;
    access_operand(b, in, writes ? MEM_WRITE : MEM_READ, size);
    load_immediate(b, in);
    access_operate_at(b, op, R9, size);
    return true;
}

static bool multiply(struct builder *b, const struct insn *in)
{
    if (in->has_mem && !access_possible(b, in, MEM_READ))
        return false;
    if (in->has_mem) {
        access_operand(b, in, MEM_READ, in->opsize);
        access_load_sized_at(b, R10, in->opsize);
    } else {
        EMIT(b, 0x41, 0x89, 0xc2 | in->rm << 3);       /* mov r10d, reg */
    }
    load_immediate(b, in);
    if (in->opsize == 2)
        emit8(b, 0x66);
    EMIT(b, 0x45, 0x0f, 0xaf, 0xca);                   /* imul r9, r10 */
    operate(b, 0x89, in->reg, in->opsize);
    return true;
}

static bool push(struct builder *b, const struct insn *in)
{
    if (in->opsize != 4 && !(b->key & KEY_SEG))
        return false;
    access_at(b, RSP, (int8_t)-in->opsize, MEM_WRITE, in->opsize);
    load_immediate(b, in);
    access_store_sized_at(b, R9, in->opsize);
    access_set_esp(b);
    return true;
}

/* --- Transfers ------------------------------------------------------------------------------- */

static bool transfers(const struct builder *b, const struct insn *in)
{
    return in->opsize == 4 || b->key & KEY_SEG;
}

/* The target into r8d. */
static void load_target(struct builder *b, const struct insn *in)
{
    load_signed(b, R8, in->imm_at, in->imm_len);
    EMIT(b, 0x45, 0x8d, 0x80), emit32(b, b->at + in->len); /* lea r8d, [r8 + next] */
    if (in->opsize == 2)
        EMIT(b, 0x45, 0x0f, 0xb7, 0xc0);               /* movzx r8d, r8w */
    rule_check_target(b, in);
}

static bool jump(struct builder *b, const struct insn *in)
{
    if (!transfers(b, in))
        return false;
    load_target(b, in);
    exit_indirect(b);
    b->ended = true;
    return true;
}

static bool call(struct builder *b, const struct insn *in)
{
    if (!transfers(b, in))
        return false;
    load_target(b, in);
    rule_call_r8(b, in);
    return true;
}

static bool jump_if(struct builder *b, const struct insn *in)
{
    bool ended = b->ended;
    uint32_t over;

    if (!transfers(b, in))
        return false;
    EMIT(b, 0x0f, 0x80 | ((in->opcode & 15) ^ 1));
    over = here(b);
    emit32(b, 0);
    load_target(b, in);
    exit_indirect(b);
    emit_patch(b, over, here(b));
    b->ended = ended;
    return true;
}

bool live_immediate(struct builder *b, const struct insn *in)
{
    if (in->prefixes & PREFIX_LOCK)
        return false;
    switch (in->id) {
    case M_ADD: case M_OR: case M_ADC: case M_SBB: case M_AND: case M_SUB: case M_XOR: case M_CMP:
        return combine(b, in, (uint8_t)((in->has_modrm ? in->reg << 3 : in->opcode & 0x38) | 1));
    case M_TEST:
        return combine(b, in, 0x85);
    case M_MOV:
        return !(in->has_mem && !in->has_modrm) && combine(b, in, 0x89);
    case M_IMUL:
        return multiply(b, in);
    case M_PUSH:
        return push(b, in);
    case M_JMP:
        return jump(b, in);
    case M_CALL:
        return call(b, in);
    case M_JCC:
        return jump_if(b, in);
    default:
        return false;
    }
}
