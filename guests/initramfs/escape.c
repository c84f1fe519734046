/*
 * Tries to get out of what user code is run in, by every way that 32-bit code has to a 64-bit
 * host's code segment, and then by every system call, by what the host's process has mapped, by
 * the code that is mapped there, by frames of its own for it, by lies, and by not coming back.
 *
 *   escape root|user [TIER [GROUP]]
 *
 * user: as an ordinary user. With the tier "direct" or "auto" each try waits until its code runs
 * directly, which takes long in auto: then there are only a few of each kind. A line a group:
 * "ESCAPE group ok", or what went wrong, and "ESCAPE-COUNT group TRIES DIRECTLY", how many there
 * were and how many of them ran directly. Each try is a process of its own, and must end in an
 * exception: for a guest these selectors do not exist. Whether the host lost anything is for
 * whoever started it to see.
 */
#include "guests/initramfs/escape.h"

#define VICTIM_PAGES 64u
#define TRY_SECONDS 120 /* the host may be very busy */
#define WARM_ROUNDS 20000u /* a second or two */
#define HOST_CS 0x23 /* what a program reads that runs directly (docs/direct-execution.md) */

uint8_t *escape_copied;
uint8_t escape_frame[8 * PAGE] __attribute__((aligned(4096)));
int escape_few;
static int waits; /* tries wait until they run directly */
static uint32_t tries, directly, wrong;

/* ---- One try --------------------------------------------------------------- */

void escape_set(uint32_t mode, unsigned count, const uint64_t *table)
{
    escape_mode = mode;
    for (unsigned i = 0; i < T_COUNT; i++)
        escape_table[i] = i < count ? table[i] : 0;
}

/* Said by the try's process: did it begin directly? And which exception has ended it? */
static volatile uint32_t *is_direct(void)
{
    return (volatile uint32_t *)(escape_copied + PAGE);
}

static volatile uint32_t *raised(void)
{
    return is_direct() + 1;
}

static void caught(int signal, struct info *info, struct context *context)
{
    (void)info, (void)context;
    *raised() = (uint32_t)signal;
    rt_exit(0);
}

