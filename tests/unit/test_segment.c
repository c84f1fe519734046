/*
 * Segment register loads: every descriptor type x present x DPL x RPL x CPL against the rules of
 * SDM 2, MOV; LAR, LSL, VERR, VERW against the host's own CPU where it lets us have an LDT.
 * KNOWN-FAULTS row 11 (descriptor types) and 14.
 */
#include <asm/ldt.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpu/cpuid.h"
#include "cpu/segment.h"
#include "tests/unit/cpu_machine.h"

/* What a load of selector SPARE | rpl must do: the vector, or -1. */
static int want(unsigned seg, unsigned access, unsigned rpl, unsigned cpl)
{
    unsigned dpl = access >> 5 & 3;
    int code = access & 8, present = access & 0x80, s = access & 0x10;

    if (seg == SEG_SS) {
        if (rpl != cpl || !s || code || !(access & 2) || dpl != cpl)
            return VEC_GP;
        return present ? -1 : VEC_SS;
    }
    if (!s || (code && !(access & 2)))
        return VEC_GP;
    if (!(code && access & 4) && (rpl > dpl || cpl > dpl))
        return VEC_GP;
    return present ? -1 : VEC_NP;
}

static void check_load(struct machine *m, unsigned seg, unsigned access, unsigned rpl, unsigned cpl)
{
    static const char *const mov[] = { "\x8e\xc0", NULL, "\x8e\xd0", "\x8e\xd8" };
    struct vcpu *v = m->vcpu;
    int vector = want(seg, access, rpl, cpl);

    m_protected(m, cpl);
    m_gdt(m, SPARE, m_descriptor(0x12345, 0x6789a, access, 0x4));
    v->gpr[RAX] = SPARE | rpl;
    m_run(m, mov[seg], 2);
    if (m_vector(m) != vector)
        printf("seg %u access %02x rpl %u cpl %u: got %d want %d\n", seg, access, rpl, cpl,
               m_vector(m), vector);
    CHECK_EQ(m_vector(m), vector);
    if (vector >= 0) {
        CHECK_EQ(m_frame(m, 0, 4), SPARE);
        CHECK_EQ(m_frame(m, 1, 4), AT_CODE);
        CHECK_EQ(m_get(m, AT_GDT + SPARE + 5, 1), access);
        return;
    }
    CHECK_EQ(v->seg[seg].selector, SPARE | rpl);
    CHECK_EQ(v->seg[seg].base, 0x12345);
    CHECK_EQ(v->seg[seg].limit, 0x6789a);
    CHECK_EQ(m_get(m, AT_GDT + SPARE + 5, 1), access | 1);
}

static void test_matrix(struct machine *m)
{
    static const unsigned segs[] = { SEG_ES, SEG_SS, SEG_DS };

    for (unsigned s = 0; s < 3; s++)
        for (unsigned access = 0; access < 256; access++)
            for (unsigned rpl = 0; rpl < 4; rpl++)
                for (unsigned cpl = 0; cpl < 4; cpl++)
                    check_load(m, segs[s], access, rpl, cpl);
}

static void test_limits(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    m_protected(m, 0); /* beyond the table */
    v->gdtr.limit = SPARE + 6;
    v->gpr[RAX] = SPARE;
    M_RUN(m, "\x8e\xc0");
    CHECK_EQ(m_vector(m), VEC_GP);
    CHECK_EQ(m_frame(m, 0, 4), SPARE);

    m_protected(m, 0); /* an LDT selector without LDT */
    v->ldtr.attr = SEG_UNUSABLE;
    v->gpr[RAX] = 0x0c;
    M_RUN(m, "\x8e\xc0");
    CHECK_EQ(m_vector(m), VEC_GP);
    CHECK_EQ(m_frame(m, 0, 4), 0x0c);

    m_protected(m, 3); /* null is fine for data, its use is not; not for SS */
    v->gpr[RAX] = 3;
    M_RUN(m, "\x8e\xc0");
    CHECK_EQ(m_vector(m), -1);
    CHECK_EQ(v->seg[SEG_ES].attr & SEG_UNUSABLE, SEG_UNUSABLE);
    v->rip = AT_CODE;
    M_RUN(m, "\x26\xa0\x00\x80\x01\x00"); /* mov al, es:[18000h] */
    CHECK_EQ(m_vector(m), VEC_GP);
    m_protected(m, 3);
    v->gpr[RAX] = 3;
    M_RUN(m, "\x8e\xd0");
    CHECK_EQ(m_vector(m), VEC_GP);
    CHECK_EQ(m_frame(m, 0, 4), 0);
}

