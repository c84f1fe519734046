/* MSRs: those that exist, those that do not, reserved bits, and that none upsets the monitor. */
#include "cpu/cpuid.h"
#include "cpu/msr.h"
#include "cpu/paging.h"
#include "tests/unit/cpu_machine.h"

static int run(struct machine *m, const char *bytes, uint32_t index, uint64_t value)
{
    struct vcpu *v = m->vcpu;

    v->rip = AT_CODE;
    v->gpr[RSP] = STACK3;
    v->gpr[RCX] = index;
    v->gpr[RAX] = (uint32_t)value;
    v->gpr[RDX] = value >> 32;
    m_run(m, bytes, 2);
    return m_vector(m);
}

#define RDMSR(m, index) run(m, "\x0f\x32", index, 0)
#define WRMSR(m, index, value) run(m, "\x0f\x30", index, value)

static void check_kept(struct machine *m, uint32_t index, uint64_t value)
{
    CHECK_EQ(WRMSR(m, index, value), -1);
    CHECK_EQ(RDMSR(m, index), -1);
    CHECK_EQ(m->vcpu->gpr[RDX] << 32 | m->vcpu->gpr[RAX], value);
}

static void test_values(struct machine *m)
{
    static const uint32_t fixed[] = { 0x250, 0x258, 0x259, 0x268, 0x26f };

    m_protected(m, 0);
    check_kept(m, 0x174, 0x60);
    check_kept(m, 0x175, 0xc0001000);
    check_kept(m, 0x176, 0xc0100000);
    check_kept(m, 0x277, 0x0007010600070106);
    check_kept(m, 0x2ff, 0xc06);
    check_kept(m, 0x20e, 0xfc000006);
    check_kept(m, 0x20f, 0xffc000800);
    check_kept(m, 0x17a, 0);
    CHECK_EQ(RDMSR(m, 0x400), VEC_GP);
    for (unsigned i = 0; i < 5; i++)
        check_kept(m, fixed[i], 0x0601040500060606);
    check_kept(m, 0xc0000080, EFER_NXE);
    CHECK_EQ(m->vcpu->efer, EFER_NXE);
    CHECK_EQ(WRMSR(m, 0xc0000080, EFER_LME), VEC_GP); /* no long mode */
    CHECK_EQ(WRMSR(m, 0x277, 2), VEC_GP);             /* no such memory type */
    CHECK_EQ(WRMSR(m, 0x2ff, 1 << 8), VEC_GP);
    CHECK_EQ(WRMSR(m, 0x200, 1ull << PHYS_BITS), VEC_GP);
    CHECK_EQ(RDMSR(m, 0x12345678), VEC_GP);
    CHECK_EQ(WRMSR(m, 0x12345678, 0), VEC_GP);
    CHECK_EQ(m_frame(m, 0, 4), 0);
}

/* Read-only, or locked: the value stays. What the other vendor has is #GP, too. */
static void test_read_only(struct machine *m)
{
    static const struct {
        uint32_t index, low;
        bool intel;
    } registers[] = { { 0x179, 0, false }, /* machine checks: no banks */
                      { 0xfe, 0x508, false }, { 0x17, 0, true },
                      { 0xce, 0, true }, { 0x3a, 1, true } };

    m_protected(m, 0);
    for (unsigned i = 0; i < 5; i++) {
        bool has = !registers[i].intel || !cpuid_is_amd(m->vcpu->model);

        CHECK_EQ(WRMSR(m, registers[i].index, registers[i].low), VEC_GP);
        CHECK_EQ(WRMSR(m, registers[i].index, 0), VEC_GP);
        CHECK_EQ(RDMSR(m, registers[i].index), has ? -1 : VEC_GP);
        if (has)
            CHECK_EQ(m->vcpu->gpr[RDX] << 32 | m->vcpu->gpr[RAX], registers[i].low);
    }
}

static void test_tsc(struct machine *m)
{
    struct vcpu *v = m->vcpu;
    uint64_t before, after;

    m_protected(m, 0);
    v->tsc_offset = 0;
    before = __builtin_ia32_rdtsc();
    run(m, "\x0f\x31", 0, 0);
    after = __builtin_ia32_rdtsc();
    CHECK_EQ((v->gpr[RDX] << 32 | v->gpr[RAX]) - before <= after - before, 1);
    CHECK_EQ(WRMSR(m, 0x10, 1ull << 50), -1);
    run(m, "\x0f\x31", 0, 0);
    CHECK_EQ(v->gpr[RDX] >> 18, 1);
    /* IA32_TSC_ADJUST has followed, and moves the TSC (SDM 3, 17.17.3) */
    CHECK_EQ(RDMSR(m, 0x3b), -1);
    CHECK_EQ((v->gpr[RDX] << 32 | v->gpr[RAX]), v->tsc_offset);
    CHECK_EQ(v->tsc_offset != 0, 1);
    CHECK_EQ(WRMSR(m, 0x3b, 0), -1);
    before = __builtin_ia32_rdtsc();
    run(m, "\x0f\x31", 0, 0);
    after = __builtin_ia32_rdtsc();
    CHECK_EQ((v->gpr[RDX] << 32 | v->gpr[RAX]) - before <= after - before, 1);
    /* a pause is not to be seen there */
    v->tsc_offset = -(v->tsc_paused = 1000);
    CHECK_EQ(RDMSR(m, 0x3b), -1);
    CHECK_EQ((v->gpr[RDX] << 32 | v->gpr[RAX]), 0);
    CHECK_EQ(WRMSR(m, 0x3b, 7), -1);
    CHECK_EQ(v->tsc_offset, 7ull - 1000);
    v->tsc_offset = v->tsc_paused = 0;
    m_protected(m, 3);
    v->cr4 = CR4_TSD;
    CHECK_EQ(run(m, "\x0f\x31", 0, 0), VEC_GP);
}

/* Every number that has a meaning somewhere, with ones and zeroes: a fault or not, never worse. */
static void test_all(struct machine *m)
{
    static const uint32_t bases[] = { 0, 0x40000000, 0x4b564d00,
                                      0xc0000000, 0xc0010000, 0xc0011000 };
    static const uint64_t values[] = { UINT64_MAX, 0x5555555555555555, 0 };

    m_protected(m, 0);
    for (unsigned b = 0; b < 6; b++)
        for (uint32_t i = 0; i < 0x1000; i++)
            for (unsigned n = 0; n < 3; n++) {
                int got = WRMSR(m, bases[b] + i, values[n]);

                CHECK_EQ(got == -1 || got == VEC_GP, 1);
                got = RDMSR(m, bases[b] + i);
                CHECK_EQ(got == -1 || got == VEC_GP, 1);
            }
}

int main(void)
{
    struct machine m;

    m_create(&m);
    test_values(&m);
    test_read_only(&m);
    test_tsc(&m);
    test_all(&m);
    m_destroy(&m);
    return CHECK_DONE();
}
