/*
 * The stub: what runs in the sandboxed process before and around guest code. Freestanding, without
 * writable data. This file sets the process up and is never reached again; stub_entry.S is what
 * serves afterwards.
 *
 * In order: die with the parent; map the shared pages; leave the old stack; start the mapper; unmap
 * everything but the stub; each task installs its filter. From then on the runner can do futex (on
 * three words) and rt_sigreturn, sigaltstack and prctl(PR_SET_TSC) at one place each, and the
 * mapper what a map request needs.
 */
#include "direct/stub.h"

#include <asm/prctl.h>
#include <asm/unistd.h>
#include <linux/audit.h>
#include <linux/auxvec.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>

#define SIGKILL 9
#define SA_SIGINFO 4ul
#define SA_ONSTACK 0x08000000ul
#define SA_RESTORER 0x04000000ul
#define RLIMIT_CORE 4

_Static_assert(STUB_PR_SET_TSC == PR_SET_TSC, "");
_Static_assert(offsetof(struct stub_orders, run) == ORDERS_RUN, "");
_Static_assert(offsetof(struct stub_orders, map) == ORDERS_MAP, "");
_Static_assert(offsetof(struct stub_orders, count) == ORDERS_COUNT, "");
_Static_assert(offsetof(struct stub_orders, flags) == ORDERS_FLAGS, "");
_Static_assert(offsetof(struct stub_orders, fs_base) == ORDERS_FS_BASE, "");
_Static_assert(offsetof(struct stub_orders, gs_base) == ORDERS_GS_BASE, "");
_Static_assert(offsetof(struct stub_orders, ds) == ORDERS_DS, "");
_Static_assert(offsetof(struct stub_orders, gs) == ORDERS_GS, "");
_Static_assert(offsetof(struct stub_orders, rflags) == ORDERS_RFLAGS, "");
_Static_assert(offsetof(struct stub_orders, start) == ORDERS_START, "");
_Static_assert(offsetof(struct stub_orders, tsc) == ORDERS_TSC, "");
_Static_assert(offsetof(struct stub_orders, stack) == ORDERS_STACK, "");
_Static_assert(offsetof(struct stub_orders, frame) == ORDERS_FRAME, "");
_Static_assert(offsetof(struct stub_report, exit) == REPORT_EXIT, "");
_Static_assert(offsetof(struct stub_report, go) == REPORT_GO, "");
_Static_assert(offsetof(struct stub_report, ds) == REPORT_DS, "");
_Static_assert(offsetof(struct stub_report, gs) == REPORT_GS, "");
_Static_assert(offsetof(struct stub_report, fs_base) == REPORT_FS_BASE, "");
_Static_assert(offsetof(struct stub_report, rsp) == REPORT_RSP, "");
_Static_assert(offsetof(struct stub_report, tsc_in) == REPORT_TSC_IN, "");
_Static_assert(offsetof(struct stub_report, tsc_out) == REPORT_TSC_OUT, "");

/* stub_entry.S; hidden: the stub's addresses are far above what a GOT-less link can relax. */
#pragma GCC visibility push(hidden)
void stub_on_stack(void *top, void (*next)(void *), void *arg) __attribute__((noreturn));
long stub_clone(unsigned long flags, void *top, void *child_tid, void (*next)(void));
void stub_handler(void);
void stub_mapper(void) __attribute__((noreturn));
extern const char stub_at_wake[], stub_at_wait[], stub_at_go[], stub_at_altstack[], stub_at_tsc[],
    stub_at_return[];
#pragma GCC visibility pop

void stub_setup(long *stack) __attribute__((noreturn));

static const struct stub_orders *orders(void)
{
    return (const struct stub_orders *)STUB_ORDERS;
}

static struct stub_report *report(void)
{
    return (struct stub_report *)STUB_REPORT;
}

/* The compiler may make calls of these from initialisers. */
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);

void *memcpy(void *to, const void *from, size_t size)
{
    void *d = to;

    __asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(size) : : "memory");
    return to;
}

void *memset(void *to, int value, size_t size)
{
    void *d = to;

    __asm__ volatile("rep stosb" : "+D"(d), "+c"(size) : "a"(value) : "memory");
    return to;
}

static long call6(long n, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    long r;

    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return r;
}

#define CALL(n, a, b, c, d) call6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

