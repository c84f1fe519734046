/*
 * The FPU where tests/insn cannot ask the CPU: control registers, error reporting, real-mode
 * formats, the host's own FPU state, host addresses that must not reach the guest.
 */
#include "cpu/fpu.h"

#include "cpu/fpu_thunk.h"
#include "tests/unit/cpu_machine.h"

#define RESUMED (-1) /* no exception */

/* One instruction, always at AT_CODE. */
static void run(struct machine *m, const char *bytes, unsigned len)
{
    m->vcpu->rip = AT_CODE - m->vcpu->seg[SEG_CS].base;
    m_run(m, bytes, len);
}

#define RUN(m, bytes) run(m, bytes, sizeof(bytes) - 1)

static uint16_t image16(const struct machine *m, unsigned at)
{
    uint16_t value;

    memcpy(&value, m->vcpu->fpu + at, 2);
    return value;
}

static uint64_t image64(const struct machine *m, unsigned at)
{
    uint64_t value;

    memcpy(&value, m->vcpu->fpu + at, 8);
    return value;
}

/* Protected mode with everything on. */
static void start(struct machine *m)
{
    m_protected(m, 0);
    m->vcpu->cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    m->vcpu->xcr0 = fpu_offered_xcr0() ? fpu_offered_xcr0() : 1;
    m->vcpu->gpr[RBX] = AT_DATA;
    RUN(m, "\xdb\xe3"); /* fninit */
}

/* --- Control registers ------------------------------------------------------------------ */

struct rule {
    const char *bytes;
    unsigned len;
    /* The exception with CR0.EM, TS, MP and TS, with CR4.OSFXSR clear, OSXSAVE clear. */
    int em, ts, mp_ts, no_fxsr, no_xsave;
};

#define RULE(bytes, ...) { bytes, sizeof(bytes) - 1, __VA_ARGS__ }

static const struct rule rules[] = {
    RULE("\xd9\xe8", VEC_NM, VEC_NM, VEC_NM, RESUMED, RESUMED),             /* fld1 */
    RULE("\xdb\xe3", VEC_NM, VEC_NM, VEC_NM, RESUMED, RESUMED),             /* fninit */
    RULE("\x9b", RESUMED, RESUMED, VEC_NM, RESUMED, RESUMED),               /* fwait */
    RULE("\x0f\x77", VEC_UD, VEC_NM, VEC_NM, RESUMED, RESUMED),             /* emms */
    RULE("\x0f\xfc\xc1", VEC_UD, VEC_NM, VEC_NM, RESUMED, RESUMED),         /* paddb mm */
    RULE("\x0f\xd7\xc1", VEC_UD, VEC_NM, VEC_NM, RESUMED, RESUMED),         /* pmovmskb mm */
    RULE("\x66\x0f\xfc\xc1", VEC_UD, VEC_NM, VEC_NM, VEC_UD, RESUMED),      /* paddb xmm */
    RULE("\x66\x0f\x6e\xc1", VEC_UD, VEC_NM, VEC_NM, VEC_UD, RESUMED),      /* movd xmm */
    RULE("\x0f\x58\xc1", VEC_UD, VEC_NM, VEC_NM, VEC_UD, RESUMED),          /* addps */
    RULE("\x0f\x2a\xc1", VEC_UD, VEC_NM, VEC_NM, VEC_UD, RESUMED),          /* cvtpi2ps */
    RULE("\x0f\xae\x1b", VEC_UD, VEC_NM, VEC_NM, VEC_UD, RESUMED),          /* stmxcsr */
    RULE("\x0f\xae\x03", VEC_NM, VEC_NM, VEC_NM, RESUMED, RESUMED),         /* fxsave */
    RULE("\x0f\xae\x0b", VEC_NM, VEC_NM, VEC_NM, RESUMED, RESUMED),         /* fxrstor */
    RULE("\x0f\xae\x23", RESUMED, VEC_NM, VEC_NM, RESUMED, VEC_UD),         /* xsave */
    RULE("\x0f\xae\x2b", RESUMED, VEC_NM, VEC_NM, RESUMED, VEC_UD),         /* xrstor */
    RULE("\x0f\x01\xd0", RESUMED, RESUMED, RESUMED, RESUMED, VEC_UD),       /* xgetbv */
    RULE("\x0f\xae\xf8", RESUMED, RESUMED, RESUMED, RESUMED, RESUMED),      /* sfence */
};

