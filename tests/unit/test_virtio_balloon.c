/* The virtio balloon: pages go back to the host, whoever watches them hears of it. */
#include "devices/virtio_balloon.h"

#include <sys/stat.h>

#include "base/clock.h"
#include "tests/unit/virtio_driver.h"

enum { SIZE = 128, INFLATE = 0, DEFLATE = 1, STATS = 2 };

struct bench {
    struct driver d;
    struct clock clock;
    struct virtio_balloon *balloon;
    uint64_t data;
};

static void open_bench(struct bench *b, bool legacy)
{
    driver_open(&b->d, legacy);
    b->clock = (struct clock){ 0 };
    b->balloon = virtio_balloon_create(&(struct virtio_balloon_config){
        b->d.pci, DRIVER_SLOT, VIRTIO_PCI_TRANSITIONAL, &b->d.mem, &b->clock, true });
    driver_probe(&b->d);
    CHECK_EQ(driver_negotiate(&b->d, 1 << 1 | 1 << 5), true);
    for (unsigned i = 0; i < DRIVER_QUEUES; i++)
        driver_queue(&b->d, i, SIZE);
    driver_go(&b->d);
    b->data = driver_alloc(&b->d, 4096, 4096);
}

static void close_bench(struct bench *b)
{
    virtio_balloon_destroy(b->balloon);
    driver_close(&b->d);
}

static void put_pfn(struct bench *b, unsigned i, uint32_t pfn)
{
    memcpy(driver_ptr(&b->d, b->data + 4 * i), &pfn, 4);
}

static uint64_t host_blocks(struct bench *b)
{
    struct stat st;

    CHECK_EQ(fstat(b->d.mem.fd, &st), 0);
    return (uint64_t)st.st_blocks;
}

static unsigned told;

static void on_write(void *arg, uint64_t gpa, uint64_t size)
{
    (void)arg;
    told += gpa == 0x600000 && size == PAGE_SIZE;
}

static void test_inflate(bool legacy)
{
    struct bench b;
    uint64_t before;

    open_bench(&b, legacy);
    virtio_balloon_set_target(b.balloon, DRIVER_RAM - (16 << 12));
    CHECK_EQ(driver_isr(&b.d) & 2, 2);
    CHECK_EQ(driver_read(&b.d, driver_config_at(&b.d, 0), 4), 16);
    memset(driver_ptr(&b.d, 0x600000), 1, 16 << 12);
    b.d.mem.on_write = on_write;
    physmem_watch(&b.d.mem, 0x600, WATCH_CODE);
    for (unsigned i = 0; i < 16; i++) /* up, down, and one twice */
        put_pfn(&b, i, i < 8 ? 0x600 + i : 0x60f - (i - 8));
    put_pfn(&b, 16, 0x600);
    before = host_blocks(&b);
    told = 0;
    driver_do(&b.d, INFLATE, &(struct driver_buffer){ b.data, 17 * 4, false }, 1);
    CHECK_EQ(before - host_blocks(&b), 16 * 8);
    CHECK_EQ(told, 2);
    CHECK_EQ(*driver_ptr(&b.d, 0x600000), 0);
    CHECK_EQ(*driver_ptr(&b.d, 0x60ffff), 0);
    driver_write(&b.d, driver_config_at(&b.d, 4), 4, 16);
    CHECK_EQ(virtio_balloon_memory(b.balloon), DRIVER_RAM - (16 << 12));
    CHECK_EQ(virtio_balloon_returned(b.balloon), 17 << 12);
    driver_do(&b.d, DEFLATE, &(struct driver_buffer){ b.data, 64, false }, 1);
    *driver_ptr(&b.d, 0x600000) = 7; /* it is there again */
    close_bench(&b);
}

/* Pages that are none, that the firmware has, and a list of 256 KiB and more. */
static void test_hostile(void)
{
    struct bench b;

    open_bench(&b, false);
    memset(driver_ptr(&b.d, 0), 1, 0x1000);
    put_pfn(&b, 0, 0);
    put_pfn(&b, 1, 0xffffffff);
    put_pfn(&b, 2, DRIVER_RAM >> 12);
    put_pfn(&b, 3, 0xf0);
    driver_do(&b.d, INFLATE, &(struct driver_buffer){ b.data, 15, false }, 1);
    CHECK_EQ(virtio_balloon_returned(b.balloon), 0);
    CHECK_EQ(*driver_ptr(&b.d, 0), 1);
    driver_write(&b.d, driver_config_at(&b.d, 4), 4, 0xffffffff);
    CHECK_EQ(virtio_balloon_memory(b.balloon), 0);
    driver_add(&b.d, INFLATE, &(struct driver_buffer){ b.data, 0x40001, false }, 1);
    driver_notify(&b.d, INFLATE);
    CHECK_EQ(driver_status(&b.d), 0x4f);
    close_bench(&b);
}

