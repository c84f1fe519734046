/*
 * Which tier an address space gets (shadowmm/policy.c), by a clock of the test's own: how long it
 * ran, how often it trapped and how often its windows faulted is given, the tier is looked at. The
 * sandboxes are stubs that only remember what became of them.
 */
#include "tests/unit/shadow_machine.h"

enum {
    STEP = 5000000, /* TSC cycles in a sample */
    MANY = 1000,    /* samples */
};

static struct view *current(struct world *w)
{
    return &w->sm->view[w->sm->current];
}

static enum shadowmm_tier tier(struct world *w)
{
    return current(w)->window[SLOT_DIRECT] ? TIER_DIRECT
           : current(w)->window[SLOT_USER] ? TIER_WINDOW
                                           : TIER_TLB;
}

/* One sample of user code that trapped so often, its window (if any) having faulted so often. Where
 * it runs directly, what its traps leave of the time is its own. */
static void sample(struct world *w, unsigned traps, unsigned faults)
{
    struct window *user = current(w)->window[SLOT_USER], *direct = current(w)->window[SLOT_DIRECT];
    uint64_t handed_off = (uint64_t)traps * HANDOFF;

    now += STEP;
    w->m.vcpu->stats.soft_interrupts += traps;
    if (direct)
        direct->events += faults;
    else if (user)
        user->events += faults;
    if (direct && handed_off < STEP)
        shadowmm_direct_ran(w->sm, HANDOFF + STEP - handed_off, UINT64_MAX);
    shadowmm_sample(w->sm, true);
}

/* The same of user code that does nothing but trap, in runs of so many cycles: what time is left is
 * its kernel's. */
static void idle_sample(struct world *w, unsigned traps, uint64_t cycles)
{
    now += STEP;
    w->m.vcpu->stats.soft_interrupts += traps;
    for (unsigned i = 0; i < traps; i++)
        shadowmm_direct_ran(w->sm, cycles, 0);
    shadowmm_sample(w->sm, true);
}

/* How many samples until the current view is in a tier, at most MANY. */
static unsigned samples_until(struct world *w, enum shadowmm_tier wanted, unsigned traps,
                              unsigned faults)
{
    unsigned n = 0;

    for (; n < MANY && tier(w) != wanted; n++)
        sample(w, traps, faults);
    return n;
}

static void check_within(const char *what, unsigned n, unsigned low, unsigned high)
{
    if (n < low || n > high) {
        printf("%s after %u samples, want %u to %u\n", what, n, low, high);
        check_failures++;
    }
}

/* --- Tests ------------------------------------------------------------------------------- */

static void new_space_waits(void)
{
    struct world w;

    begin(&w);
    CHECK_EQ(tier(&w), TIER_TLB);
    check_within("the first window", samples_until(&w, TIER_WINDOW, 0, 0), 2, 32);
    for (unsigned i = 0; i < 200; i++)
        sample(&w, 0, 0);
    CHECK_EQ(tier(&w), TIER_WINDOW); /* there are no sandboxes */
    select_root(&w, 1);
    CHECK_EQ(tier(&w), TIER_TLB); /* each for itself */
    CHECK_EQ(w.sm->stats.windows_made, 1);
    end(&w);
}

static void computing_goes_direct(void)
{
    struct world w;

    begin(&w);
    give(&w);
    CHECK_EQ(tier(&w), TIER_TLB);
    check_within("direct", samples_until(&w, TIER_DIRECT, 0, 0), 2, 8);
    CHECK_EQ(w.sm->stats.windows_made, 0); /* on its way */
    for (unsigned i = 0; i < 200; i++)
        sample(&w, 1, 0);
    CHECK_EQ(tier(&w), TIER_DIRECT);
    CHECK_EQ(shadowmm_sandbox(w.sm) == &w.sandbox[0], 1);
    CHECK_EQ(w.sm->stats.directs_made, 1);
    CHECK_EQ(w.sm->stats.directs_lost, 0);
    end(&w);
}

/* Half of the time for hand-offs would be too much. */
static void trapping_stays(void)
{
    struct world w;

    begin(&w);
    give(&w);
    samples_until(&w, TIER_WINDOW, STEP / HANDOFF / 2, 0);
    CHECK_EQ(samples_until(&w, TIER_DIRECT, STEP / HANDOFF / 2, 0), MANY);
    CHECK_EQ(tier(&w), TIER_WINDOW);
    end(&w);
}

