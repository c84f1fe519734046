/*
 * Delivery of exceptions and interrupts: frames of every kind of gate, the checks on the way with
 * their error codes, double and triple faults. KNOWN-FAULTS rows 3, 11, 12, 13, 24.
 */
#include "tests/unit/cpu_machine.h"

#define FLAGS (EFLAGS_R1 | EFLAGS_CF | EFLAGS_IF)

/* --- Frames --------------------------------------------------------------- */

/* Gates: type, does it clear IF, the frame's word size. */
static const struct gate_kind {
    unsigned access;
    int clears_if;
    unsigned size;
} kinds[] = { { 0xee, 1, 4 }, { 0xef, 0, 4 }, { 0xe6, 1, 2 }, { 0xe7, 0, 2 } };

static uint64_t cut(uint64_t value, unsigned size)
{
    return size == 2 ? value & 0xffff : value;
}

/* int 40h from cpl through a gate of this kind. */
static void check_int(struct machine *m, const struct gate_kind *k, unsigned cpl)
{
    struct vcpu *v = m->vcpu;

    m_protected(m, cpl);
    m_put(m, AT_IDT + 8 * 0x40, m_gate(CODE0, 0xabcd8000, k->access, 0), 8);
    v->eflags = FLAGS | EFLAGS_NT | EFLAGS_TF;
    M_RUN(m, "\xcd\x40");
    CHECK_EQ(v->rip, k->size == 2 ? 0x8000 : 0xabcd8000); /* 286 gates: 16 offset bits */
    CHECK_EQ(v->seg[SEG_CS].selector, CODE0);
    CHECK_EQ(v->cpl, 0);
    CHECK_EQ(v->eflags, FLAGS & ~(k->clears_if ? EFLAGS_IF : 0));
    CHECK_EQ(m_frame(m, 0, k->size), cut(AT_CODE + 2, k->size));
    CHECK_EQ(m_frame(m, 2, k->size), FLAGS | EFLAGS_NT | EFLAGS_TF);
    if (!cpl) {
        CHECK_EQ(v->gpr[RSP], STACK3 - 3 * k->size);
        return;
    }
    CHECK_EQ(v->gpr[RSP], STACK0 - 5 * k->size);
    CHECK_EQ(v->seg[SEG_SS].selector, DATA0);
    CHECK_EQ(m_frame(m, 3, k->size), STACK3);
    CHECK_EQ(m_frame(m, 4, k->size) & 3, cpl);
}

static void check_v86(struct machine *m, const struct gate_kind *k)
{
    struct vcpu *v = m->vcpu;

    m_v86(m, 3);
    m_put(m, AT_IDT + 8 * 0x40, m_gate(CODE0, AT_HANDLER, k->access, 0), 8);
    v->seg[SEG_GS].selector = 0x1234;
    v->seg[SEG_ES].selector = 0x4321;
    M_RUN(m, "\xcd\x40");
    CHECK_EQ(v->eflags & EFLAGS_VM, 0);
    CHECK_EQ(v->cpl, 0);
    CHECK_EQ(v->gpr[RSP], STACK0 - 9 * k->size);
    CHECK_EQ(m_frame(m, 0, k->size), 2);
    CHECK_EQ(m_frame(m, 1, k->size), AT_CODE >> 4);
    CHECK_EQ(m_frame(m, 2, k->size), cut(EFLAGS_R1 | EFLAGS_VM | EFLAGS_IOPL, k->size));
    CHECK_EQ(m_frame(m, 3, k->size), 0x800);
    CHECK_EQ(m_frame(m, 4, k->size), 0x900);
    CHECK_EQ(m_frame(m, 5, k->size), 0x4321);
    CHECK_EQ(m_frame(m, 8, k->size), 0x1234);
    CHECK_EQ(v->seg[SEG_ES].attr & SEG_UNUSABLE, SEG_UNUSABLE);
    CHECK_EQ(v->seg[SEG_GS].selector, 0);
}

static void test_frames(struct machine *m)
{
    for (unsigned k = 0; k < 4; k++) {
        for (unsigned cpl = 0; cpl < 4; cpl++)
            check_int(m, &kinds[k], cpl);
        check_v86(m, &kinds[k]);
    }
}

