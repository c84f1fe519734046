/*
 * What the policy of shadowmm/ needs at the start: which tiers are asked for, what traps cost on
 * this host, how many areas its kernel allows.
 *
 * For tests and benchmarks: NOVT_ACCESS=tlb keeps every address space, kernels' too, in the TLB
 * form, NOVT_ACCESS=window gives each windows at once, NOVT_ACCESS=shared too, with one for CPL 0
 * that all share, NOVT_ACCESS=direct user code a sandbox.
 * NOVT_AREAS=N limits the windows' areas: their eviction can be seen then.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "translator/unit.h"

/* --- Costs ------------------------------------------------------------------------------- */

#define ROUNDS 16

static struct {
    uint8_t *page;
    int fd;
} probe; /* for the handler, which gets no argument of ours */

/* As a window's fault: map the page that is missing. */
static void map_probe(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)info;
    (void)context;
    if (mmap(probe.page, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE,
             probe.fd, 0) == MAP_FAILED)
        abort();
}

static uint64_t time_faults(void)
{
    uint64_t start = __builtin_ia32_rdtsc(), best = UINT64_MAX;

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t now;

        mmap(probe.page, PAGE_SIZE, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
        (void)*(volatile uint8_t *)probe.page;
        now = __builtin_ia32_rdtsc();
        best = now - start < best ? now - start : best;
        start = now;
    }
    return best;
}

/* A signal, a mapping and its end, as the best of some: others may be running. */
static uint64_t fault_cost(int fd)
{
    struct sigaction action = { .sa_sigaction = map_probe, .sa_flags = SA_SIGINFO }, old;
    uint64_t cost = 10000;

    probe.fd = fd;
    probe.page = mmap(NULL, PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (probe.page == MAP_FAILED)
        return cost;
    sigaction(SIGSEGV, &action, &old);
    cost = time_faults();
    sigaction(SIGSEGV, &old, NULL);
    munmap(probe.page, PAGE_SIZE);
    return cost;
}

/* --- What was asked for --------------------------------------------------------------------- */

static enum tier_policy user_policy(enum user_tier user)
{
    static const enum tier_policy policy[] = { TIERS_AUTO, TIERS_TLB, TIERS_WINDOW, TIERS_DIRECT };

    return policy[user];
}

static void set_policy(struct translator *t, enum user_tier user)
{
    const char *access = getenv("NOVT_ACCESS");

    if (access && !strcmp(access, "tlb"))
        shadowmm_policy(t->sm, TIERS_TLB, TIERS_TLB);
    else if (access && !strcmp(access, "window"))
        shadowmm_policy(t->sm, TIERS_WINDOW, TIERS_WINDOW);
    else if (access && !strcmp(access, "shared"))
        shadowmm_policy(t->sm, TIERS_SHARED, TIERS_WINDOW);
    else
        shadowmm_policy(t->sm, TIERS_AUTO, user_policy(user));
}

static enum user_tier user_asked(enum user_tier user)
{
    const char *access = getenv("NOVT_ACCESS");

    if (!access)
        return user;
    return !strcmp(access, "direct") ? USER_DIRECT : USER_TLB;
}

/* An area and the reservation behind it are two of the host's; the process needs some more. */
static unsigned area_limit(void)
{
    unsigned limit = host_max_areas() / 8;
    const char *set = getenv("NOVT_AREAS");
    unsigned long wanted = set ? strtoul(set, NULL, 0) : 0;

    return wanted && wanted < limit ? (unsigned)wanted : limit;
}

const char *tiers_setup(struct translator *t, enum user_tier user)
{
    struct shadowmm_costs costs = { fault_cost(t->vcpu->mem->fd), 0 };
    const char *why = NULL;

    user = user_asked(user);
    shadowmm_limit_areas(t->sm, area_limit());
    if (user == USER_AUTO || user == USER_DIRECT)
        why = direct_create(t, &costs.handoff);
    shadowmm_set_costs(t->sm, costs);
    set_policy(t, user);
    return user == USER_DIRECT ? why : NULL;
}
