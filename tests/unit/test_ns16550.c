/* The serial port: FIFOs, interrupts, its pace, and a host that is slow or not there. */
#include "devices/ns16550.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/snap.h"
#include "devices/chardev.h"
#include "devices/outbuf.h"
#include "tests/unit/chip.h"

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static struct clock host;
static struct bus *bus;
static struct ns16550 *uart;
static struct pin irq;
static struct chardev_memory memory;

static uint8_t get(unsigned reg)
{
    return in8(bus, 0x3f8 + reg);
}

static void set(unsigned reg, uint8_t value)
{
    out8(bus, 0x3f8 + reg, value);
}

/* As Linux opens it: FIFOs with trigger level 8, 8N1, DTR, RTS, OUT2. */
static void open_port(void)
{
    ns16550_reset(uart);
    set(LCR, 0x83);
    set(RBR, 1);
    set(IER, 0);
    set(LCR, 0x03);
    set(IIR, 0x87);
    set(MCR, 0x0b);
    get(MSR);
    clock_advance(&host, NS_PER_SEC);
}

static void test_registers(void)
{
    ns16550_reset(uart);
    CHECK_EQ(get(IER), 0);
    CHECK_EQ(get(IIR), 0x01);
    CHECK_EQ(get(LCR), 0);
    CHECK_EQ(get(LSR), 0x60);
    CHECK_EQ(get(MSR), 0xb0);
    set(IER, 0xff);
    CHECK_EQ(get(IER), 0x0f);
    set(MCR, 0xff);
    CHECK_EQ(get(MCR), 0x1f);
    set(MCR, 0);
    set(SCR, 0xa5);
    CHECK_EQ(get(SCR), 0xa5);
    set(LCR, 0x83);
    set(RBR, 0x34);
    set(IER, 0x12);
    CHECK_EQ(get(RBR), 0x34);
    CHECK_EQ(get(IER), 0x12);
    set(LCR, 0x03);
    CHECK_EQ(get(IER), 0x0f);
    set(LSR, 0xff);
    CHECK_EQ(get(LSR), 0x60);
    set(IIR, 0x01);
    CHECK_EQ(get(IIR) & 0xc0, 0xc0);
    set(IIR, 0x00);
    CHECK_EQ(get(IIR) & 0xc0, 0x00);
    set(IIR, 0xc0); /* other bits count only with the enable bit */
    CHECK_EQ(get(IIR) & 0xc0, 0x00);
}

static void test_thre(void)
{
    unsigned before;

    open_port();
    set(IER, 0x02); /* enabling it with an empty THR interrupts */
    CHECK_EQ(irq.level, 1);
    CHECK_EQ(get(IIR), 0xc2);
    CHECK_EQ(irq.level, 0); /* reading IIR acknowledges */
    CHECK_EQ(get(IIR), 0xc1);
    set(IER, 0x00);
    set(IER, 0x02); /* and so it does each time: a driver's test for a bug relies on it */
    CHECK_EQ(get(IIR), 0xc2);
    before = irq.edges;
    set(RBR, 'a');
    CHECK_EQ(irq.edges - before, 1);
    set(RBR, 'b');
    CHECK_EQ(irq.edges - before, 2); /* the line drops in between */
    CHECK_EQ(get(LSR), 0x60);
    set(IER, 0x00);
    CHECK_EQ(irq.level, 0);
    set(IER, 0x0f);
    CHECK_EQ(get(IIR), 0xc2);
    get(LSR);
    CHECK_EQ(get(IIR), 0xc1);
}

static void test_batches(void)
{
    unsigned writes;

    open_port();
    ns16550_flush(uart);
    memory.size = 0;
    writes = memory.writes;
    for (unsigned i = 0; i < 1000; i++)
        set(RBR, i);
    CHECK_EQ(memory.writes, writes);
    clock_advance(&host, OUTBUF_DELAY_NS);
    CHECK_EQ(memory.writes, writes + 1);
    CHECK_EQ(memory.size, 1000);
    CHECK_EQ(memory.text[999], 999 & 0xff);
    set(RBR, 'x');
    ns16550_flush(uart); /* the guest idles */
    CHECK_EQ(memory.size, 1001);
    CHECK_EQ(memory.writes, writes + 2);
    ns16550_flush(uart);
    CHECK_EQ(memory.writes, writes + 2);
    for (unsigned i = 0; i < 10000; i++)
        set(RBR, 'y');
    CHECK_EQ(memory.writes - writes <= 2 + 10000 / OUTBUF_WRITE, 1);
    ns16550_flush(uart);
    CHECK_EQ(memory.size, 11001);
}