/* A space whose time is its kernel's would gain nothing. */
static void kernel_time_stays(void)
{
    struct world w;

    begin(&w);
    give(&w);
    for (unsigned i = 0; i < 200; i++) {
        sample(&w, 0, 0);
        now += STEP;
        shadowmm_sample(w.sm, false);
    }
    CHECK_EQ(tier(&w), TIER_TLB);
    end(&w);
}

/* The first samples are asked for one after the other. */
static void new_space_is_watched(void)
{
    struct world w;
    unsigned asked = 0;

    begin(&w);
    while (asked < MANY && shadowmm_sample(w.sm, true))
        asked++;
    check_within("the end of that", asked, 8, 64);
    end(&w);
    begin(&w);
    give(&w);
    samples_until(&w, TIER_DIRECT, 0, 0);
    CHECK_EQ(shadowmm_sample(w.sm, true), false);
    end(&w);
}

/* What its program has used is there when a space goes direct. */
static void new_sandbox_is_filled(void)
{
    struct world w;

    begin(&w);
    give(&w);
    m_put(&w.m, root_at(0) + 4, (root_at(0) + 0x1000) | 0x27, 4); /* accessed */
    samples_until(&w, TIER_DIRECT, 0, 0);
    CHECK_EQ(shadowmm_direct_mapped(w.sm, USER), true);
    CHECK_EQ(shadowmm_direct_mapped(w.sm, USER + 0x1000), true);
    CHECK_EQ(shadowmm_direct_mapped(w.sm, USER + 0x2000), false);
    CHECK_EQ(shadowmm_direct_mapped(w.sm, 0x10000), false); /* its kernel's */
    end(&w);
}

/* ... however many runs that is, as of pages that another process had before. */
static void scattered_pages_are_filled(void)
{
    const unsigned pages = 1024;
    struct world w;

    begin(&w);
    give(&w);
    for (unsigned i = 0; i < pages; i++)
        m_put(&w.m, root_at(0) + 0x1000 + 4 * i, (FRAME + (i % 2 ? 0x3000 : 0)) | 0x67, 4);
    m_put(&w.m, root_at(0) + 4, (root_at(0) + 0x1000) | 0x27, 4); /* accessed */
    samples_until(&w, TIER_DIRECT, 0, 0);
    for (unsigned i = 0; i < pages; i++)
        CHECK_EQ(shadowmm_direct_mapped(w.sm, USER + i * PAGE_SIZE), true);
    end(&w);
}

/* A program that touches new memory loses half of its time for a while: translated it would take
 * longer still. */
static void growing_stays_direct(void)
{
    struct world w;

    begin(&w);
    give(&w);
    samples_until(&w, TIER_DIRECT, 0, 0);
    for (unsigned i = 0; i < 200; i++)
        sample(&w, STEP / HANDOFF / 2, 0);
    CHECK_EQ(tier(&w), TIER_DIRECT);
    CHECK_EQ(w.sm->stats.directs_lost, 0);
    end(&w);
}

static void traps_demote(void)
{
    struct world w;
    unsigned first, again;

    begin(&w);
    give(&w);
    first = samples_until(&w, TIER_DIRECT, 0, 0);
    check_within("demotion", samples_until(&w, TIER_WINDOW, STEP / HANDOFF * 3 / 4, 0), 1, 128);
    CHECK_EQ(w.sm->stats.directs_lost, 1);
    CHECK_EQ(shadowmm_sandbox(w.sm) == NULL, 1);
    CHECK_EQ(w.sandbox[0].destroyed, 0); /* the next one's */
    again = samples_until(&w, TIER_DIRECT, 0, 0);
    check_within("direct again", again, first + 1, MANY - 1);
    end(&w);
}

/* So many hand-offs, in runs of so many cycles each. */
static unsigned burst(uint64_t cycles)
{
    const unsigned traps = STEP / HANDOFF / 20;
    unsigned n = 0;
    struct world w;

    begin(&w);
    give(&w);
    samples_until(&w, TIER_DIRECT, 0, 0);
    while (tier(&w) == TIER_DIRECT && n < MANY)
        idle_sample(&w, traps, cycles), n++;
    end(&w);
    return n * traps;
}

/* However much of the time is its kernel's: that runs no faster for it. Nor does what waits, on a
 * busy host, for its turn in each run; but no wait counts for more than some hand-offs. */
