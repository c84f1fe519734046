/*
 * Decimal adjustment: DAA, DAS, AAA, AAS, AAM, AAD. Reference: SDM volume 2, the instructions'
 * pages.
 *
 * 64-bit mode lacks them, so that the host cannot compute their undefined flags; those are what the
 * additions and tests leave that the processors make of them (tests/insn compares).
 */
#include "cpu/fault.h"
#include "cpu/host_ops.h"
#include "cpu/operand.h"

static uint8_t al(const struct vcpu *vcpu)
{
    return (uint8_t)vcpu->gpr[RAX];
}

static void set_ax(struct vcpu *vcpu, unsigned ax)
{
    operand_set_register(vcpu, RAX, 2, ax);
}

static void set_al(struct vcpu *vcpu, unsigned value)
{
    operand_set_register(vcpu, RAX, 1, value);
}

static void set_flag(struct vcpu *vcpu, uint32_t flag, bool on)
{
    vcpu->eflags = on ? vcpu->eflags | flag : vcpu->eflags & ~flag;
}

/* AL += or -= adjustment; flags by that operation but AF and CF, and OF, which Intel's clear. */
static void adjust_al(struct vcpu *vcpu, host_binary_fn *op, unsigned adjustment, bool af, bool cf)
{
    uint16_t flags = 0;

    set_al(vcpu, (unsigned)op(1, al(vcpu), adjustment, &flags));
    host_flags_set(vcpu, flags);
    set_flag(vcpu, EFLAGS_AF, af);
    set_flag(vcpu, EFLAGS_CF, cf);
    set_flag(vcpu, EFLAGS_OF, false);
}

/* The 6s that DAA adds and DAS subtracts. */
static void adjust_packed(struct vcpu *vcpu, host_binary_fn *op)
{
    bool af = (al(vcpu) & 0xf) > 9 || vcpu->eflags & EFLAGS_AF;
    bool cf = al(vcpu) > 0x99 || vcpu->eflags & EFLAGS_CF;
    bool borrow = op == host_sub && af && al(vcpu) < 6;

    adjust_al(vcpu, op, (af ? 6 : 0) + (cf ? 0x60 : 0), af, cf || borrow);
}

enum step interp_daa(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    adjust_packed(vcpu, host_add);
    return STEP_NEXT;
}

enum step interp_das(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    adjust_packed(vcpu, host_sub);
    return STEP_NEXT;
}

/* AAA and AAS: AX += or -= 106h where AL's digit is none. */
static enum step adjust_unpacked(struct vcpu *vcpu, host_binary_fn *op)
{
    bool carry = (al(vcpu) & 0xf) > 9 || vcpu->eflags & EFLAGS_AF;
    uint16_t flags = 0;
    uint64_t ax = op(2, vcpu->gpr[RAX] & 0xffff, carry ? 0x106 : 0, &flags);

    set_ax(vcpu, ax & 0xff0f);
    host_and(1, ax & 0xf, 0xf, &flags);
    host_flags_set(vcpu, flags);
    set_flag(vcpu, EFLAGS_AF, carry);
    set_flag(vcpu, EFLAGS_CF, carry);
    return STEP_NEXT;
}

enum step interp_aaa(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    return adjust_unpacked(vcpu, host_add);
}

enum step interp_aas(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    return adjust_unpacked(vcpu, host_sub);
}

enum step interp_aam(struct vcpu *vcpu, const struct insn *in)
{
    unsigned value = al(vcpu), base = in->imm & 0xff;
    uint16_t flags = 0;

    if (!base)
        return fault_raise(vcpu, VEC_DE);
    set_ax(vcpu, (value / base) << 8 | value % base);
    host_and(1, value % base, 0xff, &flags);
    host_flags_set(vcpu, flags);
    return STEP_NEXT;
}

enum step interp_aad(struct vcpu *vcpu, const struct insn *in)
{
    unsigned ah = vcpu->gpr[RAX] >> 8 & 0xff;
    uint16_t flags = 0;

    set_ax(vcpu, (unsigned)host_add(1, al(vcpu), ah * in->imm & 0xff, &flags));
    host_flags_set(vcpu, flags);
    return STEP_NEXT;
}
