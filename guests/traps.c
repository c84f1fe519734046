/*
 * Every exception, single steps, breakpoints, interrupt shadows; what gates and tasks lead to is in
 * traps_gates.c.
 *
 * Reference: SDM volume 3, chapters 6 (exceptions), 17 (debugging); volume 2 for each instruction.
 */
#include "guests/lib/boot.h"
#include "guests/lib/check.h"
#include "guests/lib/console.h"
#include "guests/lib/paging.h"
#include "guests/lib/time.h"
#include "guests/lib/trap.h"
#include "guests/traps.h"

struct trap_case {
    const char *name;
    const uint8_t *code;
    uint32_t vector, error, rings;
    const uint8_t *at;
};

extern const struct trap_case traps_cases[], traps_align_cases[];
extern const uint8_t traps_ts_set[], traps_ts_toggled[], traps_ts_cleared[];
extern const uint8_t traps_fninit[], traps_fwait[], traps_sse[], traps_sse_divide[];

/* Protected mode, errors by #MF, paging as it is. */
static void set_cr0(uint32_t bits)
{
    write_cr0(CR0_PE | CR0_NE | (read_cr0() & CR0_PG) | bits);
}

static uint32_t data[16] __attribute__((aligned(64)));

struct frame traps_start(const uint8_t *code, unsigned ring)
{
    struct frame f = trap_frame((uint32_t)code, ring);

    for (unsigned i = 0; i < ARRAY_SIZE(data); i++)
        data[i] = 0;
    f.edi = (uint32_t)data;
    return f;
}

/* --- One exception each ------------------------------------------------- */

static void run_case(const struct trap_case *c, unsigned ring)
{
    struct frame f = traps_start(c->code, ring);

    trap_run(&f);
    __asm__ volatile("fninit");
    check_that(f.vector == c->vector && f.error == c->error && f.eip == (uint32_t)c->at,
               "%s, ring %u: trap %u error %x at +%x, want %u error %x at +%x", c->name, ring,
               f.vector, f.error, f.eip - (uint32_t)c->code, c->vector, c->error,
               c->at - c->code);
}

static void run_cases(const char *name, const struct trap_case *cases)
{
    check_begin(name);
    for (const struct trap_case *c = cases; c->name; c++)
        for (unsigned ring = 0; ring < 4; ring += 3)
            if (c->rings >> ring & 1)
                run_case(c, ring);
    check_end();
}

/* --- What says something about the tables --------------------------------- */

/* insn (%edi); int $0x30. What ring 3 reads is what ring 0 does, without UMIP; with the word
 * "direct" it may be the host's, which the second run shows, when its memory is mapped. */
static bool reads_own(const char *name, const uint8_t *code, unsigned size)
{
    uint32_t own[3], user[3];
    struct frame f;
    bool same = true;

    for (unsigned ring = 0; ring < 4; ring += 3)
        for (unsigned run = 0; run < 2; run++) {
            f = traps_start(code, ring);
            for (unsigned i = 0; i < 3; i++)
                data[i] = 0xa5a5a5a5;
            trap_run(&f);
            check_that(f.vector == TRAP_END, "%s, ring %u: trap %u", name, ring, f.vector);
            for (unsigned i = 0; i < 3; i++)
                (ring ? user : own)[i] = data[i];
        }
    for (unsigned i = 0; i < 12; i++) {
        uint8_t a = ((uint8_t *)own)[i], b = ((uint8_t *)user)[i];

        check_that(i < size || b == 0xa5, "%s: byte %u is written", name, i);
        same &= a == b;
    }
    check_that(same || boot_option("direct", NULL), "%s: %x %x, ring 0 reads %x %x", name, user[0],
               user[1], own[0], own[1]);
    return same;
}

/* With a model that is not the host's, what user code can write does not run directly where CPUID
 * cannot be made to fault (shadowmm/avoid.c): a page that it can only read. */
static const uint8_t *unwritten(const uint8_t *code, unsigned size)
{
    if (!boot_option("direct", NULL) || !boot_option("model", NULL))
        return code;
    for (unsigned i = 0; i < size; i++)
        paging_page(1)[i] = code[i];
    paging_set(paging_pte(PAGING_TEST), (uint32_t)paging_page(1) | PTE_P | PTE_U);
    write_cr3(read_cr3());
    return (const uint8_t *)PAGING_TEST;
}