static void check_rule(struct machine *m, const struct rule *rule, uint32_t cr0, uint32_t no_cr4,
                       int want)
{
    start(m);
    m->vcpu->gpr[RAX] = 1;
    m->vcpu->gpr[RCX] = m->vcpu->gpr[RDX] = 0;
    memset(m->pm.ram + AT_DATA, 0, 1024);
    m->vcpu->cr0 |= cr0;
    m->vcpu->cr4 &= ~(uint64_t)no_cr4;
    run(m, rule->bytes, rule->len);
    if (m_vector(m) != want)
        printf("rule %td\n", rule - rules);
    CHECK_EQ(m_vector(m), want);
}

static void test_rules(struct machine *m)
{
    for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const struct rule *r = &rules[i];

        if (!fpu_offered_xcr0() && (r->no_xsave == VEC_UD || r->em == RESUMED))
            continue;
        check_rule(m, r, 0, 0, RESUMED);
        check_rule(m, r, CR0_EM, 0, r->em);
        check_rule(m, r, CR0_TS, 0, r->ts);
        check_rule(m, r, CR0_TS | CR0_MP, 0, r->mp_ts);
        check_rule(m, r, 0, CR4_OSFXSR, r->no_fxsr);
        check_rule(m, r, 0, CR4_OSXSAVE, r->no_xsave);
    }
}

/* --- x87 errors --------------------------------------------------------------------------- */

static unsigned ferr_calls;

static void on_ferr(void *board)
{
    (void)board;
    ferr_calls++;
}

/* Leaves a zero divide pending: fld1; fldz; fdivp. */
static void make_error(struct machine *m)
{
    start(m);
    m_put(m, AT_DATA, 0x37b, 2); /* ZM clear */
    RUN(m, "\xd9\x2b");        /* fldcw [ebx] */
    RUN(m, "\xd9\xe8");
    RUN(m, "\xd9\xee");
    RUN(m, "\xde\xf9");
    CHECK_EQ(m_vector(m), RESUMED);
    CHECK_EQ(image16(m, FPU_SW) & 0x84, 0x84);
    CHECK_EQ(image64(m, FPU_FIP), AT_CODE);
    CHECK_EQ(image16(m, FPU_FOP), 0x6f9);
}

static void test_error(struct machine *m)
{
    make_error(m);
    RUN(m, "\xdf\xe0"); /* fnstsw ax does not wait */
    CHECK_EQ(m_vector(m), RESUMED);
    RUN(m, "\x0f\x58\xc1"); /* nor does SSE */
    CHECK_EQ(m_vector(m), RESUMED);
    RUN(m, "\x0f\xfc\xc1"); /* MMX does */
    CHECK_EQ(m_vector(m), VEC_MF);
    make_error(m);
    RUN(m, "\x9b");
    CHECK_EQ(m_vector(m), VEC_MF);
    make_error(m);
    RUN(m, "\xdb\xe2"); /* fnclex */
    RUN(m, "\x9b");
    CHECK_EQ(m_vector(m), RESUMED);
}

/* CR0.NE clear: FERR#, and the interrupt comes before the waiting instruction. */
static void test_ferr(struct machine *m)
{
    m->env.ferr = on_ferr;
    make_error(m);
    m->vcpu->cr0 &= ~(uint64_t)CR0_NE;
    ferr_calls = 0;
    RUN(m, "\xd9\xe8");
    CHECK_EQ(ferr_calls, 1);
    CHECK_EQ(m_vector(m), RESUMED);
    CHECK_EQ(m->vcpu->rip, AT_CODE + 2); /* masked interrupt: goes on */
    CHECK_EQ(image64(m, FPU_ST), 1ull << 63);
    CHECK_EQ(image16(m, FPU_SW) & 0x8084, 0x8084); /* and the error stays */

    make_error(m);
    m->vcpu->cr0 &= ~(uint64_t)CR0_NE;
    RUN(m, "\xdb\xe0"); /* does not wait */
    CHECK_EQ(ferr_calls, 1);
    m->vcpu->eflags |= EFLAGS_IF;
    m->interrupt = 0x75;
    m->vcpu->intr_line = true;
    RUN(m, "\xd9\xe8"); /* the interrupt line is up already: taken first */
    CHECK_EQ(m_vector(m), 0x75);
    m->env.ferr = NULL;
}

/* --- SSE errors ----------------------------------------------------------------------------- */