static void put_stat(struct bench *b, unsigned i, uint16_t tag, uint64_t value)
{
    memcpy(driver_ptr(&b->d, b->data + 10 * i), &tag, 2);
    memcpy(driver_ptr(&b->d, b->data + 10 * i + 2), &value, 8);
}

static void test_stats(void)
{
    struct virtio_balloon_stats stats;
    struct bench b;

    open_bench(&b, false);
    virtio_balloon_ask_stats(b.balloon, &stats);
    CHECK_EQ(stats.known, false);
    put_stat(&b, 0, 4, 123456789012);
    put_stat(&b, 1, 999, 5);
    put_stat(&b, 2, 3, 77);
    driver_add(&b.d, STATS, &(struct driver_buffer){ b.data, 30, false }, 1);
    driver_notify(&b.d, STATS);
    virtio_balloon_ask_stats(b.balloon, &stats);
    CHECK_EQ(stats.known, true);
    CHECK_EQ(stats.free, 123456789012);
    CHECK_EQ(stats.minor_faults, 77);
    CHECK_EQ(driver_used(&b.d, STATS, NULL), -1); /* too early */
    clock_advance(&b.clock, 1000000000);
    virtio_balloon_ask_stats(b.balloon, &stats);
    CHECK_EQ(driver_used(&b.d, STATS, NULL), 0);
    virtio_balloon_ask_stats(b.balloon, &stats);
    CHECK_EQ(driver_used(&b.d, STATS, NULL), -1);
    driver_set_status(&b.d, 0);
    virtio_balloon_ask_stats(b.balloon, &stats);
    CHECK_EQ(stats.known, false);
    close_bench(&b);
}

static void test_reports(void)
{
    struct bench b;

    driver_open(&b.d, false);
    b.clock = (struct clock){ 0 };
    b.balloon = virtio_balloon_create(&(struct virtio_balloon_config){
        b.d.pci, DRIVER_SLOT, VIRTIO_PCI_MODERN, &b.d.mem, &b.clock, true });
    driver_probe(&b.d);
    CHECK_EQ(driver_negotiate(&b.d, 1 << 5), true); /* no statistics: reports are on queue 2 */
    driver_queue(&b.d, 2, SIZE);
    driver_go(&b.d);
    memset(driver_ptr(&b.d, 0x600000), 1, 0x8000);
    driver_do(&b.d, 2, (struct driver_buffer[]){ { 0x601000, 0x2000, true },
                                                 { 0x604800, 0x2000, true } }, 2);
    CHECK_EQ(*driver_ptr(&b.d, 0x600fff), 1);
    CHECK_EQ(*driver_ptr(&b.d, 0x601000), 0);
    CHECK_EQ(*driver_ptr(&b.d, 0x602fff), 0);
    CHECK_EQ(*driver_ptr(&b.d, 0x603000), 1);
    CHECK_EQ(*driver_ptr(&b.d, 0x604fff), 1); /* whole pages alone */
    CHECK_EQ(*driver_ptr(&b.d, 0x605000), 0);
    CHECK_EQ(*driver_ptr(&b.d, 0x606000), 1);
    close_bench(&b);
}

/* Linux's driver notifies of its statistics before it says DRIVER_OK. */
static void test_early_stats(void)
{
    struct virtio_balloon_stats stats;
    static struct bench b;

    open_bench(&b, false);
    driver_set_status(&b.d, 0);
    CHECK_EQ(driver_negotiate(&b.d, 1 << 1), true);
    driver_queue(&b.d, STATS, SIZE);
    memset(driver_ptr(&b.d, b.data), 0, 10);
    driver_add(&b.d, STATS, &(struct driver_buffer){ b.data, 10, false }, 1);
    driver_notify(&b.d, STATS);
    virtio_balloon_ask_stats(b.balloon, &stats);
    CHECK_EQ(stats.known, false);
    driver_go(&b.d);
    virtio_balloon_ask_stats(b.balloon, &stats);
    CHECK_EQ(stats.known, true);
    close_bench(&b);
}

int main(void)
{
    test_inflate(false);
    test_inflate(true);
    test_hostile();
    test_stats();
    test_early_stats();
    test_reports();
    return CHECK_DONE();
}
