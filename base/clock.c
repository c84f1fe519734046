/* Virtual time and its timers: a sorted list, since a board has about ten. */
#include "base/clock.h"

#include <stddef.h>

uint64_t clock_now_ns(struct clock *clock)
{
    uint64_t now;

    if (!clock->read_ns)
        return clock->now_ns;
    now = clock->read_ns(clock->host_arg);
    return now > clock->now_ns ? now : clock->now_ns;
}

static void advance_to(struct clock *clock, uint64_t end)
{
    while (clock->pending && clock->pending->due_ns <= end) {
        struct timer *timer = clock->pending;

        if (timer->due_ns > clock->now_ns)
            clock->now_ns = timer->due_ns;
        timer_cancel(timer);
        clock->firing = true;
        timer->fire(timer->arg);
        clock->firing = false;
    }
    if (end > clock->now_ns)
        clock->now_ns = end;
}

void clock_advance(struct clock *clock, uint64_t ns)
{
    advance_to(clock, clock->now_ns + ns);
}

void clock_run_due(struct clock *clock)
{
    advance_to(clock, clock_now_ns(clock));
}

uint64_t clock_next_due_ns(const struct clock *clock)
{
    return clock->pending ? clock->pending->due_ns : CLOCK_NEVER;
}

void timer_arm(struct timer *timer, struct clock *clock, uint64_t due_ns)
{
    struct timer **at;

    timer_cancel(timer);
    at = &clock->pending;
    while (*at && (*at)->due_ns <= due_ns)
        at = &(*at)->next;
    timer->due_ns = due_ns;
    timer->clock = clock;
    timer->next = *at;
    *at = timer;
    if (clock->pending == timer && clock->nearer)
        clock->nearer(clock->nearer_arg);
}

void timer_cancel(struct timer *timer)
{
    struct timer **at;

    if (!timer->clock)
        return;
    for (at = &timer->clock->pending; *at != timer; at = &(*at)->next)
        ;
    *at = timer->next;
    timer->clock = NULL;
}
