/*
 * Segment registers and descriptors as instructions see them: MOV, PUSH, POP, LDS..., ARPL, LAR,
 * LSL, VERR, VERW, and the software interrupts. Reference: SDM volume 2; volume 3, 5.10.
 */
#include "cpu/cpuid.h"
#include "cpu/fault.h"
#include "cpu/mem.h"
#include "cpu/rm.h"
#include "cpu/segment.h"

static bool has_descriptors(const struct vcpu *vcpu)
{
    return vcpu_protected(vcpu) && !vcpu_v86(vcpu);
}

/* --- Moves ---------------------------------------------------------------- */

/* Interrupts, traps and breakpoints wait for the instruction after MOV SS and POP SS; LSS needs no
 * such help (SDM 3, 6.8.3). */
static void shadow_stack_load(struct vcpu *vcpu, unsigned seg)
{
    if (seg == SEG_SS)
        vcpu->intr_shadow = vcpu->debug_shadow = true;
}

enum step interp_mov_to_seg(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t selector;

    if (rm_read(vcpu, in, 2, &selector))
        return STEP_FAULT;
    if (segment_load(vcpu, in->reg, (uint16_t)selector))
        return STEP_FAULT;
    shadow_stack_load(vcpu, in->reg);
    return STEP_NEXT;
}

enum step interp_mov_from_seg(struct vcpu *vcpu, const struct insn *in)
{
    uint16_t selector = vcpu->seg[in->reg].selector;

    return rm_write(vcpu, in, in->has_mem ? 2 : in->opsize, selector) ? STEP_FAULT
                                                                             : STEP_NEXT;
}

/* Which segment register an opcode of PUSH or POP names. */
static unsigned opcode_segment(const struct insn *in)
{
    return in->map ? SEG_FS + (in->opcode >> 3 & 1) : in->opcode >> 3 & 3;
}

enum step interp_push_seg(struct vcpu *vcpu, const struct insn *in)
{
    uint16_t selector = vcpu->seg[opcode_segment(in)].selector;
    uint64_t sp = vcpu->gpr[RSP] - in->opsize, mask = stack_mask(&vcpu->seg[SEG_SS]);
    unsigned size = stack_selector_size(vcpu, in->opsize);

    if (mem_write(vcpu, SEG_SS, sp & mask, size, selector))
        return STEP_FAULT;
    stack_set_pointer(vcpu, &vcpu->seg[SEG_SS], sp);
    return STEP_NEXT;
}

enum step interp_pop_seg(struct vcpu *vcpu, const struct insn *in)
{
    unsigned seg = opcode_segment(in), size = stack_selector_size(vcpu, in->opsize);
    struct segment ss = vcpu->seg[SEG_SS];
    uint64_t selector;

    if (stack_peek(vcpu, 0, size, &selector) ||
        segment_load(vcpu, seg, (uint16_t)selector))
        return STEP_FAULT;
    stack_set_pointer(vcpu, &ss, vcpu->gpr[RSP] + in->opsize);
    shadow_stack_load(vcpu, seg);
    return STEP_NEXT;
}

static enum step load_pointer(struct vcpu *vcpu, const struct insn *in, unsigned seg)
{
    uint64_t offset, selector;

    if (rm_read_at(vcpu, in, 0, in->opsize, &offset) ||
        rm_read_at(vcpu, in, in->opsize, 2, &selector) ||
        segment_load(vcpu, seg, (uint16_t)selector))
        return STEP_FAULT;
    operand_set_register(vcpu, in->reg, in->opsize, offset);
    return STEP_NEXT;
}

enum step interp_les(struct vcpu *vcpu, const struct insn *in)
{
    return load_pointer(vcpu, in, SEG_ES);
}

enum step interp_lds(struct vcpu *vcpu, const struct insn *in)
{
    return load_pointer(vcpu, in, SEG_DS);
}

enum step interp_lss(struct vcpu *vcpu, const struct insn *in)
{
    return load_pointer(vcpu, in, SEG_SS);
}

enum step interp_lfs(struct vcpu *vcpu, const struct insn *in)
{
    return load_pointer(vcpu, in, SEG_FS);
}

enum step interp_lgs(struct vcpu *vcpu, const struct insn *in)
{
    return load_pointer(vcpu, in, SEG_GS);
}

/* --- Questions about descriptors ------------------------------------------ */

static void set_zf(struct vcpu *vcpu, bool zf)
{
    vcpu->eflags = (vcpu->eflags & ~EFLAGS_ZF) | (zf ? EFLAGS_ZF : 0);
}

enum step interp_arpl(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t to, from = vcpu->gpr[in->reg] & SELECTOR_RPL;
    bool lower;

    if (!has_descriptors(vcpu))
        return fault_ud(vcpu);
    if (rm_read(vcpu, in, 2, &to)) /* CPUs write, and look whether they may, only when they must */
        return STEP_FAULT;
    lower = (to & SELECTOR_RPL) < from;
    if (lower && rm_write(vcpu, in, 2, (to & ~(uint64_t)SELECTOR_RPL) | from))
        return STEP_FAULT;
    set_zf(vcpu, lower);
    return STEP_NEXT;
}

enum found { FOUND, NOT_FOUND, FOUND_FAULT };

/* The descriptor of a selector that need not be valid: only a page fault counts. */
static enum found look_up(struct vcpu *vcpu, uint16_t selector, uint64_t *d)
{
    uint64_t gla;

    if (selector_null(selector))
        return NOT_FOUND;
    if (!segment_descriptor(vcpu, selector, VEC_GP, 0, d, &gla))
        return FOUND;
    return vcpu->fault.vector == VEC_GP ? NOT_FOUND : FOUND_FAULT;
}

