/* The virtio console on a line in memory, with hosts that stall and drivers that do. */
#include "devices/virtio_console.h"

#include "base/clock.h"
#include "devices/chardev.h"
#include "devices/outbuf.h"
#include "tests/unit/virtio_driver.h"

enum { SIZE = 64, RECEIVE = 0, TRANSMIT = 1 };

struct bench {
    struct driver d;
    struct clock clock;
    struct chardev_memory host;
    struct virtio_console *console;
    uint64_t data;
};

static void start(struct bench *b)
{
    CHECK_EQ(driver_negotiate(&b->d, 5), true);
    driver_queue(&b->d, RECEIVE, SIZE);
    driver_queue(&b->d, TRANSMIT, SIZE);
    driver_go(&b->d);
}

static void open_bench(struct bench *b, bool legacy)
{
    driver_open(&b->d, legacy);
    b->clock = (struct clock){ 0 };
    chardev_memory_init(&b->host);
    b->console = virtio_console_create(&(struct virtio_console_config){
        b->d.pci, DRIVER_SLOT, VIRTIO_PCI_TRANSITIONAL, &b->d.mem, &b->clock, &b->host.line });
    driver_probe(&b->d);
    b->data = driver_alloc(&b->d, 2 << 20, 4096);
    start(b);
}

static void close_bench(struct bench *b)
{
    virtio_console_destroy(b->console);
    driver_close(&b->d);
}

static void test_output(bool legacy)
{
    static struct bench b;

    open_bench(&b, legacy);
    memcpy(driver_ptr(&b.d, b.data), "hello, world\n", 13);
    driver_do(&b.d, TRANSMIT, (struct driver_buffer[]){ { b.data, 7, false },
                                                        { b.data + 7, 6, false } }, 2);
    CHECK_EQ(b.host.size, 0);
    clock_advance(&b.clock, OUTBUF_DELAY_NS);
    CHECK_EQ(b.host.size, 13);
    CHECK_EQ(memcmp(b.host.text, "hello, world\n", 13), 0);
    CHECK_EQ(b.host.writes, 1);
    driver_write(&b.d, driver_config_at(&b.d, 8), 4, '!');
    virtio_console_flush(b.console);
    CHECK_EQ(b.host.text[13], '!');
    close_bench(&b);
}

/* A host that takes nothing keeps the driver's buffers, and loses nothing. */
static void test_stalled_host(void)
{
    static struct bench b;
    unsigned back = 0;

    open_bench(&b, false);
    b.host.room = 100;
    for (unsigned i = 0; i < 16; i++)
        memset(driver_ptr(&b.d, b.data + 1000 * i), 'a' + (int)i, 1000);
    for (unsigned i = 0; i < 16; i++) {
        driver_add(&b.d, TRANSMIT, &(struct driver_buffer){ b.data + 1000 * i, 1000, false }, 1);
        driver_notify(&b.d, TRANSMIT);
    }
    while (driver_used(&b.d, TRANSMIT, NULL) >= 0)
        back++;
    CHECK_EQ(back < 16, true);
    b.host.room = 1 << 20;
    for (unsigned i = 0; i < 16; i++)
        chardev_writable(&b.host.line);
    virtio_console_flush(b.console);
    while (driver_used(&b.d, TRANSMIT, NULL) >= 0)
        back++;
    CHECK_EQ(back, 16);
    CHECK_EQ(b.host.size, 16000);
    for (unsigned i = 0; i < 16000; i++)
        if (b.host.text[i] != 'a' + i / 1000)
            CHECK_EQ(b.host.text[i], 'a' + i / 1000);
    close_bench(&b);
}

static void test_input(bool legacy)
{
    static struct bench b;
    unsigned accepts;
    uint32_t len = 0;

    open_bench(&b, legacy);
    CHECK_EQ(chardev_window(&b.host.line), 0);
    accepts = b.host.accepts;
    driver_add(&b.d, RECEIVE, &(struct driver_buffer){ b.data, 16, true }, 1);
    driver_notify(&b.d, RECEIVE);
    CHECK_EQ(b.host.accepts > accepts, true);
    CHECK_EQ(chardev_window(&b.host.line), 16);
    chardev_receive(&b.host.line, (const uint8_t *)"ls\n", 3);
    CHECK_EQ(driver_used(&b.d, RECEIVE, &len), 0);
    CHECK_EQ(len, 3);
    CHECK_EQ(memcmp(driver_ptr(&b.d, b.data), "ls\n\0", 4), 0);
    CHECK_EQ(b.d.pin, true);
    CHECK_EQ(chardev_window(&b.host.line), 0);
    /* Nothing of an old buffer after a reset. */
    driver_add(&b.d, RECEIVE, &(struct driver_buffer){ b.data, 16, true }, 1);
    driver_notify(&b.d, RECEIVE);
    CHECK_EQ(chardev_window(&b.host.line), 16);
    driver_set_status(&b.d, 0);
    CHECK_EQ(chardev_window(&b.host.line), 0);
    chardev_receive(&b.host.line, (const uint8_t *)"x", 1);
    CHECK_EQ(*driver_ptr(&b.d, b.data), 'l');
    close_bench(&b);
}

/* Told when it changes; and to a driver that comes later, by which Linux sees it at all. */
static void test_size(bool legacy)
{
    static struct bench b;

    open_bench(&b, legacy);
    CHECK_EQ(driver_isr(&b.d), 0);
    chardev_resize(&b.host.line, 132, 50);
    CHECK_EQ(driver_isr(&b.d), 2);
    CHECK_EQ(driver_read(&b.d, driver_config_at(&b.d, 0), 4), 132 | 50 << 16);
    CHECK_EQ(driver_read(&b.d, driver_config_at(&b.d, 4), 4), 1);
    driver_set_status(&b.d, 0);
    chardev_resize(&b.host.line, 80, 24);
    CHECK_EQ(driver_isr(&b.d), 0);
    start(&b);
    CHECK_EQ(driver_isr(&b.d), 2);
    CHECK_EQ(driver_read(&b.d, driver_config_at(&b.d, 0), 4), 80 | 24 << 16);
    close_bench(&b);
}

static void test_hostile(void)
{
    static struct bench b;

    open_bench(&b, false);
    driver_add(&b.d, TRANSMIT, &(struct driver_buffer){ b.data, (1 << 20) + 1, false }, 1);
    driver_notify(&b.d, TRANSMIT);
    CHECK_EQ(driver_status(&b.d), 0x4f);
    b.d.heap = b.data;
    start(&b);
    for (unsigned i = 0; i < SIZE; i++) /* nothing in them */
        driver_add(&b.d, RECEIVE, &(struct driver_buffer){ b.data, 0, true }, 1);
    driver_notify(&b.d, RECEIVE);
    CHECK_EQ(chardev_window(&b.host.line), 0);
    CHECK_EQ(driver_get16(&b.d, b.d.queue[RECEIVE].used + 2), 0); /* given back, not told yet */
    driver_add(&b.d, RECEIVE, &(struct driver_buffer){ b.data, 8, true }, 1);
    driver_notify(&b.d, RECEIVE);
    chardev_receive(&b.host.line, (const uint8_t *)"x", 1);
    CHECK_EQ(driver_get16(&b.d, b.d.queue[RECEIVE].used + 2), SIZE + 1);
    close_bench(&b);
}

int main(void)
{
    test_output(false);
    test_output(true);
    test_stalled_host();
    test_input(false);
    test_input(true);
    test_size(false);
    test_size(true);
    test_hostile();
    return CHECK_DONE();
}
