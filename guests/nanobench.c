/*
 * The nanobenchmarks of Adams and Agesen: what single virtualization-sensitive operations cost, in
 * TSC cycles, the loop's own decrement and jump included. Prints "NANO name cycles".
 *
 * Every benchmark calibrates itself to rounds of 60 ms ("fast" on the command line: 4 ms) and the
 * quickest of three counts. Interrupts are masked at the PIC all the time. The status is 0, which
 * isa-debug-exit makes 1.
 *
 * Reference: Adams, Agesen: "A Comparison of Software and Hardware Techniques for x86
 *            Virtualization", ASPLOS 2006, section 6.3.
 */
#include "guests/lib/boot.h"
#include "guests/lib/console.h"
#include "guests/lib/paging.h"
#include "guests/lib/time.h"
#include "guests/lib/trap.h"

enum { ROUNDS = 3, ROUND_MS = 60, FAST_ROUND_MS = 4, FIRST_COUNT = 64, INT_VECTOR = 0x81 };

typedef void nano_loop(uint32_t n);

nano_loop nano_callret, nano_indcall, nano_in_pic, nano_in_80, nano_pushf_popf, nano_cli_sti;
nano_loop nano_int_iret, nano_cr3wr, nano_cr4wr, nano_divzero, nano_pgfault, nano_ptemod_same;
nano_loop nano_ptemod_same_invlpg, nano_ptemod_toggle, nano_ptemod_toggle_invlpg;
nano_loop nano_ptemod_map_touch, nano_ptemod_map_write;
extern const uint8_t nano_user_int80[], nano_user_sysenter[];
extern const uint8_t nano_iret[], nano_sysexit[], nano_skip_div[], nano_skip_load[];

/* What the loops work on. */
extern volatile uint32_t *nano_pte;
extern uint32_t nano_page;
volatile uint32_t *nano_pte;
uint32_t nano_page = PAGING_TEST;

static const struct nano {
    const char *name;
    nano_loop *loop;       /* in the kernel, or */
    const uint8_t *user;   /* in ring 3 */
    uint32_t needs;        /* CPUID bits */
} nanos[] = {
    { "syscall", NULL, nano_user_int80, 0 },
    { "sysenter", NULL, nano_user_sysenter, CPUID_SEP },
    { "in", nano_in_80, NULL, 0 },
    { "in_pic", nano_in_pic, NULL, 0 },
    { "cr3wr", nano_cr3wr, NULL, 0 },
    { "cr4wr", nano_cr4wr, NULL, 0 },
    { "callret", nano_callret, NULL, 0 },
    { "indcall", nano_indcall, NULL, 0 },
    { "pgfault", nano_pgfault, NULL, 0 },
    { "divzero", nano_divzero, NULL, 0 },
    { "ptemod", nano_ptemod_toggle, NULL, 0 },
    { "ptemod_invlpg", nano_ptemod_toggle_invlpg, NULL, 0 },
    { "ptemod_same", nano_ptemod_same, NULL, 0 },
    { "ptemod_same_invlpg", nano_ptemod_same_invlpg, NULL, 0 },
    { "ptemod_map_touch", nano_ptemod_map_touch, NULL, 0 },
    { "ptemod_map_write", nano_ptemod_map_write, NULL, 0 },
    { "pushf_popf", nano_pushf_popf, NULL, 0 },
    { "cli_sti", nano_cli_sti, NULL, 0 },
    { "int_iret", nano_int_iret, NULL, 0 },
};

static void run_user(const uint8_t *code, uint32_t n)
{
    struct frame f = trap_frame((uint32_t)code, 3);

    f.edi = n;
    trap_run(&f);
}

static uint64_t time_of(const struct nano *nano, uint32_t n)
{
    uint64_t start;

    for (unsigned i = 0; i < 16; i++)
        nano_pte[i] = (uint32_t)paging_page(i) | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;
    write_cr3(read_cr3());
    start = rdtsc();
    if (nano->loop)
        nano->loop(n);
    else
        run_user(nano->user, n);
    return rdtsc() - start;
}

/* How many make a round; the first measurement, over a tenth of a round, also warms things up. */
static uint32_t calibrate(const struct nano *nano, uint64_t round)
{
    uint64_t enough = round, took = 0, count;
    uint32_t n = FIRST_COUNT / 2;

    divide(&enough, 10);
    while (took < enough && n < 1u << 30) {
        n *= 2;
        took = time_of(nano, n);
    }
    for (count = n; took < round && count < 1u << 30; took *= 2)
        count *= 2;
    return count;
}

static void measure(const struct nano *nano, uint64_t round)
{
    uint32_t n = calibrate(nano, round), tenths;
    uint64_t best = ~0ull;

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t took = time_of(nano, n);

        best = took < best ? took : best;
    }
    best *= 10;
    divide(&best, n);
    tenths = divide(&best, 10);
    print("NANO %s %llu.%u\n", nano->name, best, tenths);
}

static void set_handlers(void)
{
    idt[INT_VECTOR] = gate_make(KERNEL_CS, (uint32_t)nano_iret, ACCESS_INT_GATE, 0);
    idt[TRAP_SYSCALL] =
        gate_make(KERNEL_CS, (uint32_t)nano_iret, ACCESS_INT_GATE | ACCESS_DPL3, 0);
    idt[VEC_DE] = gate_make(KERNEL_CS, (uint32_t)nano_skip_div, ACCESS_INT_GATE, 0);
    idt[VEC_PF] = gate_make(KERNEL_CS, (uint32_t)nano_skip_load, ACCESS_INT_GATE, 0);
    if (!(cpuid_features() & CPUID_SEP))
        return;
    wrmsr(MSR_SYSENTER_CS, KERNEL_CS);
    wrmsr(MSR_SYSENTER_ESP, trap_tss.esp0);
    wrmsr(MSR_SYSENTER_EIP, (uint32_t)nano_sysexit);
}

unsigned guest_main(void)
{
    uint64_t round = (uint64_t)time_tsc_khz() *
                     (boot_option("fast", NULL) ? FAST_ROUND_MS : ROUND_MS);

    paging_init(false, false);
    set_handlers();
    nano_pte = paging_pte(PAGING_TEST);
    print("\nnanobench: TSC %u MHz\n", time_tsc_khz() / 1000);
    for (unsigned i = 0; i < ARRAY_SIZE(nanos); i++) {
        if ((cpuid_features() & nanos[i].needs) == nanos[i].needs)
            measure(&nanos[i], round);
    }
    cli();
    print("DONE %u passed 0 failed\n", (unsigned)ARRAY_SIZE(nanos));
    return 0;
}
