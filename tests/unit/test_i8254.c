/* The timer: six modes, three accesses, latches, port 61h, and ticks that the guest owes. */
#include "devices/i8254.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/snap.h"
#include "devices/crystal.h"
#include "tests/unit/chip.h"

static struct clock host;
static struct bus *bus;
static struct i8254 *pit;
static struct pin irq0;
static unsigned taken;  /* edges that the guest has taken */
static bool attentive; /* it takes each at once */

static bool waiting(void *arg)
{
    (void)arg;
    return !attentive && irq0.edges != taken;
}

/* The guest, when it can take interrupts: how many ticks it takes now. */
static unsigned take(void)
{
    unsigned ticks = irq0.edges - taken;

    taken = irq0.edges;
    if (ticks)
        i8254_taken(pit);
    return ticks;
}

/* To the start of tick n, counted from now's tick. */
static void ticks(uint64_t n)
{
    uint64_t now = crystal_pit_ticks(host.now_ns);

    clock_advance(&host, crystal_pit_ns(now + n) - host.now_ns);
    CHECK_EQ(crystal_pit_ticks(host.now_ns), now + n);
}

static void program(unsigned channel, uint8_t mode, uint16_t count)
{
    out8(bus, 0x43, channel << 6 | 0x30 | mode << 1);
    out8(bus, 0x40 + channel, count & 0xff);
    out8(bus, 0x40 + channel, count >> 8);
}

static uint16_t counter(unsigned channel)
{
    uint8_t low;

    out8(bus, 0x43, channel << 6);
    low = in8(bus, 0x40 + channel);
    return low | in8(bus, 0x40 + channel) << 8;
}

static uint8_t status(unsigned channel)
{
    out8(bus, 0x43, 0xe0 | 2u << channel);
    return in8(bus, 0x40 + channel);
}

static void gate2(bool on)
{
    out8(bus, 0x61, on);
}

static bool out2(void)
{
    return in8(bus, 0x61) & 0x20;
}

static void test_mode0(void)
{
    gate2(true);
    out8(bus, 0x43, 0xb0);
    CHECK_EQ(out2(), 0);
    CHECK_EQ(status(2), 0x70); /* low, null count, both bytes, mode 0 */
    out8(bus, 0x42, 0x10);
    out8(bus, 0x42, 0x00);
    CHECK_EQ(status(2) & 0x40, 0x40); /* loaded by the next clock */
    ticks(1);
    CHECK_EQ(status(2), 0x30);
    CHECK_EQ(counter(2), 0x10);
    ticks(15);
    CHECK_EQ(out2(), 0);
    CHECK_EQ(counter(2), 1);
    ticks(1);
    CHECK_EQ(out2(), 1);
    CHECK_EQ(counter(2), 0);
    ticks(1);
    CHECK_EQ(counter(2), 0xffff); /* goes on */
    CHECK_EQ(out2(), 1);

    program(2, 0, 100);
    ticks(11);
    CHECK_EQ(counter(2), 90);
    gate2(false);
    ticks(1000);
    CHECK_EQ(counter(2), 90);
    gate2(true);
    ticks(10);
    CHECK_EQ(counter(2), 80);
    out8(bus, 0x42, 5); /* the first byte stops it */
    ticks(500);
    CHECK_EQ(out2(), 0);
    out8(bus, 0x42, 0);
    ticks(6);
    CHECK_EQ(out2(), 1);
}

static void test_mode1(void)
{
    gate2(false);
    program(2, 1, 20);
    ticks(50);
    CHECK_EQ(out2(), 1);
    gate2(true);
    ticks(1);
    CHECK_EQ(out2(), 0);
    ticks(19);
    CHECK_EQ(out2(), 0);
    gate2(false);
    gate2(true); /* retriggered */
    ticks(20);
    CHECK_EQ(out2(), 0);
    ticks(1);
    CHECK_EQ(out2(), 1);
}

