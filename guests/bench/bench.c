/*
 * The benchmarks that are programs of our own, and the stopwatch for all.
 *
 *   bench WORK [COUNT]             does the work (see the table at the end)
 *   bench time NAME PROGRAM ARG... runs a program, prints "BENCH NAME SECONDS"
 *
 * The clock is CLOCK_MONOTONIC where the program runs: the guest's own.
 */
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

struct timespec {
    long sec, nsec;
};

static struct timespec now(void)
{
    struct timespec ts;

    sys2(SYS_clock_gettime, 1, &ts);
    return ts;
}

static void print_seconds(struct timespec from, struct timespec to)
{
    long sec = to.sec - from.sec, usec = (to.nsec - from.nsec) / 1000;

    if (usec < 0) {
        usec += 1000000;
        sec--;
    }
    rt_print_unsigned((unsigned)sec, 10, 1);
    rt_print(".");
    rt_print_unsigned((unsigned)usec, 10, 6);
}

static int time_program(const char *name, char **argv, char **envp)
{
    struct timespec start = now(), end;
    int pid = rt_fork();

    if (!pid) {
        long result = sys3(SYS_execve, argv[0], argv, envp);

        rt_fail(argv[0], result);
    }
    rt_wait(pid);
    end = now();
    rt_print("BENCH ");
    rt_print(name);
    rt_print(" ");
    print_seconds(start, end);
    rt_print("\n");
    return 0;
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
};

int rt_main(int argc, char **argv, char **envp)
{
    if (argc > 3 && rt_equal(argv[1], "time"))
        return time_program(argv[2], argv + 3, envp);
    for (unsigned i = 0; argc > 1 && i < sizeof(works) / sizeof(works[0]); i++)
        if (rt_equal(argv[1], works[i].name)) {
            works[i].run(argc > 2 ? rt_parse(argv[2]) : works[i].count);
            return 0;
        }
    rt_print("usage: bench getppid|pagefault|pipe|fork|x87|sse2 [COUNT], or "
             "bench time NAME PROGRAM ARGUMENT...\n");
    return 64;
}
