/*
 * The nanobenchmarks of Adams and Agesen, and more of their kind: what single operations that are
 * sensitive to virtualization cost, in TSC cycles, the loop's own decrement and jump included.
 * Prints "NANO name cycles".
 *
 * Every benchmark calibrates itself to rounds of 60 ms ("fast" on the command line: 4 ms) and the
 * quickest of three counts. Interrupts are masked at the PIC but for hlt, of which the wait itself
 * does not count. The status is 0, which isa-debug-exit makes 1. On the command line also: "only"
 * and names of benchmarks; "count=N" (a multiple of 256), so many and no clock but the TSC;
 * "marks": when each round starts and ends, for monitors whose TSC is not the host's.
 *
 * Reference: Adams, Agesen: "A Comparison of Software and Hardware Techniques for x86
 *            Virtualization", ASPLOS 2006, section 6.3.
 */
#include "guests/lib/boot.h"
#include "guests/lib/console.h"
#include "guests/lib/paging.h"
#include "guests/lib/time.h"
#include "guests/lib/trap.h"
#include "guests/nano_measure.h"

enum { ROUND_MS = 60, FAST_ROUND_MS = 4, INT_VECTOR = 0x81, BATCHES_PER_ROUND = 16 };
enum { HLT_TICKS = 239, IRQ_TIMER = 0 }; /* 200 us of the 8254: nano_hlt knows */
enum { MMIO_PAGE = 512, LAPIC = 0xfee00000 };

typedef void nano_loop(uint32_t n);

nano_loop nano_callret, nano_indcall, nano_in_pic, nano_in_80, nano_pushf_popf, nano_cli_sti;
nano_loop nano_int_iret, nano_cr3wr, nano_cr4wr, nano_cr0ts, nano_divzero, nano_pgfault;
nano_loop nano_ptemod_same, nano_ptemod_same_invlpg, nano_ptemod_toggle, nano_ptemod_toggle_invlpg;
nano_loop nano_ptemod_map_touch, nano_ptemod_map_write, nano_pte_store, nano_pte_store_invlpg;
nano_loop nano_hlt, nano_mmio, nano_ctxsw, nano_repmovs;
extern const uint8_t nano_user_int80[], nano_user_sysenter[];
extern const uint8_t nano_iret[], nano_sysexit[], nano_skip_div[], nano_skip_load[], nano_timer[];

/* What the loops work on. */
extern volatile uint32_t *nano_pte;
extern uint32_t nano_page, nano_mmio_page, nano_other_cr3, nano_from[], nano_to[];
volatile uint32_t *nano_pte;
uint32_t nano_page = PAGING_TEST, nano_mmio_page = PAGING_TEST + MMIO_PAGE * PAGE;
uint32_t nano_other_cr3; /* XORed with CR3: that of the other address space */
uint32_t nano_from[256], nano_to[256];

static uint32_t own_cr3;
static uint32_t other_directory[1024] __attribute__((aligned(PAGE)));
static uint32_t other_table[1024] __attribute__((aligned(PAGE)));

/* From what to what page-table entries are changed, a batch of pages at a time. */
enum batch { NO_BATCH, TO_NOT_PRESENT, TO_PRESENT };

static const struct nano {
    const char *name;
    nano_loop *loop;       /* in the kernel, or */
    const uint8_t *user;   /* in ring 3 */
    uint32_t needs;        /* CPUID bits */
    enum batch batch;
    bool waits;            /* for the timer, HLT_TICKS each time */
} nanos[] = {
    { .name = "syscall", .user = nano_user_int80 },
    { .name = "sysenter", .user = nano_user_sysenter, .needs = CPUID_SEP },
    { .name = "in", .loop = nano_in_80 },
    { .name = "in_pic", .loop = nano_in_pic },
    { .name = "mmio", .loop = nano_mmio, .needs = CPUID_APIC },
    { .name = "cr3wr", .loop = nano_cr3wr },
    { .name = "cr4wr", .loop = nano_cr4wr },
    { .name = "cr0ts", .loop = nano_cr0ts },
    { .name = "ctxsw", .loop = nano_ctxsw },
    { .name = "callret", .loop = nano_callret },
    { .name = "indcall", .loop = nano_indcall },
    { .name = "pgfault", .loop = nano_pgfault },
    { .name = "divzero", .loop = nano_divzero },
    { .name = "ptemod", .loop = nano_ptemod_toggle },
    { .name = "ptemod_invlpg", .loop = nano_ptemod_toggle_invlpg },
    { .name = "ptemod_same", .loop = nano_ptemod_same },
    { .name = "ptemod_same_invlpg", .loop = nano_ptemod_same_invlpg },
    { .name = "ptemod_p_np", .loop = nano_pte_store, .batch = TO_NOT_PRESENT },
    { .name = "ptemod_p_np_invlpg", .loop = nano_pte_store_invlpg, .batch = TO_NOT_PRESENT },
    { .name = "ptemod_np_p", .loop = nano_pte_store, .batch = TO_PRESENT },
    { .name = "ptemod_np_p_invlpg", .loop = nano_pte_store_invlpg, .batch = TO_PRESENT },
    { .name = "ptemod_map_touch", .loop = nano_ptemod_map_touch },
    { .name = "ptemod_map_write", .loop = nano_ptemod_map_write },
    { .name = "pushf_popf", .loop = nano_pushf_popf },
    { .name = "cli_sti", .loop = nano_cli_sti },
    { .name = "int_iret", .loop = nano_int_iret },
    { .name = "hlt", .loop = nano_hlt, .waits = true },
    { .name = "repmovs", .loop = nano_repmovs },
};

static void run_user(const uint8_t *code, uint32_t n)
{
    struct frame f = trap_frame((uint32_t)code, 3);

    f.edi = n;
    trap_run(&f);
}

