/*
 * usermode, part: processes and threads. CLONE_VM with futexes and TLS, vfork and exec, ptrace.
 */
#include "guests/initramfs/usermode.h"

/* ---- Threads ------------------------------------------------------------------ */

/* VM FS FILES SIGHAND THREAD SETTLS PARENT_SETTID CHILD_CLEARTID */
enum { CLONE_THREAD_FLAGS = 0xf00 | 0x10000 | 0x380000 };
enum { THREADS = 5, ROUNDS = 300 };

static volatile uint32_t lock, total, atomic_total, tls_wrong;
static int tids[THREADS];
static uint32_t slots[THREADS][16];

struct descriptor {
    uint32_t entry, base, limit, flags;
};

static void acquire(void)
{
    uint32_t was = __sync_val_compare_and_swap(&lock, 0, 1);

    while (was) {
        if (was == 2 || __sync_val_compare_and_swap(&lock, 1, 2))
            sys4(SYS_futex, &lock, 0, 2, 0);
        was = __sync_val_compare_and_swap(&lock, 0, 2);
    }
}

static void release(void)
{
    if (__sync_fetch_and_sub(&lock, 1) != 1) {
        lock = 0;
        sys3(SYS_futex, &lock, 1, 1);
    }
}

static void thread(void *argument)
{
    uint32_t number = (uint32_t)argument, got;

    for (unsigned i = 0; i < ROUNDS; i++) {
        __asm__ volatile("movl %%gs:0, %0" : "=r"(got));
        if (got != number)
            tls_wrong++;
        acquire();
        total += 3;
        if (i % 16 == 0)
            sys0(NR_sched_yield);
        release();
        __sync_fetch_and_add(&atomic_total, number);
        for (volatile unsigned j = 0; j < 300; j++)
            ;
    }
}

static void case_threads(void)
{
    struct descriptor d = { (uint32_t)-1, 0, 0xfffff, 0x51 };

    sys1(SYS_set_thread_area, &d);
    for (unsigned i = 0; i < THREADS; i++) {
        char *stack = rt_map(4 * PAGE, PROT_READ | PROT_WRITE);
        long got;

        d.base = (uint32_t)slots[i];
        slots[i][0] = i + 1;
        __asm__ volatile("movw %w0, %%gs" : : "r"(d.entry << 3 | 3));
        got = um_clone(CLONE_THREAD_FLAGS, stack + 4 * PAGE, thread, (void *)(i + 1), &d, &tids[i]);
        if (got < 0)
            rt_fail("clone", got);
    }
    for (unsigned i = 0; i < THREADS; i++)
        for (int tid; (tid = *(volatile int *)&tids[i]);)
            sys4(SYS_futex, &tids[i], 0, tid, 0);
    see("total", total);
    see("atomic", atomic_total);
    see("tls-wrong", tls_wrong);
}

/* ---- vfork, exec ---------------------------------------------------------------- */

static void case_exec(void)
{
    static const char *const argv[] = { "usermode", "--exec", 0 };
    static const char *const none[] = { 0 };

    for (unsigned i = 0; i < 20; i++) {
        long pid;
        int status = 0;

        if (i & 1) {
            pid = rt_fork();
            if (!pid) {
                sys3(SYS_execve, "/proc/self/exe", argv, none);
                rt_exit(9);
            }
        } else { /* the child runs on the parent's stack, so: nothing but these instructions */
            __asm__ volatile("movl %1, %%eax\n int $0x80\n testl %%eax, %%eax\n jnz 1f\n"
                             "movl %2, %%eax\n movl %3, %%ebx\n movl %4, %%ecx\n movl %5, %%edx\n"
                             "int $0x80\n movl $1, %%eax\n movl $9, %%ebx\n int $0x80\n 1:"
                             : "=&a"(pid)
                             : "i"(NR_vfork), "i"(SYS_execve), "S"("/proc/self/exe"), "D"(argv),
                               "m"(*(const void *const *)&(const void *){ none })
                             : "ebx", "ecx", "edx", "memory");
        }
        sys4(SYS_wait4, pid, &status, 0, 0);
        mix32((uint32_t)status);
        expect("status", (uint32_t)status, 0x700);
    }
    see("sum", mixed());
}

/* ---- ptrace ------------------------------------------------------------------------ */

enum { TRACEME, PEEKTEXT, PEEKDATA, PEEKUSER, POKETEXT, POKEDATA, POKEUSER, CONT, STEP = 9,
       GETREGS = 12, SETREGS = 13, GETFPREGS = 14, SYSCALL = 24 };
enum { DEBUG_REGISTERS = 252 }; /* offsetof(struct user, u_debugreg) */

struct user_regs {
    uint32_t ebx, ecx, edx, esi, edi, ebp, eax, ds, es, fs, gs, orig_eax, eip, cs, eflags, esp, ss;
};

static volatile uint32_t watched, told;