static void test_simd_error(struct machine *m)
{
    static const uint8_t divps[] = { 0x0f, 0x5e, 0xc1 };
    uint8_t before[16];

    for (unsigned i = 0; i < 3; i++) {
        start(m);
        m_put(m, AT_DATA, i == 2 ? 0x1f80 : 0x1d80, 4); /* ZM clear */
        RUN(m, "\x0f\xae\x13");                        /* ldmxcsr [ebx] */
        memset(m->vcpu->fpu + FPU_XMM, 0x3f, 16);
        memset(m->vcpu->fpu + FPU_XMM + 16, 0, 16);
        m->vcpu->fpu[FPU_XSTATE_BV] |= XCR0_SSE;
        memcpy(before, m->vcpu->fpu + FPU_XMM, 16);
        if (i == 1)
            m->vcpu->cr4 &= ~(uint64_t)CR4_OSXMMEXCPT;
        run(m, (const char *)divps, 3);
        CHECK_EQ(m_vector(m), i == 0 ? VEC_XM : i == 1 ? VEC_UD : RESUMED);
        CHECK_EQ(image16(m, FPU_MXCSR) & 0x3f, 4);
        CHECK_EQ(!memcmp(before, m->vcpu->fpu + FPU_XMM, 16), i < 2);
    }
}

/* --- Nothing happens before a fault --------------------------------------- */

static void check_untouched(struct machine *m, const char *bytes, unsigned len, int vector)
{
    static uint8_t before[FPU_AREA_SIZE];

    start(m);
    RUN(m, "\xd9\xeb"); /* fldpi */
    memcpy(before, m->vcpu->fpu, sizeof(before));
    run(m, bytes, len);
    CHECK_EQ(m_vector(m), vector);
    CHECK_EQ(!!memcmp(before, m->vcpu->fpu, sizeof(before)), 0);
}

#define UNTOUCHED(bytes, vector) check_untouched(m, bytes, sizeof(bytes) - 1, vector)

static void test_faults(struct machine *m)
{
    UNTOUCHED("\x0f\x28\x43\x08", VEC_GP);         /* movaps xmm0, [ebx + 8] */
    UNTOUCHED("\x36\x0f\x29\x43\x08", VEC_GP);     /* #GP although in SS */
    UNTOUCHED("\x0f\xae\x43\x08", VEC_GP);         /* fxsave */
    UNTOUCHED("\x0f\xae\x4b\x08", VEC_GP);         /* fxrstor */
    start(m);
    m_put(m, AT_DATA, 0x10000, 4); /* a reserved bit */
    UNTOUCHED("\x0f\xae\x13", VEC_GP); /* ldmxcsr [ebx] */
    UNTOUCHED("\x0f\xb8\xc1", VEC_UD); /* no such instruction */
}

/* Past the segment's limit: stores that pop must not have popped. */
static void test_limit(struct machine *m)
{
    static uint8_t before[FPU_AREA_SIZE];
    static const char *const code[] = { "\xdd\x5b\x04", "\xdb\x7b\x04", "\x0f\x11\x43\x04",
                                        "\xdf\x73\x04", "\xdd\x73\x04", "\xd9\x73\x04" };

    for (unsigned i = 0; i < sizeof(code) / sizeof(code[0]); i++) {
        start(m);
        RUN(m, "\xd9\xeb");
        memcpy(before, m->vcpu->fpu, sizeof(before));
        m->vcpu->seg[SEG_DS].limit = AT_DATA + 7;
        run(m, code[i], i == 2 ? 4 : 3);
        CHECK_EQ(m_vector(m), VEC_GP);
        CHECK_EQ(!!memcmp(before, m->vcpu->fpu, sizeof(before)), 0);
    }
}

/* --- Pointers and their formats ------------------------------------------- */

/* An unmasked error with a memory operand at seg:[bx + 2]: FIP, FDP and FOP are the guest's. */
static void error_with_operand(struct machine *m)
{
    RUN(m, "\xdb\xe3");
    memcpy(m->vcpu->fpu + FPU_CW, "\x7e\x03", 2); /* IM clear */
    m->vcpu->fpu[FPU_XSTATE_BV] |= XCR0_X87; /* FNINIT has not made it used everywhere */
    m_put(m, m->vcpu->seg[SEG_DS].base + m->vcpu->gpr[RBX] + 2, 0x7ff0000000000001, 8);
    RUN(m, "\xdd\x47\x02"); /* fld qword [bx + 2], a signalling NaN */
    CHECK_EQ(image16(m, FPU_SW) & 0x81, 0x81);
}

