/* The interrupt controllers: priorities, cascade, edges and levels, rotation, special modes. */
#include "devices/i8259.h"

#include <errno.h>

#include "base/snap.h"
#include "tests/unit/chip.h"

static struct bus *bus;
static struct i8259 *pic;
static struct pin intr;
static unsigned taken_count, taken_last;

static void taken(void *arg, unsigned irq)
{
    (void)arg;
    taken_count++;
    taken_last = irq;
}

static void init_with(uint8_t icw1, uint8_t icw4)
{
    i8259_reset(pic);
    out8(bus, 0x20, icw1);
    out8(bus, 0x21, 0x20);
    out8(bus, 0x21, 0x04);
    out8(bus, 0x21, icw4);
    out8(bus, 0xa0, icw1);
    out8(bus, 0xa1, 0x28);
    out8(bus, 0xa1, 0x02);
    out8(bus, 0xa1, icw4 & ~0x10);
    out8(bus, 0x21, 0);
    out8(bus, 0xa1, 0);
}

static void init(void)
{
    init_with(0x11, 0x01);
}

static void line(unsigned irq, bool level)
{
    struct irq wire = i8259_irq(pic, irq);

    irq_set(&wire, level);
}

static void edge(unsigned irq)
{
    line(irq, false);
    line(irq, true);
}

static uint8_t isr(uint16_t port)
{
    out8(bus, port, 0x0b);
    return in8(bus, port);
}

static uint8_t irr(uint16_t port)
{
    out8(bus, port, 0x0a);
    return in8(bus, port);
}

static void all_low(void)
{
    for (unsigned i = 0; i < 16; i++)
        if (i != 2)
            line(i, false);
}

static void test_priorities(void)
{
    init();
    edge(4);
    CHECK_EQ(intr.level, 1);
    edge(1);
    CHECK_EQ(i8259_ack(pic), 0x21);
    CHECK_EQ(intr.level, 0); /* 4 waits for the end of 1 */
    CHECK_EQ(isr(0x20), 0x02);
    CHECK_EQ(irr(0x20), 0x10);
    edge(0);
    CHECK_EQ(intr.level, 1); /* nested */
    CHECK_EQ(i8259_ack(pic), 0x20);
    out8(bus, 0x20, 0x20);
    CHECK_EQ(isr(0x20), 0x02);
    CHECK_EQ(intr.level, 0);
    out8(bus, 0x20, 0x61); /* specific */
    CHECK_EQ(intr.level, 1);
    CHECK_EQ(i8259_ack(pic), 0x24);
    out8(bus, 0x20, 0x20);
    CHECK_EQ(isr(0x20), 0);
    CHECK_EQ(intr.level, 0);
    CHECK_EQ(i8259_ack(pic), 0x27); /* nothing there: spurious, and not in service */
    CHECK_EQ(isr(0x20), 0);
    all_low();
}

static void test_mask_and_edge(void)
{
    init();
    out8(bus, 0x21, 0x10);
    CHECK_EQ(in8(bus, 0x21), 0x10);
    edge(4);
    CHECK_EQ(intr.level, 0);
    CHECK_EQ(irr(0x20), 0x10); /* latched behind the mask */
    CHECK_EQ(i8259_waiting(pic, 4), 0);
    out8(bus, 0x21, 0);
    CHECK_EQ(i8259_waiting(pic, 4), 1);
    CHECK_EQ(intr.level, 1);
    line(4, false); /* the line must stay up until INTA */
    CHECK_EQ(intr.level, 0);
    CHECK_EQ(i8259_ack(pic), 0x27);
    edge(4);
    i8259_ack(pic);
    out8(bus, 0x20, 0x20);
    CHECK_EQ(intr.level, 0); /* still up, but no new edge */
    edge(4);
    edge(4);
    i8259_ack(pic);
    edge(4); /* latched while in service */
    CHECK_EQ(intr.level, 0);
    out8(bus, 0x20, 0x20);
    CHECK_EQ(intr.level, 1);
    all_low();
}