static void fail(enum stub_step step, long error) __attribute__((noreturn));
static void fail(enum stub_step step, long error)
{
    report()->failed = step;
    report()->error = (int32_t)error;
    for (;;)
        CALL(__NR_exit_group, 1, 0, 0, 0);
}

/* A step that went well must not hide one that did not: there are two tasks. */
static void must(enum stub_step step, long result)
{
    report()->step = step;
    if (result < 0)
        fail(step, result);
}

/* --- Filters ------------------------------------------------------------------------ */

#define LOAD(offset) { BPF_LD | BPF_W | BPF_ABS, 0, 0, offset }
#define NEXT_IF(value, skip) { BPF_JMP | BPF_JEQ | BPF_K, 0, skip, value }
#define VERDICT(action) { BPF_RET | BPF_K, 0, 0, action }
#define NR offsetof(struct seccomp_data, nr)
#define ARCH offsetof(struct seccomp_data, arch)
#define IP_LOW offsetof(struct seccomp_data, instruction_pointer)
#define IP_HIGH (IP_LOW + 4)
#define ARG_LOW(n) ((unsigned)offsetof(struct seccomp_data, args[n]))
#define ARG_HIGH(n) (ARG_LOW(n) + 4)
#define LOW(address) ((uint32_t)(uintptr_t)(address))
#define HIGH(address) ((uint32_t)((uintptr_t)(address) >> 32))

static long install(const struct sock_filter *filter, unsigned length)
{
    struct sock_fprog program = { (unsigned short)length, (struct sock_filter *)filter };

    /* Guest code shares this address space with nothing secret: no need to forbid speculation,
     * which older kernels do to everybody with a filter. */
    return CALL(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program, 0);
}

static long filter_runner(void)
{
    enum { TRAP = SECCOMP_RET_TRAP, ALLOW = SECCOMP_RET_ALLOW };
    const struct sock_filter filter[] = {
        LOAD(ARCH), NEXT_IF(AUDIT_ARCH_X86_64, 1), { BPF_JMP | BPF_JA, 0, 0, 1 }, VERDICT(TRAP),
        LOAD(IP_HIGH), { BPF_JMP | BPF_JEQ | BPF_K, 1, 0, HIGH(STUB_BASE) }, VERDICT(TRAP),
        LOAD(NR),
        /* rt_sigreturn at its place */
        NEXT_IF(__NR_rt_sigreturn, 4),
        LOAD(IP_LOW), NEXT_IF(LOW(stub_at_return), 1), VERDICT(ALLOW), VERDICT(TRAP),
        /* sigaltstack at its place */
        NEXT_IF(__NR_sigaltstack, 4),
        LOAD(IP_LOW), NEXT_IF(LOW(stub_at_altstack), 1), VERDICT(ALLOW), VERDICT(TRAP),
        { BPF_JMP | BPF_JEQ | BPF_K, 7, 0, __NR_futex },
        /* prctl of the TSC, at its place */
        NEXT_IF(__NR_prctl, 5),
        LOAD(IP_LOW), NEXT_IF(LOW(stub_at_tsc), 3),
        LOAD(ARG_LOW(0)), NEXT_IF(PR_SET_TSC, 1), VERDICT(ALLOW), VERDICT(TRAP),
        /* futex: wake on the report's word */
        LOAD(IP_LOW), NEXT_IF(LOW(stub_at_wake), 7),
        LOAD(ARG_LOW(1)), NEXT_IF(FUTEX_WAKE, 21),
        LOAD(ARG_LOW(0)), NEXT_IF(LOW(STUB_REPORT + REPORT_EXIT), 19),
        LOAD(ARG_HIGH(0)), NEXT_IF(HIGH(STUB_REPORT), 17), VERDICT(ALLOW),
        /* futex: wait on the orders' word */
        NEXT_IF(LOW(stub_at_wait), 7),
        LOAD(ARG_LOW(1)), NEXT_IF(FUTEX_WAIT, 13),
        LOAD(ARG_LOW(0)), NEXT_IF(LOW(STUB_ORDERS + ORDERS_RUN), 11),
        LOAD(ARG_HIGH(0)), NEXT_IF(HIGH(STUB_ORDERS), 9), VERDICT(ALLOW),
        /* futex: wait for the mapper */
        NEXT_IF(LOW(stub_at_go), 7),
        LOAD(ARG_LOW(1)), NEXT_IF(FUTEX_WAIT, 5),
        LOAD(ARG_LOW(0)), NEXT_IF(LOW(STUB_REPORT + REPORT_GO), 3),
        LOAD(ARG_HIGH(0)), NEXT_IF(HIGH(STUB_REPORT), 1), VERDICT(ALLOW),
        VERDICT(TRAP),
    };

    return install(filter, sizeof(filter) / sizeof(*filter));
}

