/*
 * Who may do what: every privileged and IOPL-sensitive instruction at CPL 0 to 3, IOPL 0 to 3 and
 * in virtual-8086 mode (KNOWN-FAULTS row 4); control and debug registers' reserved bits.
 */
#include "cpu/control.h"
#include "cpu/debug.h"
#include "cpu/paging.h"
#include "tests/unit/cpu_machine.h"

/* --- The matrix ----------------------------------------------------------- */

enum rule {
    PRIVILEGED,  /* #GP(0) unless CPL 0 */
    PRIV_PROT,   /* the same, and #UD in V86 (and real mode) */
    PROTECTED,   /* anybody in protected mode; #UD in V86 and real mode */
    BY_IOPL,     /* #GP(0) when CPL > IOPL */
    PORT,        /* the same; in V86 the bitmap decides alone, and it denies here */
    V86_IOPL,    /* anybody; in V86 #GP(0) when IOPL < 3 */
    ANYBODY,
};

static const struct row {
    const char *name;
    const char *bytes;
    enum rule rule;
} rows[] = {
    { "hlt", "\xf4", PRIVILEGED },
    { "clts", "\x0f\x06", PRIVILEGED },
    { "invd", "\x0f\x08", PRIVILEGED },
    { "wbinvd", "\x0f\x09", PRIVILEGED },
    { "lgdt", "\x0f\x01\x16", PRIVILEGED },
    { "lidt", "\x0f\x01\x1e", PRIVILEGED },
    { "lmsw", "\x0f\x01\xf0", PRIVILEGED },
    { "invlpg", "\x0f\x01\x3e", PRIVILEGED },
    { "mov eax, cr0", "\x0f\x20\xc0", PRIVILEGED },
    { "mov cr0, eax", "\x0f\x22\xc0", PRIVILEGED },
    { "mov eax, cr2", "\x0f\x20\xd0", PRIVILEGED },
    { "mov eax, cr3", "\x0f\x20\xd8", PRIVILEGED },
    { "mov cr3, ecx", "\x0f\x22\xd9", PRIVILEGED },
    { "mov eax, cr4", "\x0f\x20\xe0", PRIVILEGED },
    { "mov cr4, ecx", "\x0f\x22\xe1", PRIVILEGED },
    { "mov eax, dr7", "\x0f\x21\xf8", PRIVILEGED },
    { "mov dr0, ecx", "\x0f\x23\xc1", PRIVILEGED },
    { "rdmsr", "\x0f\x32", PRIVILEGED },
    { "wrmsr", "\x0f\x30", PRIVILEGED },
    { "sysexit", "\x0f\x35", PRIVILEGED },
    { "lldt", "\x0f\x00\xd1", PRIV_PROT },
    { "ltr", "\x0f\x00\xdb", PRIV_PROT },
    { "sldt", "\x0f\x00\xc0", PROTECTED },
    { "str", "\x0f\x00\xc8", PROTECTED },
    { "arpl", "\x63\xc8", PROTECTED },
    { "lar", "\x0f\x02\xc1", PROTECTED },
    { "lsl", "\x0f\x03\xc1", PROTECTED },
    { "verr", "\x0f\x00\xe1", PROTECTED },
    { "verw", "\x0f\x00\xe9", PROTECTED },
    { "cli", "\xfa", BY_IOPL },
    { "sti", "\xfb", BY_IOPL },
    { "in al, 50h", "\xe4\x50", PORT },
    { "in eax, dx", "\xed", PORT },
    { "out 50h, al", "\xe6\x50", PORT },
    { "outsb", "\x6e", PORT },
    { "insb", "\x6c", PORT },
    { "pushf", "\x9c", V86_IOPL },
    { "popf", "\x9d", V86_IOPL },
    { "smsw", "\x0f\x01\xe0", ANYBODY },
    { "sgdt", "\x0f\x01\x06", ANYBODY },
    { "sidt", "\x0f\x01\x0e", ANYBODY },
    { "rdtsc", "\x0f\x31", ANYBODY },
    { "cpuid", "\x0f\xa2", ANYBODY },
    { "ud2", "\x0f\x0b", ANYBODY },
};

static int want(const struct row *r, unsigned cpl, unsigned iopl, int v86)
{
    if (r->bytes[1] == 0x0b)
        return VEC_UD;
    switch (r->rule) {
    case PRIVILEGED: return cpl ? VEC_GP : -1;
    case PRIV_PROT: return v86 ? VEC_UD : cpl ? VEC_GP : -1;
    case PROTECTED: return v86 ? VEC_UD : -1;
    case BY_IOPL: return cpl > iopl ? VEC_GP : -1;
    case PORT: return v86 || cpl > iopl ? VEC_GP : -1;
    case V86_IOPL: return v86 && iopl < 3 ? VEC_GP : -1;
    default: return -1;
    }
}

