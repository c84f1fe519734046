/* Timers: their order, moves and cancels, in fire() and out of it; a clock that goes by itself. */
#include "base/clock.h"

#include <stddef.h>

#include "tests/check.h"

static struct clock host;
static char order[64];
static unsigned count, nearer_calls;
static uint64_t live;

static void note(void *arg)
{
    order[count++ % sizeof(order)] = *(const char *)arg;
}

static struct timer a = { .fire = note, .arg = "a" };
static struct timer b = { .fire = note, .arg = "b" };
static struct timer c = { .fire = note, .arg = "c" };

static void nearer(void *arg)
{
    (void)arg;
    nearer_calls++;
}

static void test_order(void)
{
    timer_arm(&b, &host, 20);
    timer_arm(&a, &host, 10);
    timer_arm(&c, &host, 20); /* after b: armed later */
    CHECK_EQ(clock_next_due_ns(&host), 10);
    clock_advance(&host, 9);
    CHECK_EQ(count, 0);
    clock_advance(&host, 1);
    CHECK_EQ(count, 1);
    clock_advance(&host, 100);
    CHECK_EQ(order[0] == 'a' && order[1] == 'b' && order[2] == 'c' && count == 3, 1);
    CHECK_EQ(host.now_ns, 110);
    CHECK_EQ(clock_next_due_ns(&host), CLOCK_NEVER);
    clock_advance(&host, 100);
    CHECK_EQ(count, 3); /* each fires once */
}

static void test_move_and_cancel(void)
{
    count = 0;
    timer_arm(&a, &host, host.now_ns + 10);
    timer_arm(&b, &host, host.now_ns + 20);
    timer_arm(&a, &host, host.now_ns + 30);
    CHECK_EQ(clock_next_due_ns(&host), host.now_ns + 20);
    timer_cancel(&b);
    timer_cancel(&b);
    CHECK_EQ(b.clock == NULL, 1);
    timer_arm(&c, &host, host.now_ns + 40);
    timer_cancel(&c);
    clock_advance(&host, 100);
    CHECK_EQ(count, 1);
    timer_arm(&a, &host, 1); /* in the past: at the next advance, and time does not go back */
    clock_advance(&host, 0);
    CHECK_EQ(count, 2);
    CHECK_EQ(host.now_ns, 310);
}

static void tick(void *arg)
{
    struct timer *t = arg;

    count++;
    CHECK_EQ(clock_now_ns(&host) >= t->due_ns, 1);
    timer_arm(t, &host, t->due_ns + 10);
}

static void cancel_b(void *arg)
{
    (void)arg;
    timer_cancel(&b);
}

static void test_inside_fire(void)
{
    struct timer periodic = { .fire = tick, .arg = &periodic };
    struct timer canceller = { .fire = cancel_b };

    count = 0;
    timer_arm(&periodic, &host, host.now_ns + 10);
    clock_advance(&host, 1000);
    CHECK_EQ(count, 100); /* re-armed within the advance */
    timer_cancel(&periodic);
    timer_arm(&canceller, &host, host.now_ns + 10);
    timer_arm(&b, &host, host.now_ns + 10);
    clock_advance(&host, 100);
    CHECK_EQ(count, 100);
}

static uint64_t read_live(void *arg)
{
    (void)arg;
    return live;
}

static void test_live(void)
{
    live = host.now_ns + 5 * NS_PER_SEC;
    host.read_ns = read_live;
    host.nearer = nearer;
    count = nearer_calls = 0;
    CHECK_EQ(clock_now_ns(&host), live);
    timer_arm(&a, &host, live + 10);
    CHECK_EQ(nearer_calls, 1);
    timer_arm(&b, &host, live + 20);
    CHECK_EQ(nearer_calls, 1);
    timer_arm(&c, &host, live + 5);
    CHECK_EQ(nearer_calls, 2);
    clock_run_due(&host);
    CHECK_EQ(count, 0);
    live += 15;
    clock_run_due(&host);
    CHECK_EQ(count, 2);
    live -= 10; /* a host clock that steps back does not take the guest along */
    CHECK_EQ(clock_now_ns(&host), live + 10);
    clock_run_due(&host);
    CHECK_EQ(host.now_ns, live + 10);
    timer_cancel(&b);
}

int main(void)
{
    test_order();
    test_move_and_cancel();
    test_inside_fire();
    test_live();
    return CHECK_DONE();
}
