/*
 * Far transfers: every descriptor type x RPL x DPL x CPL for JMP, CALL, call gates, RET and IRET
 * (KNOWN-FAULTS row 11), frames half of which cannot be read (row 12), 16-bit forms (row 24).
 */
#include "tests/unit/cpu_machine.h"

#define TARGET 0x30000u

static const uint16_t codes[] = { CODE0, CODE1, CODE2, CODE3 };
static const uint16_t datas[] = { DATA0, DATA1, DATA2, DATA3 };

/* jmp/call far selector:offset in 32-bit code. */
static void far32(struct machine *m, int call, uint16_t selector, uint32_t offset)
{
    uint8_t code[7] = { call ? 0x9a : 0xea };

    memcpy(code + 1, &offset, 4);
    memcpy(code + 5, &selector, 2);
    m_run(m, (const char *)code, 7);
}

/* --- Direct: SDM 2, JMP and CALL, CONFORMING- and NONCONFORMING-CODE-SEGMENT --- */

static int want_direct(unsigned access, unsigned rpl, unsigned cpl)
{
    unsigned dpl = access >> 5 & 3;

    if ((access & 0x18) != 0x18)
        return VEC_GP; /* data; system types are tested below */
    if (access & 4 ? dpl > cpl : rpl > cpl || dpl != cpl)
        return VEC_GP;
    return access & 0x80 ? -1 : VEC_NP;
}

static void check_direct(struct machine *m, int call, unsigned access, unsigned rpl, unsigned cpl)
{
    struct vcpu *v = m->vcpu;
    int vector = want_direct(access, rpl, cpl);

    m_protected(m, cpl);
    m_gdt(m, SPARE, m_descriptor(0, 0xfffff, access, 0xc));
    far32(m, call, SPARE | (uint16_t)rpl, TARGET);
    CHECK_EQ(m_vector(m), vector);
    if (vector >= 0) {
        CHECK_EQ(m_frame(m, 0, 4), SPARE);
        CHECK_EQ(m_frame(m, 1, 4), AT_CODE);
        return;
    }
    CHECK_EQ(v->rip, TARGET);
    CHECK_EQ(v->seg[SEG_CS].selector, SPARE | cpl);
    CHECK_EQ(v->cpl, cpl);
    CHECK_EQ(v->gpr[RSP], STACK3 - (call ? 8 : 0));
    if (call) {
        CHECK_EQ(m_frame(m, 0, 4), AT_CODE + 7);
        CHECK_EQ(m_frame(m, 1, 4), codes[cpl]);
    }
}

static void test_direct(struct machine *m)
{
    for (unsigned access = 0; access < 256; access++)
        for (unsigned rpl = 0; rpl < 4; rpl++)
            for (unsigned cpl = 0; cpl < 4; cpl++)
                for (int call = 0; call < 2 && access & 0x10; call++)
                    check_direct(m, call, access, rpl, cpl);
}

/* System types that no transfer may name. */
static void test_bad_types(struct machine *m)
{
    static const uint8_t bad[] = { 0, 2, 3, 6, 7, 8, 10, 11, 13, 14, 15 };

    for (unsigned i = 0; i < sizeof(bad); i++) {
        m_protected(m, 0);
        m_gdt(m, SPARE, m_descriptor(AT_TSS2, 0x67, 0x80 | bad[i], 0));
        far32(m, i & 1, SPARE, TARGET);
        CHECK_EQ(m_vector(m), VEC_GP);
        CHECK_EQ(m_frame(m, 0, 4), SPARE);
    }
    m_protected(m, 0);
    far32(m, 0, 3, TARGET); /* null */
    CHECK_EQ(m_vector(m), VEC_GP);
    CHECK_EQ(m_frame(m, 0, 4), 0);
    m_protected(m, 0); /* beyond the limit */
    m_gdt(m, SPARE, m_descriptor(0, TARGET - 1, 0x9b, 4));
    far32(m, 1, SPARE, TARGET);
    CHECK_EQ(m_vector(m), VEC_GP);
    CHECK_EQ(m_frame(m, 0, 4), 0);
    CHECK_EQ(m_frame(m, 1, 4), AT_CODE);
}

/* --- Call gates ----------------------------------------------------------- */