static void on_exceptions(void)
{
    static const int signals[] = { SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV };

    for (unsigned i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        um_signal(signals[i], caught, 0);
}

/* What 64-bit code will touch must be mapped when it does: a fault there ends the try. */
static void touch_all(void)
{
    volatile uint8_t *page = escape_copied;

    escape_mode = escape_mode;
    escape_table[T_RIP] = escape_table[T_RIP];
    for (unsigned i = 0; i < sizeof(escape_frame); i += PAGE)
        ((volatile uint8_t *)escape_frame)[i] = ((volatile uint8_t *)escape_frame)[i];
    page[PAGE - 1] = page[PAGE - 1];
    for (const volatile uint8_t *code = escape_code; code < escape_code_end; code++)
        (void)*code;
}

/* The host's where this runs directly: the form that shadowmm/avoid.c does not look for. */
static uint32_t code_selector(void)
{
    uint32_t selector;

    __asm__ volatile("pushl %%cs\n popl %0" : "=r"(selector));
    return selector & 0xffff;
}

/* Computes until that is done directly. */
static void warm_up(void)
{
    volatile uint32_t x = 1;

    for (unsigned i = 0; waits && i < WARM_ROUNDS && code_selector() != HOST_CS; i++)
        for (unsigned j = 0; j < 30000; j++)
            x = x * 1664525 + 1013904223;
}

__attribute__((noreturn)) static void attempt(escape_way *way)
{
    sys1(NR_alarm, TRY_SECONDS);
    warm_up();
    touch_all();
    *is_direct() = code_selector() == HOST_CS;
    __asm__ volatile("pushal\n call *%0\n popal\n cld" : : "r"(way) : "memory", "cc");
    rt_exit(1);
}

int escape_is_exception(int signal)
{
    return signal == SIGSEGV || signal == SIGILL || signal == SIGBUS || signal == SIGTRAP ||
           signal == SIGFPE;
}

void escape_wrong(const char *what, uint32_t number)
{
    if (++wrong > 5)
        return;
    rt_print("ESCAPE-TRY ");
    rt_print(what);
    rt_print(" ");
    rt_print_unsigned(number, 16, 1);
    rt_print("\n");
}

void escape_try(escape_way *way, const char *what, uint32_t number)
{
    int pid, status = 0;

    *is_direct() = *raised() = 0;
    pid = rt_fork();
    if (!pid)
        attempt(way);
    sys4(SYS_wait4, pid, &status, 0, 0);
    tries++;
    directly += *is_direct();
    if (escape_is_exception(status ? status : (int)*raised()))
        return;
    escape_wrong(status == 0x100 ? "came back:" : status == SIGALRM ? "hangs:" : "ended:",
                 (uint32_t)status);
    escape_wrong(what, number);
}

void escape_copy(uint64_t from, uint32_t size)
{
    for (uint32_t i = 0; i < PAGE; i++)
        escape_copied[i] = 0;
    SET(MODE_COPY, 0, from, (uint32_t)escape_copied, size);
    escape_try(escape_jump, "copy", (uint32_t)from);
}

/* ---- Running them ------------------------------------------------------------ */

static const struct um_case *const lists[] = {
    escape_call_groups, escape_memory_groups, escape_stub_groups,
};

void um_signal(int signal, handler *handle, int own_stack)
{
    struct {
        handler *handle;
        uint32_t flags, restorer, mask[2];
    } action = { handle, 0x48000004, 0, { 0, 0 } }; /* NODEFER ONSTACK SIGINFO */
    static uint8_t stack[16 * PAGE];
    const struct {
        void *base;
        uint32_t flags, size;
    } elsewhere = { stack, 0, sizeof(stack) };

    (void)own_stack;
    sys2(SYS_sigaltstack, &elsewhere, 0);
    sys4(SYS_rt_sigaction, signal, &action, 0, 8);
}

/* In a process of its own as well. */
static int run_group(const struct um_case *g)
{
    int pid = rt_fork(), status = 0;

    if (!pid) {
        on_exceptions();
        g->run();
        rt_print("ESCAPE-COUNT ");
        rt_print(g->name);
        rt_print(" ");
        rt_print_unsigned(tries, 10, 1);
        rt_print(" ");
        rt_print_unsigned(directly, 10, 1);
        rt_print("\n");
        rt_exit(wrong ? 1 : tries ? 0 : 2);
    }
    sys4(SYS_wait4, pid, &status, 0, 0);
    rt_print("ESCAPE ");
    rt_print(g->name);
    if (!status) {
        rt_print(" ok\n");
        return 0;
    }
    rt_print(" went wrong: status ");
    rt_print_unsigned((unsigned)status, 16, 1);
    rt_print("\n");
    return 1;
}

int rt_main(int argc, char **argv, char **envp)
{
    uint32_t *victim = rt_map(VICTIM_PAGES * PAGE, PROT_READ | PROT_WRITE), bad = 0;

    (void)envp;
    escape_copied = rt_map_at(0, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    if (argc > 1 && rt_equal(argv[1], "user"))
        sys1(NR_setuid32, 1000);
    escape_few = argc > 2 && rt_equal(argv[2], "auto");
    waits = escape_few || (argc > 2 && rt_equal(argv[2], "direct"));
    for (uint32_t i = 0; i < VICTIM_PAGES * PAGE / 4; i++)
        victim[i] = i * 2654435761u;
    for (unsigned i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        for (const struct um_case *g = lists[i]; g->name; g++)
            if (argc < 4 || rt_equal(argv[3], g->name))
                bad += (uint32_t)run_group(g);
    for (uint32_t i = 0; i < VICTIM_PAGES * PAGE / 4; i++)
        bad += victim[i] != i * 2654435761u;
    rt_print(bad ? "ESCAPE went wrong\n" : "ESCAPE done\n");
    return bad != 0;
}
