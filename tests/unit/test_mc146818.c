/* The real-time clock: reading, setting, its three interrupts, garbage. */
#include "devices/mc146818.h"

#include <errno.h>

#include "base/clock.h"
#include "base/snap.h"
#include "tests/unit/chip.h"

static struct clock host = { .boot_epoch_s = 951782399 }; /* 28 Feb 2000 23:59:59 */
static struct bus *bus;
static struct mc146818 *rtc;
static struct pin irq8;

static uint8_t get(uint8_t index)
{
    out8(bus, 0x70, index);
    return in8(bus, 0x71);
}

static void set(uint8_t index, uint8_t value)
{
    bus_write(bus, 0x70, 2, index | value << 8); /* one OUT 16, two ports */
}

static void test_reading(void)
{
    CHECK_EQ(get(0x0d), 0x80);
    CHECK_EQ(get(0x8d), 0x80); /* bit 7 is not part of the index */
    CHECK_EQ(get(0x00), 0x59);
    CHECK_EQ(get(0x07), 0x28);
    clock_advance(&host, NS_PER_SEC);
    CHECK_EQ(get(0x00), 0x00);
    CHECK_EQ(get(0x04), 0x00);
    CHECK_EQ(get(0x06), 0x03); /* a Tuesday */
    CHECK_EQ(get(0x07), 0x29); /* leap day */
    CHECK_EQ(get(0x08), 0x02);
    CHECK_EQ(get(0x09), 0x00);
    CHECK_EQ(get(0x32), 0x20);
    set(0x0b, 0x00); /* 12 hours, BCD */
    CHECK_EQ(get(0x04), 0x12); /* midnight */
    clock_advance(&host, 13 * 3600 * NS_PER_SEC);
    CHECK_EQ(get(0x04), 0x81); /* 1 pm */
    clock_advance(&host, 10 * 3600 * NS_PER_SEC);
    CHECK_EQ(get(0x04), 0x91);
    set(0x0b, 0x06); /* 24 hours, binary */
    CHECK_EQ(get(0x04), 23);
    CHECK_EQ(get(0x07), 29);
    CHECK_EQ(get(0x32), 20);
    set(0x0b, 0x02);
}

static void test_setting(void)
{
    set(0x0b, 0x82); /* SET */
    set(0x09, 0x26);
    set(0x08, 0x12);
    set(0x07, 0x31);
    set(0x04, 0x23);
    set(0x02, 0x59);
    set(0x00, 0x58);
    set(0x06, 0x05);
    clock_advance(&host, 100 * NS_PER_SEC);
    CHECK_EQ(get(0x00), 0x58); /* it stands */
    CHECK_EQ(get(0x0a) & 0x80, 0);
    set(0x0b, 0x02);
    CHECK_EQ(get(0x00), 0x58);
    clock_advance(&host, 2 * NS_PER_SEC);
    CHECK_EQ(get(0x00), 0x00);
    CHECK_EQ(get(0x04), 0x00);
    CHECK_EQ(get(0x07), 0x01);
    CHECK_EQ(get(0x08), 0x01);
    CHECK_EQ(get(0x09), 0x27);
    CHECK_EQ(get(0x06), 0x06); /* the guest's weekday goes on */

    set(0x0b, 0x00); /* set 12:30 am and pm */
    set(0x04, 0x12);
    set(0x0b, 0x02);
    CHECK_EQ(get(0x04), 0x00);
    set(0x0b, 0x00);
    set(0x04, 0x92);
    set(0x0b, 0x02);
    CHECK_EQ(get(0x04), 0x12);

    set(0x0a, 0x66); /* hold the divider, set, let go: half a second to the next update */
    set(0x00, 0x30);
    clock_advance(&host, 7 * NS_PER_SEC);
    set(0x0a, 0x26);
    clock_advance(&host, NS_PER_SEC / 2 - 1000);
    CHECK_EQ(get(0x00), 0x30);
    clock_advance(&host, 1000);
    CHECK_EQ(get(0x00), 0x31);
}