static void test_real_format(struct machine *m)
{
    uint32_t env[7];
    uint16_t half[7];

    m_real(m);
    m->vcpu->seg[SEG_DS] = (struct segment){ 0x1800, 0x93, 0xffff, 0x18000 };
    m->vcpu->gpr[RBX] = 0x10;
    error_with_operand(m);
    CHECK_EQ(image64(m, FPU_FIP), 0);
    CHECK_EQ(image64(m, FPU_FDP), 0x12);
    CHECK_EQ(image16(m, FPU_FOP), 0x547);
    memcpy(m->vcpu->fpu + FPU_FIP, "\x78\x56\x03\x00", 4); /* a linear address */
    RUN(m, "\xd9\x77\x40"); /* fnstenv [bx + 40h], 16 bits */
    memcpy(half, m->pm.ram + 0x18050, sizeof(half));
    CHECK_EQ(half[0], 0x37e);
    CHECK_EQ(half[3] & 0xfff, 0x678);
    CHECK_EQ(half[4] & 0xfff, 0x547);
    RUN(m, "\x66\xd9\x77\x40"); /* 32 bits */
    memcpy(env, m->pm.ram + 0x18050, sizeof(env));
    CHECK_EQ(env[4] & 0x7ff, 0x547);
    CHECK_EQ(env[4] >> 28, 0);
    m_put(m, 0x1805c, 0xffff5678, 4);
    m_put(m, 0x18060, 0x0003a123, 4);
    m_put(m, 0x18064, 0xffff1234, 4);
    m_put(m, 0x18068, 0x00004000, 4);
    RUN(m, "\x66\xd9\x67\x40"); /* fldenv */
    CHECK_EQ(image64(m, FPU_FIP), 0x3a5678);
    CHECK_EQ(image64(m, FPU_FDP), 0x41234);
    CHECK_EQ(image16(m, FPU_FOP), 0x123);
    RUN(m, "\xd9\x77\x40");
    memcpy(half, m->pm.ram + 0x18050, sizeof(half));
    CHECK_EQ(half[3], 0x5678);
    CHECK_EQ(half[4], 0xa123);
    CHECK_EQ(half[5], 0x1234);
    CHECK_EQ(half[6], 0x4000);
}

/* Any state that the guest can save is free of host addresses. */
static void test_no_leak(struct machine *m)
{
    start(m);
    m_put(m, AT_DATA, 0x37e, 2);
    RUN(m, "\xd9\x2b");
    m_put(m, AT_DATA, 0x7ff0000000000001, 8);
    RUN(m, "\xdd\x03"); /* fld qword [ebx]: fails */
    CHECK_EQ(image64(m, FPU_FIP), AT_CODE);
    CHECK_EQ(image64(m, FPU_FDP), AT_DATA);
    CHECK_EQ(image16(m, FPU_FOP), 0x503);
    RUN(m, "\x0f\xae\x83\x00\x01\x00\x00"); /* fxsave [ebx + 100h] */
    CHECK_EQ(m_get(m, AT_DATA + 0x108, 4), AT_CODE);
    CHECK_EQ(m_get(m, AT_DATA + 0x110, 4), AT_DATA);
}

/* --- The host's registers ------------------------------------------------- */

/* F2, the reverse: no address of the guest's is left in the host's registers. */
static void check_host_pointers(void)
{
    uint32_t env[7];

    __asm__ volatile("fnstenv %0\n\tfldenv %0" : "=m"(env));
    CHECK_EQ(env[3], 0);
    CHECK_EQ(env[4], 0);
    CHECK_EQ(env[5], 0);
}

static void check_host(void)
{
    uint32_t mxcsr;
    uint16_t cw, sw;

    __asm__ volatile("stmxcsr %0\n\tfnstcw %1\n\tfnstsw %2" : "=m"(mxcsr), "=m"(cw), "=m"(sw));
    CHECK_EQ(mxcsr & 0xffc0, 0x1f80);
    CHECK_EQ(cw, 0x37f);
    CHECK_EQ(sw & 0x3800, 0);
    check_host_pointers();
}

