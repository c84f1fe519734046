/*
 * Far transfers: JMP, CALL, RET and IRET between segments, privileges and tasks.
 * Reference: SDM volume 2, the instructions' pseudocode, whose order of checks is followed;
 * volume 3, 5.8 (gates and privilege), 20.2 (virtual-8086 mode).
 * Modelled: real, protected and virtual-8086 mode, call gates with parameters, task gates, TSS.
 * Not yet: 64-bit mode, shadow stacks.
 */
#include "cpu/event.h"
#include "cpu/fault.h"
#include "cpu/mem.h"
#include "cpu/rm.h"
#include "cpu/segment.h"
#include "cpu/task.h"

/* A far transfer under way. */
struct transfer {
    uint16_t selector;
    uint64_t offset;
    bool call;
    unsigned size;     /* operand size: 2 or 4 */
    uint64_t next_rip; /* the return address */
};

static bool raise_gp(struct vcpu *vcpu, uint16_t selector)
{
    return segment_raise(vcpu, VEC_GP, selector, 0);
}

static uint64_t next_rip(const struct vcpu *vcpu, const struct insn *in)
{
    return (vcpu->rip + in->len) & UINT32_MAX;
}

static bool mode_has_descriptors(const struct vcpu *vcpu)
{
    return vcpu_protected(vcpu) && !vcpu_v86(vcpu);
}

static void load_cs(struct vcpu *vcpu, uint16_t selector, uint64_t d, unsigned cpl)
{
    vcpu->seg[SEG_CS] = segment_unpack((selector & ~SELECTOR_RPL) | (uint16_t)cpl, d);
    vcpu->cpl = (uint8_t)cpl;
}

/* --- JMP and CALL --------------------------------------------------------- */

static bool push_return(struct vcpu *vcpu, struct stack *st, unsigned size, uint64_t rip)
{
    return stack_push(vcpu, st, size, vcpu->seg[SEG_CS].selector) ||
           stack_push(vcpu, st, size, rip);
}

static bool to_real(struct vcpu *vcpu, const struct transfer *t)
{
    struct stack st;

    stack_current(vcpu, 0, &st);
    if (t->call && stack_check(vcpu, &st, 2, t->size))
        return true;
    if (t->offset > vcpu->seg[SEG_CS].limit)
        return raise_gp(vcpu, 0);
    if (t->call && push_return(vcpu, &st, t->size, t->next_rip))
        return true;
    if (t->call)
        stack_set_pointer(vcpu, &st.ss, st.sp);
    if (vcpu_v86(vcpu))
        segment_load_v86(vcpu, SEG_CS, t->selector);
    else
        segment_load_real(vcpu, SEG_CS, t->selector);
    vcpu->rip = t->offset;
    return false;
}

/* To a code segment without a gate: CPL stays. */
static bool to_code(struct vcpu *vcpu, const struct transfer *t, uint64_t d, uint64_t gla)
{
    unsigned dpl = descriptor_dpl(d);
    struct stack st;

    if (descriptor_is_conforming(d) ? dpl > vcpu->cpl
                                    : (t->selector & SELECTOR_RPL) > vcpu->cpl || dpl != vcpu->cpl)
        return raise_gp(vcpu, t->selector);
    if (!descriptor_present(d))
        return segment_raise(vcpu, VEC_NP, t->selector, 0);
    stack_current(vcpu, 0, &st);
    if (t->call && stack_check(vcpu, &st, 2, t->size))
        return true;
    if (t->offset > descriptor_limit(d))
        return raise_gp(vcpu, 0);
    if (segment_accessed(vcpu, gla, &d))
        return true;
    if (t->call) {
        if (push_return(vcpu, &st, t->size, t->next_rip))
            return true;
        stack_set_pointer(vcpu, &st.ss, st.sp);
    }
    load_cs(vcpu, t->selector, d, vcpu->cpl);
    vcpu->rip = t->offset;
    return false;
}

/* Copies count parameters from the caller's stack, the one pushed first at first. */
static bool copy_parameters(struct vcpu *vcpu, struct stack *st, unsigned count, unsigned size)
{
    uint64_t mask = stack_mask(&vcpu->seg[SEG_SS]), value;

    while (count--) {
        if (mem_read(vcpu, SEG_SS, (vcpu->gpr[RSP] + count * size) & mask, size, &value) ||
            stack_push(vcpu, st, size, value))
            return true;
    }
    return false;
}