static void test_stalled_host(void)
{
    unsigned sent = 0, rude = 0;

    open_port();
    ns16550_flush(uart);
    memory.size = 0;
    memory.room = 100;
    while (get(LSR) & 0x20 && sent < 100000)
        set(RBR, sent++);
    CHECK_EQ(sent >= OUTBUF_FULL && sent < 10000, 1);
    CHECK_EQ(get(LSR) & 0x60, 0);
    CHECK_EQ(memory.size, 100);
    set(IER, 0x02);
    CHECK_EQ(irq.level, 0);
    for (; rude < 9000; rude++) /* a guest that does not look loses nothing either */
        set(RBR, sent + rude);
    clock_advance(&host, NS_PER_SEC);
    CHECK_EQ(memory.size, 100);
    memory.room = 50;
    chardev_writable(&memory.line);
    CHECK_EQ(memory.size, 150);
    CHECK_EQ(irq.level, 0);
    memory.room = sizeof(memory.text);
    chardev_writable(&memory.line);
    CHECK_EQ(memory.size, sent + rude);
    CHECK_EQ(get(LSR) & 0x60, 0x60);
    CHECK_EQ(irq.level, 1);
    CHECK_EQ(get(IIR), 0xc2);
    for (unsigned i = 0; i < memory.size; i++)
        if (memory.text[i] != (i & 0xff)) {
            CHECK_EQ(memory.text[i], i & 0xff);
            break;
        }
}

static void receive(const char *text)
{
    size_t left = strlen(text);

    while (left) {
        size_t window = chardev_window(&memory.line), n = window < left ? window : left;

        if (!n)
            break;
        chardev_receive(&memory.line, (const uint8_t *)text, n);
        text += n;
        left -= n;
    }
    CHECK_EQ(left, 0);
}

static void test_receive(void)
{
    open_port();
    set(IER, 0x01);
    CHECK_EQ(chardev_window(&memory.line), 16);
    receive("hi");
    CHECK_EQ(get(LSR), 0x61);
    CHECK_EQ(irq.level, 0); /* below the trigger level of 8 */
    clock_advance(&host, 300000);
    CHECK_EQ(irq.level, 0);
    clock_advance(&host, 100000); /* four characters' time is 347 us */
    CHECK_EQ(get(IIR), 0xcc);
    CHECK_EQ(get(RBR), 'h');
    CHECK_EQ(get(IIR), 0xc1); /* reading resets the time-out */
    clock_advance(&host, 400000);
    CHECK_EQ(get(IIR), 0xcc);
    CHECK_EQ(get(RBR), 'i');
    CHECK_EQ(get(LSR), 0x60);
    CHECK_EQ(irq.level, 0);
    clock_advance(&host, NS_PER_SEC);
    CHECK_EQ(irq.level, 0);
    receive("12345678");
    CHECK_EQ(get(IIR), 0xc4);
    CHECK_EQ(get(RBR), '1');
    CHECK_EQ(get(IIR), 0xc1);
    for (unsigned i = 2; i <= 8; i++)
        CHECK_EQ(get(RBR), '0' + i);
    get(RBR); /* an empty FIFO: anything, but no fault */
    CHECK_EQ(get(LSR), 0x60);
    set(IIR, 0x00); /* without FIFO */
    clock_advance(&host, NS_PER_SEC);
    CHECK_EQ(chardev_window(&memory.line), 1);
    receive("x");
    CHECK_EQ(get(IIR), 0x04);
    CHECK_EQ(chardev_window(&memory.line), 0);
    CHECK_EQ(get(RBR), 'x');
}

