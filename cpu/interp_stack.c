/*
 * PUSH, POP, PUSHA, POPA, ENTER, LEAVE. Reference: SDM volume 2, the instructions' pages; volume 1,
 * 6.2 (SS.B is the stack pointer's size, the operand size that of the values).
 *
 * Nothing is written and no register changes before every access has been checked. An instruction
 * that makes several accesses probes them in the order in which it makes them.
 * Not yet: 64-bit mode.
 */
#include "cpu/cpuid.h"
#include "cpu/fault.h"
#include "cpu/operand.h"
#include "cpu/segment.h"

static uint64_t sp_mask(const struct vcpu *vcpu)
{
    return stack_mask(&vcpu->seg[SEG_SS]);
}

static void set_sp(struct vcpu *vcpu, uint64_t sp)
{
    stack_set_pointer(vcpu, &vcpu->seg[SEG_SS], sp);
}

enum step interp_push(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t sp = (vcpu->gpr[RSP] - in->opsize) & sp_mask(vcpu), value;

    if (operand_read(vcpu, in, 0, &value) || mem_write(vcpu, SEG_SS, sp, in->opsize, value))
        return STEP_FAULT;
    set_sp(vcpu, sp);
    return STEP_NEXT;
}

/* The destination's address is computed with the stack pointer already moved. */
enum step interp_pop(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t rsp = vcpu->gpr[RSP], mask = sp_mask(vcpu), value;

    if (mem_read(vcpu, SEG_SS, rsp & mask, in->opsize, &value))
        return STEP_FAULT;
    set_sp(vcpu, (rsp + in->opsize) & mask);
    if (operand_write(vcpu, in, 0, value)) {
        vcpu->gpr[RSP] = rsp;
        return STEP_FAULT;
    }
    return STEP_NEXT;
}

/* --- all registers ------------------------------------------------------------------------ */

/* Probes eight values, the first at offset, each next step bytes on. */
MUST_CHECK static bool probe_eight(struct vcpu *vcpu, uint64_t offset, int step, unsigned size,
                                   bool write)
{
    for (int i = 0; i < 8; i++)
        if (mem_probe(vcpu, SEG_SS, (offset + (uint64_t)(step * i)) & sp_mask(vcpu), size, write))
            return true;
    return false;
}

enum step interp_pusha(struct vcpu *vcpu, const struct insn *in)
{
    unsigned size = in->opsize;
    uint64_t sp = vcpu->gpr[RSP], mask = sp_mask(vcpu);

    if (probe_eight(vcpu, sp - size, -(int)size, size, true))
        return STEP_FAULT;
    for (unsigned reg = RAX; reg <= RDI; reg++) {
        sp = (sp - size) & mask;
        if (mem_write(vcpu, SEG_SS, sp, size, vcpu->gpr[reg] & operand_mask(size)))
            return STEP_FAULT;
    }
    set_sp(vcpu, sp);
    return STEP_NEXT;
}

enum step interp_popa(struct vcpu *vcpu, const struct insn *in)
{
    unsigned size = in->opsize;
    uint64_t sp = vcpu->gpr[RSP], mask = sp_mask(vcpu), value[8];

    for (unsigned i = 0; i < 8; i++)
        if (mem_read(vcpu, SEG_SS, (sp + i * size) & mask, size, &value[7 - i]))
            return STEP_FAULT;
    for (unsigned reg = RAX; reg <= RDI; reg++)
        if (reg != RSP)
            operand_set_register(vcpu, reg, size, value[reg]);
    set_sp(vcpu, (sp + 8 * size) & mask);
    return STEP_NEXT;
}

/* --- procedure frames ------------------------------------------------------------------------ */

/* What ENTER works on. */
struct frame {
    unsigned size;  /* operand size */
    unsigned level; /* nesting level, 0 to 31 */
    uint64_t mask;
    uint64_t sp, bp; /* before */
    bool amd;
};

/* Offset of the value pushed as number i (0: the old frame pointer). */
static uint64_t frame_slot(const struct frame *f, unsigned i)
{
    return (f->sp - (i + 1) * f->size) & f->mask;
}

/* The new frame pointer: a 32-bit one comes from all of ESP even on a 16-bit stack. AMD's CPUs have
 * it after a push, whose SP goes round there (APM 3, ENTER); Intel's subtract from all of ESP. */
static uint64_t frame_pointer(const struct frame *f)
{
    uint64_t pushed = (f->sp & ~f->mask) | frame_slot(f, 0);

    return (f->amd ? pushed : f->sp - f->size) & operand_mask(f->size);
}

/* Offset of outer frame pointer number i (1 to level - 1). */
static uint64_t frame_outer(const struct frame *f, unsigned i)
{
    return (f->bp - i * f->size) & f->mask;
}

MUST_CHECK static bool frame_probe(struct vcpu *vcpu, const struct frame *f, uint64_t new_sp)
{
    if (mem_probe(vcpu, SEG_SS, frame_slot(f, 0), f->size, true))
        return true;
    for (unsigned i = 1; i < f->level; i++)
        if (mem_probe(vcpu, SEG_SS, frame_outer(f, i), f->size, false) ||
            mem_probe(vcpu, SEG_SS, frame_slot(f, i), f->size, true))
            return true;
    if (f->level && mem_probe(vcpu, SEG_SS, frame_slot(f, f->level), f->size, true))
        return true;
    return mem_probe(vcpu, SEG_SS, new_sp, f->size, true);
}

MUST_CHECK static bool frame_push(struct vcpu *vcpu, const struct frame *f)
{
    uint64_t value;

    if (mem_write(vcpu, SEG_SS, frame_slot(f, 0), f->size, f->bp & operand_mask(f->size)))
        return true;
    for (unsigned i = 1; i < f->level; i++)
        if (mem_read(vcpu, SEG_SS, frame_outer(f, i), f->size, &value) ||
            mem_write(vcpu, SEG_SS, frame_slot(f, i), f->size, value))
            return true;
    return f->level &&
           mem_write(vcpu, SEG_SS, frame_slot(f, f->level), f->size, frame_pointer(f));
}

enum step interp_enter(struct vcpu *vcpu, const struct insn *in)
{
    struct frame f = {
        .size = in->opsize,
        .level = in->imm2 & 31,
        .mask = sp_mask(vcpu),
        .sp = vcpu->gpr[RSP],
        .bp = vcpu->gpr[RBP],
        .amd = cpuid_is_amd(vcpu->model),
    };
    unsigned values = f.level ? f.level + 1 : 1;
    uint64_t new_sp = (f.sp - values * f.size - in->imm) & f.mask;

    if (frame_probe(vcpu, &f, new_sp) || frame_push(vcpu, &f))
        return STEP_FAULT;
    operand_set_register(vcpu, RBP, f.size, frame_pointer(&f));
    set_sp(vcpu, new_sp);
    return STEP_NEXT;
}

enum step interp_leave(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t mask = sp_mask(vcpu), bp = vcpu->gpr[RBP] & mask, value;

    if (mem_read(vcpu, SEG_SS, bp, in->opsize, &value))
        return STEP_FAULT;
    set_sp(vcpu, (bp + in->opsize) & mask);
    operand_set_register(vcpu, RBP, in->opsize, value);
    return STEP_NEXT;
}
