/*
 * The CPU's own answer about an instruction: see oracle.h. Everything from the first case to the
 * last happens inside the child's signal handler: each try ends in a signal, the handler judges it,
 * writes the next try into the code page and returns into it. The handler uses neither system calls
 * (seccomp allows sigreturn and exit) nor libc (the strings may have changed FS).
 */
#include "oracle.h"

#include <asm/ldt.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096u
#define CODE_BASE 0x10000000ul /* code page, then an inaccessible one */
#define CODE_END (CODE_BASE + PAGE)
#define STACK_BASE 0x20000000ul
#define USER32_CS 0x23u
#define USER_DS 0x2bu
#define LDT_CS 0x07u
#define FETCH_FAULT 0x10u
#define HANG_SECONDS 3
#define CASE_TRIES 3   /* a busy host may look like a hang once */
#define FORK_TRIES 600 /* a tenth of a second apart */

struct shared {
    volatile unsigned current; /* the case being asked */
    unsigned count;
    unsigned bytes;  /* on the page in this try; 0 before the first */
    unsigned known_short; /* this many bytes are known to be too few */
    struct oracle_case cases[];
};

struct oracle {
    struct shared *shared;
    size_t shared_size;
    uint8_t *code; /* writable alias of the code page */
    bool code16;
};

static struct oracle *child_oracle; /* for the signal handler */

/* Registers and code for the next try. */
static void child_arm(ucontext_t *uc)
{
    struct shared *sh = child_oracle->shared;
    const struct oracle_case *c = &sh->cases[sh->current];
    greg_t *gregs = uc->uc_mcontext.gregs;
    volatile uint8_t *to = child_oracle->code + PAGE - sh->bytes;

    for (unsigned i = 0; i < sh->bytes; i++)
        to[i] = c->bytes[i];
    for (int i = REG_R8; i <= REG_RSP; i++)
        gregs[i] = 0;
    gregs[REG_RSP] = STACK_BASE + PAGE / 2;
    gregs[REG_RIP] = (c->code16 ? PAGE : CODE_END) - sh->bytes;
    gregs[REG_EFL] = 0x302;
    gregs[REG_CSGSFS] = (greg_t)((uint64_t)USER_DS << 48 | (c->code16 ? LDT_CS : USER32_CS));
    if (uc->uc_mcontext.fpregs) {
        uc->uc_mcontext.fpregs->cwd = 0x37f;
        uc->uc_mcontext.fpregs->swd = 0;
        uc->uc_mcontext.fpregs->mxcsr = 0x1f80;
    }
}

static void child_exit(void)
{
    __asm__ volatile("syscall" : : "a"(SYS_exit_group), "D"(0) : "rcx", "r11", "memory");
}

static void child_start_case(struct shared *sh)
{
    sh->bytes = sh->cases[sh->current].hint;
    sh->known_short = 0;
}

/* What the last try says; true when the case is answered. */
static bool child_judge(struct shared *sh, int signal_number, const greg_t *gregs, uint64_t fault)
{
    struct oracle_case *c = &sh->cases[sh->current];
    uint64_t start = (c->code16 ? PAGE : CODE_END) - sh->bytes;
    bool at_start = (uint64_t)gregs[REG_RIP] == start;
    bool too_few = signal_number == SIGSEGV && at_start && gregs[REG_TRAPNO] == 14 &&
                   gregs[REG_ERR] & FETCH_FAULT && fault == CODE_END;

    if (too_few) {
        sh->known_short = sh->bytes;
        if (c->length || sh->bytes == ORACLE_BYTES)
            return true;
        sh->bytes++;
        return false;
    }
    c->length = sh->bytes;
    c->trap = signal_number == SIGSYS ? 0xff : (uint8_t)gregs[REG_TRAPNO];
    c->undefined = signal_number == SIGILL && gregs[REG_TRAPNO] == 6 && at_start;
    sh->bytes--;
    return sh->bytes == sh->known_short;
}

static void child_handler(int signal_number, siginfo_t *info, void *context)
{
    struct shared *sh = child_oracle->shared;
    ucontext_t *uc = context;

    if (!sh->bytes) {
        child_start_case(sh);
    } else if (child_judge(sh, signal_number, uc->uc_mcontext.gregs, (uint64_t)info->si_addr)) {
        sh->current++;
        if (sh->current == sh->count)
            child_exit();
        child_start_case(sh);
    }
    child_arm(uc);
}

/* Only sigreturn and exit_group of the 64-bit table; whatever a string calls becomes SIGSYS. */
static void child_confine(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        _exit(2);
}