static void kernel_time_does_not_pay(void)
{
    check_within("a burst", burst(HANDOFF), 1024, 4096);
    check_within("a burst that waits", burst(4 * HANDOFF), 256, 1024);
    check_within("a burst that waits for long", burst(STEP), 128, 512);
}

/* It computes for long, and then only traps: what it has gained does not count for ever. */
static void gains_are_not_saved(void)
{
    struct world w;

    begin(&w);
    give(&w);
    for (unsigned i = 0; i < MANY; i++)
        sample(&w, 0, 0);
    CHECK_EQ(tier(&w), TIER_DIRECT);
    check_within("demotion", samples_until(&w, TIER_WINDOW, STEP / HANDOFF, 0), 1, 64);
    end(&w);
}

/* A program with a phase of traps whenever it is direct loses a tenth of its time, no more. */
static void losses_are_bounded(void)
{
    uint64_t lost = 0, start;
    struct world w;

    begin(&w);
    give(&w);
    start = now;
    for (unsigned i = 0; i < 10 * MANY; i++) {
        bool direct = tier(&w) == TIER_DIRECT;

        lost += direct ? STEP : 0;
        sample(&w, direct ? STEP / HANDOFF : 0, 0);
    }
    CHECK_EQ(w.sm->stats.directs_lost > 1, true);
    CHECK_EQ(lost * 11 < now - start, true);
    end(&w);
}

static void faults_demote(void)
{
    struct world w;
    unsigned first, again;

    begin(&w);
    first = samples_until(&w, TIER_WINDOW, 0, 0);
    check_within("demotion", samples_until(&w, TIER_TLB, 0, STEP / FAULT / 2), 1, 32);
    CHECK_EQ(w.sm->stats.windows_lost, 1);
    again = samples_until(&w, TIER_WINDOW, 0, 0);
    check_within("a window again", again, first + 1, MANY - 1);
    end(&w);
}

/* What faults and hand-offs cost decides, not how many there are. */
static void costs_decide(void)
{
    struct world w;

    begin(&w);
    give(&w);
    shadowmm_set_costs(w.sm, (struct shadowmm_costs){ FAULT / 100, HANDOFF / 100 });
    check_within("direct", samples_until(&w, TIER_DIRECT, STEP / HANDOFF / 2, 0), 2, 64);
    for (unsigned i = 0; i < 100; i++)
        sample(&w, STEP / HANDOFF / 2, STEP / FAULT / 2);
    CHECK_EQ(tier(&w), TIER_DIRECT);
    end(&w);
}

/* The guest halts most of the time, and traps all the time that it runs. */
static void halted_time_is_no_time(void)
{
    struct world w;

    begin(&w);
    give(&w);
    for (unsigned i = 0; i < 200; i++) {
        sample(&w, STEP / HANDOFF / 2, 0);
        shadowmm_pause(w.sm);
        now += 1000 * (uint64_t)STEP;
        shadowmm_resume(w.sm);
    }
    CHECK_EQ(tier(&w), TIER_WINDOW);
    end(&w);
}

/* The kernel takes everything away and uses the directory for another process. */
static void dead_space_begins_anew(void)
{
    const uint32_t none = 0;
    struct world w;

    begin(&w);
    give(&w);
    samples_until(&w, TIER_DIRECT, 0, 0);
    CHECK_EQ(shadowmm_direct_fault(w.sm, USER, MEM_WRITE), MEM_FILLED);
    select_root(&w, 1);
    select_root(&w, 0);
    CHECK_EQ(tier(&w), TIER_DIRECT);
    physmem_write(&w.m.pm, root_at(0) + 0x1000, &none, 4);
    select_root(&w, 1);
    select_root(&w, 0);
    CHECK_EQ(tier(&w), TIER_TLB);
    CHECK_EQ(tenure_moves(&current(&w)->tenure), 0);
    check_within("direct", samples_until(&w, TIER_DIRECT, 0, 0), 2, 64);
    end(&w);
}