static void test_mode2(void)
{
    gate2(true);
    program(2, 2, 10);
    ticks(1);
    CHECK_EQ(counter(2), 10);
    ticks(9);
    CHECK_EQ(counter(2), 1);
    CHECK_EQ(out2(), 0);
    ticks(1);
    CHECK_EQ(counter(2), 10);
    CHECK_EQ(out2(), 1);
    out8(bus, 0x42, 4); /* a new count waits for the end of the period */
    out8(bus, 0x42, 0);
    CHECK_EQ(status(2) & 0x40, 0x40);
    ticks(5);
    CHECK_EQ(counter(2), 5);
    ticks(5);
    CHECK_EQ(status(2) & 0x40, 0);
    CHECK_EQ(counter(2), 4);
    ticks(4);
    CHECK_EQ(counter(2), 4);
    ticks(3);
    CHECK_EQ(out2(), 0);
    gate2(false);
    CHECK_EQ(out2(), 1); /* at once */
    gate2(true);
    ticks(1);
    CHECK_EQ(counter(2), 4);
}

static void test_mode3(void)
{
    unsigned high = 0;

    program(2, 3, 10);
    ticks(1);
    CHECK_EQ(counter(2), 10);
    ticks(1);
    CHECK_EQ(counter(2), 8);
    ticks(3);
    CHECK_EQ(out2(), 1);
    ticks(1);
    CHECK_EQ(out2(), 0);
    CHECK_EQ(counter(2), 10);
    ticks(5);
    CHECK_EQ(out2(), 1);
    program(2, 3, 7); /* odd: high for one tick more */
    ticks(1);
    for (unsigned i = 0; i < 70; i++) {
        high += out2();
        ticks(1);
    }
    CHECK_EQ(high, 40);
    program(2, 3, 1); /* not allowed; must not hurt */
    ticks(3);
    counter(2);
    program(2, 2, 1);
    ticks(3);
    CHECK_EQ(counter(2), 1);
}

static void test_modes_4_and_5(void)
{
    gate2(true);
    program(2, 4, 5);
    ticks(5);
    CHECK_EQ(out2(), 1);
    ticks(1);
    CHECK_EQ(out2(), 0); /* one strobe */
    ticks(1);
    CHECK_EQ(out2(), 1);
    ticks(65536 - 2);
    CHECK_EQ(out2(), 1); /* and no more */
    gate2(false);
    program(2, 5, 5);
    ticks(10);
    CHECK_EQ(out2(), 1);
    gate2(true);
    ticks(6);
    CHECK_EQ(out2(), 0);
    ticks(1);
    CHECK_EQ(out2(), 1);
}

static void test_access(void)
{
    gate2(true);
    out8(bus, 0x43, 0x91); /* channel 2, low byte only, mode 0, BCD */
    out8(bus, 0x42, 0x99);
    ticks(1);
    CHECK_EQ(in8(bus, 0x42), 0x99);
    ticks(90);
    CHECK_EQ(in8(bus, 0x42), 0x09);
    ticks(10);
    out8(bus, 0x43, 0xa1); /* high byte only */
    out8(bus, 0x42, 0x01);
    ticks(2);
    CHECK_EQ(in8(bus, 0x42), 0x00);
    ticks(100); /* 9999 */
    CHECK_EQ(in8(bus, 0x42), 0x99);
    out8(bus, 0x43, 0xb1);
    out8(bus, 0x42, 0xff); /* digits that are none */
    out8(bus, 0x42, 0xff);
    ticks(1);
    counter(2);

    program(2, 2, 0);
    ticks(1);
    out8(bus, 0x43, 0x80);
    ticks(100);
    out8(bus, 0x43, 0x80); /* the second latch is ignored */
    CHECK_EQ(in8(bus, 0x42), 0);
    CHECK_EQ(in8(bus, 0x42), 0);
    CHECK_EQ(counter(2), 65436);
    out8(bus, 0x43, 0xc8); /* status and count of channel 2 */
    ticks(36);
    CHECK_EQ(in8(bus, 0x42), 0xb4);
    CHECK_EQ(in8(bus, 0x42), 65436 & 0xff);
    CHECK_EQ(in8(bus, 0x42), 65436 >> 8);
    CHECK_EQ(in8(bus, 0x42), 65400 & 0xff); /* live, low first */
    CHECK_EQ(in8(bus, 0x42), 65400 >> 8);
    program(2, 6, 10); /* another name for mode 2 */
    CHECK_EQ(status(2) & 0x3f, 0x3c);
    CHECK_EQ(in8(bus, 0x43), 0xff);
}