static NOINLINE void traced_work(void)
{
    for (unsigned i = 0; i < 10; i++)
        told += i;
    watched = told;
    __asm__ volatile("int $0x80" : : "a"(SYS_getppid) : "memory");
}

static long trace(long request, int pid, uint32_t address, uint32_t data)
{
    return sys4(NR_ptrace, request, pid, address, data);
}

static uint32_t wait_stop(int pid)
{
    int status = 0;

    sys4(SYS_wait4, pid, &status, 0, 0);
    return (uint32_t)status;
}

static int traced(void (*work)(void))
{
    int pid = rt_fork();

    if (!pid) {
        trace(TRACEME, 0, 0, 0);
        sys2(SYS_kill, sys0(SYS_getpid), SIGSTOP);
        work();
        rt_exit(told == 45 ? 0 : 3);
    }
    mix32(wait_stop(pid));
    return pid;
}

static struct user_regs registers(int pid)
{
    struct user_regs r;

    trace(GETREGS, pid, 0, (uint32_t)&r);
    return r;
}

static uint32_t peek(int pid, uint32_t address)
{
    uint32_t word = 0;

    trace(PEEKDATA, pid, address, (uint32_t)&word);
    return word;
}

static void case_breakpoint(void)
{
    int pid = traced(traced_work);
    uint32_t at = (uint32_t)traced_work, word = peek(pid, at);
    struct user_regs r;

    trace(POKETEXT, pid, at, (word & ~0xffu) | 0xcc);
    trace(CONT, pid, 0, 0);
    see("stop", wait_stop(pid));
    r = registers(pid);
    see("eip", r.eip - at);
    trace(POKETEXT, pid, at, word);
    r.eip = at;
    trace(SETREGS, pid, 0, (uint32_t)&r);
    trace(STEP, pid, 0, 0);
    see("step", wait_stop(pid));
    trace(SYSCALL, pid, 0, 0);
    see("syscall", wait_stop(pid));
    r = registers(pid);
    see("number", r.orig_eax);
    see("told", peek(pid, (uint32_t)&told));
    trace(CONT, pid, 0, 0);
    see("end", wait_stop(pid));
}

static void case_steps(void)
{
    int pid = traced(traced_work);
    uint32_t status = 0, count = 0, at = (uint32_t)traced_work;

    for (count = 0; count < 5000; count++) {
        struct user_regs r;

        trace(STEP, pid, 0, 0);
        status = wait_stop(pid);
        if ((status & 0xff) != 0x7f)
            break;
        r = registers(pid);
        if (r.eip - at < 0x80) {
            mix32(r.eip - at);
            mix32(r.eflags & 0xdd5);
        }
    }
    see("status", status);
    see("sum", mixed());
}

/* Debug registers: a write to a word, and an instruction. */
static void case_watchpoint(void)
{
    int pid = traced(traced_work);
    long set;
    uint32_t value = 0;

    set = trace(POKEUSER, pid, DEBUG_REGISTERS, (uint32_t)&watched);
    set |= trace(POKEUSER, pid, DEBUG_REGISTERS + 4, (uint32_t)traced_work);
    set |= trace(POKEUSER, pid, DEBUG_REGISTERS + 28, 0xd0005);
    if (set)
        see("refused", (uint32_t)set);
    trace(CONT, pid, 0, 0);
    see("execute", wait_stop(pid));
    see("at", registers(pid).eip - (uint32_t)traced_work);
    trace(PEEKUSER, pid, DEBUG_REGISTERS + 24, (uint32_t)&value);
    see("dr6", value & 0xf);
    trace(CONT, pid, 0, 0);
    see("write", wait_stop(pid));
    see("value", peek(pid, (uint32_t)&watched));
    trace(CONT, pid, 0, 0);
    see("end", wait_stop(pid));
}

static void traced_fault(void)
{
    told = 45;
    __asm__ volatile("fninit\n fld1\n fldpi\n movl $0x1234, %%ecx\n ud2\n 1:" : : : "ecx");
}

static void case_traced_fault(void)
{
    int pid = traced(traced_fault);
    static uint32_t fpu[32];
    struct user_regs r;

    trace(CONT, pid, 0, 0);
    see("stop", wait_stop(pid));
    r = registers(pid);
    see("ecx", r.ecx);
    trace(GETFPREGS, pid, 0, (uint32_t)fpu);
    mix(fpu + 7, 20);
    see("fpu", mixed());
    r.eip += 2;
    trace(SETREGS, pid, 0, (uint32_t)&r);
    trace(CONT, pid, 0, 0);
    see("end", wait_stop(pid));
}

const struct um_case um_process_cases[] = {
    { "threads", case_threads },
    { "exec", case_exec },
    { "breakpoint", case_breakpoint },
    { "steps", case_steps },
    { "watchpoint", case_watchpoint },
    { "traced-fault", case_traced_fault },
    { 0, 0 },
};