static void test_host_state(struct machine *m)
{
    struct fpu_last last;

    start(m);
    m_put(m, AT_DATA, 0xc7f, 2);
    RUN(m, "\xd9\x2b");
    m_put(m, AT_DATA, 0x7fc0, 4);
    RUN(m, "\x0f\xae\x13");
    RUN(m, "\x0f\x58\xc1");
    check_host();
    RUN(m, "\xd9\xeb");
    check_host();
    fpu_load(m->vcpu);
    CHECK_EQ(m->vcpu->bt.fpu_loaded, 1);
    CHECK_EQ(fpu_save(m->vcpu).ip, 0);
    check_host();
    CHECK_EQ(image16(m, FPU_CW), 0xc7f);
    CHECK_EQ(image16(m, FPU_MXCSR), 0x7fc0);
    CHECK_EQ(image64(m, FPU_ST), 0xc90fdaa22168c234); /* pi, rounded towards zero */
    fpu_load(m->vcpu);
    __asm__ volatile("fld1\n\tmovd %0, %%xmm3" : : "r"(0x1234) : "xmm3");
    last = fpu_save(m->vcpu);
    CHECK_EQ(last.low || last.ip >> 32, 1);
    CHECK_EQ(last.ip != 0, 1);
    CHECK_EQ(image64(m, FPU_FIP), 0);
    CHECK_EQ(image64(m, FPU_ST), 1ull << 63);
    CHECK_EQ(image64(m, FPU_XMM + 48), 0x1234);
    fpu_set_pointers(m->vcpu, &last, 0x1111, 0);
    fpu_set_data(m->vcpu, 0x2222, SEG_ES);
    CHECK_EQ(image64(m, FPU_FIP), 0x1111);
    CHECK_EQ(image64(m, FPU_FDP), 0x2222);
    fpu_load(m->vcpu); /* instructions take it back by themselves */
    RUN(m, "\x66\x0f\x7e\xd8"); /* movd eax, xmm3 */
    CHECK_EQ(m->vcpu->gpr[RAX], 0x1234);
    CHECK_EQ(m->vcpu->bt.fpu_loaded, 0);
    check_host();
}

/* --- Pointers while no exception is pending (F5) ------------------------------- */

static void check_environment(struct machine *m, uint32_t fip, uint32_t fdp)
{
    m->vcpu->gpr[RBX] = AT_DATA;
    RUN(m, "\xd9\xb3\x00\x01\x00\x00"); /* fnstenv [ebx + 100h] */
    CHECK_EQ(m_get(m, AT_DATA + 0x10c, 4), fip);
    CHECK_EQ(m_get(m, AT_DATA + 0x114, 4), fdp);
}

/* Native code as the translator runs it: no half of a host address stays. */
static void check_native(struct machine *m)
{
    static const double one = 1;
    struct fpu_last last;

    fpu_load(m->vcpu);
    __asm__ volatile("fnop");
    last = fpu_save(m->vcpu);
    CHECK_EQ(last.ip != 0, 1);
    CHECK_EQ(last.data, 0);
    CHECK_EQ(image64(m, FPU_FIP), 0);
    fpu_load(m->vcpu);
    __asm__ volatile("fldl %0" : : "m"(one));
    last = fpu_save(m->vcpu);
    CHECK_EQ(last.ip != 0, 1);
    CHECK_EQ(image64(m, FPU_FIP), 0);
    CHECK_EQ(image64(m, FPU_FDP), 0);
    check_host();
    check_environment(m, 0, 0);
}

static void test_pointers(struct machine *m)
{
    uint32_t fdp;

    start(m);
    RUN(m, "\xd9\xe8"); /* fld1 */
    check_environment(m, AT_CODE, 0);
    m->vcpu->gpr[RBX] = AT_DATA;
    RUN(m, "\x0f\xae\x83\x00\x01\x00\x00"); /* fxsave [ebx + 100h] of Intel's */
    CHECK_EQ(m_get(m, AT_DATA + 0x108, 4), AT_CODE);
    m_put(m, AT_DATA, 0x3ff0000000000000, 8);
    RUN(m, "\xdd\x03"); /* fld qword [ebx]; newer CPUs of Intel's set FDP for failures only */
    fdp = fpu_drops_pointers(m->vcpu) ? AT_DATA : (uint32_t)image64(m, FPU_FDP);
    check_environment(m, AT_CODE, fdp);
    RUN(m, "\xd9\x2b");        /* fldcw [ebx] has no pointers */
    RUN(m, "\x0f\xfc\xc1");   /* nor has paddb */
    check_environment(m, AT_CODE, fdp);
    fpu_load(m->vcpu); /* nothing runs: they stay */
    CHECK_EQ(fpu_save(m->vcpu).ip, 0);
    CHECK_EQ(image64(m, FPU_FIP), AT_CODE);
    CHECK_EQ(image64(m, FPU_FDP), fdp);
    check_native(m);
    RUN(m, "\xd9\xe8");
    RUN(m, "\xdb\xe3"); /* fninit clears them */
    check_environment(m, 0, 0);
}