/* Expand-down segments and accesses that straddle the limit (row 24). */
static void check_access(struct machine *m, unsigned access, unsigned flags, uint32_t limit,
                         uint32_t offset, int vector)
{
    m_protected(m, 0);
    m_gdt(m, SPARE, m_descriptor(0, limit, access, flags));
    m->vcpu->gpr[RAX] = SPARE;
    M_RUN(m, "\x8e\xc0");
    m->vcpu->rip = AT_CODE;
    m->vcpu->gpr[RBX] = offset;
    M_RUN(m, "\x26\x8b\x03"); /* mov eax, es:[ebx] */
    CHECK_EQ(m_vector(m), vector);
}

static void test_straddle(struct machine *m)
{
    check_access(m, 0x93, 4, 0x1000, 0x0ffd, -1);
    check_access(m, 0x93, 4, 0x1000, 0x0ffe, VEC_GP);
    check_access(m, 0x93, 4, 0x1000, 0xffffffff, VEC_GP);
    check_access(m, 0x97, 4, 0x1000, 0x1000, VEC_GP); /* expand-down: above the limit only */
    check_access(m, 0x97, 4, 0x1000, 0x1001, -1);
    check_access(m, 0x97, 0, 0x1000, 0xfffc, -1);     /* B = 0: up to 64 KiB */
    check_access(m, 0x97, 0, 0x1000, 0xfffd, VEC_GP);
    check_access(m, 0x97, 4, 0x1000, 0xfffd, -1);
}

/* --- Against the host ----------------------------------------------------- */

struct answers {
    uint32_t lar, lsl, zf;
};

#define ASK(name, selector, value, zf)                                                             \
    __asm__ volatile(name " %2, %0; setz %1" : "+r"(value), "=q"(zf) : "r"(selector) : "cc")
#define VERIFY(name, selector, zf)                                                                 \
    __asm__ volatile(name " %w1; setz %0" : "=q"(zf) : "r"(selector) : "cc")

static struct answers ask_host(uint32_t selector)
{
    struct answers a = { 0x11111111, 0x22222222, 0 };
    uint8_t zf;

    ASK("lar", selector, a.lar, zf);
    a.zf |= zf;
    ASK("lsl", selector, a.lsl, zf);
    a.zf |= zf << 1;
    VERIFY("verr", selector, zf);
    a.zf |= zf << 2;
    VERIFY("verw", selector, zf);
    a.zf |= zf << 3;
    return a;
}

static struct answers ask_interpreter(struct machine *m, uint32_t selector)
{
    static const char *const code[] = { "\x0f\x02\xc1", "\x0f\x03\xc1", "\x0f\x00\xe1",
                                        "\x0f\x00\xe9" };
    struct answers a = { 0, 0, 0 };
    struct vcpu *v = m->vcpu;

    for (unsigned i = 0; i < 4; i++) {
        v->rip = AT_CODE;
        v->gpr[RAX] = i ? 0x22222222 : 0x11111111;
        v->gpr[RCX] = selector;
        m_run(m, code[i], 3);
        a.zf |= (v->eflags & EFLAGS_ZF ? 1u : 0u) << i;
        if (i == 0)
            a.lar = (uint32_t)v->gpr[RAX];
        if (i == 1)
            a.lsl = (uint32_t)v->gpr[RAX];
    }
    return a;
}