/* Bytes take their time on the line, and nothing is asked for that has no place. */
static void test_pace(void)
{
    unsigned accepts;

    open_port();
    receive("0123456789abcdef");
    CHECK_EQ(chardev_window(&memory.line), 0);
    for (unsigned i = 0; i < 16; i++)
        get(RBR);
    CHECK_EQ(chardev_window(&memory.line), 0);
    accepts = memory.accepts;
    clock_advance(&host, 16 * 86805 - 1000);
    CHECK_EQ(memory.accepts, accepts);
    clock_advance(&host, 1000);
    CHECK_EQ(memory.accepts, accepts + 1); /* told once, when the line is free */
    CHECK_EQ(chardev_window(&memory.line), 16);
    receive("0123456789abcdef");
    clock_advance(&host, NS_PER_SEC);
    CHECK_EQ(memory.accepts, accepts + 1); /* full: nothing to tell */
    for (unsigned i = 0; i < 16; i++)
        get(RBR);
    clock_advance(&host, 100000);
    CHECK_EQ(memory.accepts, accepts + 2);
    receive("x");
    clock_advance(&host, 100000);
    CHECK_EQ(memory.accepts, accepts + 3);
    set(MCR, 0x09); /* RTS off: the sender waits */
    CHECK_EQ(chardev_window(&memory.line), 0);
    CHECK_EQ(memory.dtr, 1);
    CHECK_EQ(memory.rts, 0);
    set(IER, 0x01);
    CHECK_EQ(chardev_window(&memory.line), 0);
    set(MCR, 0x0b);
    CHECK_EQ(chardev_window(&memory.line), 15);
    clock_advance(&host, 100000);
    CHECK_EQ(memory.accepts, accepts + 4);
}

/* The timer that tells of room ran already when bytes came; they are read before it fires. */
static void test_pace_moved(void)
{
    unsigned accepts;

    open_port();
    receive("x");
    clock_advance(&host, NS_PER_SEC);
    get(RBR);
    receive("0123456789abcdef");
    for (unsigned i = 0; i < 16; i++)
        get(RBR);
    accepts = memory.accepts;
    clock_advance(&host, 16 * 86805);
    CHECK_EQ(memory.accepts, accepts + 1);
}

static void test_early_listeners(void)
{
    unsigned accepts;

    ns16550_reset(uart);
    set(MCR, 0);
    clock_advance(&host, NS_PER_SEC);
    CHECK_EQ(chardev_window(&memory.line), 0); /* nobody listens yet */
    accepts = memory.accepts;
    set(IER, 0x0f); /* a driver's probe */
    set(IER, 0x00);
    clock_advance(&host, NS_PER_SEC);
    CHECK_EQ(memory.accepts, accepts);
    for (unsigned i = 0; i < 1000; i++) { /* a guest that polls to send */
        get(LSR);
        set(RBR, 'x');
    }
    CHECK_EQ(chardev_window(&memory.line), 0);
    for (unsigned i = 0; i < 100; i++) /* and one that polls to receive */
        get(LSR);
    CHECK_EQ(chardev_window(&memory.line), 1);
    clock_advance(&host, NS_PER_SEC);
    CHECK_EQ(memory.accepts, accepts + 1);
    ns16550_reset(uart);
    set(IER, 0x01);
    CHECK_EQ(chardev_window(&memory.line), 1);
}