static void test_real(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    m_real(m);
    v->eflags |= EFLAGS_IF | EFLAGS_TF;
    v->gpr[RSP] = 0x12340002; /* 16-bit SP wraps within the frame */
    M_RUN(m, "\xcd\x40");
    CHECK_EQ(m_vector(m), 0x40);
    CHECK_EQ(v->gpr[RSP], 0x1234fffc);
    CHECK_EQ(m_get(m, 0xfffc, 2), 2);
    CHECK_EQ(m_get(m, 0xfffe, 2), AT_CODE >> 4);
    CHECK_EQ(m_get(m, 0, 2), EFLAGS_R1 | EFLAGS_IF | EFLAGS_TF);
    CHECK_EQ(v->eflags, EFLAGS_R1);

    m_real(m); /* the IVT too short: 40h, then 13, then 8 do not fit */
    v->idtr.limit = 4 * 8 + 2;
    M_RUN(m, "\xcd\x40");
    CHECK_EQ(v->shutdown, 1);
    CHECK_EQ(m->stop.end, VM_TRIPLE_FAULT);

    m_real(m); /* SP = 1: the word would straddle the limit */
    v->gpr[RSP] = 1;
    M_RUN(m, "\xcd\x40");
    CHECK_EQ(v->shutdown, 1);
}

/* --- Checks on the way ---------------------------------------------------- */

/* int 40h at CPL 3 after spoil(): which fault, with which error code? */
static void check_spoiled(struct machine *m, void (*spoil)(struct machine *), int vector,
                          uint32_t error)
{
    m_protected(m, 3);
    spoil(m);
    M_RUN(m, "\xcd\x40");
    CHECK_EQ(m_vector(m), vector);
    CHECK_EQ(m_frame(m, 0, 4), error);
    CHECK_EQ(m_frame(m, 1, 4), AT_CODE);
}

static void gate40(struct machine *m, uint16_t selector, unsigned access)
{
    m_put(m, AT_IDT + 8 * 0x40, m_gate(selector, AT_HANDLER, access, 0), 8);
}

static void gate_privileged(struct machine *m) { gate40(m, CODE0, 0x8e); }
static void gate_absent(struct machine *m) { gate40(m, CODE0, 0x6e); }
static void gate_type(struct machine *m) { gate40(m, CODE0, 0xec); }
static void gate_null(struct machine *m) { gate40(m, 0, 0xee); }
static void gate_data(struct machine *m) { gate40(m, DATA0, 0xee); }
static void gate_beyond(struct machine *m) { gate40(m, 0x1000, 0xee); }

static void code_absent(struct machine *m)
{
    m_gdt(m, SPARE, m_descriptor(0, 0xfffff, 0x1b, 0xc));
    gate40(m, SPARE, 0xee);
}

static void code_short(struct machine *m)
{
    m_gdt(m, SPARE, m_descriptor(0, AT_HANDLER - 1, 0x9b, 4));
    gate40(m, SPARE, 0xee);
}

static void code_outer(struct machine *m)
{
    m_protected(m, 2);
    gate40(m, CODE3, 0xee);
}

static void stack_selector(struct machine *m, uint16_t selector)
{
    /* the fault's own handler runs at CPL 1, whose stack is sound */
    m_put(m, AT_TSS + 8, selector, 2);
    for (unsigned v = 0; v < 32; v++)
        m_put(m, AT_IDT + 8 * v, m_gate(CODE1, AT_HANDLER + 16 * v, 0xee, 0), 8);
}

static void ss_null(struct machine *m) { stack_selector(m, 0); }
static void ss_rpl(struct machine *m) { stack_selector(m, DATA0 | 1); }
static void ss_code(struct machine *m) { stack_selector(m, CODE0); }
static void ss_beyond(struct machine *m) { stack_selector(m, 0x1000); }

static void ss_absent(struct machine *m)
{
    m_gdt(m, SPARE, m_descriptor(0, 0xfffff, 0x13, 0xc));
    stack_selector(m, SPARE);
}

static void ss_small(struct machine *m)
{
    m_gdt(m, SPARE, m_descriptor(0, STACK0 - 1 - 20 + 1, 0x97, 4)); /* expand-down: 19 bytes */
    stack_selector(m, SPARE);
}

static void test_checks(struct machine *m)
{
    const uint32_t gate = 0x40 * 8 + 2;

    check_spoiled(m, gate_privileged, VEC_GP, gate);
    check_spoiled(m, gate_absent, VEC_NP, gate);
    check_spoiled(m, gate_type, VEC_GP, gate);
    check_spoiled(m, gate_null, VEC_GP, 0);
    check_spoiled(m, gate_data, VEC_GP, DATA0);
    check_spoiled(m, gate_beyond, VEC_GP, 0x1000);
    check_spoiled(m, code_absent, VEC_NP, SPARE);
    check_spoiled(m, code_short, VEC_GP, 0);
    check_spoiled(m, code_outer, VEC_GP, CODE3 & ~3);
    check_spoiled(m, ss_null, VEC_TS, 0);
    check_spoiled(m, ss_rpl, VEC_TS, DATA0);
    check_spoiled(m, ss_code, VEC_TS, CODE0);
    check_spoiled(m, ss_beyond, VEC_TS, 0x1000);
    check_spoiled(m, ss_absent, VEC_SS, SPARE);
    check_spoiled(m, ss_small, VEC_SS, SPARE);
}

