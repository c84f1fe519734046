/*
 * What user code can do, a case a line: "USERMODE case what=value ...". The lines are the same on
 * any x86 under Linux, so those of a guest are compared with the host's own.
 *
 *   usermode [CASE...]
 *
 * A case is a process of its own: one that dies or hangs ends only its own line.
 */
#include "guests/initramfs/usermode.h"

#define TEXT_SIZE 16384u
#define CASE_SECONDS 120 /* the host may be very busy */

static char *text; /* shared with the parent, which prints it whatever becomes of the case */
static uint32_t sum;

static void add_text(const char *s)
{
    char *end = text;

    while (*end)
        end++;
    while (*s && end < text + TEXT_SIZE - 1)
        *end++ = *s++;
    *end = 0;
}

static void add_hex(uint32_t value)
{
    char digits[9], *p = digits + 8;

    *p = 0;
    do {
        *--p = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value);
    add_text(p);
}

void see(const char *what, uint32_t value)
{
    add_text(" ");
    add_text(what);
    add_text("=");
    add_hex(value);
}

void expect(const char *what, uint32_t value, uint32_t wanted)
{
    if (value == wanted)
        return;
    see(what, value);
    add_text("(wrong:");
    add_hex(wanted);
    add_text(")");
}

void mix(const void *data, size_t size)
{
    const uint8_t *p = data;

    while (size--)
        sum = (sum ^ *p++) * 16777619u;
}

void mix32(uint32_t value)
{
    mix(&value, sizeof(value));
}

uint32_t mixed(void)
{
    uint32_t value = sum;

    sum = 2166136261u;
    return value;
}

/* ---- Signals ------------------------------------------------------------ */

#define SA_SIGINFO 4u
#define SA_ONSTACK 0x08000000u
#define SA_RESTART 0x10000000u
#define SA_NODEFER 0x40000000u

void um_signal(int signal, handler *handle, int own_stack)
{
    struct {
        handler *handle;
        uint32_t flags, restorer, mask[2];
    } action = { handle, SA_SIGINFO | SA_NODEFER | SA_RESTART | (own_stack ? 0 : SA_ONSTACK), 0,
                 { 0, 0 } };
    static uint8_t stack[16 * PAGE];
    const struct {
        void *base;
        uint32_t flags, size;
    } elsewhere = { stack, 0, sizeof(stack) };
    long result = own_stack ? 0 : sys2(SYS_sigaltstack, &elsewhere, 0);

    if (!result)
        result = sys4(SYS_rt_sigaction, signal, &action, 0, 8);
    if (result)
        rt_fail("rt_sigaction", result);
}

volatile uint32_t um_esp, um_start, um_resume, um_base;
static volatile struct {
    uint32_t count, signal, code, addr, trapno, err, eip;
} caught;

#define EFLAGS_NT 0x4000u
#define EFLAGS_TF 0x100u
#define EFLAGS_AC 0x40000u
#define VECTOR_PF 14

static void catch_trap(int signal, struct info *info, struct context *context)
{
    if (!caught.count++) {
        caught.signal = (uint32_t)signal;
        caught.code = (uint32_t)info->code;
        caught.addr = info->addr;
        caught.trapno = context->trapno;
        caught.err = context->trapno == VECTOR_PF ? context->err & 7 : context->err;
        caught.eip = context->eip;
    }
    context->eflags &= ~(EFLAGS_NT | EFLAGS_TF | EFLAGS_AC);
    context->eip = um_resume;
}

void um_traps(void)
{
    static const int signals[] = { SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV };
    char *base = rt_map(4 * PAGE, PROT_READ | PROT_WRITE);

    um_base = (uint32_t)base;
    sys3(SYS_mprotect, base + PAGE, PAGE, PROT_NONE);
    sys3(SYS_mprotect, base + 2 * PAGE, PAGE, PROT_READ);
    for (unsigned i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        um_signal(signals[i], catch_trap, 0);
}

void um_before(void)
{
    caught.count = 0;
}

uint32_t um_caught(void)
{
    return caught.count ? caught.signal : 0;
}

static uint32_t relative(uint32_t address)
{
    if (address - um_base < 4 * PAGE)
        return 0xb0000 + address - um_base;
    if (address - um_start < PAGE)
        return 0xc0000 + address - um_start;
    return address;
}

void um_see_trap(const char *name)
{
    const uint32_t values[] = { caught.signal, caught.code, relative(caught.addr), caught.trapno,
                                caught.err, relative(caught.eip) };

    add_text(" ");
    add_text(name);
    if (caught.count != 1)
        see("times", caught.count);
    for (unsigned i = 0; caught.count && i < sizeof(values) / sizeof(*values); i++) {
        add_text(i ? "/" : "=");
        add_hex(values[i]);
    }
}

/* ---- The list ----------------------------------------------------------- */

static const struct um_case *const lists[] = {
    um_traps_cases, um_segment_cases, um_signal_cases, um_memory_cases, um_process_cases,
};

static void run_case(const struct um_case *c)
{
    int pid, status;

    *text = 0;
    pid = rt_fork();
    if (!pid) {
        sys1(NR_alarm, CASE_SECONDS);
        mixed();
        c->run();
        rt_exit(0);
    }
    sys4(SYS_wait4, pid, &status, 0, 0);
    if (status)
        see("died", (uint32_t)status);
    rt_print("USERMODE ");
    rt_print(c->name);
    rt_print(text);
    rt_print("\n");
}

int rt_main(int argc, char **argv, char **envp)
{
    (void)envp;
    if (argc == 2 && rt_equal(argv[1], "--exec"))
        rt_exit(7); /* the exec case */
    text = rt_map_at(0, TEXT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    for (unsigned i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        for (const struct um_case *c = lists[i]; c->name; c++) {
            int wanted = argc < 2;

            for (int a = 1; a < argc; a++)
                wanted |= rt_equal(argv[a], c->name);
            if (wanted)
                run_case(c);
        }
    return 0;
}