/* Gate DPL x RPL x CPL x target DPL x conforming; -1: through, at target DPL or the same CPL. */
static void check_gate(struct machine *m, int call, unsigned gdpl, unsigned rpl, unsigned cpl,
                       unsigned tdpl, int conforming)
{
    struct vcpu *v = m->vcpu;
    int vector = -1;
    unsigned new_cpl = cpl;
    uint64_t error = SPARE;

    m_protected(m, cpl);
    m_put(m, AT_TSS + 20, 0x7c00, 4);
    m_put(m, AT_TSS + 24, DATA2, 2);
    m_gdt(m, SPARE, m_gate(SPARE + 8, TARGET, 0x8c | gdpl << 5, 0));
    m_gdt(m, SPARE + 8, m_descriptor(0, 0xfffff, 0x9b | tdpl << 5 | conforming << 2, 0xc));
    if (gdpl < cpl || gdpl < rpl) {
        vector = VEC_GP;
    } else if (tdpl > cpl || (!call && !conforming && tdpl != cpl)) {
        vector = VEC_GP;
        error = SPARE + 8;
    } else if (!conforming) {
        new_cpl = tdpl;
    }
    far32(m, call, SPARE | (uint16_t)rpl, 0x99999999); /* the offset does not matter */
    CHECK_EQ(m_vector(m), vector);
    if (vector >= 0) {
        CHECK_EQ(m_frame(m, 0, 4), error);
        return;
    }
    CHECK_EQ(v->rip, TARGET);
    CHECK_EQ(v->cpl, new_cpl);
    CHECK_EQ(v->seg[SEG_CS].selector, (SPARE + 8) | new_cpl);
    if (new_cpl < cpl) {
        static const uint32_t top[] = { STACK0, STACK1, 0x7c00 };

        CHECK_EQ(v->gpr[RSP], top[new_cpl] - 16);
        CHECK_EQ(v->seg[SEG_SS].selector, datas[new_cpl]);
        CHECK_EQ(m_frame(m, 2, 4), STACK3);
        CHECK_EQ(m_frame(m, 3, 4), datas[cpl]);
    }
}

static void test_gates(struct machine *m)
{
    for (unsigned i = 0; i < 1024; i++)
        check_gate(m, i & 1, i >> 1 & 3, i >> 3 & 3, i >> 5 & 3, i >> 7 & 3, i >> 9);
}

/* Parameters are copied, RET n drops them from both stacks; a 286 gate works in words. */
static void check_parameters(struct machine *m, unsigned access, unsigned size)
{
    struct vcpu *v = m->vcpu;

    m_protected(m, 3);
    m_gdt(m, SPARE, m_gate(CODE0, TARGET, access, 3));
    for (unsigned i = 0; i < 3; i++)
        m_put(m, STACK3 + i * size, 0x1110 + i, size);
    far32(m, 1, SPARE, 0);
    CHECK_EQ(v->rip, size == 2 ? TARGET & 0xffff : TARGET);
    CHECK_EQ(v->cpl, 0);
    CHECK_EQ(v->gpr[RSP], STACK0 - 7 * size);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(m_frame(m, 2 + i, size), 0x1110 + i);
    CHECK_EQ(m_frame(m, 5, size), STACK3 & (size == 2 ? 0xffff : ~0u));
    v->rip = AT_CODE + 0x100;
    m_put(m, v->rip, size == 2 ? 0x0006ca66 : 0x000cca, 4); /* retf 3 * size */
    interp_step(v);
    CHECK_EQ(v->cpl, 3);
    CHECK_EQ(v->rip, (AT_CODE + 7) & (size == 2 ? 0xffff : ~0u));
    CHECK_EQ(v->seg[SEG_CS].selector, CODE3);
    CHECK_EQ(v->gpr[RSP], STACK3 + 3 * size);
    CHECK_EQ(v->seg[SEG_SS].selector, DATA3);
}

/* --- Returns -------------------------------------------------------------- */

