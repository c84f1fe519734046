/* Owed ticks, and the HPET that owes them. */
#include "devices/owed.h"

#include <stdlib.h>
#include <string.h>

#include "base/snap.h"
#include "devices/hpet.h"
#include "tests/unit/chip.h"

#define PERIOD_NS 4000000u

static struct clock host;
static unsigned came, taken;

static void tick(void *dev)
{
    (void)dev;
    came++;
}

static bool waiting(void *arg)
{
    (void)arg;
    return came != taken;
}

static struct owed owed;

static void open_owed(void)
{
    host = (struct clock){ 0 };
    came = taken = 0;
    owed_init(&owed, &(struct owed_config){ .clock = &host, .tick = tick, .waiting = waiting });
}

/* The guest takes what there is, as often as more follows without any time: the number. */
static unsigned take_at_once(void)
{
    unsigned n = 0;

    for (; came != taken; n++) {
        taken = came;
        owed_taken(&owed);
        clock_advance(&host, 0);
    }
    return n;
}

/* Few follow one by one. */
static void test_few(void)
{
    open_owed();
    owed_deliver(&owed, 4, PERIOD_NS);
    CHECK_EQ(came, 1);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(take_at_once(), 1);
        clock_advance(&host, PERIOD_NS / 4);
    }
    CHECK_EQ(take_at_once(), 1);
    clock_advance(&host, NS_PER_SEC);
    CHECK_EQ(came, 4);
}

/* Many: some at once, and the guest gets to run between; none is lost. */
static void test_many(void)
{
    open_owed();
    owed_deliver(&owed, 100, PERIOD_NS);
    CHECK_EQ(take_at_once(), 9);
    clock_advance(&host, 49999);
    CHECK_EQ(came, taken);
    clock_advance(&host, 1);
    CHECK_EQ(take_at_once(), 9);
    for (unsigned i = 0; i < 1000; i++) {
        take_at_once();
        clock_advance(&host, 50000);
    }
    CHECK_EQ(came, 100);
}

static void test_limits(void)
{
    uint8_t image[64];

    open_owed();
    owed_deliver(&owed, UINT64_MAX, PERIOD_NS);
    owed_deliver(&owed, UINT64_MAX, PERIOD_NS);
    CHECK_EQ(owed.ticks, 2500); /* ten seconds of them */
    owed_snapshot(&owed, &(struct snap){ .at = image });
    owed_forget(&owed);
    take_at_once();
    CHECK_EQ(came, 1);
    owed_snapshot(&owed, &(struct snap){ .loading = true, .at = image });
    CHECK_EQ(owed.ticks, 2500);
    owed_deliver(&owed, 1, UINT64_MAX);
    CHECK_EQ(owed.ticks, 0);
    owed_forget(&owed);
}

/* --- The HPET instead of the PIT ---------------------------------------------------------- */

static struct pin irq0;

static void irq0_set(void *sink, unsigned n, bool level)
{
    pin_set(sink, n, level);
    came = irq0.edges;
}

static void replaces(void *arg, bool on)
{
    (void)arg;
    (void)on;
}

/* Half a second late, with 250 ticks a second: all come, and all that are due afterwards. */
static void test_hpet(void)
{
    struct pin irq8 = { 0 };
    struct hpet_config config = { .memory = bus_create(), .clock = &host, .waiting = waiting,
                                  .irq0 = { irq0_set, &irq0, 0 }, .irq8 = { irq0_set, &irq8, 0 },
                                  .replaces = replaces };
    struct hpet *hpet;

    open_owed();
    hpet = hpet_create(&config);
    bus_write(config.memory, HPET_BASE + 0x100, 4, 0x4c); /* periodic, enabled, set value */
    bus_write(config.memory, HPET_BASE + 0x108, 4, PERIOD_NS / 10);
    bus_write(config.memory, HPET_BASE + 0x108, 4, PERIOD_NS / 10);
    bus_write(config.memory, HPET_BASE + 0x010, 4, 3);
    clock_advance(&host, NS_PER_SEC / 2);
    CHECK_EQ(came, 1);
    for (unsigned i = 0; i < 10000; i++) {
        taken = came;
        hpet_taken(hpet);
        clock_advance(&host, 50000);
    }
    CHECK_EQ(came, 250);
    taken = came;
    clock_advance(&host, NS_PER_SEC);
    bus_write(config.memory, HPET_BASE + 0x010, 4, 0); /* set up anew: nothing is owed */
    taken = came;
    hpet_taken(hpet);
    clock_advance(&host, NS_PER_SEC);
    CHECK_EQ(came, 251);
    hpet_destroy(hpet);
    bus_destroy(config.memory);
}

int main(void)
{
    test_few();
    test_many();
    test_limits();
    test_hpet();
    return CHECK_DONE();
}