static uint32_t entry_of(unsigned page)
{
    return (uint32_t)paging_page(page % PAGING_PAGES) | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;
}

/* All pages of a batch present and used, or none. Entry 0 is what the loop will write. */
static void set_batch(enum batch batch)
{
    for (unsigned i = 1; i <= NANO_BATCH; i++)
        nano_pte[i] = batch == TO_PRESENT ? 0 : entry_of(i);
    write_cr3(own_cr3);
    for (unsigned i = 1; i <= NANO_BATCH && batch == TO_NOT_PRESENT; i++)
        (void)*(volatile uint32_t *)(nano_page + i * PAGE);
    nano_pte[0] = batch == TO_PRESENT ? entry_of(0) : 0;
}

/* What happens between the batches does not count. */
static uint64_t time_batches(const struct nano *nano, uint32_t n)
{
    uint64_t took = 0;

    for (; n; n -= NANO_BATCH) {
        uint64_t start;

        set_batch(nano->batch);
        start = rdtsc();
        nano->loop(NANO_BATCH);
        took += rdtsc() - start;
    }
    return took;
}

static uint64_t time_loop(const struct nano *nano, uint32_t n)
{
    uint64_t start, took;

    for (unsigned i = 0; i < 16; i++)
        nano_pte[i] = entry_of(i);
    write_cr3(own_cr3);
    trap_irq_mask(nano->waits ? 0xffff ^ 1u << IRQ_TIMER : 0xffff);
    start = rdtsc();
    if (nano->loop)
        nano->loop(n);
    else
        run_user(nano->user, n);
    took = rdtsc() - start;
    trap_irq_mask(0xffff);
    write_cr3(own_cr3);
    write_cr0(read_cr0() & ~CR0_TS);
    return took;
}

static uint64_t time_of(const void *operation, uint32_t n)
{
    const struct nano *nano = operation;

    return nano->batch ? time_batches(nano, n) : time_loop(nano, n);
}

void nano_report(const char *name, uint64_t cycles, uint32_t tenths)
{
    print("NANO %s %llu.%u\n", name, cycles, tenths);
}

void nano_mark(const char *when, const char *name, uint32_t n)
{
    print("NANO-%s %s %u\n", when, name, n);
}

static void set_handler(unsigned vector, const uint8_t *handler, uint8_t access)
{
    idt[vector] = gate_make(KERNEL_CS, (uint32_t)handler, ACCESS_INT_GATE | access, 0);
}

static void set_handlers(void)
{
    set_handler(INT_VECTOR, nano_iret, 0);
    set_handler(TRAP_SYSCALL, nano_iret, ACCESS_DPL3);
    set_handler(VEC_DE, nano_skip_div, 0);
    set_handler(VEC_PF, nano_skip_load, 0);
    set_handler(TRAP_IRQ + IRQ_TIMER, nano_timer, 0);
    if (!(cpuid_features() & CPUID_SEP))
        return;
    wrmsr(MSR_SYSENTER_CS, KERNEL_CS);
    wrmsr(MSR_SYSENTER_ESP, trap_tss.esp0);
    wrmsr(MSR_SYSENTER_EIP, (uint32_t)nano_sysexit);
}

/* The address space, and another that has its own test area. */
static void make_spaces(void)
{
    const uint32_t *directory;

    paging_init(false, false);
    own_cr3 = read_cr3();
    directory = (const uint32_t *)own_cr3; /* identity */
    nano_pte = paging_pte(PAGING_TEST);
    nano_pte[MMIO_PAGE] = LAPIC | PTE_P | PTE_W | PTE_PCD;
    for (unsigned i = 0; i < 1024; i++)
        other_directory[i] = directory[i];
    for (unsigned i = 0; i < PAGING_PAGES; i++)
        other_table[i] = entry_of(i + 1);
    other_directory[PAGING_TEST >> 22] = (uint32_t)other_table | PTE_P | PTE_W | PTE_U;
    nano_other_cr3 = own_cr3 ^ (uint32_t)other_directory;
}

static bool wanted(const struct nano *nano, const struct nano_rules *rules)
{
    if (boot_option("only", NULL) && !boot_option(nano->name, NULL))
        return false;
    if ((rules->marks || rules->count) && (nano->waits || (rules->marks && nano->batch)))
        return false; /* times that do not repeat, or that only the guest can tell apart */
    return (cpuid_features() & nano->needs) == nano->needs;
}

static void measure(const struct nano *nano, const struct nano_rules *rules)
{
    struct nano_rules its = *rules;
    uint64_t idle = 0;

    if (nano->batch) { /* not less when it is to be fast: a monitor may take as long to settle */
        its.round = (uint64_t)time_tsc_khz() * ROUND_MS;
        divide(&its.round, BATCHES_PER_ROUND);
    }
    if (nano->waits) {
        idle = (uint64_t)HLT_TICKS * 1000 * time_tsc_khz();
        divide(&idle, TIME_PIT_HZ);
    }
    nano_measure(nano->name, time_of, nano, idle, &its);
}

unsigned guest_main(void)
{
    struct nano_rules rules = { .marks = boot_option("marks", NULL) };
    unsigned done = 0;

    make_spaces();
    set_handlers();
    if (!boot_option("count", &rules.count)) {
        rules.round = (uint64_t)time_tsc_khz() *
                      (boot_option("fast", NULL) ? FAST_ROUND_MS : ROUND_MS);
        print("\nnanobench: TSC %u MHz\n", time_tsc_khz() / 1000);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(nanos); i++) {
        if (!wanted(&nanos[i], &rules))
            continue;
        measure(&nanos[i], &rules);
        done++;
    }
    cli();
    print("DONE %u passed 0 failed\n", done);
    return 0;
}