/* All that its user window had is gone, but not what its sandbox has: it lives. */
static void half_empty_space_lives(void)
{
    const uint32_t none = 0;
    struct world w;

    begin(&w);
    give(&w);
    samples_until(&w, TIER_WINDOW, STEP / HANDOFF / 2, 0);
    CHECK_EQ(shadowmm_window_fault(w.sm, true, USER, true), MEM_FILLED);
    samples_until(&w, TIER_DIRECT, 0, 0);
    CHECK_EQ(shadowmm_direct_fault(w.sm, USER + 0x1000, MEM_WRITE), MEM_FILLED);
    physmem_write(&w.m.pm, root_at(0) + 0x1000, &none, 4);
    select_root(&w, 0);
    CHECK_EQ(current(&w)->window[SLOT_USER]->areas, 0);
    CHECK_EQ(tier(&w), TIER_DIRECT);
    end(&w);
}

static void forced_tiers(void)
{
    struct world w;

    begin(&w);
    give(&w);
    shadowmm_policy(w.sm, TIERS_TLB, TIERS_TLB);
    CHECK_EQ(samples_until(&w, TIER_WINDOW, 0, 0), MANY);
    shadowmm_policy(w.sm, TIERS_TLB, TIERS_WINDOW);
    CHECK_EQ(tier(&w), TIER_WINDOW);
    CHECK_EQ(samples_until(&w, TIER_TLB, STEP / HANDOFF, STEP / FAULT), MANY);
    CHECK_EQ(tier(&w), TIER_WINDOW);
    select_root(&w, 1);
    CHECK_EQ(tier(&w), TIER_WINDOW);
    shadowmm_policy(w.sm, TIERS_TLB, TIERS_DIRECT);
    CHECK_EQ(tier(&w), TIER_DIRECT);
    CHECK_EQ(samples_until(&w, TIER_TLB, STEP / HANDOFF, STEP / FAULT), MANY);
    CHECK_EQ(tier(&w), TIER_DIRECT);
    end(&w);
}

/* Three address spaces, two sandboxes. */
static void least_recently_used_gives(void)
{
    struct world w;

    begin(&w);
    shadowmm_policy(w.sm, TIERS_TLB, TIERS_DIRECT);
    CHECK_EQ(shadowmm_wants_sandbox(w.sm), SANDBOXES_MAX);
    give(&w);
    CHECK_EQ(shadowmm_sandbox(w.sm) == &w.sandbox[0], 1);
    give(&w);
    CHECK_EQ(shadowmm_wants_sandbox(w.sm), 0); /* one is left */
    select_root(&w, 1);
    CHECK_EQ(shadowmm_sandbox(w.sm) == &w.sandbox[1], 1);
    CHECK_EQ(shadowmm_wants_sandbox(w.sm), SANDBOXES_MAX - 2);
    select_root(&w, 2);
    CHECK_EQ(shadowmm_sandbox(w.sm) == &w.sandbox[0], 1);
    select_root(&w, 1);
    CHECK_EQ(shadowmm_sandbox(w.sm) == &w.sandbox[1], 1);
    select_root(&w, 0);
    CHECK_EQ(shadowmm_sandbox(w.sm) == &w.sandbox[0], 1); /* 2's */
    CHECK_EQ(w.sm->stats.directs_lost, 2);
    end(&w);
}

enum { SLICES = 400, SAMPLES_A_SLICE = 6 };

/* Programs that compute by turns, touching a page each: how many slices end in direct execution. */
static unsigned take_turns(struct world *w, unsigned programs)
{
    unsigned directly = 0;

    for (unsigned slice = 0; slice < SLICES; slice++) {
        select_root(w, slice % programs);
        for (unsigned i = 0; i < SAMPLES_A_SLICE; i++) {
            sample(w, 0, 0);
            if (tier(w) == TIER_DIRECT)
                shadowmm_direct_fault(w->sm, USER, MEM_WRITE);
        }
        directly += tier(w) == TIER_DIRECT;
    }
    return directly;
}

/* More of them than sandboxes: some keep theirs, for a while. */
static void sandboxes_stay(void)
{
    struct world w;

    begin(&w);
    for (unsigned i = 0; i < 4; i++)
        give(&w);
    CHECK_EQ(take_turns(&w, 8) > SLICES / 3, true);
    CHECK_EQ(w.sm->stats.directs_lost > 4, true);
    CHECK_EQ(w.sm->stats.directs_lost < 40, true);
    end(&w);
}