static void tables_read(void)
{
    static const uint8_t sgdt[] = { 0x0f, 0x01, 0x07, 0xcd, 0x30 };
    static const uint8_t sidt[] = { 0x0f, 0x01, 0x0f, 0xcd, 0x30 };
    static const uint8_t sldt[] = { 0x0f, 0x00, 0x07, 0xcd, 0x30 };
    static const uint8_t str[] = { 0x0f, 0x00, 0x0f, 0xcd, 0x30 };
    static const uint8_t smsw[] = { 0x0f, 0x01, 0x27, 0xcd, 0x30 };
    unsigned own = 0;

    check_begin("tables-read");
    own += reads_own("sgdt", unwritten(sgdt, sizeof(sgdt)), 6);
    own += reads_own("sidt", unwritten(sidt, sizeof(sidt)), 6);
    own += reads_own("sldt", unwritten(sldt, sizeof(sldt)), 2);
    own += reads_own("str", unwritten(str, sizeof(str)), 2);
    own += reads_own("smsw", unwritten(smsw, sizeof(smsw)), 2);
    check_that(data[0] & CR0_PE, "smsw: %x", data[0]);
    check_that(own < 5 || !boot_option("direct", NULL), "none of them ran directly");
    check_end();
}

/* CPUID says the same to every ring, OSXSAVE and the APIC's id aside; but with the word "direct"
 * and the default model, which is made of it, user code sees the host's. */
static void cpuid_for_users(void)
{
    static const uint8_t code[] = { 0x0f, 0xa2, 0xcd, 0x30 };
    static const uint32_t leaves[] = { 0, 1, 0x80000000, 0x80000001 };

    if (boot_option("direct", NULL) && !boot_option("model", NULL)) {
        check_skip("cpuid-for-users", "it is the host's");
        return;
    }
    check_begin("cpuid-for-users");
    for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++)
        for (unsigned run = 0; run < 2; run++) {
            struct cpuid own = cpuid(leaves[i]);
            struct frame f = traps_start(code, 3);
            uint32_t mask = leaves[i] == 1 ? ~(1u << 27) : ~0u;

            f.eax = leaves[i];
            trap_run(&f);
            check_that(f.vector == TRAP_END && f.eax == own.eax && f.edx == own.edx &&
                       !((f.ecx ^ own.ecx) & mask) && (leaves[i] == 1 || f.ebx == own.ebx),
                       "leaf %x: %x %x %x %x, ring 0 has %x %x %x %x", leaves[i], f.eax, f.ebx,
                       f.ecx, f.edx, own.eax, own.ebx, own.ecx, own.edx);
        }
    check_end();
}

/* Calls of the system for which it has not been set up, and of a hypervisor that is not there: that
 * each ends, with its exception where the CPU itself does not see to another. */
static void calls_for_users(void)
{
    static const uint8_t sysenter[] = { 0x0f, 0x34, 0xcd, 0x30 };
    static const uint8_t syscall[] = { 0x90, 0x90, 0x0f, 0x05, 0xcd, 0x30 };
    static const uint8_t vmcall[] = { 0x0f, 0x01, 0xc1, 0xcd, 0x30 };
    bool direct = boot_option("direct", NULL);

    check_begin("calls-for-users");
    for (unsigned run = 0; run < 2; run++) {
        struct frame f = traps_start(sysenter, 3);

        trap_run(&f);
        if (cpuid_features() & CPUID_SEP)
            check_that(f.vector == VEC_GP && (direct || f.eip == (uint32_t)sysenter),
                       "sysenter: trap %u at %x", f.vector, f.eip);
        f = traps_start(syscall, 3);
        f.ecx = 0x1234;
        trap_run(&f);
        check_that(f.vector == VEC_UD, "syscall: trap %u", f.vector);
        check_that((direct && !run) || (f.eip == (uint32_t)syscall + 2 && f.ecx == 0x1234),
                   "syscall: trap at +%x, ecx %x", f.eip - (uint32_t)syscall, f.ecx);
        f = traps_start(vmcall, 3);
        trap_run(&f);
        check_that(f.vector == VEC_UD || (direct && f.vector == TRAP_END), "vmcall: trap %u",
                   f.vector);
    }
    check_end();
}

