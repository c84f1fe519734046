/* Operands of x87, SSE and AVX instructions: between the guest and a thunk's frame. */
#include "cpu/fault.h"
#include "cpu/fpu_thunk.h"
#include "cpu/mem.h"

/* --- Addresses -------------------------------------------------------------------- */

bool fpu_misaligned(struct vcpu *vcpu, const struct insn *in, uint64_t offset, unsigned size,
                    bool write)
{
    uint64_t gla;

    if (!((vcpu->seg[in->seg].base + offset) & (size - 1)))
        return false;
    /* Limit and type come first, as #SS for the stack segment; #AC never does. */
    if (mem_segment(vcpu, in->seg, offset, size, write, &gla) && vcpu->fault.vector != VEC_AC)
        return true;
    return fault_gp(vcpu, 0) == STEP_FAULT;
}

/* --- Memory -------------------------------------------------------------------------- */

static bool is_word(unsigned size)
{
    return size <= 8 && !(size & (size - 1));
}

bool fpu_read(struct vcpu *vcpu, unsigned seg, uint64_t offset, unsigned size)
{
    uint8_t *operand = vcpu->fpu_unit->operand;
    uint64_t value;

    if (!is_word(size))
        return mem_read_bytes(vcpu, seg, offset, operand, size);
    if (mem_read(vcpu, seg, offset, size, &value))
        return true;
    __builtin_memcpy(operand, &value, 8);
    return false;
}

bool fpu_write(struct vcpu *vcpu, unsigned seg, uint64_t offset, unsigned size)
{
    const uint8_t *operand = vcpu->fpu_unit->operand;
    uint64_t value;

    if (!is_word(size))
        return mem_write_bytes(vcpu, seg, offset, operand, size);
    __builtin_memcpy(&value, operand, 8);
    return mem_write(vcpu, seg, offset, size, value);
}

bool fpu_prepare(struct vcpu *vcpu, const struct insn *in, uint64_t offset, unsigned size)
{
    if (!in->has_mem)
        return false;
    if (in->info->attr & A_WRITES_MEM)
        return mem_probe(vcpu, in->seg, offset, size, true);
    return fpu_read(vcpu, in->seg, offset, size);
}

/* --- General registers and flags -------------------------------------------------------- */

void fpu_find_gpr(const struct insn *in, struct fpu_gpr *gpr)
{
    *gpr = (struct fpu_gpr){ .reg = REG_NONE };
    for (unsigned i = 0; i < 4; i++) {
        switch (in->info->operand[i]) {
        case OPND_Gy: case OPND_Gd:
            *gpr = (struct fpu_gpr){ in->reg, false, i == 0 };
            return;
        case OPND_Ey: case OPND_Ed: case OPND_RdMb: case OPND_RdMw:
            if (!in->has_mem)
                *gpr = (struct fpu_gpr){ in->rm, true, i == 0 };
            return;
        default:
            break;
        }
    }
}

void fpu_take_gpr(const struct vcpu *vcpu, const struct fpu_gpr *gpr, struct fpu_frame *frame)
{
    if (gpr->reg != REG_NONE)
        frame->rax = vcpu->gpr[gpr->reg];
}

void fpu_put_gpr(struct vcpu *vcpu, const struct insn *in, const struct fpu_gpr *gpr,
                 const struct fpu_frame *frame)
{
    if (gpr->reg != REG_NONE && gpr->written)
        vcpu->gpr[gpr->reg] = in->mode == MODE_64 ? frame->rax : (uint32_t)frame->rax;
    if (in->info->flags_written)
        vcpu->eflags = (vcpu->eflags & ~EFLAGS_ARITH) | (frame->flags & EFLAGS_ARITH);
}
