/*
 * Task switches by JMP, CALL, IRET, task gates and interrupts, both widths of TSS; the I/O
 * permission bitmap. SDM 3, 7.3 and table 7-1; KNOWN-FAULTS row 11.
 */
#include "cpu/debug.h"
#include "cpu/task.h"
#include "tests/unit/cpu_machine.h"

#define ENTRY 0x31000u

/* The second task: CPL 3 code with recognizable registers. */
static void new_task(struct machine *m, int wide)
{
    if (wide) {
        m_put(m, AT_TSS2 + 0x20, ENTRY, 4);
        m_put(m, AT_TSS2 + 0x24, EFLAGS_R1 | EFLAGS_CF, 4);
        for (unsigned i = 0; i < 8; i++)
            m_put(m, AT_TSS2 + 0x28 + 4 * i, 0xa0001000 + i, 4);
        for (unsigned i = 0; i < 6; i++)
            m_put(m, AT_TSS2 + 0x48 + 4 * i, i == SEG_CS ? CODE3 : DATA3, 4);
        m_put(m, AT_TSS2 + 0x60, LDT_SEL, 2);
        return;
    }
    m_gdt(m, TSS2_SEL, m_descriptor(AT_TSS2, 0x2b, 0x81, 0));
    m_put(m, AT_TSS2 + 0x0e, ENTRY & 0xffff, 2);
    m_put(m, AT_TSS2 + 0x10, EFLAGS_R1 | EFLAGS_CF, 2);
    for (unsigned i = 0; i < 8; i++)
        m_put(m, AT_TSS2 + 0x12 + 2 * i, 0x1000 + i, 2);
    for (unsigned i = 0; i < 4; i++)
        m_put(m, AT_TSS2 + 0x22 + 2 * i, i == SEG_CS ? CODE3 : DATA3, 2);
}

static unsigned busy(const struct machine *m, uint16_t selector)
{
    return m_get(m, AT_GDT + selector + 5, 1) >> 1 & 1;
}

static void check_arrived(struct machine *m, int wide, int nested)
{
    struct vcpu *v = m->vcpu;

    CHECK_EQ(v->tr.selector, TSS2_SEL);
    CHECK_EQ(v->rip, wide ? ENTRY : ENTRY & 0xffff);
    CHECK_EQ(v->cpl, 3);
    CHECK_EQ(v->gpr[RBX], wide ? 0xa0001003 : 0xffff1003);
    CHECK_EQ(v->seg[SEG_CS].selector, CODE3);
    CHECK_EQ(v->seg[SEG_DS].selector, DATA3);
    CHECK_EQ(v->cr0 & CR0_TS, CR0_TS);
    CHECK_EQ(v->eflags, EFLAGS_R1 | EFLAGS_CF | (nested ? EFLAGS_NT : 0));
    CHECK_EQ(busy(m, TSS2_SEL), 1);
    CHECK_EQ(busy(m, TSS_SEL), nested);
    CHECK_EQ(m_get(m, AT_TSS2, 2), nested ? TSS_SEL : 0);
    CHECK_EQ(m_get(m, AT_TSS + 0x34, 4), 0x7777); /* EBX of the old task */
    CHECK_EQ(m_get(m, AT_TSS + 0x24, 4), EFLAGS_R1 | EFLAGS_ZF);
}

static void start(struct machine *m, int wide)
{
    m_protected(m, 0);
    new_task(m, wide);
    m->vcpu->gpr[RBX] = 0x7777;
    m->vcpu->eflags |= EFLAGS_ZF;
}

static void far32(struct machine *m, uint8_t opcode, uint16_t selector)
{
    uint8_t code[7] = { opcode };

    memcpy(code + 5, &selector, 2);
    m_run(m, (const char *)code, 7);
}

static void test_switches(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    for (int wide = 0; wide < 2; wide++) {
        start(m, wide);
        far32(m, 0xea, TSS2_SEL);
        check_arrived(m, wide, 0);
        CHECK_EQ(m_get(m, AT_TSS + 0x20, 4), AT_CODE + 7);

        start(m, wide);
        m_gdt(m, SPARE, m_gate(TSS2_SEL, 0, 0x85, 0));
        far32(m, 0x9a, SPARE);
        check_arrived(m, wide, 1);
        m_put(m, v->rip, 0xcf, 1); /* IRET goes back */
        interp_step(v);
        CHECK_EQ(v->tr.selector, TSS_SEL);
        CHECK_EQ(v->rip, AT_CODE + 7);
        CHECK_EQ(v->gpr[RBX], 0x7777);
        CHECK_EQ(v->cpl, 0);
        CHECK_EQ(v->eflags, EFLAGS_R1 | EFLAGS_ZF);
        CHECK_EQ(busy(m, TSS2_SEL), 0);
        CHECK_EQ(busy(m, TSS_SEL), 1);
        /* NT is cleared in what the left task saved */
        CHECK_EQ(m_get(m, AT_TSS2 + (wide ? 0x24 : 0x10), 2), EFLAGS_R1 | EFLAGS_CF);

        start(m, wide); /* an exception with an error code through a task gate */
        m_put(m, AT_TSS2 + (wide ? 0x38 : 0x1a), STACK3, wide ? 4 : 2);
        m_put(m, AT_IDT + 8 * VEC_GP, m_gate(TSS2_SEL, 0, 0x85, 0), 8);
        v->gpr[RAX] = 0x1238;
        M_RUN(m, "\x8e\xd8");
        CHECK_EQ(v->gpr[RSP], (wide ? 0 : 0xffff0000) | (STACK3 - (wide ? 4 : 2)));
        if (wide)
            CHECK_EQ(m_get(m, STACK3 - 4, 4), 0x1238);
        CHECK_EQ(m_get(m, AT_TSS + 0x20, 4), AT_CODE);
        CHECK_EQ(v->eflags & EFLAGS_NT, EFLAGS_NT);
    }
}