/* SYSCALL where it is switched on: AMD APM volume 3, SYSCALL (legacy mode). */
static void syscall_for_users(void)
{
    enum { HAS_SYSCALL = 1 << 11 };
    static const uint8_t call[] = { 0x90, 0x90, 0x0f, 0x05, 0xcd, 0x31 };
    static const uint8_t entry[] = { 0xcd, 0x30 };

    if (cpuid(0x80000000).eax < 0x80000001 || !(cpuid(0x80000001).edx & HAS_SYSCALL)) {
        check_skip("syscall-for-users", "this model has no SYSCALL");
        return;
    }
    check_begin("syscall-for-users");
    wrmsr(MSR_STAR, (uint64_t)KERNEL_CS << 32 | (uint32_t)entry);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
    for (unsigned run = 0; run < 3; run++) {
        struct frame f = traps_start(call, 3);

        f.eax = 0x1234;
        trap_run(&f);
        check_that(f.vector == TRAP_END && f.eip == (uint32_t)entry + 2 && f.cs == KERNEL_CS,
                   "trap %u at %x, cs %x", f.vector, f.eip, f.cs);
        check_that(f.ecx == (uint32_t)call + 4 && f.eax == 0x1234 && !(f.eflags & FL_IF),
                   "ecx is +%x, eax %x, eflags %x", f.ecx - (uint32_t)call, f.eax, f.eflags);
    }
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~(uint64_t)EFER_SCE);
    check_end();
}

/* Registers that the system has not switched on, so that it does not save them: where a program
 * reaches them at all (which the bare CPU lets it), it finds nothing that another one left. */
static void unsaved_state(void)
{
    static const uint8_t leave[] = { 0xc5, 0xfd, 0x76, 0xc0, 0xcd, 0x30 }; /* vpcmpeqd */
    static const uint8_t look[] = { 0xc5, 0xfe, 0x7f, 0x07, 0xcd, 0x30 };  /* vmovdqu ymm0, (edi) */
    struct frame f;

    check_begin("unsaved-state");
    for (unsigned run = 0; run < 3; run++) {
        f = traps_start(leave, 3);
        trap_run(&f);
        check_that(f.vector == VEC_UD || (boot_option("direct", NULL) && f.vector == TRAP_END),
                   "vpcmpeqd: trap %u", f.vector);
        f = traps_start(look, 3);
        trap_run(&f);
        check_that(f.vector == VEC_UD || !(data[4] | data[5] | data[6] | data[7]),
                   "ymm0 has %x %x %x %x", data[4], data[5], data[6], data[7]);
    }
    check_end();
}

static void exceptions(void)
{
    gdt[0x68 / 8] = segment_make(0, 0xfffff, 0x72, FLAGS_FLAT);
    idt[0x70] = gate_make(KERNEL_CS, 0, 0x6e, 0);
    run_cases("exceptions", traps_cases);
    trap_set_gate(0x70, 0);
    set_cr0(CR0_MP | CR0_AM);
    run_cases("alignment", traps_align_cases);
    set_cr0(CR0_MP);
}

static void expect_vector(const uint8_t *code, uint32_t cr0, uint32_t vector, const char *what)
{
    for (unsigned ring = 0; ring < 4; ring += 3) {
        struct frame f = traps_start(code, ring);

        set_cr0(cr0);
        trap_run(&f);
        set_cr0(CR0_MP);
        check_that(f.vector == vector, "%s, ring %u: trap %u, want %u", what, ring, f.vector,
                   vector);
    }
}

static void device_not_available(void)
{
    check_begin("device-not-available");
    expect_vector(traps_fninit, CR0_MP, TRAP_END, "fninit");
    expect_vector(traps_fninit, CR0_TS, VEC_NM, "fninit, TS");
    expect_vector(traps_fninit, CR0_EM, VEC_NM, "fninit, EM");
    expect_vector(traps_fwait, CR0_TS, TRAP_END, "fwait, TS");
    expect_vector(traps_fwait, CR0_TS | CR0_MP, VEC_NM, "fwait, TS and MP");
    expect_vector(traps_fwait, CR0_EM, TRAP_END, "fwait, EM");
    check_end();
}

