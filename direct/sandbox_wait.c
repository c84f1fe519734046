/*
 * Waiting for a sandbox's tasks, and whose doing it is when one does not answer.
 *
 * The host decides when a task runs. One that is stopped, frozen or traced, that waits for its turn
 * or for a page of memory, tells nothing about its program: it is waited for, however long that
 * takes, since what it has done counts. Time is held against a program only when it
 *
 *  W1. computes: CPU time that the process has had since the kick. The kick's signal comes before
 *      the next instruction of whoever has not blocked it.
 *  W2. sleeps: its filter lets the runner sleep on two futex words and nowhere else, where the
 *      kernel can be asked who does (FUTEX_CMP_REQUEUE from the queue to itself counts). A task
 *      that is stopped there sleeps there no more.
 *
 * Both only when the mapper has done what the run begins with. Whoever runs the guest is asked
 * meanwhile whether to go on (sandbox_host_ask).
 */
#include <asm/unistd.h>
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "direct/sandbox_private.h"

#define NS_PER_MS 1000000ull
#define SLICE_NS (100 * NS_PER_MS) /* looks at the time and at kicks this often */
#define ASK_NS (1000 * NS_PER_MS)
#define ENDS_NS (1000 * NS_PER_MS) /* as the grace, for one that says that it has ended */
#define NO_DEADLINE UINT64_MAX

long sandbox_futex(volatile uint32_t *word, int op, uint32_t value, const void *timeout)
{
    return syscall(__NR_futex, word, op, value, timeout, NULL, 0);
}

uint64_t sandbox_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 * NS_PER_MS + (uint64_t)t.tv_nsec;
}

/* --- Whose doing? ----------------------------------------------------------------------- */

/* What a program may use up by its own doing, and what there was at the last look. */
struct patience {
    uint64_t left;
    uint64_t began, looked, cpu; /* 0: not yet */
};

/* What the process has had of the CPU: its clock, as clock_getcpuclockid() has it. */
static uint64_t cpu_ns(const struct sandbox *s)
{
    struct timespec t = { 0 };

    clock_gettime((clockid_t)(~(unsigned)s->pid << 3 | 2), &t);
    return (uint64_t)t.tv_sec * 1000 * NS_PER_MS + (uint64_t)t.tv_nsec;
}

/* From the queue to itself: counts the sleepers without waking them. Only the runner, at one place
 * for each of the two words, can sleep there: its filter says so. */
static bool sleeps_on(volatile uint32_t *word, uint32_t value)
{
    return syscall(__NR_futex, word, FUTEX_CMP_REQUEUE, 0, 1ul, word, value) == 1;
}

bool sandbox_asleep(struct sandbox *s)
{
    return sleeps_on(&s->orders->run, s->run);
}

static bool mapper_works(const struct sandbox *s)
{
    struct pollfd fd = { s->done_fd, POLLIN, 0 };

    return s->unread && !poll(&fd, 1, 0);
}

/* One look: true when the program has used up what it may. A look takes a slice at most, whatever
 * the clocks say: the host may have stopped us as well. */
static bool used_up(struct sandbox *s, struct patience *p)
{
    uint64_t now = sandbox_now_ns(), cpu = cpu_ns(s), used = 0;

    if (!p->began)
        p->began = now;
    else if (!mapper_works(s))
        used = sandbox_asleep(s) || sleeps_on(&s->report->go, s->report->go) ? now - p->looked
               : cpu > p->cpu ? cpu - p->cpu : 0;
    p->left -= sandbox_min(p->left, sandbox_min(used, SLICE_NS));
    p->looked = now;
    p->cpu = cpu;
    return !p->left;
}

bool sandbox_wait_on(const struct sandbox_host *host, uint64_t began)
{
    return sandbox_now_ns() - began < ASK_NS || !host->give_up || !host->give_up(host->give_up_arg);
}

/* --- The runner ------------------------------------------------------------------------- */

/* Sleeps until the word changes from seen, a signal comes, or for at most a slice. */
static void sleep_on(struct sandbox *s, uint32_t seen, uint64_t left)
{
    struct timespec t = { 0, (long)sandbox_min(left, SLICE_NS) };

    sandbox_futex(&s->report->exit, FUTEX_WAIT, seen, &t);
}

/* After a kick: is it waited for in vain, and why? It may have come back, to sleep where the next
 * run begins, since the caller looked. */
static bool in_vain(struct sandbox *s, struct patience *p, uint32_t seen, enum run_end *why)
{
    if (used_up(s, p) && s->report->exit == seen)
        *why = RUN_STUCK;
    else if (!sandbox_wait_on(s->host, p->began))
        *why = RUN_GIVEN_UP;
    else
        return false;
    return true;
}

/* The clock is read only when the runner did not come back at once. */
enum run_end sandbox_wait_run(struct sandbox *s, uint64_t timeout_ns)
{
    struct patience patience = { .left = s->grace_ns };
    uint64_t end = NO_DEADLINE, now;
    enum run_end why;
    uint32_t seen;
    bool first = true;

    while ((seen = s->report->exit) != s->run && seen) {
        if (first && !timeout_ns && !s->kicked) {
            first = false;
            sleep_on(s, seen, SLICE_NS);
            continue;
        }
        now = sandbox_now_ns();
        if (first && timeout_ns)
            end = now + timeout_ns;
        first = false;
        if (now >= end) {
            end = NO_DEADLINE;
            sandbox_kick(s);
        }
        if (s->kicked && in_vain(s, &patience, seen, &why))
            return why;
        sleep_on(s, seen, end - now);
    }
    if (!seen)
        sandbox_set_lost(s);
    return RUN_CAME_BACK;
}

/* --- The mapper ------------------------------------------------------------------------- */

bool sandbox_wait_fd(const struct sandbox_host *host, int fd, uint64_t began)
{
    struct pollfd wanted = { fd, POLLIN, 0 };

    while (poll(&wanted, 1, SLICE_NS / NS_PER_MS) <= 0)
        if (!sandbox_wait_on(host, began))
            return false;
    return true;
}

/* Most often one call. A signal for us interrupts it: from then on the clock counts. */
int sandbox_wait_done(struct sandbox *s)
{
    uint8_t byte;
    ssize_t got;

    while ((got = read(s->done_fd, &byte, 1)) < 0 && errno == EINTR)
        if (!sandbox_wait_fd(s->host, s->done_fd, sandbox_now_ns()))
            break;
    if (got != 1) {
        sandbox_set_lost(s);
        return -EOWNERDEAD;
    }
    return -byte;
}

/* --- The process's end ------------------------------------------------------------------ */

/* A busy host takes its time to end a process; one that only seems gone runs or sleeps. */
bool sandbox_killed(struct sandbox *s)
{
    const struct timespec pause = { 0, NS_PER_MS };
    struct patience patience = { .left = ENDS_NS };
    int status = 0;

    while (s->pid > 0 && !used_up(s, &patience) && sandbox_wait_on(s->host, patience.began)) {
        if (waitpid(s->pid, &status, __WALL | WNOHANG) == s->pid) {
            s->pid = 0;
            return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        }
        nanosleep(&pause, NULL);
    }
    return false;
}