/* ... but not from one that comes for the first time. */
static void newcomers_get_a_place(void)
{
    struct world w;

    begin(&w);
    give(&w);
    give(&w);
    for (unsigned i = 0; i < 3; i++) {
        select_root(&w, i);
        check_within("direct", samples_until(&w, TIER_DIRECT, 0, 0), 2, 8);
        shadowmm_direct_fault(w.sm, USER, MEM_WRITE);
    }
    CHECK_EQ(w.sm->stats.directs_lost, 1);
    select_root(&w, 0);
    CHECK_EQ(samples_until(&w, TIER_DIRECT, 0, 0) > 100, true);
    end(&w);
}

/* ... and more than there are views: theirs stay, too. */
static void views_with_sandboxes_stay(void)
{
    struct world w;

    begin_with(&w, 4);
    give(&w);
    give(&w);
    CHECK_EQ(take_turns(&w, 8) > SLICES / 8, true);
    CHECK_EQ(w.sm->stats.directs_lost > 2, true);
    CHECK_EQ(w.sm->stats.directs_lost < 40, true);
    end(&w);
}

/* One that cannot be made fit for the next address space is no more. */
static void unfit_sandbox_goes(void)
{
    struct world w;

    begin(&w);
    shadowmm_policy(w.sm, TIERS_TLB, TIERS_DIRECT);
    give(&w);
    w.sandbox[0].broken = true;
    select_root(&w, 1);
    CHECK_EQ(tier(&w), TIER_TLB);
    CHECK_EQ(w.sandbox[0].destroyed, 1);
    give(&w);
    CHECK_EQ(tier(&w), TIER_DIRECT);
    end(&w);
    CHECK_EQ(w.sandbox[1].destroyed, 1);
}

static void lost_sandbox(void)
{
    struct world w;

    begin(&w);
    give(&w);
    samples_until(&w, TIER_DIRECT, 0, 0);
    shadowmm_lost_sandbox(w.sm);
    CHECK_EQ(w.sandbox[0].destroyed, 1);
    CHECK_EQ(tier(&w), TIER_TLB);
    CHECK_EQ(shadowmm_sandbox(w.sm) == NULL, 1);
    CHECK_EQ(shadowmm_wants_sandbox(w.sm), SANDBOXES_MAX);
    give(&w);
    CHECK_EQ(tier(&w), TIER_TLB); /* not at once */
    check_within("another", samples_until(&w, TIER_DIRECT, 0, 0), 1, MANY - 1);
    CHECK_EQ(shadowmm_sandbox(w.sm) == &w.sandbox[1], 1);
    end(&w);
}

static void add_tenure(void *arg, const struct tenure *tenure)
{
    struct tenure *sum = arg;

    sum->cr3++;
    for (unsigned why = 0; why < MOVE_END; why++)
        sum->moves[why] += tenure->moves[why];
}

/* Each address space once, however often they are asked for, with all its moves. */
static void moves_are_told(void)
{
    struct tenure sum;
    struct world w;

    begin(&w);
    give(&w);
    samples_until(&w, TIER_DIRECT, 0, 0);
    shadowmm_lost_sandbox(w.sm);
    give(&w);
    samples_until(&w, TIER_DIRECT, 0, 0);
    for (unsigned times = 0; times < 3; times++) {
        sum = (struct tenure){ .cr3 = 0 };
        shadowmm_tenures(w.sm, add_tenure, &sum);
        CHECK_EQ(sum.cr3, 1);
        CHECK_EQ(sum.moves[MOVE_COMPUTES], 2);
        CHECK_EQ(sum.moves[MOVE_LOST], 1);
        CHECK_EQ(sum.moves[MOVE_RAN], 1); /* to a window, on the way */
        CHECK_EQ(tenure_moves(&sum), 4);
    }
    end(&w);
}

int main(void)
{
    new_space_waits();
    computing_goes_direct();
    trapping_stays();
    kernel_time_stays();
    new_space_is_watched();
    new_sandbox_is_filled();
    scattered_pages_are_filled();
    growing_stays_direct();
    traps_demote();
    kernel_time_does_not_pay();
    gains_are_not_saved();
    losses_are_bounded();
    faults_demote();
    costs_decide();
    halted_time_is_no_time();
    dead_space_begins_anew();
    half_empty_space_lives();
    forced_tiers();
    least_recently_used_gives();
    sandboxes_stay();
    newcomers_get_a_place();
    views_with_sandboxes_stay();
    unfit_sandbox_goes();
    lost_sandbox();
    moves_are_told();
    return CHECK_DONE();
}
