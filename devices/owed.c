/*
 * Missed ticks. Owed ticks follow each taken one after a quarter of a period, or much less when
 * many are owed, since a busy host lets the guest run for a few milliseconds at a time. When very
 * many are, some follow at once: a guest that compares a few ticks with its TSC (so Linux looks
 * whether its timer works, and panics) then has them before it looks. So the guest catches up and
 * still gets to run. More than OWED_NS of ticks are forgiven.
 */
#include "devices/owed.h"

#include "base/snap.h"

#define OWED_NS     (10 * NS_PER_SEC) /* of missed ticks, at most */
#define HURRY_MOST  14                /* owed ticks: 1/200 period between two */
#define AT_ONCE     8                 /* from so many on, and so many */
#define SHORTEST_NS 50000

static bool waiting(const struct owed *owed)
{
    return owed->config.waiting && owed->config.waiting(owed->config.arg);
}

static void catch_up_fire(void *arg)
{
    struct owed *owed = arg;

    if (!owed->ticks || waiting(owed))
        return;
    owed->ticks--;
    owed->config.tick(owed->config.dev);
}

void owed_init(struct owed *owed, const struct owed_config *config)
{
    *owed = (struct owed){ .config = *config, .catch_up = { .fire = catch_up_fire, .arg = owed } };
}

void owed_deliver(struct owed *owed, uint64_t ticks, uint64_t period_ns)
{
    uint64_t most = OWED_NS / period_ns;

    owed->period_ns = period_ns;
    if (!waiting(owed)) {
        owed->config.tick(owed->config.dev);
        ticks--;
    }
    if (owed->config.waiting)
        owed->ticks = ticks < most && owed->ticks < most - ticks ? owed->ticks + ticks : most;
}

static uint64_t gap_ns(struct owed *owed)
{
    uint64_t hurry = owed->ticks < HURRY_MOST ? owed->ticks : HURRY_MOST;
    uint64_t gap = owed->period_ns / (4 + hurry * hurry);

    if ((owed->ticks >= AT_ONCE || owed->at_once) && owed->at_once < AT_ONCE) {
        owed->at_once++;
        return 0;
    }
    owed->at_once = 0;
    return gap > SHORTEST_NS ? gap : SHORTEST_NS;
}

void owed_taken(struct owed *owed)
{
    struct clock *clock = owed->config.clock;

    if (!owed->ticks)
        owed->at_once = 0;
    else if (!owed->catch_up.clock)
        timer_arm(&owed->catch_up, clock, clock_now_ns(clock) + gap_ns(owed));
}

void owed_forget(struct owed *owed)
{
    owed->ticks = owed->at_once = 0;
    timer_cancel(&owed->catch_up);
}

void owed_snapshot(struct owed *owed, struct snap *snap)
{
    snap_bytes(snap, &owed->ticks, sizeof(owed->ticks));
    snap_bytes(snap, &owed->period_ns, sizeof(owed->period_ns));
    if (!snap->loading)
        return;
    timer_cancel(&owed->catch_up);
    owed_taken(owed);
}
