/*
 * Exceptions and interrupts: see fault.h. Reference: SDM volume 3, chapter 6; volume 2, INT n
 * (the checks are in the order of its pseudocode); volume 3, 20.1.4 (real mode), 20.3.1 (V86).
 * Modelled: real, protected and virtual-8086 mode; interrupt, trap and task gates of both widths;
 * double and triple faults. Not yet: 64-bit gates, IST, VME's redirection.
 */
#include "cpu/fault.h"

#include "base/log.h"
#include "base/spent.h"
#include "cpu/debug.h"
#include "cpu/describe.h"
#include "cpu/event.h"
#include "cpu/segment.h"
#include "cpu/stops.h"
#include "cpu/task.h"
#include "cpu/transfers.h"

/* What is being delivered. */
struct event {
    uint8_t vector;
    bool soft;           /* INT n, INT3, INTO: the gate's DPL is checked */
    bool external;       /* an interrupt */
    bool has_error;
    uint32_t error;
    uint32_t ext;        /* EXT bit of errors on the way */
    uint64_t rip;        /* pushed */
    uint32_t eflags;     /* pushed */
};

/* --- Raising -------------------------------------------------------------- */

enum step fault_raise(struct vcpu *vcpu, uint8_t vector)
{
    vcpu->fault = (struct fault){ .vector = vector };
    return STEP_FAULT;
}

enum step fault_raise_error(struct vcpu *vcpu, uint8_t vector, uint32_t error)
{
    vcpu->fault = (struct fault){ .vector = vector, .has_error = true, .error = error };
    return STEP_FAULT;
}

enum step fault_page(struct vcpu *vcpu, uint64_t gla, uint32_t error)
{
    vcpu->fault = (struct fault){ .vector = VEC_PF, .has_error = true, .error = error, .cr2 = gla };
    return STEP_FAULT;
}

/* --- Real mode ------------------------------------------------------------ */

static bool deliver_real(struct vcpu *vcpu, const struct event *ev)
{
    uint64_t entry;
    struct stack st;

    if (ev->vector * 4u + 3 > vcpu->idtr.limit)
        return fault_raise_error(vcpu, VEC_GP, 0) == STEP_FAULT;
    if (mem_read_system(vcpu, vcpu->idtr.base + ev->vector * 4u, 4, &entry))
        return true;
    stack_current(vcpu, 0, &st);
    if (stack_push(vcpu, &st, 2, ev->eflags & 0xffff) ||
        stack_push(vcpu, &st, 2, vcpu->seg[SEG_CS].selector) ||
        stack_push(vcpu, &st, 2, ev->rip & 0xffff))
        return true;
    stack_set_pointer(vcpu, &st.ss, st.sp);
    segment_load_real(vcpu, SEG_CS, (uint16_t)(entry >> 16));
    vcpu->rip = entry & 0xffff;
    vcpu->eflags &= ~(EFLAGS_IF | EFLAGS_TF | EFLAGS_AC | EFLAGS_RF);
    return false;
}

/* --- Interrupt and trap gates --------------------------------------------- */

/* What a gate leads to, checked but not entered. */
struct entry {
    struct segment cs;
    uint64_t rip;
    unsigned size;   /* of the frame's words: 2 or 4 */
    unsigned cpl;
    bool interrupt;  /* clears IF */
};

static unsigned gate_size(uint64_t gate)
{
    return gate >> 40 & 8 ? 4 : 2;
}

/* The gate's code segment. */
static bool gate_target(struct vcpu *vcpu, const struct event *ev, uint64_t gate, struct entry *to)
{
    uint16_t selector = gate >> 16 & 0xffff;
    uint64_t d, gla;
    bool conforming;

    if (selector_null(selector))
        return segment_raise(vcpu, VEC_GP, 0, ev->ext);
    if (segment_descriptor(vcpu, selector, VEC_GP, ev->ext, &d, &gla))
        return true;
    if (!descriptor_is_code(d) || descriptor_dpl(d) > vcpu->cpl)
        return segment_raise(vcpu, VEC_GP, selector, ev->ext);
    if (!descriptor_present(d))
        return segment_raise(vcpu, VEC_NP, selector, ev->ext);
    conforming = descriptor_is_conforming(d);
    if (vcpu_v86(vcpu) && (conforming || descriptor_dpl(d) != 0))
        return segment_raise(vcpu, VEC_GP, selector, ev->ext);
    if (segment_accessed(vcpu, gla, &d))
        return true;
    to->cpl = conforming ? vcpu->cpl : descriptor_dpl(d);
    to->cs = segment_unpack((selector & ~SELECTOR_RPL) | (uint16_t)to->cpl, d);
    to->size = gate_size(gate);
    to->rip = (gate & 0xffff) | (to->size == 4 ? gate >> 32 & 0xffff0000 : 0);
    to->interrupt = !(gate >> 40 & 1);
    return false;
}

