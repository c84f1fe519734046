/* The virtio entropy device: bytes, and not too many at a time. */
#include "devices/virtio_rng.h"

#include "base/clock.h"
#include "tests/unit/virtio_driver.h"

enum { SIZE = 64 };

struct bench {
    struct driver d;
    struct clock clock;
    struct virtio_rng *rng;
    uint64_t data;
};

static void open_bench(struct bench *b, bool legacy)
{
    driver_open(&b->d, legacy);
    b->clock = (struct clock){ 0 };
    b->rng = virtio_rng_create(&(struct virtio_rng_config){
        b->d.pci, DRIVER_SLOT, VIRTIO_PCI_TRANSITIONAL, &b->d.mem, &b->clock });
    driver_probe(&b->d);
    CHECK_EQ(driver_negotiate(&b->d, 0), true);
    driver_queue(&b->d, 0, SIZE);
    driver_go(&b->d);
    b->data = driver_alloc(&b->d, 1 << 20, 4096);
}

static void close_bench(struct bench *b)
{
    virtio_rng_destroy(b->rng);
    driver_close(&b->d);
}

static void test_bytes(bool legacy)
{
    struct bench b;
    unsigned counts[256] = { 0 }, low = 0;

    open_bench(&b, legacy);
    CHECK_EQ(driver_do(&b.d, 0, &(struct driver_buffer){ b.data, 65536, true }, 1), 65536);
    for (unsigned i = 0; i < 65536; i++)
        counts[*driver_ptr(&b.d, b.data + i)]++;
    for (unsigned i = 0; i < 256; i++)
        low += counts[i] < 128 || counts[i] > 384; /* 256 is expected, with a deviation of 16 */
    CHECK_EQ(low, 0);
    CHECK_EQ(b.d.pin, true);
    CHECK_EQ(driver_do(&b.d, 0, &(struct driver_buffer){ b.data, 16, false }, 1), 0);
    CHECK_EQ(*driver_ptr(&b.d, b.data + 65536), 0);
    close_bench(&b);
}

static void test_rate(void)
{
    struct bench b;
    uint32_t len, sum = 0;

    open_bench(&b, false);
    for (unsigned i = 0; i < 8; i++)
        driver_add(&b.d, 0, &(struct driver_buffer){ b.data, 100000, true }, 1);
    driver_notify(&b.d, 0);
    while (driver_used(&b.d, 0, &len) >= 0)
        sum += len;
    CHECK_EQ(sum, VIRTIO_RNG_BYTES);
    driver_notify(&b.d, 0); /* asking again does not help */
    CHECK_EQ(driver_used(&b.d, 0, &len), -1);
    clock_advance(&b.clock, VIRTIO_RNG_PERIOD_NS - 1);
    CHECK_EQ(driver_used(&b.d, 0, &len), -1);
    clock_advance(&b.clock, 1);
    while (driver_used(&b.d, 0, &len) >= 0)
        sum += len;
    CHECK_EQ(sum, 2 * VIRTIO_RNG_BYTES);
    driver_set_status(&b.d, 0);
    clock_advance(&b.clock, VIRTIO_RNG_PERIOD_NS); /* nobody there */
    close_bench(&b);
}

static void test_hostile(void)
{
    struct bench b;

    open_bench(&b, false);
    /* Over its own rings, again and again. */
    for (unsigned i = 0; i < 10; i++) {
        driver_add(&b.d, 0, &(struct driver_buffer){ b.d.queue[0].desc, 65536, true }, 1);
        driver_notify(&b.d, 0);
        driver_set_status(&b.d, 0);
        CHECK_EQ(driver_negotiate(&b.d, 0), true);
        b.d.heap = b.data;
        driver_queue(&b.d, 0, SIZE);
        driver_go(&b.d);
    }
    close_bench(&b);
}

int main(void)
{
    test_bytes(false);
    test_bytes(true);
    test_rate();
    test_hostile();
    return CHECK_DONE();
}