/* The same as on a host that stores no pointers and loads none. */
static void test_pointers_by_fldenv(struct machine *m)
{
    if (!fpu_drops_pointers(m->vcpu))
        return;
    m->vcpu->fpu_unit->loads_pointers = false;
    test_pointers(m);
    test_host_state(m);
    m->vcpu->fpu_unit->loads_pointers = true;
}

/* AMD's misaligned exception mask is not there: CPUID does not offer it. */
static void test_misaligned_mask(struct machine *m)
{
    uint32_t mxcsr = 0x21f80;

    start(m);
    m_put(m, AT_DATA, mxcsr, 4);
    RUN(m, "\x0f\xae\x13"); /* ldmxcsr [ebx] */
    CHECK_EQ(m_vector(m), VEC_GP);
    start(m);
    RUN(m, "\x0f\xae\x83\x00\x01\x00\x00"); /* fxsave [ebx + 100h] */
    CHECK_EQ(m_get(m, AT_DATA + 0x100 + FPU_MXCSR_MASK, 4), fpu_mxcsr_mask(m->vcpu));
    CHECK_EQ(fpu_mxcsr_mask(m->vcpu) & 0xffff0000, 0);
    memcpy(m->vcpu->fpu + FPU_MXCSR, &mxcsr, 4);
    fpu_taken(m->vcpu, 0, 0);
    CHECK_EQ(image64(m, FPU_MXCSR) & UINT32_MAX, 0x1f80);
}

/* --- XCR0 ----------------------------------------------------------------- */

static void check_xsetbv(struct machine *m, uint32_t ecx, uint64_t value, bool good)
{
    start(m);
    m->vcpu->xcr0 = 1;
    m->vcpu->gpr[RCX] = ecx;
    m->vcpu->gpr[RAX] = (uint32_t)value;
    m->vcpu->gpr[RDX] = value >> 32;
    RUN(m, "\x0f\x01\xd1");
    CHECK_EQ(m_vector(m), good ? RESUMED : VEC_GP);
    CHECK_EQ(m->vcpu->xcr0, good ? value : 1);
}

static void test_xcr0(struct machine *m)
{
    if (!fpu_offered_xcr0())
        return;
    check_xsetbv(m, 0, 1, true);
    check_xsetbv(m, 0, 3, true);
    check_xsetbv(m, 0, 2, false);
    check_xsetbv(m, 0, 5, false);
    check_xsetbv(m, 0, 0x1f, false);
    check_xsetbv(m, 0, 0x100000003, false);
    check_xsetbv(m, 1, 3, false);
}

/* After RESET# (SDM 3, table 9-1). */
static void test_reset(struct machine *m)
{
    start(m);
    vcpu_reset(m->vcpu);
    CHECK_EQ(image16(m, FPU_CW), 0x40);
    CHECK_EQ(image16(m, FPU_SW), 0);
    CHECK_EQ(m->vcpu->fpu[FPU_TW], 0xff);
    CHECK_EQ(image16(m, FPU_MXCSR), 0x1f80);
    CHECK_EQ(image64(m, FPU_XMM), 0);
}

/* As on a host without XSAVE: FXSAVE moves the state. */
static void test_without_xsave(struct machine *m)
{
    uint64_t components = m->vcpu->fpu_unit->components;

    m->vcpu->fpu_unit->components = 0;
    test_error(m);
    test_simd_error(m);
    test_limit(m);
    test_no_leak(m);
    test_host_state(m);
    test_pointers(m);
    test_pointers_by_fldenv(m);
    test_misaligned_mask(m);
    m->vcpu->fpu_unit->components = components;
}

int main(void)
{
    struct machine m;

    m_create(&m);
    test_rules(&m);
    test_error(&m);
    test_ferr(&m);
    test_simd_error(&m);
    test_faults(&m);
    test_limit(&m);
    test_real_format(&m);
    test_no_leak(&m);
    test_host_state(&m);
    test_pointers(&m);
    test_pointers_by_fldenv(&m);
    test_misaligned_mask(&m);
    test_xcr0(&m);
    test_reset(&m);
    test_without_xsave(&m);
    m_destroy(&m);
    return CHECK_DONE();
}
