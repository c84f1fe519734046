/*
 * Tries to get out of what user code is run in, by every way that 32-bit code has to a 64-bit
 * host's code segment, and then by every system call, by what the host's process has mapped, by
 * the code that is mapped there, by frames of its own for it, and by not coming back.
 *
 *   escape [user]       user: as an ordinary user
 *
 * A line a group: "ESCAPE group ok", or what went wrong. Each try must end, by a signal or with its
 * process: for a guest these selectors do not exist. Whether the host lost anything is for whoever
 * started it to see.
 */
#include "guests/initramfs/usermode.h"

void escape_jump(void);
void escape_call(void);
void escape_return(void);
void escape_iret(void);
void escape_nostack(void);
void escape_selector_jump(void);
void escape_64(void);
extern volatile uint32_t escape_mode;
extern volatile uint64_t escape_table[8];
volatile uint32_t um_esp, um_start, um_resume, um_base;

enum { MODE_SYSCALL, MODE_INT80, MODE_SYSENTER, MODE_GO, MODE_WRITE, MODE_WRITE_ON, MODE_LOOP,
       MODE_COPY };

/* Where novt has its own pages (direct/stub.h). */
#define STUB 0x7e0000000000ull
#define ORDERS 0x7e0000100000ull
#define REPORT 0x7e0000200000ull
#define REPORT_SIZE 0xc000u
#define NUMBERS 480u
#define NUMBERS_A_PROCESS 8u
#define X32 0x40000000u
#define VICTIM_PAGES 64u

static const char canary[] = "/tmp/novt-escaped";
static uint32_t tries, caught, segments;
static uint8_t *copied; /* shared by all processes */
static uint8_t frame[8 * PAGE] __attribute__((aligned(4096)));

static void resume(int signal, struct info *info, struct context *context)
{
    (void)signal, (void)info;
    caught++;
    context->ds = context->es = context->ss = segments;
    context->fs = context->gs = 0;
    context->eflags = 0x202;
    context->esp = um_esp;
    context->eip = um_resume;
}

/* What 64-bit code will touch must be mapped when it does: a fault there ends the try. */
static void touch_all(void)
{
    volatile uint8_t *page = copied;

    escape_mode = escape_mode;
    escape_table[7] = 0;
    for (unsigned i = 0; i < sizeof(frame); i += PAGE)
        ((volatile uint8_t *)frame)[i] = ((volatile uint8_t *)frame)[i];
    page[PAGE - 1] = page[PAGE - 1];
}

static void attempt(void (*way)(void))
{
    tries++;
    touch_all();
    __asm__ volatile("pushal\n movl %%esp, um_esp\n movl $1f, um_resume\n call *%0\n 1: popal\n cld"
                     : : "r"(way) : "memory", "cc");
}

static void set(uint32_t mode, uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
    escape_mode = mode;
    escape_table[0] = number;
    escape_table[1] = a;
    escape_table[2] = b;
    escape_table[3] = c;
}

/* In a process of its own: one that was violated gets no sandbox again at once. */
static void alone(void (*way)(void))
{
    int pid = rt_fork(), status;

    if (!pid) {
        tries = caught = 0;
        attempt(way);
        rt_exit(caught < tries);
    }
    sys4(SYS_wait4, pid, &status, 0, 0); /* any end will do: but it must end */
}

/* ---- The groups ------------------------------------------------------------ */

static void numbers(uint32_t mode, void (*way)(void), uint32_t extra)
{
    for (uint32_t n = 0; n < NUMBERS; n++) {
        int pid = n % NUMBERS_A_PROCESS ? 0 : rt_fork(), status;

        if (pid) { /* a sandbox that was violated is not given again at once, so: many */
            sys4(SYS_wait4, pid, &status, 0, 0);
            n += NUMBERS_A_PROCESS - 1;
            if (status)
                tries++;
            continue;
        }
        if (n % NUMBERS_A_PROCESS == 0)
            tries = caught = 0;
        set(mode, n | extra, (uint32_t)canary, 0x41, 0x1ff);
        attempt(way);
        if (n % NUMBERS_A_PROCESS == NUMBERS_A_PROCESS - 1)
            rt_exit(caught < tries);
    }
}

static void group_syscall(void)
{
    numbers(MODE_SYSCALL, escape_jump, 0);
}

static void group_int80(void)
{
    numbers(MODE_INT80, escape_call, 0);
}

static void group_sysenter(void)
{
    numbers(MODE_SYSENTER, escape_return, 0x1000); /* it may reach the guest, like any other */
}

static void group_x32(void)
{
    numbers(MODE_SYSCALL, escape_iret, X32);
}

/* Other selectors, 32-bit code behind some of them: whatever runs must not be let out. */
static void group_selectors(void)
{
    static const uint8_t back[] = { 0x0f, 0x0b };
    uint8_t *page = rt_map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);

    page[0] = back[0], page[1] = back[1];
    for (uint32_t selector = 0; selector < 0x100; selector++) {
        escape_table[0] = (uint32_t)page | (uint64_t)selector << 32;
        alone(escape_selector_jump);
    }
}

/* What is mapped there, once each: the last one fills it and looks up again. */
static void group_write(void)
{
    static const uint64_t places[] = { STUB, STUB + 0x1000, ORDERS, ORDERS + 0x1000, REPORT + 8,
                                       REPORT + 0x1000, REPORT + 0x2000, REPORT + 0xb000,
                                       0x100000000ull, 0x7fffffffe000ull, 0xffffffffff600000ull,
                                       0xffff800000000000ull, 0x555555554000ull };

    for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++) {
        set(MODE_WRITE, i * 0x123456789abcdefull, places[i], places[i] + 0x1000, 0);
        alone(escape_jump);
    }
}