static void test_cascade(void)
{
    init();
    edge(12);
    CHECK_EQ(irr(0x20), 0x04);
    CHECK_EQ(i8259_ack(pic), 0x2c);
    CHECK_EQ(taken_last, 12);
    CHECK_EQ(isr(0x20), 0x04);
    CHECK_EQ(isr(0xa0), 0x10);
    edge(8); /* above 12 on the slave, but the master still serves the cascade */
    CHECK_EQ(intr.level, 0);
    out8(bus, 0x20, 0x20);
    CHECK_EQ(intr.level, 1);
    CHECK_EQ(i8259_ack(pic), 0x28);
    out8(bus, 0xa0, 0x20);
    out8(bus, 0x20, 0x20);
    CHECK_EQ(isr(0xa0), 0x10);
    out8(bus, 0xa0, 0x20);
    CHECK_EQ(intr.level, 0);
    all_low();

    /* a slave's request that goes away in time takes its cascade request with it */
    init();
    edge(9);
    edge(3);
    line(9, false);
    CHECK_EQ(i8259_ack(pic), 0x23);
    out8(bus, 0x20, 0x20);
    all_low();

    /* two at once on the slave: the second is a new edge on the cascade */
    init();
    edge(9);
    edge(11);
    CHECK_EQ(i8259_ack(pic), 0x29);
    out8(bus, 0xa0, 0x20);
    out8(bus, 0x20, 0x20);
    CHECK_EQ(i8259_ack(pic), 0x2b);
    out8(bus, 0xa0, 0x20);
    out8(bus, 0x20, 0x20);
    CHECK_EQ(intr.level, 0);
    all_low();
}

static void test_spurious_slave(void)
{
    init();
    edge(9);
    out8(bus, 0x20, 0x0c); /* poll the master: its IR 2 is in service and its edge is used up */
    CHECK_EQ(in8(bus, 0x20), 0x82);
    out8(bus, 0x20, 0x20);
    out8(bus, 0xa0, 0x0c);
    CHECK_EQ(in8(bus, 0xa0), 0x81);
    CHECK_EQ(taken_last, 9);
    CHECK_EQ(intr.level, 0);
    out8(bus, 0xa0, 0x0c);
    CHECK_EQ(in8(bus, 0xa0), 0x00); /* nothing more */
    out8(bus, 0xa0, 0x20);
    all_low();

    /* level-triggered master: the cascade stays requested while the slave has nothing */
    init_with(0x19, 0x01);
    line(9, true);
    CHECK_EQ(i8259_ack(pic), 0x29);
    out8(bus, 0xa0, 0x20);
    out8(bus, 0x20, 0x20);
    CHECK_EQ(intr.level, 1); /* the line is still up */
    line(9, false);
    CHECK_EQ(intr.level, 0);
    all_low();
}

static void test_level(void)
{
    init();
    out8(bus, 0x4d1, 0xff);
    CHECK_EQ(in8(bus, 0x4d1), 0xde);
    out8(bus, 0x4d0, 0xff);
    CHECK_EQ(in8(bus, 0x4d0), 0xf8); /* timer, keyboard, cascade stay edge triggered */
    out8(bus, 0x4d0, 0x20);
    out8(bus, 0x4d1, 0x02);
    line(5, true);
    CHECK_EQ(i8259_ack(pic), 0x25);
    out8(bus, 0x20, 0x20);
    CHECK_EQ(intr.level, 1); /* again, until the chip lets go */
    CHECK_EQ(i8259_ack(pic), 0x25);
    line(5, false);
    out8(bus, 0x20, 0x20);
    CHECK_EQ(intr.level, 0);
    line(9, true);
    CHECK_EQ(i8259_ack(pic), 0x29);
    out8(bus, 0xa0, 0x20);
    CHECK_EQ(intr.level, 0);
    out8(bus, 0x20, 0x20);
    CHECK_EQ(intr.level, 1);
    all_low();
}

static void test_rotation(void)
{
    init();
    edge(3);
    edge(5);
    CHECK_EQ(i8259_ack(pic), 0x23);
    out8(bus, 0x20, 0xa0); /* end, and 3 becomes the lowest */
    edge(2 + 1);
    CHECK_EQ(i8259_ack(pic), 0x25);
    out8(bus, 0x20, 0x20);
    CHECK_EQ(i8259_ack(pic), 0x23);
    out8(bus, 0x20, 0x20);
    out8(bus, 0x20, 0xc5); /* set priority: 6 is the highest */
    edge(0);
    edge(6);
    CHECK_EQ(i8259_ack(pic), 0x26);
    out8(bus, 0x20, 0xe6); /* rotate on specific EOI: 7 is the highest */
    edge(6);
    edge(7);
    CHECK_EQ(i8259_ack(pic), 0x27);
    out8(bus, 0x20, 0x20);
    CHECK_EQ(i8259_ack(pic), 0x20);
    out8(bus, 0x20, 0x20);
    CHECK_EQ(i8259_ack(pic), 0x26);
    all_low();
}