/* Faults before the switch leave everything; faults after it are the new task's. */
static void check_refused(struct machine *m, int vector, uint32_t error, int in_new)
{
    far32(m, 0xea, TSS2_SEL);
    CHECK_EQ(m_vector(m), vector);
    CHECK_EQ(m_frame(m, 0, 4), error);
    CHECK_EQ(m_frame(m, 1, 4), in_new ? ENTRY : AT_CODE);
    CHECK_EQ(m->vcpu->tr.selector, in_new ? TSS2_SEL : TSS_SEL);
}

/* In the new task's context faults are delivered on its stack 0. */
static void new_stack(struct machine *m)
{
    m_put(m, AT_TSS2 + 4, STACK1, 4);
    m_put(m, AT_TSS2 + 8, DATA0, 2);
}

static void test_refusals(struct machine *m)
{
    start(m, 1);
    m_gdt(m, TSS2_SEL, m_descriptor(AT_TSS2, 0x67, 0x8b, 0)); /* busy */
    check_refused(m, VEC_GP, TSS2_SEL, 0);
    start(m, 1);
    m_gdt(m, TSS2_SEL, m_descriptor(AT_TSS2, 0x67, 0x09, 0)); /* absent */
    check_refused(m, VEC_NP, TSS2_SEL, 0);
    start(m, 1);
    m_gdt(m, TSS2_SEL, m_descriptor(AT_TSS2, 0x66, 0x89, 0)); /* too short */
    check_refused(m, VEC_TS, TSS2_SEL, 0);

    start(m, 1), new_stack(m);
    m_put(m, AT_TSS2 + 0x60, DATA0, 2); /* LDT */
    m->vcpu->gpr[RSP] = STACK3;
    check_refused(m, VEC_TS, DATA0, 1);
    start(m, 1), new_stack(m);
    m_put(m, AT_TSS2 + 0x58, CODE0, 2); /* FS: DPL 0 at CPL 3 */
    check_refused(m, VEC_TS, CODE0, 1);
    start(m, 1), new_stack(m);
    m_put(m, AT_TSS2 + 0x50, DATA2, 2); /* SS: RPL 2 at CPL 3 */
    check_refused(m, VEC_TS, DATA2 & ~3, 1);
    start(m, 1), new_stack(m);
    m_put(m, AT_TSS2 + 0x4c, CODE0 | 3, 2); /* CS: DPL is not RPL */
    m_put(m, AT_TSS2 + 0x38, STACK1, 4);
    check_refused(m, VEC_TS, CODE0, 1);
}

/* The debug trap bit. */
static void test_trap(struct machine *m)
{
    start(m, 1), new_stack(m);
    m_put(m, AT_TSS2 + 0x64, 1, 2);
    far32(m, 0xea, TSS2_SEL);
    CHECK_EQ(m_vector(m), VEC_DB);
    CHECK_EQ(m_frame(m, 0, 4), ENTRY);
    CHECK_EQ(m->vcpu->dr[6] & DR6_BT, DR6_BT);
}

/* --- The I/O permission bitmap -------------------------------------------- */

static int denied(struct machine *m, uint32_t limit, uint16_t map, uint16_t port, unsigned size)
{
    struct vcpu *v = m->vcpu;

    m_protected(m, 3);
    v->tr.limit = limit;
    m_put(m, AT_TSS + 0x66, map, 2);
    memset(m->pm.ram + AT_TSS + 0x68, 0, 0x100);
    m_put(m, AT_TSS + 0x68 + 0x60 / 8, 1 << 3, 1); /* port 63h */
    v->gpr[RDX] = port;
    m_run(m, size == 1 ? "\xec\x90" : size == 2 ? "\x66\xed" : "\xed\x90", 2);
    return m_vector(m);
}

static void test_bitmap(struct machine *m)
{
    for (unsigned port = 0x58; port < 0x70; port++)
        for (unsigned size = 1; size <= 4; size *= 2)
            CHECK_EQ(denied(m, 0x168, 0x68, (uint16_t)port, size),
                     port <= 0x63 && port + size > 0x63 ? VEC_GP : -1);
    /* both bytes that are looked at must be inside the limit */
    CHECK_EQ(denied(m, 0x68 + 0x50 / 8 + 1, 0x68, 0x50, 1), -1);
    CHECK_EQ(denied(m, 0x68 + 0x50 / 8, 0x68, 0x50, 1), VEC_GP);
    CHECK_EQ(denied(m, 0x67, 0xffff, 0x50, 1), VEC_GP);
    CHECK_EQ(denied(m, 0x66, 0x68, 0x50, 1), VEC_GP);
    m_v86(m, 3); /* V86 looks at the bitmap whatever IOPL */
    M_RUN(m, "\xe4\x50");
    CHECK_EQ(m_vector(m), VEC_GP);
    m_protected(m, 3); /* a 16-bit TSS has none */
    m->vcpu->tr.attr = 0x83;
    m_put(m, AT_TSS + 2, STACK0, 2);
    m_put(m, AT_TSS + 4, DATA0, 2);
    M_RUN(m, "\xe4\x50");
    CHECK_EQ(m_vector(m), VEC_GP);
}

int main(void)
{
    struct machine m;

    m_create(&m);
    test_switches(&m);
    test_refusals(&m);
    test_trap(&m);
    test_bitmap(&m);
    m_destroy(&m);
    return CHECK_DONE();
}