static void test_update_in_progress(void)
{
    /* now on a second's start */
    CHECK_EQ(get(0x0a), 0x26);
    clock_advance(&host, NS_PER_SEC - 2228000 - 1000);
    CHECK_EQ(get(0x0a), 0x26);
    clock_advance(&host, 1000);
    CHECK_EQ(get(0x0a), 0xa6);
    clock_advance(&host, 2228000 - 1);
    CHECK_EQ(get(0x0a), 0xa6);
    CHECK_EQ(get(0x00), 0x31);
    clock_advance(&host, 1);
    CHECK_EQ(get(0x0a), 0x26);
    CHECK_EQ(get(0x00), 0x32);
    set(0x0a, 0xa6); /* UIP is read-only */
    CHECK_EQ(get(0x0a), 0x26);
}

static void test_periodic(void)
{
    unsigned before;

    get(0x0c);
    set(0x0b, 0x42); /* 1024 Hz */
    clock_advance(&host, NS_PER_SEC / 1024 + 1);
    CHECK_EQ(irq8.level, 1);
    before = irq8.edges;
    clock_advance(&host, NS_PER_SEC / 10);
    CHECK_EQ(irq8.edges, before); /* held until acknowledged */
    CHECK_EQ(get(0x0c), 0xc0);
    CHECK_EQ(irq8.level, 0);
    before = irq8.edges;
    for (unsigned i = 0; i < 20480; i++) { /* 2 s */
        clock_advance(&host, NS_PER_SEC / 10240);
        if (irq8.level)
            get(0x0c);
    }
    CHECK_EQ(irq8.edges - before >= 2046 && irq8.edges - before <= 2048, 1);

    set(0x0b, 0x02); /* the flag comes without the interrupt, too */
    get(0x0c);
    CHECK_EQ(get(0x0c), 0x00);
    clock_advance(&host, NS_PER_SEC / 1024);
    CHECK_EQ(get(0x0c) & 0xc0, 0x40);
    CHECK_EQ(irq8.level, 0);
    set(0x0a, 0x20); /* rate 0: off */
    clock_advance(&host, NS_PER_SEC / 2);
    CHECK_EQ(get(0x0c) & 0x40, 0);
    set(0x0a, 0x26);
}

/* The sheet's table of rates: how often PF comes in a second. */
static void test_rates(void)
{
    for (unsigned rate = 1; rate < 16; rate++) {
        unsigned hz = rate <= 2 ? 512 >> rate : 65536 >> rate, seen = 0;

        set(0x0a, 0x20 | rate);
        get(0x0c);
        for (unsigned i = 0; i < 40000; i++) {
            clock_advance(&host, 25000);
            seen += get(0x0c) >> 6 & 1;
        }
        CHECK_EQ(seen >= hz - 1 && seen <= hz + 1, 1);
    }
    set(0x0a, 0x26);
}

/* To the start of the next second. */
static void next_second(void)
{
    uint8_t now = get(0x00);

    while (get(0x00) == now)
        clock_advance(&host, 100000);
}

static void test_update_interrupt(void)
{
    unsigned before = irq8.edges;

    next_second();
    get(0x0c);
    set(0x0b, 0x12);
    clock_advance(&host, NS_PER_SEC - 200000);
    CHECK_EQ(irq8.level, 0);
    clock_advance(&host, 200000);
    CHECK_EQ(irq8.level, 1);
    CHECK_EQ(get(0x0c) & 0xb0, 0x90);
    clock_advance(&host, 3 * NS_PER_SEC);
    CHECK_EQ(irq8.edges - before, 2);
    set(0x0b, 0x92); /* SET clears UIE */
    CHECK_EQ(get(0x0b), 0x82);
    set(0x0b, 0x02);
    get(0x0c);
}

static void set_time(uint8_t hours, uint8_t minutes, uint8_t seconds)
{
    set(0x0b, 0x82);
    set(0x04, hours);
    set(0x02, minutes);
    set(0x00, seconds);
    set(0x0b, 0x02);
    get(0x0c);
}