static void prepare(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    m_put(m, AT_DATA, 0x0fff | (uint64_t)AT_GDT << 16, 6);
    v->gpr[RAX] = v->cr0;
    v->gpr[RCX] = 0x174; /* IA32_SYSENTER_CS */
    v->gpr[RSI] = v->gpr[RDI] = v->eflags & EFLAGS_VM ? 0 : AT_DATA;
    v->gpr[RDX] = 0;
    v->sysenter_cs = CODE0;
    for (unsigned i = 0; i < 0x80; i++)
        m->pm.ram[AT_DATA + 8 + i] = 0;
}

/* ModRM 06 is [esi] in 32-bit code and [disp16] in 16-bit code, where the zeroes behind serve. */
static void run_row(struct machine *m, const struct row *r)
{
    uint8_t code[16] = { 0 };
    unsigned n = 0;

    while (n < 3 && (n == 0 || r->bytes[n] || (n == 1 && r->bytes[0] == 0x0f)))
        code[n] = (uint8_t)r->bytes[n], n++;
    if (!strcmp(r->name, "mov cr3, ecx") || !strcmp(r->name, "mov cr4, ecx") ||
        !strcmp(r->name, "mov dr0, ecx"))
        m->vcpu->gpr[RCX] = 0;
    if (!strcmp(r->name, "lldt"))
        m->vcpu->gpr[RCX] = LDT_SEL;
    if (!strcmp(r->name, "ltr"))
        m->vcpu->gpr[RBX] = TSS2_SEL;
    m_code(m, code, sizeof(code));
    interp_step(m->vcpu);
}

static void check(struct machine *m, const struct row *r, unsigned cpl, unsigned iopl, int v86)
{
    int vector = want(r, cpl, iopl, v86);

    if (v86)
        m_v86(m, iopl);
    else
        m_protected(m, cpl);
    m->vcpu->eflags = (m->vcpu->eflags & ~EFLAGS_IOPL) | iopl << 12;
    prepare(m);
    run_row(m, r);
    if (m_vector(m) != vector)
        printf("%s at cpl %u iopl %u%s: vector %d, want %d\n", r->name, cpl, iopl,
               v86 ? " in V86" : "", m_vector(m), vector);
    CHECK_EQ(m_vector(m), vector);
    if (vector == VEC_GP)
        CHECK_EQ(m_frame(m, 0, 4), 0);
}

static void test_matrix(struct machine *m)
{
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (unsigned iopl = 0; iopl < 4; iopl++) {
            for (unsigned cpl = 0; cpl < 4; cpl++)
                check(m, &rows[i], cpl, iopl, 0);
            check(m, &rows[i], 3, iopl, 1);
        }
}

/* --- popf, pushf: which bits ---------------------------------------------- */

static void check_popf(struct machine *m, unsigned cpl, unsigned iopl, uint32_t may)
{
    struct vcpu *v = m->vcpu;

    m_protected(m, cpl);
    v->eflags = EFLAGS_R1 | iopl << 12;
    v->gpr[RSP] = AT_DATA;
    m_put(m, AT_DATA, 0xffffffff, 4);
    M_RUN(m, "\x9d");
    CHECK_EQ(v->eflags, EFLAGS_R1 | iopl << 12 | may);
    CHECK_EQ(v->gpr[RSP], AT_DATA + 4);
    v->rip = AT_CODE;
    v->eflags = EFLAGS_ALL & ~(EFLAGS_TF | EFLAGS_VM);
    M_RUN(m, "\x9c");
    CHECK_EQ(m_get(m, AT_DATA, 4), EFLAGS_ALL & ~(EFLAGS_VM | EFLAGS_RF | EFLAGS_TF));
}

static void test_popf(struct machine *m)
{
    const uint32_t user = EFLAGS_ARITH | EFLAGS_TF | EFLAGS_DF | EFLAGS_NT | EFLAGS_AC | EFLAGS_ID;

    check_popf(m, 0, 0, user | EFLAGS_IF | EFLAGS_IOPL);
    check_popf(m, 3, 0, user);
    check_popf(m, 3, 2, user);
    check_popf(m, 3, 3, user | EFLAGS_IF);
    check_popf(m, 1, 1, user | EFLAGS_IF);
    check_popf(m, 2, 1, user);
}

/* --- Control registers ---------------------------------------------------- */

static int write_cr(struct machine *m, const char *bytes, uint32_t value)
{
    m->vcpu->rip = AT_CODE;
    m->vcpu->gpr[RAX] = value;
    m_run(m, bytes, 3);
    return m_vector(m);
}

#define CR0 "\x0f\x22\xc0"
#define CR3 "\x0f\x22\xd8"
#define CR4 "\x0f\x22\xe0"

