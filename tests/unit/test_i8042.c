/* The keyboard controller: its commands, both devices behind it, the output port. */
#include "devices/i8042.h"

#include <errno.h>

#include "base/snap.h"
#include "tests/unit/chip.h"

static struct bus *bus;
static struct i8042 *kbc;
static struct pin irq1, irq12, a20, reset;

static uint8_t data(void)
{
    return in8(bus, 0x60);
}

static uint8_t status(void)
{
    return in8(bus, 0x64);
}

static void command(uint8_t value)
{
    out8(bus, 0x64, value);
}

static void set_ctr(uint8_t value)
{
    command(0x60);
    out8(bus, 0x60, value);
}

static void mouse(uint8_t value)
{
    command(0xd4);
    out8(bus, 0x60, value);
}

/* Every byte that is there, at most 32; how many. */
static unsigned drain(uint8_t *to)
{
    unsigned n = 0;

    while (status() & 1 && n < 32)
        to[n++] = data();
    return n;
}

static void test_controller(void)
{
    CHECK_EQ(status(), 0x14);
    command(0xaa);
    CHECK_EQ(status() & 0x09, 0x09);
    CHECK_EQ(data(), 0x55);
    CHECK_EQ(status() & 0x01, 0);
    command(0x20);
    CHECK_EQ(data(), 0x74); /* both ports off after the test */
    command(0xab);
    CHECK_EQ(data(), 0x00);
    command(0xa9);
    CHECK_EQ(data(), 0x00);
    set_ctr(0x47);
    CHECK_EQ(status() & 0x08, 0); /* the last write was data */
    command(0x20);
    CHECK_EQ(data(), 0x47);
    command(0xa7);
    command(0xad);
    command(0x20);
    CHECK_EQ(data(), 0x77);
    command(0xa8);
    command(0xae);
    command(0x20);
    CHECK_EQ(data(), 0x47);
    command(0x7f); /* the last byte of RAM */
    out8(bus, 0x60, 0x99);
    command(0x3f);
    CHECK_EQ(data(), 0x99);
    command(0xa4);
    CHECK_EQ(data(), 0xf1);
    command(0xe0);
    CHECK_EQ(data(), 0x00);
    command(0xc0);
    CHECK_EQ(data(), 0xa0);
}

static void test_loops(void)
{
    set_ctr(0x03);
    command(0xd3); /* Linux looks for IRQ 12 so */
    out8(bus, 0x60, 0xa5);
    CHECK_EQ(status() & 0x21, 0x21);
    CHECK_EQ(irq12.level, 1);
    CHECK_EQ(irq1.level, 0);
    CHECK_EQ(data(), 0xa5);
    CHECK_EQ(irq12.level, 0);
    command(0xd2);
    out8(bus, 0x60, 0x5a);
    CHECK_EQ(status() & 0x21, 0x01);
    CHECK_EQ(irq1.level, 1);
    set_ctr(0x00); /* the interrupt follows its enable */
    CHECK_EQ(irq1.level, 0);
    CHECK_EQ(data(), 0x5a);
    set_ctr(0x47);
}

static void test_keyboard(void)
{
    uint8_t got[32];
    unsigned edges = irq1.edges;

    out8(bus, 0x60, 0xff);
    CHECK_EQ(data(), 0xfa);
    CHECK_EQ(data(), 0xaa);
    CHECK_EQ(irq1.edges - edges, 2); /* one for each byte */
    out8(bus, 0x60, 0xf2);
    CHECK_EQ(drain(got), 3);
    CHECK_EQ(got[1], 0xab);
    CHECK_EQ(got[2], 0x41); /* translated */
    set_ctr(0x07);
    out8(bus, 0x60, 0xf2);
    drain(got);
    CHECK_EQ(got[2], 0x83);
    out8(bus, 0x60, 0xed);
    CHECK_EQ(data(), 0xfa);
    out8(bus, 0x60, 0x07);
    CHECK_EQ(data(), 0xfa);
    out8(bus, 0x60, 0xf0);
    CHECK_EQ(data(), 0xfa);
    out8(bus, 0x60, 0x00);
    CHECK_EQ(drain(got), 2);
    CHECK_EQ(got[1], 2);
    out8(bus, 0x60, 0xee);
    CHECK_EQ(drain(got), 1);
    CHECK_EQ(got[0], 0xee);
    out8(bus, 0x60, 0x12);
    CHECK_EQ(data(), 0xfe);
    out8(bus, 0x60, 0xed); /* a command instead of the argument */
    out8(bus, 0x60, 0xf4);
    CHECK_EQ(drain(got), 2);
    out8(bus, 0x60, 0xfe);
    CHECK_EQ(data(), 0xfa); /* resent */
    command(0xad); /* off: answers wait */
    command(0xd2);
    out8(bus, 0x60, 0x01);
    out8(bus, 0x60, 0xee); /* writing to it switches it on again */
    CHECK_EQ(data(), 0x01);
    CHECK_EQ(data(), 0xee);
    for (unsigned i = 0; i < 100; i++)
        out8(bus, 0x60, 0xee); /* nobody reads */
    CHECK_EQ(drain(got) <= 32, 1);
    CHECK_EQ(got[0], 0xee);
    CHECK_EQ(status() & 1, 0);
}