/* CALL through a gate to a more privileged segment. */
static bool gate_inner(struct vcpu *vcpu, const struct transfer *t, uint64_t gate,
                       uint16_t selector, uint64_t d)
{
    unsigned dpl = descriptor_dpl(d), count = gate >> 32 & 31;
    struct stack st;

    if (task_inner_stack(vcpu, dpl, 0, &st) || stack_check(vcpu, &st, 4 + count, t->size))
        return true;
    if (t->offset > descriptor_limit(d))
        return raise_gp(vcpu, 0);
    if (stack_push(vcpu, &st, t->size, vcpu->seg[SEG_SS].selector) ||
        stack_push(vcpu, &st, t->size, vcpu->gpr[RSP]) ||
        copy_parameters(vcpu, &st, count, t->size) ||
        push_return(vcpu, &st, t->size, t->next_rip))
        return true;
    vcpu->seg[SEG_SS] = st.ss;
    stack_set_pointer(vcpu, &st.ss, st.sp);
    load_cs(vcpu, selector, d, dpl);
    vcpu->rip = t->offset;
    return false;
}

static bool gate_same(struct vcpu *vcpu, const struct transfer *t, uint16_t selector, uint64_t d)
{
    struct stack st;

    stack_current(vcpu, 0, &st);
    if (t->call && stack_check(vcpu, &st, 2, t->size))
        return true;
    if (t->offset > descriptor_limit(d))
        return raise_gp(vcpu, 0);
    if (t->call) {
        if (push_return(vcpu, &st, t->size, t->next_rip))
            return true;
        stack_set_pointer(vcpu, &st.ss, st.sp);
    }
    load_cs(vcpu, selector, d, vcpu->cpl);
    vcpu->rip = t->offset;
    return false;
}

static bool to_call_gate(struct vcpu *vcpu, struct transfer *t, uint64_t gate)
{
    uint16_t selector = gate >> 16 & 0xffff;
    uint64_t d, gla;
    unsigned dpl;

    if (selector_null(selector))
        return raise_gp(vcpu, 0);
    if (segment_descriptor(vcpu, selector, VEC_GP, 0, &d, &gla))
        return true;
    dpl = descriptor_dpl(d);
    if (!descriptor_is_code(d) || dpl > vcpu->cpl)
        return raise_gp(vcpu, selector);
    if (!t->call && !descriptor_is_conforming(d) && dpl != vcpu->cpl)
        return raise_gp(vcpu, selector);
    if (!descriptor_present(d))
        return segment_raise(vcpu, VEC_NP, selector, 0);
    if (segment_accessed(vcpu, gla, &d))
        return true;
    t->size = gate >> 40 & 8 ? 4 : 2;
    t->offset = (gate & 0xffff) | (t->size == 4 ? gate >> 32 & 0xffff0000 : 0);
    if (t->call && !descriptor_is_conforming(d) && dpl < vcpu->cpl)
        return gate_inner(vcpu, t, gate, selector, d);
    return gate_same(vcpu, t, selector, d);
}

static bool to_task(struct vcpu *vcpu, const struct transfer *t, uint16_t selector)
{
    struct task_switch ts = {
        .reason = t->call ? TASK_CALL : TASK_JMP, .selector = selector, .next_rip = t->next_rip,
        .saved_eflags = vcpu->eflags,
    };

    return task_switch(vcpu, &ts);
}

/* To a gate or a TSS. */
static bool to_system(struct vcpu *vcpu, struct transfer *t, uint64_t d)
{
    unsigned type = descriptor_system_type(d), dpl = descriptor_dpl(d);

    if (type != DESC_CALL16 && type != DESC_CALL32 && type != DESC_TASK_GATE &&
        type != DESC_TSS16 && type != DESC_TSS32)
        return raise_gp(vcpu, t->selector);
    if (dpl < vcpu->cpl || dpl < (t->selector & SELECTOR_RPL))
        return raise_gp(vcpu, t->selector);
    if (type == DESC_TSS16 || type == DESC_TSS32)
        return to_task(vcpu, t, t->selector);
    if (!descriptor_present(d))
        return segment_raise(vcpu, VEC_NP, t->selector, 0);
    if (type == DESC_TASK_GATE)
        return to_task(vcpu, t, d >> 16 & 0xffff);
    return to_call_gate(vcpu, t, d);
}

static enum step transfer(struct vcpu *vcpu, struct transfer *t)
{
    uint64_t d, gla;
    bool faulted;

    if (!mode_has_descriptors(vcpu)) {
        faulted = to_real(vcpu, t);
    } else if (selector_null(t->selector)) {
        faulted = raise_gp(vcpu, 0);
    } else if (segment_descriptor(vcpu, t->selector, VEC_GP, 0, &d, &gla)) {
        faulted = true;
    } else if (descriptor_is_code(d)) {
        faulted = to_code(vcpu, t, d, gla);
    } else {
        faulted = to_system(vcpu, t, d);
    }
    return faulted ? STEP_FAULT : STEP_JUMPED;
}

