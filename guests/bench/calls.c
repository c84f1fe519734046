/* See calls.h. */
#include "calls.h"

#include "loads.h"
#include "rt.h"

enum { PAGE = 4096, SIGUSR1 = 10, SA_NODEFER = 0x40000000 };
enum { MAPPED = 32, TOUCHED_EVERY = 4, SET_WORDS = 128 << 18 };

static const char file[] = "/dev/null";

void calls_open(unsigned count)
{
    while (count--) {
        long fd = sys2(SYS_open, file, 0);

        if (fd < 0)
            rt_fail(file, fd);
        sys1(SYS_close, fd);
    }
}

void calls_stat(unsigned count)
{
    uint32_t stat[32];

    while (count--) {
        long got = sys2(SYS_stat64, file, stat);

        if (got)
            rt_fail(file, got);
    }
}

static volatile unsigned taken;

static void take(int signal)
{
    (void)signal;
    taken++;
}

void calls_signal(unsigned count)
{
    const struct {
        void (*handler)(int);
        uint32_t flags, restorer, mask[2];
    } action = { take, SA_NODEFER, 0, { 0, 0 } };
    long self = sys0(SYS_getpid);

    if (sys4(SYS_rt_sigaction, SIGUSR1, &action, 0, 8))
        rt_fail("rt_sigaction", -1);
    for (unsigned i = 0; i < count; i++)
        sys2(SYS_kill, self, SIGUSR1);
    if (taken != count)
        rt_fail("signals taken", -(long)taken);
}

void calls_mmap(unsigned count)
{
    while (count--) {
        volatile char *pages = rt_map(MAPPED * PAGE, PROT_READ | PROT_WRITE);

        for (unsigned i = 0; i < MAPPED; i += TOUCHED_EVERY)
            pages[i * PAGE] = 1;
        sys2(SYS_munmap, pages, MAPPED * PAGE);
    }
}

void calls_protect(unsigned count)
{
    volatile char *page = rt_map(PAGE, PROT_READ | PROT_WRITE);

    while (count--) {
        *page = 1;
        sys3(SYS_mprotect, page, PAGE, PROT_READ);
        sys3(SYS_mprotect, page, PAGE, PROT_READ | PROT_WRITE);
    }
}

void calls_workset(unsigned count)
{
    uint32_t *set = rt_map(SET_WORDS * sizeof(*set), PROT_READ | PROT_WRITE), x = 1;

    for (unsigned i = 0; i < SET_WORDS; i += PAGE / sizeof(*set))
        set[i] = i;
    loads_clock();
    while (count--) {
        x = x * 1664525u + 1013904223u;
        set[x >> 7] += x;
    }
}