static void test_mouse(void)
{
    uint8_t got[32];

    set_ctr(0x47);
    mouse(0xff);
    CHECK_EQ(status() & 0x20, 0x20);
    CHECK_EQ(irq12.level, 1);
    CHECK_EQ(drain(got), 3);
    CHECK_EQ(got[0] == 0xfa && got[1] == 0xaa && got[2] == 0, 1);
    mouse(0xf2);
    CHECK_EQ(drain(got), 2);
    CHECK_EQ(got[1], 0x00);
    mouse(0xf3);
    mouse(40);
    mouse(0xe8);
    mouse(3);
    mouse(0xe7);
    mouse(0xf4);
    CHECK_EQ(drain(got), 6);
    mouse(0xe9);
    CHECK_EQ(drain(got), 4);
    CHECK_EQ(got[1], 0x30);
    CHECK_EQ(got[2], 3);
    CHECK_EQ(got[3], 40);
    mouse(0xeb);
    CHECK_EQ(drain(got), 4);
    mouse(0xe1); /* what only a TrackPoint knows */
    CHECK_EQ(data(), 0xfe);
    command(0xa7);
    mouse(0xf5); /* a write opens the port */
    CHECK_EQ(data(), 0xfa);
}

static void test_output_port(void)
{
    command(0xd0);
    CHECK_EQ(data() & 0x03, 0x03);
    command(0xd1);
    out8(bus, 0x60, 0xdd);
    CHECK_EQ(a20.level, 0);
    command(0xd1);
    out8(bus, 0x60, 0xdf);
    CHECK_EQ(a20.level, 1);
    command(0xdd);
    CHECK_EQ(a20.level, 0);
    command(0xd0);
    CHECK_EQ(data() & 0x03, 0x01);
    command(0xdf);
    CHECK_EQ(a20.level, 1);
    command(0xff); /* pulses nothing */
    command(0xfd);
    CHECK_EQ(reset.edges, 0);
    command(0xfe);
    CHECK_EQ(reset.edges, 1);
    CHECK_EQ(reset.level, 0);
    command(0xd1);
    out8(bus, 0x60, 0x00);
    CHECK_EQ(reset.edges, 2);
}

static void test_garbage_and_snapshot(void)
{
    uint8_t image[1024], got[32];

    for (unsigned c = 0; c < 256; c++)
        for (unsigned d = 0; d < 256; d += 5) {
            command(c);
            out8(bus, 0x60, d);
            data();
            status();
        }
    i8042_reset(kbc);
    CHECK_EQ(status(), 0x14);
    out8(bus, 0x60, 0xf2);
    i8042_snapshot(kbc, &(struct snap){ .at = image });
    i8042_reset(kbc);
    CHECK_EQ(irq1.level, 0);
    i8042_snapshot(kbc, &(struct snap){ .loading = true, .at = image });
    CHECK_EQ(irq1.level, 1);
    CHECK_EQ(drain(got), 3);
    CHECK_EQ(got[1], 0xab);
}

int main(void)
{
    struct i8042_config config;

    bus = bus_create();
    config = (struct i8042_config){ bus, 0x60, 0x64, pin_irq(&irq1), pin_irq(&irq12),
                                    pin_irq(&a20), pin_irq(&reset) };
    kbc = i8042_create(&config);
    test_controller();
    test_loops();
    test_keyboard();
    test_mouse();
    test_output_port();
    test_garbage_and_snapshot();
    CHECK_EQ(i8042_create(&config) == NULL && errno == EEXIST, 1);
    i8042_destroy(kbc);
    bus_destroy(bus);
    return CHECK_DONE();
}
