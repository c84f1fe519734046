/*
 * Near branches. Reference: SDM volume 2, the instructions' pages; volume 1, 6.4.1.
 * A target outside the CS limit raises #GP(0) before anything has changed.
 * Not yet: 64-bit mode.
 */
#include "cpu/condition.h"
#include "cpu/fault.h"
#include "cpu/operand.h"
#include "cpu/segment.h"

static uint64_t next_rip(const struct vcpu *vcpu, const struct insn *in)
{
    return vcpu->rip + in->len;
}

/* 16-bit operands truncate the target. True when it is outside the segment. */
MUST_CHECK static bool check_target(struct vcpu *vcpu, const struct insn *in, uint64_t *target)
{
    *target &= operand_mask(in->opsize);
    return *target > vcpu->seg[SEG_CS].limit && fault_gp(vcpu, 0) == STEP_FAULT;
}

static inline enum step jump(struct vcpu *vcpu, const struct insn *in, uint64_t target)
{
    if (check_target(vcpu, in, &target))
        return STEP_FAULT;
    vcpu->rip = target;
    return STEP_JUMPED;
}

static inline uint64_t relative_target(const struct vcpu *vcpu, const struct insn *in)
{
    return next_rip(vcpu, in) + in->imm;
}

enum step interp_jmp(struct vcpu *vcpu, const struct insn *in)
{
    return jump(vcpu, in, relative_target(vcpu, in));
}

enum step interp_jmp_ind(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t target;

    if (operand_read(vcpu, in, 0, &target))
        return STEP_FAULT;
    return jump(vcpu, in, target);
}

enum step interp_jcc(struct vcpu *vcpu, const struct insn *in)
{
    if (!condition_holds(vcpu->eflags, in->opcode))
        return STEP_NEXT;
    return jump(vcpu, in, relative_target(vcpu, in));
}

/* --- loops ---------------------------------------------------------------------------------- */

/* Counts down rCX (by the address size) and jumps while it is not 0 and ZF is as wanted. */
static enum step loop_while(struct vcpu *vcpu, const struct insn *in, bool zf_allows)
{
    uint64_t count = operand_register(vcpu, RCX, in->addrsize) - 1;
    enum step step = STEP_NEXT;

    if (zf_allows && count & operand_mask(in->addrsize))
        step = jump(vcpu, in, relative_target(vcpu, in));
    if (step != STEP_FAULT)
        operand_set_register(vcpu, RCX, in->addrsize, count);
    return step;
}

enum step interp_loop(struct vcpu *vcpu, const struct insn *in)
{
    return loop_while(vcpu, in, true);
}

enum step interp_loope(struct vcpu *vcpu, const struct insn *in)
{
    return loop_while(vcpu, in, vcpu->eflags & EFLAGS_ZF);
}

enum step interp_loopne(struct vcpu *vcpu, const struct insn *in)
{
    return loop_while(vcpu, in, !(vcpu->eflags & EFLAGS_ZF));
}

enum step interp_jcxz(struct vcpu *vcpu, const struct insn *in)
{
    if (operand_register(vcpu, RCX, in->addrsize))
        return STEP_NEXT;
    return jump(vcpu, in, relative_target(vcpu, in));
}

/* --- calls and returns ------------------------------------------------------------------------ */

/* CPUs push before they look at the target: a fault of the stack comes first. */
static enum step call(struct vcpu *vcpu, const struct insn *in, uint64_t target)
{
    const struct segment *ss = &vcpu->seg[SEG_SS];
    uint64_t sp = (vcpu->gpr[RSP] - in->opsize) & stack_mask(ss);

    target &= operand_mask(in->opsize);
    if (target > vcpu->seg[SEG_CS].limit) {
        if (!mem_probe(vcpu, SEG_SS, sp, in->opsize, true))
            fault_gp(vcpu, 0);
        return STEP_FAULT;
    }
    if (mem_write(vcpu, SEG_SS, sp, in->opsize, next_rip(vcpu, in)))
        return STEP_FAULT;
    stack_set_pointer(vcpu, ss, sp);
    vcpu->rip = target;
    return STEP_JUMPED;
}

enum step interp_call(struct vcpu *vcpu, const struct insn *in)
{
    return call(vcpu, in, relative_target(vcpu, in));
}

enum step interp_call_ind(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t target;

    if (operand_read(vcpu, in, 0, &target))
        return STEP_FAULT;
    return call(vcpu, in, target);
}

enum step interp_ret(struct vcpu *vcpu, const struct insn *in)
{
    const struct segment *ss = &vcpu->seg[SEG_SS];
    uint64_t mask = stack_mask(ss), sp = vcpu->gpr[RSP] & mask, target;

    if (mem_read(vcpu, SEG_SS, sp, in->opsize, &target) || check_target(vcpu, in, &target))
        return STEP_FAULT;
    stack_set_pointer(vcpu, ss, (sp + in->opsize + in->imm) & mask);
    vcpu->rip = target;
    return STEP_JUMPED;
}