/* A kernel's own use of TS, many times over: what is translated once is right the next time. */
static void lazy_fpu(void)
{
    static const struct {
        const char *what;
        const uint8_t *code;
        uint32_t cr0, vector, first, second;
    } cases[] = {
        { "TS set between", traps_ts_set, CR0_MP, VEC_NM, 9, 9 },
        { "TS set and cleared", traps_ts_toggled, CR0_MP, TRAP_END, 0x3f800000, 0 },
        { "TS cleared", traps_ts_cleared, CR0_TS, TRAP_END, 0x3f800000, 9 },
        { "TS cleared, not set", traps_ts_cleared, CR0_MP, TRAP_END, 0x3f800000, 9 },
    };

    check_begin("lazy-fpu");
    for (unsigned i = 0; i < 40; i++) {
        unsigned k = (i ^ i >> 2) % 4;
        struct frame f = traps_start(cases[k].code, 0);

        data[0] = data[1] = 9;
        set_cr0(cases[k].cr0);
        trap_run(&f);
        set_cr0(CR0_MP);
        check_that(f.vector == cases[k].vector, "%s: trap %u", cases[k].what, f.vector);
        check_that(data[0] == cases[k].first && data[1] == cases[k].second, "%s: %x, %x",
                   cases[k].what, data[0], data[1]);
    }
    check_end();
}

static void sse(void)
{
    uint32_t old;
    struct frame f;

    if (!(cpuid_features() & CPUID_SSE)) {
        check_skip("sse", "the CPU does not have it");
        return;
    }
    check_begin("sse");
    old = read_cr4();
    write_cr4(0);
    expect_vector(traps_sse, CR0_MP, VEC_UD, "without OSFXSR");
    write_cr4(CR4_OSFXSR);
    expect_vector(traps_sse, CR0_MP, TRAP_END, "with OSFXSR");
    expect_vector(traps_sse, CR0_TS, VEC_NM, "with TS");
    expect_vector(traps_sse, CR0_EM, VEC_UD, "with EM");
    for (unsigned i = 0; i < 3; i++) {
        static const uint32_t want[] = { TRAP_END, VEC_UD, VEC_XM };

        write_cr4(i == 2 ? CR4_OSFXSR | CR4_OSXMMEXCPT : CR4_OSFXSR);
        f = traps_start(traps_sse_divide, 3);
        data[0] = i ? 0x1d80 : 0x1f80; /* division by zero unmasked, or not */
        trap_run(&f);
        check_equal("divss", f.vector, want[i]);
    }
    data[0] = 0x1f80;
    __asm__ volatile("ldmxcsr %0" : : "m"(data[0]));
    write_cr4(old);
    check_end();
}

/* --- Single steps ------------------------------------------------------- */

extern const uint32_t traps_steps[];

/* name, code, TF at the start, stops..., 0 */
static const uint32_t *step_case(const uint32_t *c, unsigned ring)
{
    const char *name = (const char *)c[0];
    struct frame f = traps_start((const uint8_t *)c[1], ring);

    if (c[2])
        f.eflags |= FL_TF;
    for (c += 3;; c++) {
        write_dr6(0);
        trap_run(&f);
        if (!*c)
            break;
        check_that(f.vector == VEC_DB && f.eip == *c, "%s, ring %u: trap %u at %x, want #DB at %x",
                   name, ring, f.vector, f.eip, *c);
        check_that(f.vector != VEC_DB || read_dr6() & 0x4000, "%s: DR6 %x", name, read_dr6());
        if (f.vector != VEC_DB)
            break;
    }
    check_that(f.vector == TRAP_END, "%s, ring %u: trap %u at %x at the end", name, ring, f.vector,
               f.eip);
    while (*c)
        c++;
    return c + 1;
}

static void single_steps(void)
{
    check_begin("single-steps");
    for (unsigned ring = 0; ring < 4; ring += 3)
        for (const uint32_t *c = traps_steps; *c;)
            c = step_case(c, ring);
    check_end();
}

/* --- Breakpoints -------------------------------------------------------- */

extern const uint8_t traps_break_code[], traps_break_here[], traps_break_data[];
extern const uint8_t traps_break_written[], traps_break_read[];