static void test_auto_eoi(void)
{
    init_with(0x11, 0x03);
    edge(1);
    edge(4);
    CHECK_EQ(i8259_ack(pic), 0x21);
    CHECK_EQ(isr(0x20), 0);
    CHECK_EQ(intr.level, 1);
    CHECK_EQ(i8259_ack(pic), 0x24);
    out8(bus, 0x20, 0x80); /* rotate in automatic EOI mode */
    edge(1);
    CHECK_EQ(i8259_ack(pic), 0x21);
    edge(1);
    edge(4);
    CHECK_EQ(i8259_ack(pic), 0x24); /* 1 went to the end */
    all_low();
}

static void test_special_modes(void)
{
    init();
    edge(1);
    i8259_ack(pic);
    out8(bus, 0x21, 0x02);
    edge(6);
    CHECK_EQ(intr.level, 0);
    out8(bus, 0x20, 0x68); /* special mask: masked service holds nothing back */
    CHECK_EQ(intr.level, 1);
    CHECK_EQ(i8259_ack(pic), 0x26);
    edge(7);
    CHECK_EQ(intr.level, 0); /* 6 is in service and not masked */
    out8(bus, 0x20, 0x20);   /* ends 6, not the masked 1 */
    CHECK_EQ(isr(0x20), 0x02);
    CHECK_EQ(intr.level, 1);
    out8(bus, 0x20, 0x48);
    CHECK_EQ(intr.level, 0);
    all_low();

    init_with(0x11, 0x11); /* special fully nested: the slave interrupts itself */
    edge(12);
    CHECK_EQ(i8259_ack(pic), 0x2c);
    edge(14);
    CHECK_EQ(intr.level, 0);
    edge(8);
    CHECK_EQ(intr.level, 1);
    CHECK_EQ(i8259_ack(pic), 0x28);
    all_low();
}

static void test_init_and_snapshot(void)
{
    uint8_t image[256];

    init();
    edge(4);
    out8(bus, 0x20, 0x11);
    CHECK_EQ(intr.level, 0); /* not while it is being initialised */
    out8(bus, 0x21, 0x43);   /* low bits are not the chip's to choose */
    out8(bus, 0x21, 0x04);
    out8(bus, 0x21, 0x01);
    CHECK_EQ(irr(0x20), 0);  /* the edge is forgotten */
    edge(4);
    CHECK_EQ(i8259_ack(pic), 0x44);

    out8(bus, 0x20, 0x12); /* single, no ICW4 */
    out8(bus, 0x21, 0x08);
    out8(bus, 0x21, 0x5a); /* already the mask */
    CHECK_EQ(in8(bus, 0x21), 0x5a);

    init();
    edge(0);
    i8259_ack(pic);
    edge(10);
    i8259_snapshot(pic, &(struct snap){ .at = image });
    init();
    all_low();
    i8259_snapshot(pic, &(struct snap){ .loading = true, .at = image });
    CHECK_EQ(isr(0x20), 0x01);
    CHECK_EQ(intr.level, 0);
    out8(bus, 0x20, 0x20);
    CHECK_EQ(intr.level, 1);
    CHECK_EQ(i8259_ack(pic), 0x2a);
}

int main(void)
{
    struct i8259_config config;

    bus = bus_create();
    config = (struct i8259_config){ bus, 0x20, 0xa0, 0x4d0, pin_irq(&intr), taken, NULL };
    pic = i8259_create(&config);
    test_priorities();
    CHECK_EQ(taken_count, 3);
    test_mask_and_edge();
    test_cascade();
    test_spurious_slave();
    test_level();
    test_rotation();
    test_auto_eoi();
    test_special_modes();
    test_init_and_snapshot();
    CHECK_EQ(i8259_create(&config) == NULL && errno == EEXIST, 1);
    i8259_destroy(pic);
    bus_destroy(bus);
    return CHECK_DONE();
}