/* Visible at CPL with the selector's RPL? */
static bool privileged_enough(const struct vcpu *vcpu, uint16_t selector, uint64_t d)
{
    if (descriptor_is_code(d) && descriptor_is_conforming(d))
        return true;
    return descriptor_dpl(d) >= vcpu->cpl && descriptor_dpl(d) >= (selector & SELECTOR_RPL);
}

/* System descriptor types that LAR and LSL answer for, as bit masks by type. */
#define TYPES_LSL                                                                                  \
    (1u << DESC_TSS16 | 1u << DESC_LDT | 1u << DESC_TSS16_BUSY | 1u << DESC_TSS32 |                \
     1u << DESC_TSS32_BUSY)
#define TYPES_LAR (TYPES_LSL | 1u << DESC_CALL16 | 1u << DESC_TASK_GATE | 1u << DESC_CALL32)

/* LAR and LSL: the descriptor of the r/m operand, when it is one of these types and visible. */
static enum found query(struct vcpu *vcpu, const struct insn *in, unsigned types, uint64_t *d)
{
    uint64_t selector;
    enum found found;

    if (!has_descriptors(vcpu)) {
        fault_ud(vcpu);
        return FOUND_FAULT;
    }
    if (rm_read(vcpu, in, 2, &selector))
        return FOUND_FAULT;
    found = look_up(vcpu, (uint16_t)selector, d);
    if (found != FOUND)
        return found;
    if (!(descriptor_attr(*d) & SEG_S) && !(types >> descriptor_system_type(*d) & 1))
        return NOT_FOUND;
    return privileged_enough(vcpu, (uint16_t)selector, *d) ? FOUND : NOT_FOUND;
}

enum step interp_lar(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t d;
    enum found found = query(vcpu, in, TYPES_LAR, &d);

    if (found == FOUND_FAULT)
        return STEP_FAULT;
    if (found == FOUND) /* bits 16 to 19 are undefined; the CPUs give the limit's */
        operand_set_register(vcpu, in->reg, in->opsize, d >> 32 & 0x00ffff00);
    set_zf(vcpu, found == FOUND);
    return STEP_NEXT;
}

enum step interp_lsl(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t d;
    enum found found = query(vcpu, in, TYPES_LSL, &d);

    if (found == FOUND_FAULT)
        return STEP_FAULT;
    if (found == FOUND)
        operand_set_register(vcpu, in->reg, in->opsize, descriptor_limit(d));
    set_zf(vcpu, found == FOUND);
    return STEP_NEXT;
}

/* VERR, VERW: only code and data descriptors can be verified. */
static enum step verify(struct vcpu *vcpu, const struct insn *in, bool write)
{
    uint64_t d;
    enum found found = query(vcpu, in, 0, &d);
    uint32_t attr;
    bool ok;

    if (found == FOUND_FAULT)
        return STEP_FAULT;
    if (found == NOT_FOUND) {
        set_zf(vcpu, false);
        return STEP_NEXT;
    }
    attr = descriptor_attr(d);
    if (write)
        ok = (attr & (SEG_CODE | SEG_WRITABLE)) == SEG_WRITABLE;
    else
        ok = (attr & (SEG_CODE | SEG_READABLE)) != SEG_CODE;
    set_zf(vcpu, ok);
    return STEP_NEXT;
}

enum step interp_verr(struct vcpu *vcpu, const struct insn *in)
{
    return verify(vcpu, in, false);
}

enum step interp_verw(struct vcpu *vcpu, const struct insn *in)
{
    return verify(vcpu, in, true);
}

/* --- Software interrupts -------------------------------------------------- */

static uint64_t next_rip(const struct vcpu *vcpu, const struct insn *in)
{
    return (vcpu->rip + in->len) & UINT32_MAX;
}

enum step interp_int(struct vcpu *vcpu, const struct insn *in)
{
    if (vcpu_v86(vcpu) && vcpu_iopl(vcpu) < 3) /* SDM 3, 20.3.3, method without VME */
        return fault_gp(vcpu, 0);
    return fault_software(vcpu, (uint8_t)in->imm, next_rip(vcpu, in));
}

enum step interp_int3(struct vcpu *vcpu, const struct insn *in)
{
    return fault_software(vcpu, VEC_BP, next_rip(vcpu, in));
}

enum step interp_into(struct vcpu *vcpu, const struct insn *in)
{
    if (!(vcpu->eflags & EFLAGS_OF))
        return STEP_NEXT;
    return fault_software(vcpu, VEC_OF, next_rip(vcpu, in));
}

/* A #DB trap that looks at no gate's DPL and leaves DR6 alone. */
enum step interp_int1(struct vcpu *vcpu, const struct insn *in)
{
    vcpu->rip = next_rip(vcpu, in);
    fault_raise(vcpu, VEC_DB);
    vcpu->fault.trap = true;
    return STEP_FAULT;
}

/* Intel's CPUs read the upper bound only after the lower one has been kept, AMD's (Zen 4) before
 * they compare. The manuals do not say. */
enum step interp_bound(struct vcpu *vcpu, const struct insn *in)
{
    unsigned size = in->opsize, shift = 64 - 8 * size;
    uint64_t lower, upper;
    int64_t index = (int64_t)(vcpu->gpr[in->reg] << shift) >> shift;
    bool below;

    if (rm_read_at(vcpu, in, 0, size, &lower))
        return STEP_FAULT;
    below = index < (int64_t)(lower << shift) >> shift;
    if (below && !cpuid_is_amd(vcpu->model))
        return fault_raise(vcpu, VEC_BR);
    if (rm_read_at(vcpu, in, size, size, &upper))
        return STEP_FAULT;
    if (below || index > (int64_t)(upper << shift) >> shift)
        return fault_raise(vcpu, VEC_BR);
    return STEP_NEXT;
}
