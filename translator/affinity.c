/*
 * Which core direct execution has. The vcpu's thread and the sandboxes' tasks hand over to each
 * other and never run at the same time: on one core that costs 3.5 us and a kick is answered in
 * some 50 us at worst, on two cores each hand-over waits for another core to wake
 * (direct/README.md). So they share the core that the thread is on, as long as the host leaves it
 * to them: when the sandboxes get less of it than they ask for, all may move again for a while.
 */
#include "translator/affinity.h"

#include <sched.h>
#include <time.h>

#include "direct/sandbox.h"
#include "translator/unit.h"

#define TERM_NS 20000000ull /* a decision stands for so long */
#define FAIR_PART 4         /* waiting for less than this part of the time is no reason to move */
#define MEASURED_RUNS 8     /* of so many runs one is measured: that costs two system calls */

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t = { 0 };

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The CPU time of all of a process's tasks: CPUCLOCK_SCHED of its pid, as clock_getcpuclockid(3)
 * makes it. */
static clockid_t process_clock(int pid)
{
    return (clockid_t)((~(unsigned)pid << 3) | 2);
}

static void pin(struct affinity *p)
{
    cpu_set_t one;

    p->cpu = (unsigned)sched_getcpu();
    CPU_ZERO(&one);
    CPU_SET(p->cpu % CPU_SETSIZE, &one);
    if (!p->known)
        p->known = !sched_getaffinity(0, sizeof(p->all), &p->all);
    p->pinned = p->known && !sched_setaffinity(0, sizeof(one), &one);
}

static void unpin(struct affinity *p)
{
    if (p->pinned)
        sched_setaffinity(0, sizeof(p->all), &p->all);
    p->pinned = false;
}

/* Did the sandboxes wait for the core while they could have run? */
static bool contended(const struct affinity *p)
{
    return p->wanted > TERM_NS / 4 && p->got + p->wanted / FAIR_PART < p->wanted;
}

static void decide(struct affinity *p, uint64_t now)
{
    if (p->pinned && contended(p))
        unpin(p);
    else if (!p->pinned)
        pin(p);
    p->until = now + TERM_NS;
    p->wanted = p->got = 0;
}

void affinity_enter(struct affinity *p, struct sandbox *sandbox)
{
    uint64_t now = clock_ns(CLOCK_MONOTONIC);

    if (now >= p->until)
        decide(p, now);
    sandbox_pin(sandbox, p->pinned ? (int)p->cpu : -1);
    p->measured = p->pinned && !(p->runs++ % MEASURED_RUNS);
    p->entered = now;
    if (p->measured)
        p->entered_cpu = clock_ns(process_clock(sandbox_pid(sandbox)));
}

void affinity_left(struct affinity *p, const struct sandbox *sandbox)
{
    if (!p->measured)
        return;
    p->wanted += clock_ns(CLOCK_MONOTONIC) - p->entered;
    p->got += clock_ns(process_clock(sandbox_pid(sandbox))) - p->entered_cpu;
}

void affinity_idle(struct affinity *p)
{
    if (p->pinned && clock_ns(CLOCK_MONOTONIC) > p->until + TERM_NS)
        unpin(p);
}