static bool push_frame(struct vcpu *vcpu, const struct event *ev, const struct entry *to,
                       struct stack *st)
{
    static const uint8_t v86_data[] = { SEG_GS, SEG_FS, SEG_DS, SEG_ES };
    bool inner = to->cpl < vcpu->cpl;
    unsigned size = to->size, count = 3 + 2 * inner + 4 * vcpu_v86(vcpu) + ev->has_error;

    if (stack_check(vcpu, st, count, size))
        return true;
    if (to->rip > to->cs.limit)
        return segment_raise(vcpu, VEC_GP, 0, ev->ext);
    for (unsigned i = 0; vcpu_v86(vcpu) && i < 4; i++)
        if (stack_push(vcpu, st, size, vcpu->seg[v86_data[i]].selector))
            return true;
    if (inner && (stack_push(vcpu, st, size, vcpu->seg[SEG_SS].selector) ||
                  stack_push(vcpu, st, size, vcpu->gpr[RSP])))
        return true;
    return stack_push(vcpu, st, size, ev->eflags) ||
           stack_push(vcpu, st, size, vcpu->seg[SEG_CS].selector) ||
           stack_push(vcpu, st, size, ev->rip) ||
           (ev->has_error && stack_push(vcpu, st, size, ev->error));
}

static void enter(struct vcpu *vcpu, const struct entry *to, const struct stack *st)
{
    if (vcpu_v86(vcpu)) {
        segment_load_null(vcpu, SEG_GS, 0);
        segment_load_null(vcpu, SEG_FS, 0);
        segment_load_null(vcpu, SEG_DS, 0);
        segment_load_null(vcpu, SEG_ES, 0);
    }
    vcpu->seg[SEG_SS] = st->ss;
    stack_set_pointer(vcpu, &st->ss, st->sp);
    vcpu->seg[SEG_CS] = to->cs;
    vcpu->cpl = (uint8_t)to->cpl;
    vcpu->rip = to->rip;
    vcpu->eflags &= ~(EFLAGS_TF | EFLAGS_NT | EFLAGS_VM | EFLAGS_RF);
    if (to->interrupt)
        vcpu->eflags &= ~EFLAGS_IF;
}

static bool through_gate(struct vcpu *vcpu, const struct event *ev, uint64_t gate)
{
    struct entry to = { 0 };
    struct stack st;

    if (gate_target(vcpu, ev, gate, &to))
        return true;
    if (to.cpl == vcpu->cpl)
        stack_current(vcpu, ev->ext, &st);
    else if (task_inner_stack(vcpu, to.cpl, ev->ext, &st))
        return true;
    if (push_frame(vcpu, ev, &to, &st))
        return true;
    enter(vcpu, &to, &st);
    return false;
}

static bool through_task_gate(struct vcpu *vcpu, const struct event *ev, uint64_t gate)
{
    struct task_switch ts = {
        .reason = TASK_EVENT, .selector = gate >> 16 & 0xffff, .next_rip = ev->rip,
        .saved_eflags = ev->eflags, .ext = ev->ext, .has_error = ev->has_error, .error = ev->error,
    };

    return task_switch(vcpu, &ts);
}

