/*
 * Work whose result says whether the CPU under it is right: each part prints
 * "SELFTEST name checksum", the same on any CPU that is an x86, so a guest's
 * output is compared with the host's own. The shell script selftest runs it.
 *
 * Parts: integers and flags, strings, x87, SSE, faults (signal, trap number,
 * error code, address), single step, code that changes, memory maps and
 * copy-on-write, timer signals against FPU state, thread-local segments,
 * segment limits.
 */
#include "guests/initramfs/selftest.h"

/* ---- The checksum: FNV-1a over the bytes mixed in ---------------------- */

static uint32_t sum;

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

static uint32_t random_state;

uint32_t random32(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    return random_state ^= random_state << 5;
}

/* ---- Signals ----------------------------------------------------------- */

#define SA_SIGINFO 4u
#define SA_ONSTACK 0x08000000u
#define SA_RESTART 0x10000000u
#define SA_NODEFER 0x40000000u

/* A timer's handler is not interrupted by its own signal: on a busy host its stack would not do. */
void on_signal(int signal, handler *handle)
{
    struct {
        handler *handle;
        uint32_t flags, restorer, mask[2];
    } action = { handle, SA_SIGINFO | SA_RESTART | SA_ONSTACK, 0, { 0, 0 } };
    static uint8_t stack[16 * PAGE];
    const struct {
        void *base;
        uint32_t flags, size;
    } elsewhere = { stack, 0, sizeof(stack) };
    long result = sys2(SYS_sigaltstack, &elsewhere, 0);

    if (signal != SIGALRM)
        action.flags |= SA_NODEFER;
    if (!result)
        result = sys4(SYS_rt_sigaction, signal, &action, 0, 8);
    if (result)
        rt_fail("rt_sigaction", result);
}

/* ---- The list ---------------------------------------------------------- */

static const struct part {
    const char *name;
    void (*run)(void);
} parts[] = {
    { "integers", part_integers },
    { "cmpxchg8b", part_cmpxchg8b },
    { "strings", part_strings },
    { "x87", part_x87 },
    { "sse", part_sse },
    { "avx", part_avx },
    { "avx512", part_avx512 },
    { "mmx", part_mmx },
    { "faults", part_faults },
    { "step", part_step },
    { "code", part_code },
    { "maps", part_maps },
    { "timer", part_timer },
    { "tls", part_tls },
    { "limits", part_limits },
};

/* Each part in a process of its own, so a crash ends only its own line. */
static void run_part(const struct part *part)
{
    int pid = rt_fork(), status;

    if (!pid) {
        sum = 2166136261u;
        random_state = 88172645;
        part->run();
        rt_print("SELFTEST ");
        rt_print(part->name);
        rt_print(" ");
        rt_print_unsigned(sum, 16, 8);
        rt_print("\n");
        rt_exit(0);
    }
    sys4(SYS_wait4, pid, &status, 0, 0);
    if (status) {
        rt_print("SELFTEST ");
        rt_print(part->name);
        rt_print(" died with status ");
        rt_print_unsigned((unsigned)status, 10, 1);
        rt_print("\n");
    }
}

int rt_main(int argc, char **argv, char **envp)
{
    (void)envp;
    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (argc < 2 || rt_equal(argv[1], parts[i].name))
            run_part(&parts[i]);
    return 0;
}