/* retf to a segment of this kind from this CPL (SDM 2, RET). */
static void check_return(struct machine *m, unsigned access, unsigned rpl, unsigned cpl)
{
    struct vcpu *v = m->vcpu;
    unsigned dpl = access >> 5 & 3;
    int vector = -1;

    m_protected(m, cpl);
    m_gdt(m, SPARE, m_descriptor(0, 0xfffff, access, 0xc));
    if ((access & 0x18) != 0x18 || rpl < cpl || (access & 4 ? dpl > rpl : dpl != rpl))
        vector = VEC_GP;
    else if (!(access & 0x80))
        vector = VEC_NP;
    v->gpr[RSP] = AT_DATA;
    m_put(m, AT_DATA, TARGET, 4);
    m_put(m, AT_DATA + 4, SPARE | rpl, 4);
    m_put(m, AT_DATA + 8, 0x8800, 4);
    m_put(m, AT_DATA + 12, datas[rpl], 4);
    M_RUN(m, "\xcb");
    CHECK_EQ(m_vector(m), vector);
    if (vector >= 0) {
        CHECK_EQ(m_frame(m, 0, 4), SPARE);
        return;
    }
    CHECK_EQ(v->cpl, rpl);
    CHECK_EQ(v->rip, TARGET);
    CHECK_EQ(v->gpr[RSP], rpl > cpl ? 0x8800 : AT_DATA + 8);
    /* data segments of the inner privilege are gone */
    CHECK_EQ(v->seg[SEG_DS].attr & SEG_UNUSABLE, rpl > cpl ? SEG_UNUSABLE : 0);
}

static void test_returns(struct machine *m)
{
    for (unsigned access = 0; access < 256; access++)
        for (unsigned rpl = 0; rpl < 4; rpl++)
            for (unsigned cpl = 0; cpl < 4; cpl++)
                check_return(m, access, rpl, cpl);
    for (unsigned bad = 0; bad < 4; bad++) { /* the outer SS: null, RPL, type, absent */
        static const uint16_t ss[] = { 0, DATA2, CODE3, SPARE | 3 };
        static const int vector[] = { VEC_GP, VEC_GP, VEC_GP, VEC_SS };

        m_protected(m, 0);
        m_gdt(m, SPARE, m_descriptor(0, 0xfffff, 0x73, 0xc));
        m->vcpu->gpr[RSP] = AT_DATA;
        m_put(m, AT_DATA, TARGET | (uint64_t)CODE3 << 32, 8);
        m_put(m, AT_DATA + 8, 0x8800 | (uint64_t)ss[bad] << 32, 8);
        M_RUN(m, "\xcb");
        CHECK_EQ(m_vector(m), vector[bad]);
        CHECK_EQ(m_frame(m, 0, 4), ss[bad] & ~3);
        CHECK_EQ(m_frame(m, 1, 4), AT_CODE);
    }
}

/* --- IRET ----------------------------------------------------------------- */

static void check_iret(struct machine *m, unsigned cpl, unsigned iopl, unsigned to, uint32_t may)
{
    struct vcpu *v = m->vcpu;

    m_protected(m, cpl);
    v->eflags = EFLAGS_R1 | iopl << 12;
    v->gpr[RSP] = AT_DATA;
    m_put(m, AT_DATA, TARGET | (uint64_t)codes[to] << 32, 8);
    m_put(m, AT_DATA + 8, 0xffffffff & (cpl ? ~0ull : ~(uint64_t)EFLAGS_VM), 4);
    m_put(m, AT_DATA + 12, 0x8800 | (uint64_t)datas[to] << 32, 8);
    M_RUN(m, "\xcf");
    CHECK_EQ(m_vector(m), -1);
    CHECK_EQ(v->eflags, EFLAGS_R1 | iopl << 12 | may);
    CHECK_EQ(v->cpl, to);
    CHECK_EQ(v->gpr[RSP], to > cpl ? 0x8800 : AT_DATA + 12);
}

