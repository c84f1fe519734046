/* See rt.h. */
#include "rt.h"

void sys_int80(void);
void rt_start(long *stack);
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);

void (*rt_vsyscall)(void) = sys_int80;

#define AT_SYSINFO 32
#define STDOUT 1

void rt_start(long *stack)
{
    int argc = (int)stack[0];
    char **argv = (char **)(stack + 1);
    char **envp = argv + argc + 1;
    long *aux;

    for (aux = (long *)envp; *aux; aux++)
        ;
    for (aux++; aux[0]; aux += 2)
        if (aux[0] == AT_SYSINFO)
            rt_vsyscall = (void (*)(void))aux[1];
    rt_exit(rt_main(argc, argv, envp));
}

void rt_exit(int status)
{
    for (;;)
        sys1(SYS_exit_group, status);
}

void rt_fail(const char *what, long result)
{
    rt_print("failed: ");
    rt_print(what);
    rt_print(" = -");
    rt_print_unsigned((unsigned)-result, 10, 1);
    rt_print("\n");
    rt_exit(1);
}

void *rt_map_at(void *where, size_t size, int prot, int flags, int fd)
{
    long got = sys6(SYS_mmap2, (long)where, (long)size, prot, flags, fd, 0);

    if ((unsigned long)got > -4096ul)
        rt_fail("mmap", got);
    return (void *)got;
}

void *rt_map(size_t size, int prot)
{
    return rt_map_at(0, size, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

int rt_fork(void)
{
    long pid = sys0(SYS_fork);

    if (pid < 0)
        rt_fail("fork", pid);
    return (int)pid;
}

void rt_wait(int pid)
{
    int status = 0;
    long got = sys4(SYS_wait4, pid, &status, 0, 0);

    if (got != pid)
        rt_fail("wait4", got);
    if (status)
        rt_fail("the child's status", -status);
}

void rt_print(const char *text)
{
    size_t size = 0;

    while (text[size])
        size++;
    sys3(SYS_write, STDOUT, text, size);
}

void rt_print_unsigned(unsigned value, unsigned base, unsigned min_digits)
{
    char text[33], *p = text + 32;

    *p = 0;
    do {
        *--p = "0123456789abcdef"[value % base];
        value /= base;
    } while (value || text + 32 - p < (long)min_digits);
    rt_print(p);
}

int rt_equal(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

unsigned rt_parse(const char *text)
{
    unsigned value = 0;

    while (*text >= '0' && *text <= '9')
        value = value * 10 + (unsigned)(*text++ - '0');
    return value;
}

struct rt_time rt_now(void)
{
    struct rt_time time;

    sys2(SYS_clock_gettime, 1, &time);
    return time;
}

void rt_report(const char *name, struct rt_time start, struct rt_time end)
{
    long sec = end.sec - start.sec, usec = (end.nsec - start.nsec) / 1000;

    if (usec < 0) {
        usec += 1000000;
        sec--;
    }
    rt_print("BENCH ");
    rt_print(name);
    rt_print(" ");
    rt_print_unsigned((unsigned)sec, 10, 1);
    rt_print(".");
    rt_print_unsigned((unsigned)usec, 10, 6);
    rt_print("\n");
}

/* gcc calls these two even when told that there is no library. */
void *memcpy(void *to, const void *from, size_t size)
{
    void *d = to;

    __asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(size) : : "memory");
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    void *d = to;

    __asm__ volatile("rep stosb" : "+D"(d), "+c"(size) : "a"(byte) : "memory");
    return to;
}