/* The pointer: immediate or in memory. */
static enum step far_branch(struct vcpu *vcpu, const struct insn *in, bool call)
{
    struct transfer t = { .call = call, .size = in->opsize, .next_rip = next_rip(vcpu, in) };
    uint64_t offset = in->imm, selector = in->imm2;

    if (in->has_mem && (rm_read_at(vcpu, in, 0, in->opsize, &offset) ||
                        rm_read_at(vcpu, in, in->opsize, 2, &selector)))
        return STEP_FAULT;
    t.selector = (uint16_t)selector;
    if (mode_has_descriptors(vcpu))
        t.selector = segment_meant(vcpu, SEG_CS, t.selector);
    t.offset = in->opsize == 2 ? offset & 0xffff : offset & UINT32_MAX;
    return transfer(vcpu, &t);
}

enum step interp_jmp_far(struct vcpu *vcpu, const struct insn *in)
{
    return far_branch(vcpu, in, false);
}

enum step interp_call_far(struct vcpu *vcpu, const struct insn *in)
{
    return far_branch(vcpu, in, true);
}

/* --- RET and IRET --------------------------------------------------------- */

static bool peek_selector(struct vcpu *vcpu, uint64_t skip, unsigned size, uint16_t *selector)
{
    uint64_t value;

    if (stack_peek(vcpu, skip, size, &value))
        return true;
    *selector = (uint16_t)value;
    return false;
}

/* The code segment of a return, SDM 2, RET and IRET. */
static bool return_code(struct vcpu *vcpu, uint16_t selector, uint64_t *d, uint64_t *gla)
{
    unsigned rpl = selector & SELECTOR_RPL, dpl;

    if (selector_null(selector))
        return raise_gp(vcpu, 0);
    if (segment_descriptor(vcpu, selector, VEC_GP, 0, d, gla))
        return true;
    dpl = descriptor_dpl(*d);
    if (!descriptor_is_code(*d) || rpl < vcpu->cpl)
        return raise_gp(vcpu, selector);
    if (descriptor_is_conforming(*d) ? dpl > rpl : dpl != rpl)
        return raise_gp(vcpu, selector);
    if (!descriptor_present(*d))
        return segment_raise(vcpu, VEC_NP, selector, 0);
    return false;
}

/* The stack segment of a return to an outer privilege. */
static bool return_stack(struct vcpu *vcpu, uint16_t selector, unsigned rpl, struct segment *ss)
{
    uint64_t d, gla;

    selector = segment_meant(vcpu, SEG_SS, selector);
    if (selector_null(selector))
        return raise_gp(vcpu, 0);
    if (segment_descriptor(vcpu, selector, VEC_GP, 0, &d, &gla))
        return true;
    if ((selector & SELECTOR_RPL) != rpl || !descriptor_is_stack(d) || descriptor_dpl(d) != rpl)
        return raise_gp(vcpu, selector);
    if (!descriptor_present(d))
        return segment_raise(vcpu, VEC_SS, selector, 0);
    if (segment_accessed(vcpu, gla, &d))
        return true;
    *ss = segment_unpack(selector, d);
    return false;
}

/* A return's frame: RET's has no flags. release: bytes of parameters that RET n drops. */
struct frame {
    unsigned size;
    uint64_t rip;
    uint16_t cs;
    unsigned popped;  /* bytes up to and with CS (RET) or EFLAGS (IRET) */
    unsigned release;
};

/* The half that RET and IRET share: loads CS:rip, and SS:rSP when the privilege changes. */
static bool return_to(struct vcpu *vcpu, const struct frame *f)
{
    uint16_t selector, cs = segment_meant(vcpu, SEG_CS, f->cs);
    unsigned rpl = cs & SELECTOR_RPL;
    struct segment ss = vcpu->seg[SEG_SS];
    uint64_t d, gla, sp;

    if (return_code(vcpu, cs, &d, &gla))
        return true;
    if (rpl > vcpu->cpl) {
        uint64_t at = f->popped + f->release;

        if (stack_peek(vcpu, at, f->size, &sp) ||
            peek_selector(vcpu, at + f->size, f->size, &selector) ||
            return_stack(vcpu, selector, rpl, &ss))
            return true;
    } else {
        sp = vcpu->gpr[RSP] + f->popped;
    }
    if (f->rip > descriptor_limit(d))
        return raise_gp(vcpu, 0);
    if (segment_accessed(vcpu, gla, &d))
        return true;
    vcpu->seg[SEG_SS] = ss;
    stack_set_pointer(vcpu, &ss, sp + f->release);
    vcpu->seg[SEG_CS] = segment_unpack(cs, d);
    vcpu->rip = f->rip;
    if (rpl > vcpu->cpl) {
        vcpu->cpl = (uint8_t)rpl;
        segment_drop_inner(vcpu);
    }
    return false;
}