static void child_run(struct oracle *oracle)
{
    static const int signals[] = {SIGSEGV, SIGILL, SIGTRAP, SIGFPE, SIGBUS, SIGSYS};
    static uint8_t stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action = {.sa_sigaction = child_handler,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};

    child_oracle = oracle;
    oracle->shared->bytes = 0;
    sigaltstack(&alternate, NULL);
    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &action, NULL);
    child_confine();
    __asm__ volatile("ud2");
}

static bool make_code16(void)
{
    struct user_desc segment = {
        .entry_number = 0,
        .base_addr = CODE_BASE,
        .limit = 0xffff,
        .contents = MODIFY_LDT_CONTENTS_CODE,
    };

    return syscall(SYS_modify_ldt, 1, &segment, sizeof(segment)) == 0;
}

static bool map_pages(struct oracle *oracle)
{
    int fd = (int)syscall(SYS_memfd_create, "oracle", 0);
    void *exec, *beyond, *stack, *alias;

    if (fd < 0 || ftruncate(fd, PAGE))
        return false;
    exec = mmap((void *)CODE_BASE, PAGE, PROT_READ | PROT_EXEC,
                MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
    alias = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    beyond = mmap((void *)CODE_END, PAGE, PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    stack = mmap((void *)STACK_BASE, PAGE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    close(fd);
    oracle->code = alias;
    return exec == (void *)CODE_BASE && beyond == (void *)CODE_END && stack == (void *)STACK_BASE &&
           alias != MAP_FAILED;
}

struct oracle *oracle_create(unsigned max_cases, const char **why)
{
    struct oracle *oracle = calloc(1, sizeof(*oracle));
    sigset_t set;

    *why = "no memory";
    if (!oracle)
        return NULL;
    oracle->shared_size = sizeof(struct shared) + max_cases * sizeof(struct oracle_case);
    oracle->shared = mmap(NULL, oracle->shared_size, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (oracle->shared == MAP_FAILED || !map_pages(oracle)) {
        *why = "cannot map the pages at their fixed low addresses";
        free(oracle);
        return NULL;
    }
    oracle->code16 = make_code16();
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return oracle;
}

void oracle_destroy(struct oracle *oracle)
{
    munmap(oracle->shared, oracle->shared_size);
    munmap(oracle->code, PAGE);
    munmap((void *)CODE_BASE, 2 * PAGE);
    munmap((void *)STACK_BASE, PAGE);
    free(oracle);
}

bool oracle_has_code16(const struct oracle *oracle)
{
    return oracle->code16;
}

bool oracle_same_length(const struct oracle_case *answer, int length, bool undefined)
{
    return answer->length == length || (undefined && !__builtin_cpu_is("intel"));
}

struct oracle_case *oracle_cases(struct oracle *oracle)
{
    return oracle->shared->cases;
}

/* Waits until the child ends; kills it when it makes no progress. A signal may be that of an
 * earlier child, which has been waited for already: only time that has passed tells of a hang. */
static void wait_child(struct oracle *oracle, pid_t child)
{
    const struct timespec timeout = {.tv_sec = HANG_SECONDS};
    bool hangs = false;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    while (!hangs) {
        unsigned seen = oracle->shared->current;

        if (waitpid(child, NULL, WNOHANG) == child)
            return;
        hangs = sigtimedwait(&set, NULL, &timeout) < 0 && errno == EAGAIN &&
                oracle->shared->current == seen;
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* A host short of processes or memory for a moment is not the CPU's answer. */
static pid_t fork_patiently(void)
{
    static const struct timespec pause = {.tv_nsec = 100000000};

    for (unsigned tries = 0;; tries++) {
        pid_t child = fork();
        if (child >= 0)
            return child;
        if (tries == FORK_TRIES) {
            perror("oracle: fork");
            exit(1);
        }
        nanosleep(&pause, NULL);
    }
}

static void clear_answer(struct oracle_case *c)
{
    c->length = 0;
    c->undefined = false;
}

void oracle_ask(struct oracle *oracle, unsigned count)
{
    struct shared *sh = oracle->shared;
    unsigned tries = 0;

    for (unsigned i = 0; i < count; i++)
        clear_answer(&sh->cases[i]);
    sh->count = count;
    sh->current = 0;
    while (sh->current < count) {
        unsigned asked = sh->current;
        pid_t child = fork_patiently();
        if (child == 0)
            child_run(oracle);
        wait_child(oracle, child);
        if (sh->current == count)
            break;
        tries = sh->current == asked ? tries + 1 : 1;
        clear_answer(&sh->cases[sh->current]);
        if (tries == CASE_TRIES) {
            sh->current++; /* this one killed or hung it */
            tries = 0;
        }
    }
}
