/*
 * Benchmarks that need more than a loop: memory that misses every cache, vectors, and many
 * processes. They time themselves (loads_clock), so that what they prepare does not count.
 */
#include "loads.h"
#include "rt.h"

#define PAGE 4096u

/* --- A chase of pointers over 64 MiB ---------------------------------------------------------- */

#define LINES (1u << 20) /* of 64 bytes */

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* One cycle through all lines, in random order (Sattolo). */
static void link_lines(uint32_t *memory)
{
    unsigned seed = 1;

    for (unsigned i = 0; i < LINES; i++)
        memory[i * 16] = i;
    for (unsigned i = LINES - 1; i; i--) {
        unsigned j = next_random(&seed) % i;
        uint32_t swap = memory[i * 16];

        memory[i * 16] = memory[j * 16];
        memory[j * 16] = swap;
    }
}

void loads_chase(unsigned count)
{
    uint32_t *memory = rt_map(LINES * 64, PROT_READ | PROT_WRITE);
    unsigned at = 0;

    link_lines(memory);
    loads_clock();
    while (count--)
        at = *(volatile uint32_t *)(memory + at * 16);
    if (at >= LINES)
        rt_fail("the chase", -1);
}

/* --- AVX2 ------------------------------------------------------------------------------------- */

typedef int vector __attribute__((vector_size(32)));

static _Alignas(32) int numbers[2048];

static int has_avx2(void)
{
    unsigned a = 1, b, c = 0, d, xcr0;

    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(c & 1u << 27)) /* the system has not switched XSAVE on */
        return 0;
    __asm__("xgetbv" : "=a"(xcr0), "=d"(d) : "c"(0));
    a = 7, c = 0;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (xcr0 & 6) == 6 && (b & 1u << 5);
}

__attribute__((target("avx2"))) static int mix(unsigned count)
{
    vector sum = { 1, 2, 3, 4, 5, 6, 7, 8 };
    int total = 0;

    while (count--)
        for (unsigned i = 0; i < 2048; i += 8) {
            vector *v = (vector *)(numbers + i);

            *v = *v * 5 + (sum ^ (*v >> 3));
            sum += *v;
        }
    for (int i = 0; i < 8; i++)
        total ^= sum[i];
    return total;
}

void loads_avx2(unsigned count)
{
    if (!has_avx2())
        rt_fail("AVX2 is not here", -1);
    loads_clock();
    numbers[0] = mix(count);
}

/* --- Groups of senders and receivers ---------------------------------------------------------- */

#define PEERS 10 /* senders, and receivers, of a group */
#define MESSAGE 100

static void transfer(long number, int fd, char *buffer)
{
    for (long done = 0; done < MESSAGE;) {
        long got = sys3(number, fd, buffer + done, MESSAGE - done);

        if (got <= 0)
            rt_fail("a message", got);
        done += got;
    }
}

static void send_or_receive(int sender, int pipes[PEERS][2], int self, unsigned count)
{
    char message[MESSAGE] = { 0 };

    if (sender)
        while (count--)
            for (int i = 0; i < PEERS; i++)
                transfer(SYS_write, pipes[i][1], message);
    else
        for (count *= PEERS; count; count--)
            transfer(SYS_read, pipes[self][0], message);
    rt_exit(0);
}

/* Every sender of a group sends "count" messages to each of its receivers, over their pipes. */
void loads_groups(unsigned count)
{
    const int groups = 4;
    int pids[groups * 2 * PEERS], n = 0;

    loads_clock();
    for (int group = 0; group < groups; group++) {
        int pipes[PEERS][2];

        for (int i = 0; i < PEERS; i++)
            if (sys1(SYS_pipe, pipes[i]))
                rt_fail("pipe", -1);
        for (int i = 0; i < 2 * PEERS; i++) {
            pids[n] = rt_fork();
            if (!pids[n++])
                send_or_receive(i & 1, pipes, i / 2, count);
        }
        for (int i = 0; i < PEERS; i++) {
            sys1(SYS_close, pipes[i][0]);
            sys1(SYS_close, pipes[i][1]);
        }
    }
    while (n)
        rt_wait(pids[--n]);
}

/* --- Many processes --------------------------------------------------------------------------- */

#define OWN_PAGES 64
#define ROUNDS 5

/* A few milliseconds of work over pages of its own, then another process's turn. */
static void compute(uint32_t *pages, unsigned round)
{
    unsigned x = round + 1;

    for (unsigned i = 0; i < 1000000; i++) {
        x = x * 1664525u + 1013904223u;
        pages[x >> 16] += x;
    }
}

static void compute_by_turns(const int start[2], const int done[2], const int end[2])
{
    uint32_t *pages = rt_map(OWN_PAGES * PAGE, PROT_READ | PROT_WRITE);
    char byte;

    sys1(SYS_close, end[1]);
    sys3(SYS_read, start[0], &byte, 1);
    for (unsigned round = 0; round < ROUNDS; round++) {
        compute(pages, round);
        sys0(SYS_sched_yield);
    }
    sys3(SYS_write, done[1], "x", 1);
    sys3(SYS_read, end[0], &byte, 1); /* until there is no writer */
    rt_exit(0);
}

/*
 * "count" processes, all alive, each with the same work to do. They stay until the caller has
 * printed the time and a second has passed, in which bench/compare counts what they cost the host.
 */
void loads_processes(unsigned count)
{
    int start[2], done[2], end[2], pids[count];
    char byte;

    if (sys1(SYS_pipe, start) || sys1(SYS_pipe, done) || sys1(SYS_pipe, end))
        rt_fail("pipe", -1);
    for (unsigned i = 0; i < count; i++) {
        pids[i] = rt_fork();
        if (!pids[i])
            compute_by_turns(start, done, end);
    }
    loads_clock();
    for (unsigned i = 0; i < count; i++)
        sys3(SYS_write, start[1], "x", 1);
    for (unsigned i = 0; i < count; i++)
        sys3(SYS_read, done[0], &byte, 1);
    loads_report();
    sys2(SYS_nanosleep, ((const long[]){ 1, 0 }), 0);
    sys1(SYS_close, end[1]);
    for (unsigned i = 0; i < count; i++)
        rt_wait(pids[i]);
}

/* --- Computing while a timer ticks ------------------------------------------------------------ */

#define SIGALRM 14
#define TICK_USEC 1000

static volatile unsigned ticks;

static void tick(int signal)
{
    (void)signal;
    ticks++;
}

/* Until the timer has ticked so often: a thousand times a second where the kernel's timers are
 * that fine. How late the interrupts are is for the machine's statistics to say. */
void loads_ticks(unsigned count)
{
    const struct {
        void (*handler)(int);
        uint32_t flags, restorer, mask[2];
    } action = { tick, 0, 0, { 0, 0 } };
    const struct {
        long interval_sec, interval_usec, sec, usec;
    } every = { 0, TICK_USEC, 0, TICK_USEC };
    unsigned x = 1;

    if (sys4(SYS_rt_sigaction, SIGALRM, &action, 0, 8))
        rt_fail("rt_sigaction", -1);
    loads_clock();
    sys3(SYS_setitimer, 0, &every, 0);
    while (ticks < count)
        for (unsigned i = 0; i < 1000; i++)
            x = x * 1664525u + 1013904223u;
    *(volatile unsigned *)&x = x;
}