static void test_cr0(struct machine *m)
{
    m_protected(m, 0);
    CHECK_EQ(write_cr(m, CR0, CR0_PG), VEC_GP); /* PG without PE */
    m_protected(m, 0);
    CHECK_EQ(write_cr(m, CR0, CR0_PE | CR0_NW), VEC_GP); /* NW without CD */
    m_protected(m, 0);
    CHECK_EQ(write_cr(m, CR0, 0x1ff8ffc0 | CR0_PE), -1); /* reserved bits are ignored, ET is 1 */
    CHECK_EQ(m->vcpu->cr0, CR0_PE | CR0_ET);
    m_protected(m, 0); /* LMSW cannot clear PE */
    m->vcpu->gpr[RAX] = 0xe;
    M_RUN(m, "\x0f\x01\xf0");
    CHECK_EQ(m->vcpu->cr0, CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE);
    for (unsigned reg = 0; reg < 8; reg++) { /* CR1, CR5 to CR8 do not exist */
        char bytes[] = { 0x0f, 0x20, (char)(0xc0 | reg << 3) };

        m_protected(m, 0);
        CHECK_EQ(write_cr(m, bytes, 0),
                 reg == 0 || reg == 2 || reg == 3 || reg == 4 ? (uint64_t)-1 : VEC_UD);
    }
}

static void test_cr4(struct machine *m)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        int ok = control_cr4_bits(m->vcpu) >> bit & 1;

        m_protected(m, 0);
        CHECK_EQ(write_cr(m, CR4, 1u << bit), ok ? -1 : VEC_GP);
        CHECK_EQ(m->vcpu->cr4, ok ? 1u << bit : 0);
    }
    CHECK_EQ(control_cr4_bits(m->vcpu) & (CR4_VME | CR4_SMEP | CR4_SMAP | CR4_UMIP), 0);
    CHECK_EQ(control_cr4_bits(m->vcpu) & CR4_MCE, CR4_MCE); /* OVMF does not ask CPUID */
}

/* PAE: the PDPTEs are loaded and checked when CR3, CR0.PG, CR4.PAE... are written. */
static void test_pdptes(struct machine *m)
{
    struct vcpu *v = m->vcpu;
    static const uint64_t bad[] = { 1 << 1, 1 << 2, 1 << 5, 1 << 6, 1 << 7, 1 << 8,
                                    1ull << PHYS_BITS, 1ull << 63 };

    m_protected(m, 0);
    CHECK_EQ(write_cr(m, CR4, CR4_PAE), -1);
    m_put(m, 0x100020, 0x101001, 8);
    for (unsigned i = 1; i < 4; i++)
        m_put(m, 0x100020 + 8 * i, 0xfffffffffffffffe, 8); /* not present: nothing is reserved */
    m_put(m, 0x101000, 0x83, 8); /* a 2 MiB page */
    CHECK_EQ(write_cr(m, CR3, 0x100020), -1);
    CHECK_EQ(v->pdpte[0], 0); /* not yet: PG is clear */
    CHECK_EQ(write_cr(m, CR0, CR0_PE | CR0_PG), -1);
    CHECK_EQ(v->pdpte[0], 0x101001);
    for (unsigned i = 0; i < 8; i++) {
        m_put(m, 0x100020, 0x101001 | bad[i], 8);
        CHECK_EQ(write_cr(m, CR3, 0x100020), VEC_GP);
        CHECK_EQ(v->pdpte[0], 0x101001);
        CHECK_EQ(v->cr3, 0x100020);
        v->gpr[RSP] = STACK3;
    }
    CHECK_EQ(write_cr(m, CR4, CR4_PAE | CR4_PGE), VEC_GP); /* reloads too */
    v->gpr[RSP] = STACK3;
    CHECK_EQ(write_cr(m, CR0, CR0_PE | CR0_PG | CR0_CD), VEC_GP); /* and so does this */
    CHECK_EQ(v->cr0 & CR0_CD, 0);
    m_put(m, 0x100020, 0x101001 | 0xe18, 8); /* PWT, PCD and the available bits are fine */
    CHECK_EQ(write_cr(m, CR3, 0x100020), -1);
}

/* --- Debug registers ------------------------------------------------------ */

static void test_dr(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    m_protected(m, 0);
    CHECK_EQ(write_cr(m, "\x0f\x23\xf0", 0xffffffff), -1); /* DR6 */
    CHECK_EQ(v->dr[6], 0xffffefff);
    CHECK_EQ(write_cr(m, "\x0f\x23\xe0", 0), -1); /* DR4 is DR6 ... */
    CHECK_EQ(v->dr[6], 0xffff0ff0);
    CHECK_EQ(write_cr(m, "\x0f\x23\xf8", 0xffff0000), -1);
    CHECK_EQ(v->dr[7], 0xffff0400);
    v->cr4 = CR4_DE; /* ... unless CR4.DE */
    CHECK_EQ(write_cr(m, "\x0f\x23\xe0", 0), VEC_UD);
    m_protected(m, 0);
    v->dr[7] |= DR7_GD;
    CHECK_EQ(write_cr(m, "\x0f\x21\xc0", 0), VEC_DB); /* a fault, and GD is off in the handler */
    CHECK_EQ(m_frame(m, 0, 4), AT_CODE);
    CHECK_EQ(v->dr[6] & DR6_BD, DR6_BD);
    CHECK_EQ(v->dr[7] & DR7_GD, 0);
}

int main(void)
{
    struct machine m;

    m_create(&m);
    test_matrix(&m);
    test_popf(&m);
    test_cr0(&m);
    test_cr4(&m);
    test_pdptes(&m);
    test_dr(&m);
    m_destroy(&m);
    return CHECK_DONE();
}