/* The same checks for an external interrupt set EXT and do not look at the gate's DPL. */
static void test_external(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    m_protected(m, 3);
    gate_privileged(m);
    fault_interrupt(v, 0x40);
    CHECK_EQ(m_vector(m), 0);
    CHECK_EQ(v->cpl, 0);
    CHECK_EQ(m_frame(m, 0, 4), AT_CODE);

    m_protected(m, 3);
    gate_absent(m);
    fault_interrupt(v, 0x40);
    CHECK_EQ(m_vector(m), VEC_NP);
    CHECK_EQ(m_frame(m, 0, 4), 0x40 * 8 + 3);
    CHECK_EQ(m_frame(m, 1, 4), AT_CODE);

    m_protected(m, 3);
    gate_data(m);
    fault_interrupt(v, 0x40);
    CHECK_EQ(m_frame(m, 0, 4), DATA0 | 1);

    m_v86(m, 0); /* from V86 the handler must be at CPL 0, not conforming */
    m_gdt(m, SPARE, m_descriptor(0, 0xfffff, 0x9f, 0xc));
    gate40(m, SPARE, 0xee);
    fault_interrupt(v, 0x40);
    CHECK_EQ(m_vector(m), VEC_GP);
    CHECK_EQ(m_frame(m, 0, 4), SPARE | 1);
}

/* --- What is pushed for faults and traps ---------------------------------- */

static void test_flags(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    m_protected(m, 0); /* a fault: RF set, rip of the instruction, no error code */
    M_RUN(m, "\x0f\x0b");
    CHECK_EQ(m_vector(m), VEC_UD);
    CHECK_EQ(m_frame(m, 0, 4), AT_CODE);
    CHECK_EQ(m_frame(m, 2, 4), EFLAGS_R1 | EFLAGS_RF);
    CHECK_EQ(v->eflags, EFLAGS_R1);
    CHECK_EQ(v->gpr[RSP], STACK3 - 12);

    m_protected(m, 0); /* INT3: a trap */
    M_RUN(m, "\xcc");
    CHECK_EQ(m_vector(m), VEC_BP);
    CHECK_EQ(m_frame(m, 0, 4), AT_CODE + 1);
    CHECK_EQ(m_frame(m, 2, 4), EFLAGS_R1);

    m_protected(m, 3); /* INT1 looks at no DPL */
    m_put(m, AT_IDT + 8 * VEC_DB, m_gate(CODE0, AT_HANDLER + 16, 0x8e, 0), 8);
    M_RUN(m, "\xf1");
    CHECK_EQ(m_vector(m), VEC_DB);
    CHECK_EQ(m_frame(m, 0, 4), AT_CODE + 1);

    m_protected(m, 3);
    v->eflags |= EFLAGS_OF;
    M_RUN(m, "\xce");
    CHECK_EQ(m_vector(m), VEC_OF);
    m_protected(m, 3);
    M_RUN(m, "\xce");
    CHECK_EQ(v->rip, AT_CODE + 1);
}

/* --- Double and triple faults --------------------------------------------- */

/* Makes delivering vector raise how: a contributory fault (its gate is absent), a page fault (its
 * gate's handler stack is not mapped: simulated by raising), or nothing. */
static void break_gate(struct machine *m, unsigned vector)
{
    m_put(m, AT_IDT + 8 * vector, m_gate(CODE0, AT_HANDLER + 16 * vector, 0x0e, 0), 8);
}