static void test_loopback(void)
{
    open_port();
    set(MCR, 0x1a); /* LOOP, OUT2, RTS: what Linux probes with */
    CHECK_EQ(get(MSR) & 0xf0, 0x90);
    CHECK_EQ(memory.dtr, 0);
    set(MCR, 0x10);
    get(MSR);
    set(MCR, 0x15); /* DTR, OUT1 */
    CHECK_EQ(get(MSR), 0x62); /* RI going up is no event */
    set(MCR, 0x11);
    CHECK_EQ(get(MSR), 0x24); /* going down it is */
    CHECK_EQ(chardev_window(&memory.line), 0);
    ns16550_flush(uart);
    memory.size = 0;
    set(IER, 0x05);
    for (unsigned i = 0; i < 16; i++)
        set(RBR, i);
    CHECK_EQ(get(IIR), 0xc4);
    set(RBR, 16); /* one too many */
    CHECK_EQ(get(IIR), 0xc6);
    CHECK_EQ(get(LSR), 0x63);
    CHECK_EQ(get(LSR), 0x61);
    for (unsigned i = 0; i < 16; i++)
        CHECK_EQ(get(RBR), i);
    CHECK_EQ(get(LSR), 0x60);
    set(LCR, 0x43); /* a break comes back */
    CHECK_EQ(get(LSR), 0xf1);
    CHECK_EQ(get(RBR), 0);
    set(LCR, 0x03);
    ns16550_flush(uart);
    CHECK_EQ(memory.size, 0); /* nothing left the chip */
    CHECK_EQ(memory.brk, 0);
    set(IIR, 0x00);
    set(RBR, 'a');
    set(RBR, 'b'); /* without FIFO the new one replaces the old */
    CHECK_EQ(get(LSR) & 0x03, 0x03);
    CHECK_EQ(get(RBR), 'b');
}

static void test_priorities(void)
{
    open_port();
    set(IIR, 0x07); /* trigger level 1 */
    set(IER, 0x0f);
    chardev_carrier(&memory.line, false);
    receive("x");
    chardev_receive_break(&memory.line);
    CHECK_EQ(get(IIR), 0xc4); /* the break is not at the top yet */
    CHECK_EQ(get(LSR), 0xe1);
    CHECK_EQ(get(RBR), 'x');
    CHECK_EQ(get(IIR), 0xc6);
    CHECK_EQ(get(LSR), 0xf1);
    CHECK_EQ(get(IIR), 0xc4);
    CHECK_EQ(get(RBR), 0);
    CHECK_EQ(get(IIR), 0xc2);
    CHECK_EQ(get(IIR), 0xc0);
    CHECK_EQ(get(MSR), 0x0b);
    CHECK_EQ(get(IIR), 0xc1);
    CHECK_EQ(irq.level, 0);
    chardev_carrier(&memory.line, true);
    CHECK_EQ(irq.level, 1);
    CHECK_EQ(get(MSR), 0xbb);
    set(LCR, 0x43);
    CHECK_EQ(memory.brk, 1);
    set(LCR, 0x03);
    CHECK_EQ(memory.brk, 0);
    clock_advance(&host, NS_PER_SEC);
    receive("abc");
    set(IIR, 0x03); /* clear the receiver's FIFO */
    CHECK_EQ(get(LSR), 0x60);
    CHECK_EQ(get(IIR), 0xc1);
}

static void test_snapshot(void)
{
    uint8_t image[256];

    open_port();
    set(IER, 0x01);
    receive("abc");
    ns16550_snapshot(uart, &(struct snap){ .at = image });
    ns16550_reset(uart);
    CHECK_EQ(memory.rts, 0);
    ns16550_snapshot(uart, &(struct snap){ .loading = true, .at = image });
    CHECK_EQ(memory.rts, 1);
    clock_advance(&host, 400000);
    CHECK_EQ(get(IIR), 0xcc);
    CHECK_EQ(get(RBR), 'a');
    CHECK_EQ(get(RBR), 'b');
    CHECK_EQ(get(RBR), 'c');
    CHECK_EQ(get(LSR), 0x60);
}

int main(void)
{
    struct ns16550_config config;

    bus = bus_create();
    chardev_memory_init(&memory);
    CHECK_EQ(chardev_window(&memory.line), 0); /* no chip */
    config = (struct ns16550_config){ bus, 0x3f8, pin_irq(&irq), &host, &memory.line };
    uart = ns16550_create(&config);
    test_registers();
    test_thre();
    test_batches();
    test_stalled_host();
    test_receive();
    test_pace();
    test_pace_moved();
    test_early_listeners();
    test_loopback();
    test_priorities();
    test_snapshot();
    CHECK_EQ(ns16550_create(&config) == NULL && errno == EEXIST, 1);
    set(RBR, '!');
    memory.size = 0;
    ns16550_destroy(uart);
    CHECK_EQ(memory.size, 1); /* the last byte is not lost */
    CHECK_EQ(host.pending == NULL, 1);
    bus_destroy(bus);
    return CHECK_DONE();
}