/* Looks at OUT 2 so many times, ticks apart; nothing else. True: it was up each time. */
static bool looks(unsigned times, unsigned apart)
{
    bool up = true;

    for (unsigned i = 0; i < times; i++) {
        ticks(apart);
        up &= out2();
    }
    return up;
}

/* A stop of the host's in a poll of OUT 2: the look in which it came is of before it. */
static void test_poll(void)
{
    gate2(1);
    program(2, 0, 11932);
    CHECK_EQ(looks(300, 1), 0);
    ticks(12000);
    CHECK_EQ(out2(), 0);
    CHECK_EQ(out2(), 1);
    program(2, 0, 11932); /* looks that are no poll, too few, far apart, with something else */
    CHECK_EQ(looks(200, 1), 0);
    ticks(12000);
    CHECK_EQ(out2(), 1);
    program(2, 0, 11932);
    CHECK_EQ(looks(300, 30), 0);
    ticks(12000);
    CHECK_EQ(out2(), 1);
    program(2, 0, 11932);
    CHECK_EQ(looks(300, 1), 0);
    CHECK_EQ(counter(2), 11932 - 299);
    ticks(12000);
    CHECK_EQ(out2(), 1);
    program(2, 0, 1000); /* no stop */
    CHECK_EQ(looks(1000, 1), 0);
    CHECK_EQ(looks(300, 1), 1);
    ticks(12000); /* it was up before */
    CHECK_EQ(out2(), 1);
    program(2, 0, 65535); /* not up behind it either */
    CHECK_EQ(looks(300, 1), 0);
    ticks(12000);
    CHECK_EQ(looks(2, 1), 0);
    program(2, 3, 11932);
    ticks(1); /* another mode: always as it is */
    CHECK_EQ(looks(300, 1), 1);
    ticks(11932 / 2);
    CHECK_EQ(out2(), 0);
    gate2(0);
}

static void test_port_b(void)
{
    unsigned toggles = 0, last = in8(bus, 0x61) & 0x10;

    for (unsigned i = 0; i < 1800; i++) {
        unsigned now;

        ticks(1);
        now = in8(bus, 0x61) & 0x10;
        toggles += now != last;
        last = now;
    }
    CHECK_EQ(toggles, 100);
    out8(bus, 0x61, 0xff);
    CHECK_EQ(in8(bus, 0x61) & 0xcf, 0x0f);
    out8(bus, 0x61, 0);
}

static void test_interrupts(void)
{
    unsigned before;

    attentive = true;
    program(0, 2, 11932); /* 100 Hz */
    before = irq0.edges;
    clock_advance(&host, 10 * NS_PER_SEC);
    CHECK_EQ(irq0.edges - before, 999); /* 1193182 / 11932 is a little under 100 */
    program(0, 3, 1193);
    before = irq0.edges;
    clock_advance(&host, NS_PER_SEC);
    CHECK_EQ(irq0.edges - before, 1000);
    program(0, 4, 1000);
    CHECK_EQ(irq0.level, 1);
    before = irq0.edges;
    ticks(1001);
    CHECK_EQ(irq0.edges - before, 0);
    ticks(1);
    CHECK_EQ(irq0.edges - before, 1);
    clock_advance(&host, NS_PER_SEC);
    CHECK_EQ(irq0.edges - before, 1);
    out8(bus, 0x40, 50); /* Linux's one-shot: only a new count */
    out8(bus, 0x40, 0);
    clock_advance(&host, NS_PER_SEC);
    CHECK_EQ(irq0.edges - before, 2);
    program(0, 0, 100);
    CHECK_EQ(irq0.level, 0);
    before = irq0.edges;
    ticks(100);
    CHECK_EQ(irq0.level, 0);
    ticks(1);
    CHECK_EQ(irq0.level, 1);
    clock_advance(&host, NS_PER_SEC);
    CHECK_EQ(irq0.edges - before, 1);
    out8(bus, 0x43, 0x30);
    CHECK_EQ(irq0.level, 0);
    program(0, 2, 1); /* far too fast: the host's timers stay few, nothing hangs */
    before = irq0.edges;
    clock_advance(&host, NS_PER_SEC / 100);
    CHECK_EQ(irq0.edges - before <= 200, 1);
}