static void group_report(void)
{
    for (unsigned i = 0; i < 6; i++) {
        set(MODE_WRITE, i * 0x9876543210fedcull, REPORT + (i & 1 ? 8 : 0), REPORT + REPORT_SIZE, 0);
        alone(escape_jump);
    }
}

static void group_report_on(void)
{
    set(MODE_WRITE_ON, 0x123456789abcdefull, REPORT + 8, REPORT + REPORT_SIZE, 0);
    alone(escape_jump);
}

/* Says that the process has ended. */
static void group_pretend(void)
{
    set(MODE_WRITE, 0, REPORT, REPORT + 8, 0);
    alone(escape_jump);
    set(MODE_WRITE_ON, 0, REPORT, REPORT + 8, 0);
    alone(escape_jump);
}

static void group_loop(void)
{
    set(MODE_LOOP, 0, 0, 0, 0);
    alone(escape_jump);
}

static void group_nostack(void)
{
    alone(escape_nostack);
}

static void group_stub(void)
{
    for (uint32_t at = 0; at < 0xc00; at += 67) {
        set(MODE_GO, at, STUB + at, (uint32_t)frame + 4 * PAGE, (uint32_t)frame);
        escape_table[4] = at & 1 ? ORDERS : (uint32_t)frame;
        escape_table[5] = at & 2 ? REPORT : (uint32_t)frame;
        alone(escape_jump);
    }
}

/* Linux's 64-bit signal frame, from behind its return address. */
enum { FRAME_REG = 5, FRAME_RSP = FRAME_REG + 15, FRAME_RIP, FRAME_FLAGS, FRAME_SELECTORS,
       FRAME_MASK = FRAME_REG + 23 + 9 };

static void forge(uint64_t site, uint64_t mask, uint32_t selectors)
{
    uint64_t *f = (uint64_t *)(frame + 4 * PAGE);

    for (unsigned i = 0; i < 64; i++)
        f[i] = 0;
    f[FRAME_RIP] = selectors == 0x33 ? (uint32_t)escape_64 : (uint32_t)frame;
    f[FRAME_RSP] = (uint32_t)frame + 6 * PAGE;
    f[FRAME_FLAGS] = 0x202;
    f[FRAME_SELECTORS] = selectors | 0x2bull << 48;
    f[FRAME_MASK] = mask;
    f[2] = (uint32_t)frame;
    f[4] = 3 * PAGE;
    set(MODE_GO, 15, site, (uint32_t)f, 0);
    alone(escape_jump);
}

/* From each of the system call instructions there. */
static void group_forged(void)
{
    uint8_t *copy = copied;

    set(MODE_COPY, 0, STUB, (uint32_t)copy, PAGE);
    alone(escape_jump);
    frame[0] = 0x0f, frame[1] = 0x0b;
    for (unsigned at = 0; at + 1 < PAGE; at++)
        if (copy[at] == 0x0f && copy[at + 1] == 5) {
            forge(STUB + at, 0, 0x33);
            forge(STUB + at, 0, 0x23);
            forge(STUB + at, ~0ull, 0x33);
            forge(STUB + at, ~0ull, 0x23);
        }
}

/* ---- Running them ------------------------------------------------------------ */

static const struct um_case groups[] = {
    { "syscall", group_syscall },     { "int80", group_int80 },
    { "sysenter", group_sysenter },   { "x32", group_x32 },
    { "selectors", group_selectors }, { "write", group_write },
    { "report", group_report },       { "report-on", group_report_on },
    { "pretend", group_pretend },     { "loop", group_loop },
    { "nostack", group_nostack },     { "stub", group_stub },
    { "forged", group_forged },       { 0, 0 },
};

static void on(int signal, handler *handle)
{
    um_signal(signal, handle, 0);
}

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

static int run_group(const struct um_case *g)
{
    static const int signals[] = { SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV };
    int pid = rt_fork(), status = 0;

    if (!pid) {
        sys1(NR_alarm, 30);
        __asm__ volatile("movl %%ss, %0" : "=r"(segments));
        for (unsigned i = 0; i < sizeof(signals) / sizeof(*signals); i++)
            on(signals[i], resume);
        g->run();
        rt_exit(caught < tries);
    }
    sys4(SYS_wait4, pid, &status, 0, 0);
    rt_print("ESCAPE ");
    rt_print(g->name);
    /* Caught each time, or dead of a fault. */
    if (!status || status == SIGSEGV || status == SIGILL || status == SIGBUS) {
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
    uint32_t *victim = rt_map(VICTIM_PAGES * PAGE, PROT_READ | PROT_WRITE), wrong = 0;

    (void)envp;
    copied = rt_map_at(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    if (argc > 1 && rt_equal(argv[1], "user"))
        sys1(NR_setuid32, 1000);
    for (uint32_t i = 0; i < VICTIM_PAGES * PAGE / 4; i++)
        victim[i] = i * 2654435761u;
    for (const struct um_case *g = groups; g->name; g++)
        if (argc < 3 || rt_equal(argv[2], g->name))
            wrong += (uint32_t)run_group(g);
    for (uint32_t i = 0; i < VICTIM_PAGES * PAGE / 4; i++)
        wrong += victim[i] != i * 2654435761u;
    rt_print(wrong ? "ESCAPE went wrong\n" : "ESCAPE done\n");
    return wrong != 0;
}