/* Real and virtual-8086 mode. */
static bool return_real(struct vcpu *vcpu, const struct frame *f)
{
    if (f->rip > vcpu->seg[SEG_CS].limit)
        return raise_gp(vcpu, 0);
    if (vcpu_v86(vcpu))
        segment_load_v86(vcpu, SEG_CS, f->cs);
    else
        segment_load_real(vcpu, SEG_CS, f->cs);
    stack_set_pointer(vcpu, &vcpu->seg[SEG_SS], vcpu->gpr[RSP] + f->popped + f->release);
    vcpu->rip = f->rip;
    return false;
}

enum step interp_ret_far(struct vcpu *vcpu, const struct insn *in)
{
    struct frame f = { .size = in->opsize, .popped = 2u * in->opsize,
                       .release = (uint16_t)in->imm };
    bool faulted;

    if (stack_peek(vcpu, 0, f.size, &f.rip) || peek_selector(vcpu, f.size, f.size, &f.cs))
        return STEP_FAULT;
    faulted = mode_has_descriptors(vcpu) ? return_to(vcpu, &f) : return_real(vcpu, &f);
    return faulted ? STEP_FAULT : STEP_JUMPED;
}

/* Which flags IRET may load at this CPL and IOPL; SDM 2, IRET. */
static uint32_t iret_flags(const struct vcpu *vcpu, unsigned size)
{
    uint32_t mask = EFLAGS_ARITH | EFLAGS_TF | EFLAGS_DF | EFLAGS_NT;

    if (size == 4)
        mask |= EFLAGS_RF | EFLAGS_AC | EFLAGS_ID;
    if (!mode_has_descriptors(vcpu) && !vcpu_v86(vcpu))
        return mask | EFLAGS_IF | EFLAGS_IOPL;
    if (vcpu->cpl <= vcpu_iopl(vcpu))
        mask |= EFLAGS_IF;
    if (vcpu->cpl == 0)
        mask |= EFLAGS_IOPL;
    return mask;
}

static void set_flags(struct vcpu *vcpu, uint64_t flags, uint32_t mask)
{
    vcpu->eflags = (vcpu->eflags & ~mask) | ((uint32_t)flags & mask);
}

/* To virtual-8086 mode: nine values, at CPL 0 only. */
static bool iret_to_v86(struct vcpu *vcpu, const struct frame *f, uint64_t flags)
{
    static const uint8_t order[] = { SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    uint16_t selector[5];
    uint64_t sp;

    if (stack_peek(vcpu, f->popped, 4, &sp))
        return true;
    for (unsigned i = 0; i < 5; i++)
        if (peek_selector(vcpu, f->popped + 4 + 4 * i, 4, &selector[i]))
            return true;
    if (f->rip > 0xffff)
        return raise_gp(vcpu, 0);
    vcpu->eflags = ((uint32_t)flags & EFLAGS_ALL) | EFLAGS_R1;
    segment_load_v86(vcpu, SEG_CS, f->cs);
    for (unsigned i = 0; i < 5; i++)
        segment_load_v86(vcpu, order[i], selector[i]);
    vcpu->gpr[RSP] = sp;
    vcpu->rip = f->rip;
    vcpu->cpl = 3;
    return false;
}

static bool iret_frame(struct vcpu *vcpu, const struct frame *f)
{
    uint64_t flags;
    uint32_t mask = iret_flags(vcpu, f->size);

    if (stack_peek(vcpu, 2ull * f->size, f->size, &flags))
        return true;
    if (!mode_has_descriptors(vcpu)) {
        if (return_real(vcpu, f))
            return true;
    } else if (f->size == 4 && flags & EFLAGS_VM && vcpu->cpl == 0) {
        return iret_to_v86(vcpu, f, flags);
    } else if (return_to(vcpu, f)) {
        return true;
    }
    set_flags(vcpu, flags, mask);
    return false;
}

enum step interp_iret(struct vcpu *vcpu, const struct insn *in)
{
    struct frame f = { .size = in->opsize, .popped = 3u * in->opsize };
    enum event_mode mode = event_mode_before(vcpu);
    uint64_t rip = vcpu->rip;

    if (vcpu_v86(vcpu) && vcpu_iopl(vcpu) < 3)
        return fault_gp(vcpu, 0);
    if (mode_has_descriptors(vcpu) && vcpu->eflags & EFLAGS_NT) {
        if (task_return(vcpu, next_rip(vcpu, in)))
            return STEP_FAULT;
    } else if (stack_peek(vcpu, 0, f.size, &f.rip) || peek_selector(vcpu, f.size, f.size, &f.cs) ||
               iret_frame(vcpu, &f)) {
        return STEP_FAULT;
    }
    vcpu->nmi_blocked = false;
    event_in(vcpu, EVENT_return, mode, rip, vcpu->rip, event_word("iret"), 0);
    return STEP_JUMPED;
}