static void compare(struct machine *m, unsigned entry, uint64_t d)
{
    m_protected(m, 3);
    m_put(m, AT_LDT + 8 * entry, d, 8);
    for (unsigned rpl = 0; rpl < 4; rpl++) {
        uint32_t selector = entry << 3 | 4 | rpl;
        struct answers want_a = ask_host(selector), got = ask_interpreter(m, selector);

        CHECK_EQ(got.zf, want_a.zf);
        CHECK_EQ(got.lar, want_a.lar);
        CHECK_EQ(got.lsl, want_a.lsl);
    }
}

static void test_host(struct machine *m)
{
    unsigned compared = 0;

    for (unsigned i = 0; i < 64; i++) {
        struct user_desc u = {
            .entry_number = i & 31, .base_addr = 0x1000, .limit = 0x12345,
            .seg_32bit = 1, .contents = i & 3, .read_exec_only = i >> 2 & 1,
            .limit_in_pages = i >> 3 & 1, .seg_not_present = i >> 4 & 1, .useable = i >> 5 & 1,
        };
        unsigned access = 0x71 | (u.seg_not_present ? 0 : 0x80) | u.contents << 2 |
                          (u.read_exec_only ? 0 : 2);

        if (syscall(SYS_modify_ldt, 0x11, &u, sizeof(u)))
            continue;
        compare(m, u.entry_number,
                m_descriptor(0x1000, 0x12345, access, u.limit_in_pages << 3 | 4 | u.useable));
        compared++;
    }
    if (!compared)
        printf("skipped: the host gives no LDT, LAR and LSL are not compared with the CPU\n");
}

/* --- Real mode (row 20) ----------------------------------------------------- */

static void real_load(struct machine *m, uint16_t ds, uint32_t ebx)
{
    struct vcpu *v = m->vcpu;

    v->gpr[RAX] = ds;
    v->rip = 0;
    M_RUN(m, "\x8e\xd8"); /* mov ds, ax */
    v->gpr[RBX] = ebx;
    v->rip = 0;
    M_RUN(m, "\x67\x8b\x0b"); /* mov cx, [ebx] */
}

static void test_real(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    m_real(m); /* a word at offset ffff straddles the limit */
    real_load(m, 0x1000, 0xffff);
    CHECK_EQ(m_vector(m), VEC_GP);

    m_real(m); /* ffff:0010 is 1 MiB, or 0 with A20 masked */
    m_put(m, 0x100000, 0x1111, 2);
    m_put(m, 0, 0x2222, 2);
    real_load(m, 0xffff, 0x10);
    CHECK_EQ(v->gpr[RCX] & 0xffff, 0x1111);
    v->a20_masked = true;
    mem_mode_changed(v);
    real_load(m, 0xffff, 0x10);
    CHECK_EQ(v->gpr[RCX] & 0xffff, 0x2222);
    v->a20_masked = false;
    mem_mode_changed(v);

    m_protected(m, 0); /* big real mode: a limit loaded in protected mode outlives PE */
    v->cr0 = CR0_ET;
    v->seg[SEG_CS] = (struct segment){ AT_CODE >> 4, 0x93, 0xffff, AT_CODE };
    v->idtr = (struct table_register){ 0, 0x3ff };
    m_put(m, 0x180000, 0x3333, 2);
    real_load(m, 0x1000, 0x170000);
    CHECK_EQ(v->gpr[RCX] & 0xffff, 0x3333);
    CHECK_EQ(v->seg[SEG_DS].limit, UINT32_MAX);
}