static bool deliver_protected(struct vcpu *vcpu, const struct event *ev)
{
    uint32_t gate_error = ev->vector * 8u + 2 + ev->ext;
    unsigned type;
    uint64_t gate;

    if (ev->vector * 8u + 7 > vcpu->idtr.limit)
        return fault_raise_error(vcpu, VEC_GP, gate_error) == STEP_FAULT;
    if (mem_read_system(vcpu, vcpu->idtr.base + ev->vector * 8u, 8, &gate))
        return true;
    type = descriptor_system_type(gate);
    if (type != DESC_TASK_GATE && (type & 7) != DESC_INT16 && (type & 7) != DESC_TRAP16)
        return fault_raise_error(vcpu, VEC_GP, gate_error) == STEP_FAULT;
    if (ev->soft && descriptor_dpl(gate) < vcpu->cpl)
        return fault_raise_error(vcpu, VEC_GP, gate_error) == STEP_FAULT;
    if (!descriptor_present(gate))
        return fault_raise_error(vcpu, VEC_NP, gate_error) == STEP_FAULT;
    return type == DESC_TASK_GATE ? through_task_gate(vcpu, ev, gate)
                                  : through_gate(vcpu, ev, gate);
}

/* Software interrupts are told by who executes their instruction. */
static void keep(struct vcpu *vcpu, const struct event *ev, uint32_t from)
{
    if (vcpu->transfers && !ev->soft)
        transfers_add(vcpu, ev->external ? TRANSFER_INTERRUPT : TRANSFER_EXCEPTION, ev->vector,
                      from);
}

static bool deliver(struct vcpu *vcpu, const struct event *ev)
{
    uint32_t from = (uint32_t)(vcpu->seg[SEG_CS].base + ev->rip);

    if (vcpu_protected(vcpu) ? deliver_protected(vcpu, ev) : deliver_real(vcpu, ev))
        return true;
    keep(vcpu, ev, from);
    vcpu->intr_shadow = vcpu->debug_shadow = false;
    vcpu->halted = false;
    return false;
}

/* --- Exceptions ----------------------------------------------------------- */

/* SDM 3, table 6-4. */
enum fault_class { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT };

static enum fault_class class_of(uint8_t vector)
{
    switch (vector) {
    case VEC_DE:
    case VEC_TS:
    case VEC_NP:
    case VEC_SS:
    case VEC_GP: return CONTRIBUTORY;
    case VEC_PF: return PAGE_FAULT;
    case VEC_DF: return DOUBLE_FAULT;
    default: return BENIGN;
    }
}

/* SDM 3, table 6-5: do the two make a double fault? */
static bool doubles(enum fault_class first, enum fault_class second)
{
    return (first == CONTRIBUTORY && second == CONTRIBUTORY) ||
           (first == PAGE_FAULT && (second == PAGE_FAULT || second == CONTRIBUTORY));
}

static void log_fault(const struct vcpu *vcpu, const struct event *ev, const char *kind)
{
    char name[256] = "";

    if (novt_log.symbol)
        novt_log.symbol(novt_log.symbol_arg, (uint32_t)(vcpu->seg[SEG_CS].base + ev->rip), name,
                        sizeof(name));
    log_print(LOG_int,
              "%s v=%02x e=%04x cpl=%u cs:eip=%04x:%08llx ss:esp=%04x:%08llx cr2=%08llx "
              "efl=%08x eax=%08llx%s%s\n",
              kind, ev->vector, ev->error, vcpu->cpl, vcpu->seg[SEG_CS].selector,
              (unsigned long long)ev->rip, vcpu->seg[SEG_SS].selector,
              (unsigned long long)vcpu->gpr[RSP], (unsigned long long)vcpu->cr2, vcpu->eflags,
              (unsigned long long)vcpu->gpr[RAX], *name ? " in " : "", name);
}

/* What it says of the exception, in words. */
static void log_words(struct vcpu *vcpu, const struct fault *fault)
{
    FILE *out = novt_log.out ? novt_log.out : stderr;

    fprintf(out, "  %s ", describe_vector(fault->vector));
    describe_fault(out, vcpu, fault, 4);
}

static void triple_fault(struct vcpu *vcpu)
{
    const struct fault *f = &vcpu->first_fault;

    vcpu->shutdown = true;
    vm_stop(vcpu->stop, VM_TRIPLE_FAULT, 0,
            "triple fault: vector %u, error code %#x at eip %#llx, and its handlers faulted too",
            f->vector, f->error, (unsigned long long)vcpu->first_fault_rip);
}

/* Faults push RF set, so that their instruction's breakpoint does not hit again
 * (SDM 3, 17.3.1.1). */