enum { DR7_L0 = 1, DR7_WRITE = 1 << 16, DR7_ACCESS = 3 << 16, DR7_LEN4 = 3 << 18, DR7_GD = 0x2000 };

static void code_breakpoint(unsigned ring)
{
    struct frame f = traps_start(traps_break_code, ring);

    write_dr0((uint32_t)traps_break_here);
    write_dr6(0);
    write_dr7(DR7_L0);
    trap_run(&f);
    check_equal("trap", f.vector, VEC_DB);
    check_equal("eip", f.eip, (uint32_t)traps_break_here);
    check_equal("eax", f.eax, 0);
    check_equal("DR6", read_dr6() & 0xf, 1);
    f.eflags |= FL_RF;
    trap_run(&f);
    check_equal("with RF", f.vector, TRAP_END);
    check_equal("eax", f.eax, 1);
    write_dr7(0);
}

static void data_breakpoint(unsigned ring, uint32_t kind, unsigned at, const uint8_t *want)
{
    struct frame f = traps_start(traps_break_data, ring);

    write_dr0((uint32_t)data + at);
    write_dr6(0);
    write_dr7(DR7_L0 | kind);
    trap_run(&f);
    write_dr7(0);
    check_that(f.vector == VEC_DB && f.eip == (uint32_t)want && (read_dr6() & 0xf) == 1,
               "kind %x: trap %u at %x, DR6 %x", kind, f.vector, f.eip, read_dr6());
}

static void breakpoints(void)
{
    check_begin("breakpoints");
    for (unsigned ring = 0; ring < 4; ring += 3) {
        code_breakpoint(ring);
        data_breakpoint(ring, DR7_WRITE | DR7_LEN4, 0, traps_break_written);
        data_breakpoint(ring, DR7_ACCESS | DR7_LEN4, 0, traps_break_written);
        data_breakpoint(ring, DR7_WRITE, 2, traps_break_written);
    }
    check_end();
}

static void debug_access(void)
{
    static const uint8_t read_dr0_code[] = { 0x0f, 0x21, 0xc0, 0xcd, 0x30 };
    struct frame f = traps_start(read_dr0_code, 0);

    check_begin("debug-access");
    write_dr6(0);
    write_dr7(DR7_GD);
    trap_run(&f);
    check_equal("GD", f.vector, VEC_DB);
    check_equal("eip", f.eip, (uint32_t)read_dr0_code);
    check_equal("GD is cleared", read_dr7() & DR7_GD, 0);
    check_equal("DR6.BD", read_dr6() & 0x2000, 0x2000);
    write_dr7(0);
    check_end();
}

/* --- Interrupt shadows -------------------------------------------------- */

extern const struct shadow_case {
    const char *name;
    const uint8_t *code, *at;
} traps_shadows[];

static void wait_until_pending(void)
{
    outb(0x20, 0x0a); /* OCW3: read the request register */
    while (!(inb(0x20) & 1))
        ;
}

static void run_shadow(const struct shadow_case *c)
{
    struct frame f = traps_start(c->code, 0);

    trap_irq_mask(0xfffe);
    wait_until_pending();
    trap_run(&f);
    trap_irq_mask(0xffff);
    check_that(f.eip == (uint32_t)c->at && (f.vector == TRAP_IRQ || f.vector == TRAP_END),
               "%s: trap %x at +%x, want +%x", c->name, f.vector, f.eip - (uint32_t)c->code,
               c->at - c->code);
    if (f.vector == TRAP_IRQ)
        trap_irq_end(0);
}

static void shadows(void)
{
    check_begin("shadows");
    time_start_ticks(TIME_PIT_HZ / 500);
    for (unsigned i = 0; i < 20; i++)
        for (const struct shadow_case *c = traps_shadows; c->name; c++)
            run_shadow(c);
    check_end();
}

unsigned guest_main(void)
{
    set_cr0(CR0_MP);
    if (boot_option("direct", NULL)) /* which needs paging */
        paging_init(false, false);
    exceptions();
    tables_read();
    cpuid_for_users();
    syscall_for_users();
    calls_for_users();
    unsaved_state();
    device_not_available();
    lazy_fpu();
    sse();
    single_steps();
    breakpoints();
    debug_access();
    shadows();
    traps_gates();
    return check_done();
}