/* A guest that is now and then kept from taking its ticks, 60 s long: in the end it has counted
 * them all, and it never gets them in a storm. */
static void test_missed_ticks(void)
{
    uint64_t start = host.now_ns, busy_until = 0;
    unsigned counted = 0, in_10ms = 0, most = 0, most_at_once = 0;

    attentive = false;
    program(0, 2, 1193); /* 1000.15 Hz */
    take();
    srand(1);
    for (unsigned step = 0; step < 3000000; step++) {
        unsigned ticks_now;

        clock_advance(&host, 20000);
        if (step % 500 == 0)
            in_10ms = 0;
        if (host.now_ns < busy_until)
            continue;
        ticks_now = take();
        counted += ticks_now;
        in_10ms += ticks_now;
        most = in_10ms > most ? in_10ms : most;
        most_at_once = ticks_now > most_at_once ? ticks_now : most_at_once;
        if (ticks_now && rand() % 200 == 0 && step < 2900000)
            busy_until = host.now_ns + rand() % 100 * 1000000ull; /* up to 0.1 s */
    }
    CHECK_EQ(counted, crystal_pit_ticks(host.now_ns - start) / 1193);
    CHECK_EQ(most_at_once, 1);
    CHECK_EQ(most > 50 && most <= 201, 1); /* the gap is 50 us or more */
}

/* Stopped for an hour: ten seconds are caught up, the rest is forgiven. */
static void test_bounded(void)
{
    unsigned counted = 0;

    program(0, 2, 11932);
    take();
    clock_advance(&host, 3600 * NS_PER_SEC);
    for (unsigned i = 0; i < 6000; i++) {
        counted += take();
        clock_advance(&host, 1000000);
    }
    CHECK_EQ(counted >= 1590 && counted <= 1610, 1); /* 1000 owed and 600 of these 6 s */
    clock_advance(&host, NS_PER_SEC);
    program(0, 2, 11932); /* programming forgets what is owed */
    take();
    clock_advance(&host, NS_PER_SEC / 200);
    CHECK_EQ(take(), 0);
}

static uint64_t late_ns;

static uint64_t read_late(void *arg)
{
    (void)arg;
    return late_ns;
}

/* With live time, one late timer call tells of every edge since. */
static void test_late_host(void)
{
    unsigned counted = 0;

    program(0, 2, 11932);
    take();
    late_ns = host.now_ns;
    host.read_ns = read_late;
    late_ns += 505000000; /* 50 ticks and a half */
    clock_run_due(&host);
    for (unsigned i = 0; i < 1000; i++) {
        counted += take();
        late_ns += 1000000;
        clock_run_due(&host);
    }
    host.read_ns = NULL;
    CHECK_EQ(counted, 150);
}

static void test_snapshot(void)
{
    uint8_t image[512];
    unsigned before;

    attentive = true;
    gate2(true);
    program(0, 2, 11932);
    program(2, 3, 1000);
    ticks(101);
    i8254_snapshot(pit, &(struct snap){ .at = image });
    program(0, 0, 5);
    program(2, 2, 7);
    i8254_snapshot(pit, &(struct snap){ .loading = true, .at = image });
    CHECK_EQ(counter(2), 800);
    take();
    before = irq0.edges;
    ticks(11832);
    CHECK_EQ(irq0.edges - before, 1);
}

int main(void)
{
    struct i8254_config config;

    bus = bus_create();
    config = (struct i8254_config){ bus, 0x40, 0x61, pin_irq(&irq0), &host, waiting, NULL };
    pit = i8254_create(&config);
    attentive = true;
    clock_advance(&host, NS_PER_SEC);
    CHECK_EQ(irq0.edges, 19); /* 18.2 Hz, and power-on's */
    test_mode0();
    test_mode1();
    test_mode2();
    test_mode3();
    test_modes_4_and_5();
    test_access();
    test_port_b();
    test_poll();
    test_interrupts();
    test_missed_ticks();
    test_bounded();
    test_late_host();
    test_snapshot();
    CHECK_EQ(i8254_create(&config) == NULL && errno == EEXIST, 1);
    i8254_destroy(pit);
    CHECK_EQ(host.pending == NULL, 1);
    bus_destroy(bus);
    return CHECK_DONE();
}