static long filter_mapper(void)
{
    enum { KILL = SECCOMP_RET_KILL_PROCESS, ALLOW = SECCOMP_RET_ALLOW };
    const struct sock_filter filter[] = {
        LOAD(ARCH), { BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AUDIT_ARCH_X86_64 }, VERDICT(KILL),
        LOAD(NR),
        { BPF_JMP | BPF_JEQ | BPF_K, 7, 0, __NR_munmap },
        { BPF_JMP | BPF_JEQ | BPF_K, 6, 0, __NR_mprotect },
        { BPF_JMP | BPF_JEQ | BPF_K, 11, 0, __NR_mmap },
        { BPF_JMP | BPF_JEQ | BPF_K, 3, 0, __NR_futex },
        { BPF_JMP | BPF_JEQ | BPF_K, 2, 0, __NR_modify_ldt },
        { BPF_JMP | BPF_JEQ | BPF_K, 1, 0, __NR_write },
        VERDICT(KILL), VERDICT(ALLOW),
        /* munmap, mprotect: below 4 GiB, at most 4 GiB */
        LOAD(ARG_HIGH(0)), NEXT_IF(0, 3), LOAD(ARG_HIGH(1)), NEXT_IF(0, 1), VERDICT(ALLOW),
        VERDICT(KILL),
        /* mmap: the same, of guest RAM, shared, fixed */
        LOAD(ARG_HIGH(0)), NEXT_IF(0, 8), LOAD(ARG_HIGH(1)), NEXT_IF(0, 6),
        LOAD(ARG_LOW(4)), NEXT_IF(STUB_FD_RAM, 4),
        LOAD(ARG_LOW(3)), { BPF_ALU | BPF_AND | BPF_K, 0, 0, ~(uint32_t)MAP_POPULATE },
        NEXT_IF(MAP_SHARED | MAP_FIXED, 1), VERDICT(ALLOW),
        VERDICT(KILL),
    };

    return install(filter, sizeof(filter) / sizeof(*filter));
}

/* --- The two tasks ------------------------------------------------------------------ */

static void name(const char *what)
{
    CALL(__NR_prctl, PR_SET_NAME, what, 0, 0);
}

static void start_mapper(void)
{
    long error;

    name("novt-mapper");
    CALL(__NR_close, STUB_FD_SHARED, 0, 0, 0);
    error = filter_mapper();
    if (error < 0) /* else the steps are the runner's */
        must(STEP_MAPPER, error);
    stub_mapper();
}

/* munmap of all but the stub. The vDSO may be sealed; then the stack is unmapped around it. */
static void unmap_all(void)
{
    const long low = 0x1000, end = 0x7ffffffff000;
    long r;

    must(STEP_UNMAP, CALL(__NR_munmap, low, STUB_BASE - low, 0, 0));
    r = CALL(__NR_munmap, STUB_LAST, end - STUB_LAST, 0, 0);
    must(STEP_UNMAP, r);
}

/*
 * The kernel sends a task that executes SYSENTER in 32-bit code to an address computed from the
 * vDSO's, of which only the low 32 bits count then. Moving the vDSO moves that to where the guest
 * has nothing.
 */
static void move_vdso(const long *stack)
{
    const long *p = stack + 1 + stack[0] + 1;
    long base = 0;

    while (*p)
        p++;
    for (p++; p[0] != AT_NULL; p += 2)
        if (p[0] == AT_SYSINFO_EHDR)
            base = p[1];
    if (!base)
        return;
    for (long size = 0x1000; size <= 0x8000; size += 0x1000)
        if (call6(__NR_mremap, base, size, size, 3 /* MAYMOVE, FIXED */, STUB_LANDING, 0) > 0)
            return;
}

static void handle(int signo)
{
    const struct {
        void (*handler)(void);
        unsigned long flags;
        void (*restorer)(void);
        uint64_t mask;
    } action = { stub_handler, SA_SIGINFO | SA_ONSTACK | SA_RESTORER, stub_handler, ~0ull };

    must(STEP_SIGNALS, CALL(__NR_rt_sigaction, signo, &action, 0, 8));
}