static void test_double(struct machine *m)
{
    static const uint8_t all[] = { VEC_DE, VEC_DB, VEC_BP, VEC_OF, VEC_BR, VEC_UD, VEC_NM, VEC_TS,
                                   VEC_NP, VEC_SS, VEC_GP, VEC_PF, VEC_MF, VEC_AC, VEC_XM };
    struct vcpu *v = m->vcpu;

    for (unsigned i = 0; i < sizeof(all); i++) {
        unsigned first = all[i];
        int contributory = first == VEC_DE || (first >= VEC_TS && first <= VEC_PF);

        if (first == VEC_NP)
            continue; /* #NP in delivering #NP below */
        m_protected(m, 0);
        break_gate(m, first);
        fault_raise(v, (uint8_t)first);
        fault_deliver(v);
        CHECK_EQ(m_vector(m), contributory ? VEC_DF : VEC_NP);
        CHECK_EQ(m_frame(m, 0, 4), contributory ? 0 : first * 8 + 3);
        CHECK_EQ(v->first_fault.vector, first);
    }
    m_protected(m, 0);
    break_gate(m, VEC_NP);
    fault_raise_error(v, VEC_NP, 0);
    fault_deliver(v);
    CHECK_EQ(m_vector(m), VEC_DF);

    m_protected(m, 0); /* an INT n is benign */
    break_gate(m, 0x40);
    M_RUN(m, "\xcd\x40");
    CHECK_EQ(m_vector(m), VEC_NP);
    CHECK_EQ(m_frame(m, 0, 4), 0x40 * 8 + 2);

    m_protected(m, 0); /* triple */
    v->idtr.limit = 0;
    fault_raise(v, VEC_UD);
    fault_deliver(v);
    CHECK_EQ(v->shutdown, 1);
    CHECK_EQ(m->stop.end, VM_TRIPLE_FAULT);
    CHECK_EQ(v->first_fault.vector, VEC_UD);
    CHECK_EQ(v->first_fault_rip, AT_CODE);
}

/* --- Paging: a frame that cannot be written, CR2, error codes ------------- */

/* Identity-maps the 2 MiB with a 32-bit table at 0x100000 (directory) and 0x101000. */
static void map_all(struct machine *m, uint32_t bits)
{
    m_put(m, 0x100000, 0x101000 | bits, 4);
    for (unsigned i = 0; i < 512; i++)
        m_put(m, 0x101000 + 4 * i, i << 12 | bits, 4);
    m->vcpu->cr3 = 0x100000;
    m->vcpu->cr0 |= CR0_PG | CR0_WP;
    mem_mode_changed(m->vcpu);
}

static void unmap(struct machine *m, uint32_t gla)
{
    m_put(m, 0x101000 + 4 * (gla >> 12), gla & ~0xfffu, 4);
    mem_invlpg(m->vcpu, gla);
}

static void test_pages(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    m_protected(m, 3); /* the inner stack is not there: #PF is delivered on stack 1 */
    map_all(m, 7);
    unmap(m, STACK0 - 4);
    m_put(m, AT_IDT + 8 * VEC_PF, m_gate(CODE1, AT_HANDLER + 16 * VEC_PF, 0xee, 0), 8);
    m_put(m, AT_TSS + 12, STACK3 - 0x800, 4);
    M_RUN(m, "\xcd\x40");
    CHECK_EQ(m_vector(m), VEC_PF);
    CHECK_EQ(v->cr2, STACK0 - 4);
    CHECK_EQ(m_frame(m, 0, 4), PF_W); /* supervisor: the processor's own access */
    CHECK_EQ(m_frame(m, 1, 4), AT_CODE);
    CHECK_EQ(v->gpr[RSP], STACK3 - 0x800 - 24);

    m_protected(m, 3); /* a stack at a page's start: the frame's second page is missing */
    map_all(m, 7);
    m_put(m, AT_TSS + 4, 0x8008, 4);
    unmap(m, 0x7000);
    m_put(m, AT_IDT + 8 * VEC_PF, m_gate(CODE1, AT_HANDLER + 16 * VEC_PF, 0xee, 0), 8);
    m_put(m, AT_TSS + 12, STACK3 - 0x800, 4);
    M_RUN(m, "\xcd\x40");
    CHECK_EQ(m_vector(m), VEC_PF);
    CHECK_EQ(v->cr2, 0x7ffc);
    CHECK_EQ(m_frame(m, 4, 4), STACK3); /* the interrupted state is untouched */

    m_protected(m, 0); /* page fault on a page fault: double; on that: shutdown */
    map_all(m, 7);
    unmap(m, AT_IDT);
    M_RUN(m, "\xcd\x40");
    CHECK_EQ(v->shutdown, 1);
    CHECK_EQ(v->first_fault.vector, VEC_PF);
}

int main(void)
{
    struct machine m;

    m_create(&m);
    test_frames(&m);
    test_real(&m);
    test_checks(&m);
    test_external(&m);
    test_flags(&m);
    test_double(&m);
    test_pages(&m);
    m_destroy(&m);
    return CHECK_DONE();
}
