/*
 * What the benchmark and self-test programs need of a C library: they run on
 * any i386 Linux, in a guest or on an x86-64 host, and are built by a plain
 * x86-64 gcc with -m32 and nothing else installed.
 */
#ifndef GUESTS_BENCH_RT_H
#define GUESTS_BENCH_RT_H

#include <stddef.h>
#include <stdint.h>

/* System call numbers, as asm/unistd_32.h has them. */
enum {
    SYS_fork = 2,
    SYS_read = 3,
    SYS_write = 4,
    SYS_open = 5,
    SYS_close = 6,
    SYS_execve = 11,
    SYS_getpid = 20,
    SYS_kill = 37,
    SYS_pipe = 42,
    SYS_getppid = 64,
    SYS_munmap = 91,
    SYS_setitimer = 104,
    SYS_wait4 = 114,
    SYS_clone = 120,
    SYS_modify_ldt = 123,
    SYS_mprotect = 125,
    SYS_sched_yield = 158,
    SYS_nanosleep = 162,
    SYS_mremap = 163,
    SYS_rt_sigaction = 174,
    SYS_sigaltstack = 186,
    SYS_mmap2 = 192,
    SYS_stat64 = 195,
    SYS_futex = 240,
    SYS_set_thread_area = 243,
    SYS_exit_group = 252,
    SYS_clock_gettime = 265,
    SYS_memfd_create = 356,
};

long sys6(long number, long a, long b, long c, long d, long e, long f);
#define sys0(n) sys6(n, 0, 0, 0, 0, 0, 0)
#define sys1(n, a) sys6(n, (long)(a), 0, 0, 0, 0, 0)
#define sys2(n, a, b) sys6(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define sys3(n, a, b, c) sys6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define sys4(n, a, b, c, d) sys6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

enum { PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4 };
enum { MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_FIXED = 0x10, MAP_ANONYMOUS = 0x20 };

/* Ends the program with a message when the host refuses. */
void *rt_map(size_t size, int prot);
void *rt_map_at(void *where, size_t size, int prot, int flags, int fd);
int rt_fork(void);
void rt_wait(int pid); /* the child must have ended with status 0 */
__attribute__((noreturn)) void rt_exit(int status);
__attribute__((noreturn)) void rt_fail(const char *what, long result);

void rt_print(const char *text);
void rt_print_unsigned(unsigned value, unsigned base, unsigned min_digits);
int rt_equal(const char *a, const char *b);
unsigned rt_parse(const char *text);

/* CLOCK_MONOTONIC; and the line that the benchmarks print: "BENCH NAME SECONDS". */
struct rt_time {
    long sec, nsec;
};
struct rt_time rt_now(void);
void rt_report(const char *name, struct rt_time start, struct rt_time end);

/* The program itself. */
int rt_main(int argc, char **argv, char **envp);

#endif
