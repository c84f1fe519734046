/*
 * 09 nanobenchmarks: what single operations cost, in cycles of the TSC. Under a monitor those that
 * are plain code cost what they cost on the CPU, and the others tell how the monitor is built.
 * guests/nanobench.c, which novt bench runs, is the same with more operations and more care.
 *
 * On the command line: only, and names; count=N operations for each, the quickest of ROUNDS counts.
 *
 * Reference: Adams and Agesen, ASPLOS 2006, section 6.3.
 */
#include "exercise.h"
#include "guests/lib/boot.h"
#include "guests/lib/console.h"
#include "guests/lib/paging.h"

enum { ROUNDS = 5, COUNT = 1000 };

static void __attribute__((noinline)) do_nothing(void)
{
    __asm__ volatile("");
}

static void do_popf(void)
{
    __asm__ volatile("pushfl; popfl" : : : "memory", "cc");
}

static void do_cli_sti(void)
{
    __asm__ volatile("sti; cli" : : : "memory");
}

static void do_in(void)
{
    inb(0x80);
}

static void do_cr3(void)
{
    write_cr3(read_cr3());
}

/* A page-table entry is cleared and set again, and the page used. */
static void do_pte(void)
{
    volatile uint32_t *pte = paging_pte(PAGING_TEST);

    *pte = 0;
    invlpg(PAGING_TEST);
    *pte = (uint32_t)paging_page(0) | PTE_P | PTE_W;
    *(volatile uint8_t *)PAGING_TEST = 1;
}

/* Through a gate and back, in the kernel's own ring. */
static void do_int(void)
{
    __asm__ volatile("int $0x80" : : : "memory");
}

static void do_cpuid(void)
{
    cpuid(0);
}

static const struct {
    const char *name;
    void (*run)(void);
} operations[] = {
    { "call", do_nothing }, { "popf", do_popf }, { "cli_sti", do_cli_sti }, { "int", do_int },
    { "cpuid", do_cpuid },  { "in", do_in },     { "cr3", do_cr3 },         { "pte", do_pte },
    { "exercise", operation },
};

static uint32_t quickest(void (*run)(void), uint32_t count)
{
    uint64_t best = ~0ull;

    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t start = rdtsc(), cycles;

        for (uint32_t i = 0; i < count; i++)
            run();
        cycles = rdtsc() - start;
        best = cycles < best ? cycles : best;
    }
    divide(&best, count);
    return best;
}

static void on_interrupt(struct frame *f)
{
    (void)f;
}

unsigned guest_main(void)
{
    bool only = boot_option("only", NULL);
    uint32_t count = COUNT;

    boot_option("count", &count);
    paging_init(false, false);
    trap_set(TRAP_SYSCALL, on_interrupt);
    for (unsigned i = 0; i < ARRAY_SIZE(operations); i++)
        if (only ? boot_option(operations[i].name, NULL) : operations[i].run != operation)
            print("%-9s %6u cycles\n", operations[i].name, quickest(operations[i].run, count));
    return 0;
}
