/*
 * The benchmarks that are programs of our own, and the stopwatch for all.
 *
 *   bench WORK [COUNT]             does the work (see the table at the end)
 *   bench self NAME WORK [COUNT]   does it, prints "BENCH NAME SECONDS" of what it timed itself
 *   bench time NAME PROGRAM ARG... runs a program, prints "BENCH NAME SECONDS"
 *
 * The clock is CLOCK_MONOTONIC where the program runs: the guest's own.
 */
#include "calls.h"
#include "loads.h"
#include "rt.h"

#define PAGE 4096u

static void work_getppid(unsigned count)
{
    while (count--)
        sys0(SYS_getppid);
}

/* First touches of fresh anonymous pages, 4 MiB at a time. */
static void work_pagefault(unsigned count)
{
    const unsigned run = 1024;

    while (count) {
        unsigned pages = count < run ? count : run;
        char *base = rt_map(pages * PAGE, PROT_READ | PROT_WRITE);

        for (unsigned i = 0; i < pages; i++)
            *(volatile char *)(base + i * PAGE) = 1;
        sys2(SYS_munmap, base, pages * PAGE);
        count -= pages;
    }
}

static void copy_byte(int from, int to)
{
    char byte;

    if (sys3(SYS_read, from, &byte, 1) != 1 || sys3(SYS_write, to, &byte, 1) != 1)
        rt_fail("a byte through a pipe", -1);
}

/* One byte to the other process and back. */
static void work_pipe(unsigned count)
{
    int there[2], back[2], pid;

    if (sys1(SYS_pipe, there) || sys1(SYS_pipe, back))
        rt_fail("pipe", -1);
    pid = rt_fork();
    if (!pid) {
        while (count--)
            copy_byte(there[0], back[1]);
        rt_exit(0);
    }
    sys3(SYS_write, there[1], "x", 1);
    while (--count)
        copy_byte(back[0], there[1]);
    sys3(SYS_read, back[0], &count, 1);
    rt_wait(pid);
}

static void work_fork(unsigned count)
{
    while (count--) {
        int pid = rt_fork();

        if (!pid)
            rt_exit(0);
        rt_wait(pid);
    }
}

/* The logistic map and a sum of square roots in 80-bit registers. */
static void work_x87(unsigned count)
{
    long double x = 0.3L, sum = 0, step = 1;

    while (count--) {
        long double root;

        __asm__("fsqrt" : "=t"(root) : "0"(step));
        x = 3.75L * x * (1 - x);
        sum += x / root;
        step += 1;
    }
    if (!(sum > 0))
        rt_fail("the sum", -1);
}

#define N 256

typedef double pair __attribute__((vector_size(16))); /* an SSE2 register */

static _Alignas(16) double a[N][N], b[N][N], c[N][N];

static void fill_matrices(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = i - j + 0.5;
            b[i][j] = i * 0.25 + j;
        }
}

/* c = a * b, two columns at a time. */
static void work_sse2(unsigned count)
{
    fill_matrices();
    while (count--)
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j += 2) {
                pair sum = { 0, 0 };

                for (int k = 0; k < N; k++)
                    sum += a[i][k] * *(const pair *)&b[k][j];
                *(pair *)&c[i][j] = sum;
            }
    if (c[0][0] == c[N - 1][N - 1])
        rt_fail("the product", -1);
}

static int time_program(const char *name, char **argv, char **envp)
{
    struct rt_time start = rt_now(), end;
    int pid = rt_fork();

    if (!pid) {
        long result = sys3(SYS_execve, argv[0], argv, envp);

        rt_fail(argv[0], result);
    }
    rt_wait(pid);
    end = rt_now();
    rt_report(name, start, end);
    return 0;
}

/* --- Works that time themselves --------------------------------------------------------------- */

static struct rt_time self_start;
static const char *self_name; /* NULL: it is not asked for, or has been printed */

void loads_clock(void)
{
    self_start = rt_now();
}

void loads_report(void)
{
    if (self_name)
        rt_report(self_name, self_start, rt_now());
    self_name = 0;
}

static const struct work {
    const char *name;
    void (*run)(unsigned count);
    unsigned count;
} works[] = {
    { "getppid", work_getppid, 1000000 },
    { "pagefault", work_pagefault, 100000 },
    { "pipe", work_pipe, 50000 },
    { "fork", work_fork, 2000 },
    { "x87", work_x87, 5000000 },
    { "sse2", work_sse2, 3 },
    { "chase", loads_chase, 5000000 },
    { "avx2", loads_avx2, 2000000 },
    { "groups", loads_groups, 200 },
    { "processes", loads_processes, 10 },
    { "ticks", loads_ticks, 5000 },
    { "open", calls_open, 200000 },
    { "stat", calls_stat, 400000 },
    { "signal", calls_signal, 50000 },
    { "mmap", calls_mmap, 20000 },
    { "protect", calls_protect, 100000 },
    { "workset", calls_workset, 10000000 },
};

static int do_work(int argc, char **argv) /* WORK [COUNT] */
{
    for (unsigned i = 0; argc > 0 && i < sizeof(works) / sizeof(works[0]); i++)
        if (rt_equal(argv[0], works[i].name)) {
            loads_clock();
            works[i].run(argc > 1 ? rt_parse(argv[1]) : works[i].count);
            loads_report();
            return 0;
        }
    rt_print("usage: bench WORK [COUNT], bench self NAME WORK [COUNT], or "
             "bench time NAME PROGRAM ARGUMENT...; WORK: getppid|pagefault|pipe|fork|x87|sse2|"
             "chase|avx2|groups|processes|ticks|open|stat|signal|mmap|protect|workset\n");
    return 64;
}

int rt_main(int argc, char **argv, char **envp)
{
    if (argc > 3 && rt_equal(argv[1], "time"))
        return time_program(argv[2], argv + 3, envp);
    if (argc > 3 && rt_equal(argv[1], "self")) {
        self_name = argv[2];
        return do_work(argc - 3, argv + 3);
    }
    return do_work(argc - 1, argv + 1);
}