/* What the host's selectors mean, which user code has read on the bare CPU. */
static void test_meant(struct machine *m)
{
    enum { AREA = 6 * 8 + 3, FLAT = 0x7b, CODE = 0x73 };
    struct vcpu *v = m->vcpu;

    m_protected(m, 3);
    v->gdtr.limit = 0x1f; /* the guest has none of these numbers itself */
    v->ldtr = (struct segment){ .attr = SEG_UNUSABLE };
    memset(v->bare, 0, sizeof(v->bare));
    CHECK_EQ(segment_meant(v, SEG_GS, SEGMENT_BARE_TLS(6)), SEGMENT_BARE_TLS(6));
    CHECK_EQ(segment_meant(v, SEG_ES, SEGMENT_BARE_DATA), SEGMENT_BARE_DATA);
    v->bare[SEG_CS] = CODE;
    v->bare[SEG_SS] = v->bare[SEG_ES] = FLAT;
    v->bare[SEG_GS] = AREA;
    CHECK_EQ(segment_meant(v, SEG_GS, SEGMENT_BARE_TLS(6)), AREA);
    CHECK_EQ(segment_meant(v, SEG_ES, SEGMENT_BARE_TLS(6)), AREA);
    CHECK_EQ(segment_meant(v, SEG_GS, SEGMENT_BARE_TLS(9)), SEGMENT_BARE_TLS(9));
    CHECK_EQ(segment_meant(v, SEG_ES, SEGMENT_BARE_DATA), FLAT);
    CHECK_EQ(segment_meant(v, SEG_ES, SEGMENT_BARE_CODE), CODE);
    /* With an LDT, code may name entries of it that are not there. */
    v->ldtr = (struct segment){ .limit = 0x3f, .base = AT_GDT + 0x800 };
    CHECK_EQ(segment_meant(v, SEG_GS, SEGMENT_BARE_TLS(6)), AREA);
    CHECK_EQ(segment_meant(v, SEG_GS, SEGMENT_BARE_TLS(8)), SEGMENT_BARE_TLS(8));
    memset(v->bare, 0, sizeof(v->bare));
}

/* Of the 32-bit slot of a selector the instruction reads so many bytes. */
static void check_slot(struct machine *m, const char *code, unsigned len, unsigned selector_at,
                       unsigned read)
{
    struct vcpu *v = m->vcpu;

    for (unsigned bytes = 1; bytes <= 4; bytes++) {
        m_protected(m, 0);
        m_put(m, STACK0, AT_CODE + 0x80, 4);
        m_put(m, STACK0 + selector_at, selector_at ? CODE0 : DATA0, 2);
        v->gpr[RSP] = STACK0;
        v->seg[SEG_SS].limit = STACK0 + selector_at + bytes - 1;
        m_run(m, code, len);
        CHECK_EQ(m_vector(m), bytes < read ? VEC_SS : -1);
        if (bytes >= read)
            CHECK_EQ(v->gpr[RSP], STACK0 + selector_at + 4);
    }
}

/* POP of a segment register: as many as the vendor's CPUs do; far RET: all, as it wants the whole
 * slot to be on the stack (SDM 2, RET; APM 3, RET: the same). */
static void test_slots(struct machine *m)
{
    static const char *const models[] = { "pentium3", "athlon" };

    for (unsigned amd = 0; amd < 2; amd++) {
        unsigned read = amd ? 4 : 2;
        struct cpu_model *model;
        const char *error;

        CHECK_EQ(cpu_model_parse(models[amd], &model, &error), 0);
        m->vcpu->model = model;
        check_slot(m, "\x07", 1, 0, read);     /* pop es */
        check_slot(m, "\x0f\xa9", 2, 0, read); /* pop gs */
        check_slot(m, "\xcb", 1, 4, 4);        /* retf */
        m->vcpu->model = NULL;
        cpu_model_destroy(model);
    }
}

int main(void)
{
    struct machine m;

    m_create(&m);
    test_matrix(&m);
    test_limits(&m);
    test_straddle(&m);
    test_host(&m);
    test_real(&m);
    test_meant(&m);
    test_slots(&m);
    m_destroy(&m);
    return CHECK_DONE();
}
