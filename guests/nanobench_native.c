/*
 * Those of the nanobenchmarks that an ordinary program can do, with the same loops, on the host
 * itself: a static i386 program. "fast" as its argument: short rounds.
 *
 * What has another meaning than in a kernel of one's own: syscall and sysenter are the host
 * kernel's getppid (sysenter: by the vDSO, as libc does it); divzero and pgfault are signals,
 * delivered and returned from; the writes to page-table entries are stores to memory that nobody
 * watches.
 */
#include "guests/bench/rt.h"
#include "guests/nano_measure.h"

enum { SIGFPE = 8, SIGSEGV = 11, SA_NODEFER = 0x40000000, SA_SIGINFO = 4 };
enum { UCONTEXT_EIP = 19 }; /* in 32-bit words, of the host's i386 ucontext */
enum { DIV_BYTES = 2, LOAD_BYTES = 5 };
enum { ROUND = 150000000, FAST_ROUND = 10000000 }; /* cycles: some 60 and 4 ms */

typedef void nano_loop(uint32_t n);

nano_loop nano_callret, nano_indcall, nano_pushf_popf, nano_divzero, nano_pgfault;
nano_loop nano_ptemod_same, nano_ptemod_toggle, nano_repmovs;

/* What the loops work on; those for a kernel are linked in, and not called. */
extern volatile uint32_t *nano_pte;
extern uint32_t nano_page, nano_mmio_page, nano_other_cr3, nano_from[], nano_to[];
static uint32_t entry;
volatile uint32_t *nano_pte = &entry;
uint32_t nano_page, nano_mmio_page, nano_other_cr3, nano_from[256], nano_to[256];

static void call_int80(uint32_t n)
{
    while (n--) {
        long number = SYS_getppid;

        __asm__ volatile("int $0x80" : "+a"(number) : : "memory");
    }
}

static void call_vdso(uint32_t n)
{
    while (n--)
        sys0(SYS_getppid);
}

static const struct nano {
    const char *name;
    nano_loop *loop;
} nanos[] = {
    { "syscall", call_int80 },
    { "sysenter", call_vdso },
    { "callret", nano_callret },
    { "indcall", nano_indcall },
    { "pgfault", nano_pgfault },
    { "divzero", nano_divzero },
    { "ptemod", nano_ptemod_toggle },
    { "ptemod_same", nano_ptemod_same },
    { "pushf_popf", nano_pushf_popf },
    { "repmovs", nano_repmovs },
};

static uint64_t time_of(const void *operation, uint32_t n)
{
    const struct nano *nano = operation;
    uint64_t start = rdtsc();

    nano->loop(n);
    return rdtsc() - start;
}

void nano_report(const char *name, uint64_t cycles, uint32_t tenths)
{
    rt_print("NANO ");
    rt_print(name);
    rt_print(" ");
    rt_print_unsigned((unsigned)cycles, 10, 1);
    rt_print(".");
    rt_print_unsigned(tenths, 10, 1);
    rt_print("\n");
}

void nano_mark(const char *when, const char *name, uint32_t n)
{
    (void)when, (void)name, (void)n; /* the clock here is the host's already */
}

/* Behind the instruction that faulted. */
static void skip(int signal, void *info, uint32_t *context)
{
    (void)info;
    context[UCONTEXT_EIP] += signal == SIGFPE ? DIV_BYTES : LOAD_BYTES;
}

static void handle(int signal)
{
    const struct {
        void (*handler)(int, void *, uint32_t *);
        uint32_t flags, restorer, mask[2];
    } action = { skip, SA_SIGINFO | SA_NODEFER, 0, { 0, 0 } };

    if (sys4(SYS_rt_sigaction, signal, &action, 0, 8))
        rt_fail("rt_sigaction", -1);
}

int rt_main(int argc, char **argv, char **envp)
{
    struct nano_rules rules = { .round = ROUND };

    (void)envp;
    if (argc > 1 && rt_equal(argv[1], "fast"))
        rules.round = FAST_ROUND;
    handle(SIGFPE);
    handle(SIGSEGV);
    for (unsigned i = 0; i < ARRAY_SIZE(nanos); i++)
        nano_measure(nanos[i].name, time_of, &nanos[i], 0, &rules);
    return 0;
}