static void test_iret(struct machine *m)
{
    const uint32_t user = EFLAGS_ARITH | EFLAGS_TF | EFLAGS_DF | EFLAGS_NT | EFLAGS_AC | EFLAGS_ID |
                          EFLAGS_RF;
    struct vcpu *v = m->vcpu;

    check_iret(m, 0, 0, 0, user | EFLAGS_IF | EFLAGS_IOPL);
    check_iret(m, 0, 0, 3, user | EFLAGS_IF | EFLAGS_IOPL);
    check_iret(m, 1, 0, 3, user);
    check_iret(m, 1, 1, 2, user | EFLAGS_IF);
    check_iret(m, 3, 0, 3, user);
    check_iret(m, 3, 3, 3, user | EFLAGS_IF);

    m_protected(m, 0); /* to virtual-8086 mode */
    v->gpr[RSP] = AT_DATA;
    m_put(m, AT_DATA, 0x1234 | 0xabcdull << 32, 8);
    m_put(m, AT_DATA + 8, (EFLAGS_VM | EFLAGS_IF | EFLAGS_IOPL) | 0x5678ull << 32, 8);
    for (unsigned i = 0; i < 5; i++)
        m_put(m, AT_DATA + 16 + 4 * i, 0x100 + i, 4); /* SS ES DS FS GS */
    M_RUN(m, "\xcf");
    CHECK_EQ(v->eflags, EFLAGS_R1 | EFLAGS_VM | EFLAGS_IF | EFLAGS_IOPL);
    CHECK_EQ(v->cpl, 3);
    CHECK_EQ(v->seg[SEG_CS].base, 0xabcd0);
    CHECK_EQ(v->gpr[RSP], 0x5678);
    CHECK_EQ(v->seg[SEG_SS].base, 0x1000);
    CHECK_EQ(v->seg[SEG_GS].selector, 0x104);
    CHECK_EQ(v->seg[SEG_GS].attr, 0xf3);

    m_protected(m, 0); /* a 16-bit stack: the upper half of ESP is kept */
    m_gdt(m, SPARE, m_descriptor(0, 0xffff, 0xf3, 0));
    v->gpr[RSP] = AT_DATA;
    m_put(m, AT_DATA, TARGET | (uint64_t)CODE3 << 32, 8);
    m_put(m, AT_DATA + 8, 0xabcd880000000002, 8);
    m_put(m, AT_DATA + 16, SPARE | 3, 4);
    M_RUN(m, "\xcf");
    CHECK_EQ(v->gpr[RSP], (AT_DATA & 0xffff0000) | 0x8800);

    m_v86(m, 3); /* in V86: IOPL stays, IF changes */
    m_put(m, 0x9800, 0x0010 | 0x1000 << 16, 4);
    m_put(m, 0x9804, EFLAGS_IF | EFLAGS_CF, 2);
    M_RUN(m, "\xcf");
    CHECK_EQ(v->eflags, EFLAGS_R1 | EFLAGS_VM | EFLAGS_IOPL | EFLAGS_IF | EFLAGS_CF);
    CHECK_EQ(v->rip, 0x10);
    CHECK_EQ(v->gpr[RSP], 0x806);
}

/* A frame whose second half is on a page that is not there: nothing has changed. */
static void test_partial(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    m_protected(m, 0);
    m_put(m, 0x100000, 0x101007, 4);
    for (unsigned i = 0; i < 512; i++)
        m_put(m, 0x101000 + 4 * i, i << 12 | (i == 0x19 ? 0 : 7), 4);
    v->cr3 = 0x100000;
    v->cr0 |= CR0_PG;
    mem_mode_changed(v);
    m_put(m, AT_IDT + 8 * VEC_PF, m_gate(TSS2_SEL, 0, 0x85, 0), 8); /* a task with its own stack */
    m_put(m, AT_TSS2 + 0x1c, 0x100000, 4);
    m_put(m, AT_TSS2 + 0x20, AT_HANDLER + 16 * VEC_PF, 4);
    m_put(m, AT_TSS2 + 0x38, STACK0, 4);
    m_put(m, AT_TSS2 + 0x4c, CODE0, 4);
    m_put(m, AT_TSS2 + 0x50, DATA0, 4);
    v->gpr[RSP] = 0x18ff4; /* EIP, CS, EFLAGS fit; ESP and SS do not */
    m_put(m, 0x18ff4, TARGET | (uint64_t)CODE3 << 32, 8);
    M_RUN(m, "\xcf");
    CHECK_EQ(m_vector(m), VEC_PF);
    CHECK_EQ(v->cr2, 0x19000);
    CHECK_EQ(m_frame(m, 0, 4), 0);
    CHECK_EQ(m_get(m, AT_TSS + 0x20, 4), AT_CODE); /* the old task's state is as it was */
    CHECK_EQ(m_get(m, AT_TSS + 0x38, 4), 0x18ff4);
    CHECK_EQ(m_get(m, AT_TSS + 0x4c, 2), CODE0);
    CHECK_EQ(m_get(m, AT_TSS + 0x24, 4), EFLAGS_R1 | EFLAGS_RF);
}

int main(void)
{
    struct machine m;

    m_create(&m);
    test_direct(&m);
    test_bad_types(&m);
    test_gates(&m);
    check_parameters(&m, 0xec, 4);
    check_parameters(&m, 0xe4, 2);
    test_returns(&m);
    test_iret(&m);
    test_partial(&m);
    m_destroy(&m);
    return CHECK_DONE();
}