static void signals(void)
{
    static const unsigned char all[] = { 4, 5, 7, 8, 10, 11, 31 };
    uint64_t blocked = ~0ull;

    for (unsigned i = 0; i < sizeof(all); i++) {
        handle(all[i]);
        blocked &= ~(1ull << (all[i] - 1));
    }
    must(STEP_SIGNALS, CALL(__NR_sigaltstack, orders()->stack, 0, 0, 0));
    must(STEP_SIGNALS, CALL(__NR_rt_sigprocmask, 2, &blocked, 0, 8));
}

static void close_all(void)
{
    if (CALL(__NR_close_range, STUB_FD_DONE + 1, ~0u, 0, 0) < 0)
        for (int fd = STUB_FD_DONE + 1; fd < 65536; fd++)
            CALL(__NR_close, fd, 0, 0, 0);
    for (int fd = 0; fd < STUB_FD_RAM; fd++)
        CALL(__NR_close, fd, 0, 0, 0);
}

/*
 * Being woken does not preempt who wakes it, the monitor. A monitor that is preempted on its way to
 * sleep is ready to run and not asleep: its timer's signal does not make the host's scheduler look
 * again, and an interrupt waits for the end of the runner's slice, for milliseconds. A host that
 * refuses this is only that late; another policy that novt was started with stays.
 */
static void be_batch(void)
{
    const int priority = 0;

    if (CALL(__NR_sched_getscheduler, 0, 0, 0, 0) == SCHED_NORMAL)
        CALL(__NR_sched_setscheduler, 0, SCHED_BATCH, &priority, 0);
}

static void finish(void *stack) __attribute__((noreturn));
static void finish(void *stack)
{
    const unsigned long flags = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_FS | CLONE_SYSVSEM
                                | CLONE_CHILD_CLEARTID;
    uint64_t all = ~0ull;
    long tid;

    move_vdso(stack);
    unmap_all();
    must(STEP_SIGNALS, CALL(__NR_rt_sigprocmask, 2, &all, 0, 8));
    /* The mapper's setup has the rest of the report's first page for a stack. It is done with it
     * before it says that it is there, and the monitor waits for that before any guest code. */
    tid = stub_clone(flags, (char *)STUB_REPORT + 0x1000, &report()->exit, start_mapper);
    must(STEP_MAPPER, tid);
    report()->mapper = (uint32_t)tid;
    CALL(__NR_set_tid_address, &report()->exit, 0, 0, 0);
    for (int fd = STUB_FD_RAM; fd <= STUB_FD_DONE; fd++)
        CALL(__NR_close, fd, 0, 0, 0);
    be_batch();
    signals();
    if (orders()->flags & STUB_CPUID_FAULT)
        must(STEP_CPUID, CALL(__NR_arch_prctl, ARCH_SET_CPUID, 0, 0, 0));
    must(STEP_SECCOMP, filter_runner());
    report()->step = STEP_CALLS;
    /* Parks: the kernel's frame goes to the top of the other stack. By a call such as guest code
     * makes, since a filter that novt was started under may kill whoever makes one. */
    __asm__ volatile("int $0x80");
    __builtin_unreachable();
}

static void map(long where, long size, long prot, long offset)
{
    long r = call6(__NR_mmap, where, size, prot, MAP_SHARED | MAP_FIXED, STUB_FD_SHARED, offset);

    if (r != where)
        CALL(__NR_exit_group, 2, 0, 0, 0);
}

void stub_setup(long *stack)
{
    const struct { uint64_t soft, hard; } none = { 0, 0 };
    struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct nothing[2] = { 0 };

    map(STUB_ORDERS, STUB_ORDERS_SIZE, PROT_READ, 0);
    map(STUB_REPORT, STUB_REPORT_SIZE, PROT_READ | PROT_WRITE, STUB_ORDERS_SIZE);
    must(STEP_PARENT, CALL(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0));
    if ((uint32_t)CALL(__NR_getppid, 0, 0, 0, 0) != orders()->parent)
        fail(STEP_PARENT, -1);
    name("novt-runner");
    close_all();
    CALL(__NR_setsid, 0, 0, 0, 0);
    CALL(__NR_setrlimit, RLIMIT_CORE, &none, 0, 0);
    must(STEP_SECCOMP, CALL(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0));
    CALL(__NR_capset, &head, nothing, 0, 0);
    /* The setup's own stack: the page below the alternate stack. */
    stub_on_stack((char *)STUB_REPORT + STUB_ALTSTACK, finish, stack);
}