static void test_alarm(void)
{
    set_time(0x11, 0x59, 0x50);
    set(0x01, 0x05);
    set(0x03, 0x00);
    set(0x05, 0x12);
    set(0x0b, 0x22);
    clock_advance(&host, 14 * NS_PER_SEC);
    CHECK_EQ(irq8.level, 0);
    clock_advance(&host, 1 * NS_PER_SEC);
    CHECK_EQ(irq8.level, 1);
    CHECK_EQ(get(0x0c) & 0xa0, 0xa0);
    clock_advance(&host, 86399 * NS_PER_SEC);
    CHECK_EQ(irq8.level, 0);
    clock_advance(&host, NS_PER_SEC);
    CHECK_EQ(irq8.level, 1); /* every day */
    get(0x0c);
    set(0x03, 0xff); /* every minute of every hour */
    set(0x05, 0xc0);
    clock_advance(&host, 59 * NS_PER_SEC);
    CHECK_EQ(irq8.level, 0);
    clock_advance(&host, NS_PER_SEC);
    CHECK_EQ(irq8.level, 1);
    get(0x0c);
    set(0x01, 0x75); /* never */
    clock_advance(&host, 200000 * NS_PER_SEC);
    CHECK_EQ(irq8.level, 0);
    set(0x0b, 0x02);
    CHECK_EQ(get(0x0c) & 0x20, 0);
    set(0x01, 0xff);
    clock_advance(&host, 2 * NS_PER_SEC);
    CHECK_EQ(get(0x0c) & 0xa0, 0x20); /* the flag without the interrupt */
}

/* Whatever a guest writes: no overflow (the sanitizer watches). */
static void test_garbage(void)
{
    for (unsigned mode = 0; mode < 8; mode++) {
        for (unsigned i = 0; i < 128; i++) {
            if (i == 0x0b)
                continue;
            set(0x0b, (mode & 3) << 1 | (mode & 4 ? 0x80 : 0) | 0x70);
            set(i, 0xff);
            get(i);
            clock_advance(&host, NS_PER_SEC);
            set(i, 0x00);
            get(i);
        }
        for (unsigned i = 0; i < 128; i++)
            get(i);
    }
    set(0x0b, 0x02);
    set(0x0a, 0x26);
}

static void test_life(void)
{
    uint8_t image[512];
    unsigned before;

    set(0x0e, 0x5a);
    get(0x0c);
    set(0x0b, 0x42);
    clock_advance(&host, NS_PER_SEC / 1024 + 1);
    CHECK_EQ(irq8.level, 1);
    mc146818_snapshot(rtc, &(struct snap){ .at = image });
    set(0x0b, 0x02);
    set(0x0e, 0);
    CHECK_EQ(irq8.level, 0);
    mc146818_snapshot(rtc, &(struct snap){ .loading = true, .at = image });
    CHECK_EQ(irq8.level, 1);
    CHECK_EQ(get(0x0e), 0x5a);

    mc146818_reset(rtc);
    CHECK_EQ(irq8.level, 0);
    before = irq8.edges;
    clock_advance(&host, NS_PER_SEC);
    CHECK_EQ(irq8.edges, before);
    CHECK_EQ(get(0x0b), 0x02);
    CHECK_EQ(get(0x0e), 0x5a); /* the battery */
    mc146818_set_ram(rtc, 0x14, 0x42);
    CHECK_EQ(get(0x14), 0x42);
    set(0x0d, 0x00); /* read-only */
    CHECK_EQ(get(0x0d), 0x80);
    CHECK_EQ(in8(bus, 0x70), 0xff);
}

int main(void)
{
    struct mc146818_config config;

    bus = bus_create();
    config = (struct mc146818_config){ bus, 0x70, pin_irq(&irq8), &host };
    rtc = mc146818_create(&config);
    test_reading();
    test_setting();
    test_update_in_progress();
    test_periodic();
    test_rates();
    test_update_interrupt();
    test_alarm();
    test_life();
    test_garbage();
    CHECK_EQ(mc146818_create(&config) == NULL && errno == EEXIST, 1);
    mc146818_destroy(rtc);
    CHECK_EQ(host.pending == NULL, 1);
    bus_destroy(bus);
    return CHECK_DONE();
}