static uint32_t pushed_eflags(const struct vcpu *vcpu, const struct fault *f)
{
    bool traps = f->trap || f->no_rf || f->vector == VEC_DF || f->vector == VEC_MC;

    return vcpu->eflags | (traps ? 0 : EFLAGS_RF);
}

/* For the trace: the exception that it is comes behind it. */
static void tell_page_fault(struct vcpu *vcpu, const struct fault *f, uint64_t rip,
                            enum event_mode mode)
{
    const struct event_modes modes = { (uint8_t)mode, (uint8_t)mode };

    if (vcpu->events)
        events_put(vcpu->events, EVENT_true_fault, modes, (uint32_t)rip, f->cr2, f->error,
                   vcpu->cr3);
}

static void deliver_fault(struct vcpu *vcpu)
{
    enum fault_class first = BENIGN;

    vcpu->first_fault = vcpu->fault;
    vcpu->first_fault_rip = vcpu->rip;
    for (;;) {
        struct fault f = vcpu->fault;
        struct event ev = { .vector = f.vector, .soft = f.soft, .error = f.error, .ext = !f.soft,
                            .rip = vcpu->rip, .eflags = pushed_eflags(vcpu, &f) };
        enum fault_class now = class_of(f.vector);
        enum event_mode mode = event_mode_before(vcpu);

        ev.has_error = f.has_error && vcpu_protected(vcpu);
        if (f.vector == VEC_PF) {
            vcpu->cr2 = f.cr2;
            log_print(LOG_mmu, "page walk of %08llx fails, error %04x, root %08llx\n",
                      (unsigned long long)f.cr2, f.error, (unsigned long long)vcpu->cr3);
        }
        if (f.vector == VEC_DB)
            debug_delivered(vcpu);
        if (log_on(LOG_int)) {
            log_fault(vcpu, &ev, "exception");
            log_words(vcpu, &f);
        }
        if (!deliver(vcpu, &ev)) {
            vcpu->stats.faults[f.vector & 31]++;
            if (f.vector == VEC_PF)
                tell_page_fault(vcpu, &f, ev.rip, mode);
            event_in(vcpu, EVENT_exception, mode, ev.rip, f.vector, f.error, vcpu->cr2);
            return;
        }
        first = now > first ? now : first;
        if (first == DOUBLE_FAULT && class_of(vcpu->fault.vector) != BENIGN) {
            triple_fault(vcpu);
            return;
        }
        if (doubles(now, class_of(vcpu->fault.vector)))
            fault_raise_error(vcpu, VEC_DF, 0);
    }
}

void fault_deliver(struct vcpu *vcpu)
{
    enum spent_on before = spent_begin(vcpu->spent, SPENT_EXCEPTION);

    if (__builtin_expect(vcpu->stops != NULL, 0))
        stops_faulted(vcpu);
    deliver_fault(vcpu);
    spent_back(vcpu->spent, before);
}

/* --- Interrupts ----------------------------------------------------------- */

void fault_interrupt(struct vcpu *vcpu, uint8_t vector)
{
    struct event ev = { .vector = vector, .external = true, .ext = 1, .rip = vcpu->rip,
                        .eflags = vcpu->eflags };
    enum event_mode mode = event_mode_before(vcpu);
    enum spent_on before = spent_begin(vcpu->spent, SPENT_INTERRUPT);

    vcpu->halted = false;
    vcpu->stats.interrupts++;
    if (log_on(LOG_int))
        log_fault(vcpu, &ev, "interrupt");
    if (deliver(vcpu, &ev))
        fault_deliver(vcpu);
    event_in(vcpu, EVENT_interrupt, mode, ev.rip, vector, 0, 0);
    spent_back(vcpu->spent, before);
}

enum step fault_software(struct vcpu *vcpu, uint8_t vector, uint64_t next_rip)
{
    struct event ev = { .vector = vector, .soft = true, .rip = next_rip,
                        .eflags = vcpu->eflags & ~EFLAGS_RF };
    enum event_mode mode = event_mode_before(vcpu);

    if (log_on(LOG_int))
        log_fault(vcpu, &ev, "software");
    if (deliver(vcpu, &ev))
        return STEP_FAULT;
    vcpu->stats.soft_interrupts++;
    event_in(vcpu, EVENT_software, mode, next_rip, vector, event_word("int"), 0);
    return STEP_JUMPED;
}
