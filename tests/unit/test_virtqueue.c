/* Rings alone: layouts, wrapping, chains, suppression, and drivers that break the rules. */
#include "devices/virtqueue.h"

#include "base/snap.h"
#include "tests/unit/virtio_driver.h"

enum { SIZE = 8 };

static struct virtqueue_chain chain;

static void open_queue(struct driver *d, struct virtqueue *vq)
{
    struct driver_queue *q = &d->queue[0];

    driver_open(d, false);
    driver_place(d, 0, SIZE);
    virtqueue_init(vq, &d->mem, SIZE);
    vq->desc = q->desc;
    vq->avail = q->avail;
    vq->used = q->used;
    CHECK_EQ(virtqueue_start(vq), true);
}

static void test_chain(void)
{
    struct driver d;
    struct virtqueue vq;
    uint64_t out, in;
    uint16_t head;
    uint32_t len;
    char text[16] = "";

    open_queue(&d, &vq);
    out = driver_alloc(&d, 64, 16);
    in = driver_alloc(&d, 4096, 4096);
    memcpy(driver_ptr(&d, out), "hello, ", 7);
    memcpy(driver_ptr(&d, out + 32), "world", 5);
    CHECK_EQ(virtqueue_pop(&vq, &chain), false);
    head = driver_add(&d, 0,
                      (struct driver_buffer[]){ { out, 7, false }, { out + 32, 5, false },
                                                { in, 10, true }, { in + 10, 20, true } }, 4);
    CHECK_EQ(virtqueue_pop(&vq, &chain), true);
    CHECK_EQ(chain.head, head);
    CHECK_EQ(chain.out_count, 2);
    CHECK_EQ(chain.in_count, 1); /* neighbours are one */
    CHECK_EQ(chain.out_size, 12);
    CHECK_EQ(chain.in_size, 30);
    CHECK_EQ(virtqueue_read(&chain, 3, text, sizeof(text)), 9);
    CHECK_EQ(strcmp(text, "lo, world"), 0);
    CHECK_EQ(virtqueue_write(&vq, &chain, 28, "abcd", 4), 2);
    CHECK_EQ(memcmp(driver_ptr(&d, in + 28), "ab\0", 3), 0);
    CHECK_EQ(virtqueue_pop(&vq, &chain), false);
    virtqueue_push(&vq, &chain, 30);
    CHECK_EQ(driver_used(&d, 0, NULL), -1);
    CHECK_EQ(virtqueue_publish(&vq), true);
    CHECK_EQ(virtqueue_publish(&vq), false); /* nothing new */
    CHECK_EQ(driver_used(&d, 0, &len), head);
    CHECK_EQ(len, 30);
    CHECK_EQ(vq.broken, false);
    driver_close(&d);
}

/* Once around 16 bits, with several chains under way. */
static void test_wrap(void)
{
    struct driver d;
    struct virtqueue vq;
    uint64_t in;

    open_queue(&d, &vq);
    in = driver_alloc(&d, 64, 16);
    for (unsigned i = 0; i < 70000; i++) {
        uint16_t a = driver_add(&d, 0, &(struct driver_buffer){ in, 8, true }, 1);
        uint16_t b = driver_add(&d, 0, &(struct driver_buffer){ in + 8, 8, true }, 1);
        static struct virtqueue_chain first, second;

        if (!virtqueue_pop(&vq, &first) || !virtqueue_pop(&vq, &second) ||
            virtqueue_pop(&vq, &chain))
            CHECK_EQ(i, -1ull);
        virtqueue_push(&vq, &second, 2);
        virtqueue_push(&vq, &first, 1);
        virtqueue_publish(&vq);
        if (driver_used(&d, 0, NULL) != b || driver_used(&d, 0, NULL) != a)
            CHECK_EQ(i, -1ull);
    }
    CHECK_EQ(vq.last_avail, (uint16_t)140000);
    CHECK_EQ(vq.taken, 0);
    driver_close(&d);
}

static void test_unpop(void)
{
    struct driver d;
    struct virtqueue vq;
    uint64_t in;
    uint16_t head;

    open_queue(&d, &vq);
    in = driver_alloc(&d, 64, 16);
    head = driver_add(&d, 0, &(struct driver_buffer){ in, 8, true }, 1);
    CHECK_EQ(virtqueue_is_empty(&vq), false);
    CHECK_EQ(virtqueue_pop(&vq, &chain), true);
    CHECK_EQ(virtqueue_is_empty(&vq), true);
    virtqueue_unpop(&vq);
    chain.head = 99;
    CHECK_EQ(virtqueue_pop(&vq, &chain), true);
    CHECK_EQ(chain.head, head);
    driver_close(&d);
}

/* --- Notifications and interrupts --------------------------------------- */

static void give_back(struct driver *d, struct virtqueue *vq, uint64_t in)
{
    driver_add(d, 0, &(struct driver_buffer){ in, 8, true }, 1);
    CHECK_EQ(virtqueue_pop(vq, &chain), true);
    virtqueue_push(vq, &chain, 0);
}

static void test_flags(void)
{
    struct driver d;
    struct virtqueue vq;

    open_queue(&d, &vq);
    give_back(&d, &vq, 0x1000);
    CHECK_EQ(virtqueue_publish(&vq), true);
    driver_put16(&d, d.queue[0].avail, 1); /* no interrupts, please */
    give_back(&d, &vq, 0x1000);
    CHECK_EQ(virtqueue_publish(&vq), false);
    CHECK_EQ(driver_get16(&d, d.queue[0].used + 2), 2);
    driver_close(&d);
}

static void test_event_idx(void)
{
    struct driver d;
    struct virtqueue vq;

    open_queue(&d, &vq);
    vq.event_idx = d.event_idx = true;
    give_back(&d, &vq, 0x1000);
    CHECK_EQ(virtqueue_publish(&vq), true); /* 0 -> 1, wanted at 0 */
    give_back(&d, &vq, 0x1000);
    CHECK_EQ(virtqueue_publish(&vq), false); /* 1 -> 2, wanted at 0 */
    driver_want(&d, 0, 4);
    for (unsigned i = 0; i < 2; i++)
        give_back(&d, &vq, 0x1000);
    CHECK_EQ(virtqueue_publish(&vq), false); /* 2 -> 4 */
    for (unsigned i = 0; i < 3; i++)
        give_back(&d, &vq, 0x1000);
    CHECK_EQ(virtqueue_publish(&vq), true); /* 4 -> 7 */
    CHECK_EQ(virtqueue_pop(&vq, &chain), false);
    give_back(&d, &vq, 0x1000); /* added when the device had seen an empty ring */
    CHECK_EQ(driver_must_notify(&d, 0, 7), true);
    driver_add(&d, 0, &(struct driver_buffer){ 0x1000, 8, true }, 1);
    CHECK_EQ(driver_must_notify(&d, 0, 8), false); /* it has not been empty since */
    driver_close(&d);
}

/* --- Indirect tables ---------------------------------------------------- */

static void test_indirect(void)
{
    struct driver d;
    struct virtqueue vq;
    uint64_t table;

    open_queue(&d, &vq);
    vq.indirect = d.indirect = true;
    driver_add(&d, 0, (struct driver_buffer[]){ { 0x1000, 16, false }, { 0x3000, 512, true },
                                                { 0x5000, 1, true } }, 3);
    CHECK_EQ(virtqueue_pop(&vq, &chain), true);
    CHECK_EQ(chain.out_count, 1);
    CHECK_EQ(chain.in_count, 2);
    CHECK_EQ(chain.in_size, 513);

    /* Direct ones, and then a table. */
    table = driver_alloc(&d, 64, 16);
    driver_put_desc(&d, d.queue[0].desc, 6, (struct driver_desc){ 0x1000, 16, F_NEXT, 7 });
    driver_put_desc(&d, d.queue[0].desc, 7, (struct driver_desc){ table, 32, F_INDIRECT, 0 });
    driver_put_desc(&d, table, 0, (struct driver_desc){ 0x2000, 5, F_NEXT, 1 });
    driver_put_desc(&d, table, 1, (struct driver_desc){ 0x4000, 6, F_WRITE, 0 });
    driver_offer(&d, 0, 6);
    CHECK_EQ(virtqueue_pop(&vq, &chain), true);
    CHECK_EQ(chain.out_size, 21);
    CHECK_EQ(chain.in_size, 6);
    driver_close(&d);
}

/* --- Hostile rings ------------------------------------------------------ */

/* What is at desc 0 and in the table at 0x8000 breaks the queue. */
static void breaks(const char *what, struct driver_desc first, struct driver_desc second,
                   bool indirect)
{
    struct driver d;
    struct virtqueue vq;

    open_queue(&d, &vq);
    vq.indirect = indirect;
    driver_put_desc(&d, d.queue[0].desc, 0, first);
    driver_put_desc(&d, d.queue[0].desc, 1, second);
    driver_put_desc(&d, 0x8000, 0, second);
    driver_offer(&d, 0, 0);
    if (virtqueue_pop(&vq, &chain) || !vq.broken) {
        printf("%s: not seen\n", what);
        check_failures++;
    }
    CHECK_EQ(virtqueue_pop(&vq, &chain), false);
    virtqueue_push(&vq, &chain, 0);
    CHECK_EQ(virtqueue_publish(&vq), false);
    virtqueue_reset(&vq);
    CHECK_EQ(vq.broken, false);
    driver_close(&d);
}

static void test_hostile_descriptors(void)
{
    const struct driver_desc good = { 0x1000, 16, 0, 0 };

    breaks("loop", (struct driver_desc){ 0x1000, 0, F_NEXT, 1 },
           (struct driver_desc){ 0x2000, 0, F_NEXT, 0 }, false);
    breaks("loop with bytes", (struct driver_desc){ 0x1000, 1, F_NEXT, 1 },
           (struct driver_desc){ 0x2000, 1, F_NEXT, 0 }, false);
    breaks("next too large", (struct driver_desc){ 0x1000, 16, F_NEXT, SIZE }, good, false);
    breaks("behind RAM", (struct driver_desc){ DRIVER_RAM - 8, 9, 0, 0 }, good, false);
    breaks("far behind RAM", (struct driver_desc){ ~0ull - 3, 16, 0, 0 }, good, false);
    breaks("into the hole", (struct driver_desc){ 0x9fff0, 17, 0, 0 }, good, false);
    breaks("across the hole", (struct driver_desc){ 0x1000, 0x100000, 0, 0 }, good, false);
    breaks("long", (struct driver_desc){ 0x1000, 0xffffffff, F_WRITE, 0 }, good, false);
    breaks("out after in", (struct driver_desc){ 0x1000, 16, F_WRITE | F_NEXT, 1 }, good, false);
    breaks("not negotiated", (struct driver_desc){ 0x8000, 16, F_INDIRECT, 0 }, good, false);
    breaks("table of 17 bytes", (struct driver_desc){ 0x8000, 17, F_INDIRECT, 0 }, good, true);
    breaks("empty table", (struct driver_desc){ 0x8000, 0, F_INDIRECT, 0 }, good, true);
    breaks("table outside", (struct driver_desc){ DRIVER_RAM - 16, 32, F_INDIRECT, 0 }, good, true);
    breaks("table in table", (struct driver_desc){ 0x8000, 16, F_INDIRECT, 0 },
           (struct driver_desc){ 0x8000, 16, F_INDIRECT, 0 }, true);
    breaks("next in table", (struct driver_desc){ 0x8000, 16, F_INDIRECT, 0 },
           (struct driver_desc){ 0x1000, 16, F_NEXT, 1 }, true);
}

/* 256 segments are fine and 257 are not; 1024 descriptors of nothing have no end. */
static void test_long_chains(void)
{
    for (unsigned count = 255; count <= 258; count++) {
        struct driver d;
        struct virtqueue vq;

        open_queue(&d, &vq);
        vq.indirect = true;
        for (unsigned i = 0; i < count; i++)
            driver_put_desc(&d, 0x20000, i,
                            (struct driver_desc){ 0x100000 + 32 * i, 16,
                                                  i + 1 < count ? F_NEXT : 0,
                                                  (uint16_t)(i + 1) });
        driver_put_desc(&d, d.queue[0].desc, 0,
                        (struct driver_desc){ 0x20000, 16 * 4096, F_INDIRECT, 0 });
        driver_offer(&d, 0, 0);
        CHECK_EQ(virtqueue_pop(&vq, &chain), count <= VIRTQUEUE_SEGMENTS_MAX);
        driver_close(&d);
    }
}

/* ROM may be read, and not written. */
static void test_rom(void)
{
    for (unsigned in = 0; in < 2; in++) {
        struct driver d;
        struct virtqueue vq;

        open_queue(&d, &vq);
        physmem_set_kind(&d.mem, 0xf0000, 0x10000, PHYSMEM_ROM);
        driver_add(&d, 0, &(struct driver_buffer){ 0xeff00, 0x200, in }, 1);
        CHECK_EQ(virtqueue_pop(&vq, &chain), !in);
        driver_close(&d);
    }
}

static void test_hostile_indices(void)
{
    struct driver d;
    struct virtqueue vq;

    open_queue(&d, &vq);
    driver_put16(&d, d.queue[0].avail + 2, SIZE + 1);
    CHECK_EQ(virtqueue_pop(&vq, &chain), false);
    CHECK_EQ(vq.broken, true);
    driver_close(&d);

    open_queue(&d, &vq);
    driver_offer(&d, 0, SIZE); /* no such descriptor */
    CHECK_EQ(virtqueue_pop(&vq, &chain), false);
    CHECK_EQ(vq.broken, true);
    driver_close(&d);

    /* The same descriptor for ever: a device never holds more than the ring has. */
    open_queue(&d, &vq);
    driver_put_desc(&d, d.queue[0].desc, 0, (struct driver_desc){ 0x1000, 16, 0, 0 });
    for (unsigned i = 0; i < SIZE; i++) {
        driver_offer(&d, 0, 0);
        CHECK_EQ(virtqueue_pop(&vq, &chain), true);
    }
    driver_offer(&d, 0, 0);
    CHECK_EQ(virtqueue_pop(&vq, &chain), false);
    CHECK_EQ(vq.broken, true);
    driver_close(&d);
}

static void test_places(void)
{
    static const struct {
        uint16_t size;
        uint64_t desc, avail, used;
        bool good;
    } places[] = {
        { 8, 0x1000, 0x2000, 0x3000, true },  { 1, 0x1000, 0x2000, 0x3000, true },
        { 3, 0x1000, 0x2000, 0x3000, false }, { 0, 0x1000, 0x2000, 0x3000, false },
        { 16, 0x1000, 0x2000, 0x3000, false }, { 8, 0x1008, 0x2000, 0x3000, false },
        { 8, 0x1000, 0x2001, 0x3000, false }, { 8, 0x1000, 0x2000, 0x3002, false },
        { 8, DRIVER_RAM, 0x2000, 0x3000, false }, { 8, 0x1000, 0x9fff0, 0x3000, false },
        { 8, 0x1000, 0x2000, ~0ull - 15, false },
    };

    for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++) {
        struct driver d;
        struct virtqueue vq;

        open_queue(&d, &vq);
        virtqueue_reset(&vq);
        vq.size = places[i].size;
        vq.desc = places[i].desc;
        vq.avail = places[i].avail;
        vq.used = places[i].used;
        CHECK_EQ(virtqueue_start(&vq), places[i].good);
        CHECK_EQ(virtqueue_pop(&vq, &chain), false);
        driver_close(&d);
    }
}

/* --- Watched frames ----------------------------------------------------- */

static uint64_t told_bytes;

static void on_write(void *arg, uint64_t gpa, uint64_t size)
{
    (void)arg;
    (void)gpa;
    told_bytes += size;
}

static void test_watches(void)
{
    struct driver d;
    struct virtqueue vq;

    open_queue(&d, &vq);
    d.mem.on_write = on_write;
    physmem_watch(&d.mem, 0x1000 >> PAGE_SHIFT, WATCH_CODE);
    driver_add(&d, 0, (struct driver_buffer[]){ { 0x1ff0, 0x1010, true }, { 0x5000, 16, true } },
               2);
    CHECK_EQ(virtqueue_pop(&vq, &chain), true);
    told_bytes = 0;
    virtqueue_push(&vq, &chain, 0x1020);
    CHECK_EQ(told_bytes, 0x10); /* of frame 1 alone */
    physmem_watch(&d.mem, d.queue[0].used >> PAGE_SHIFT, WATCH_TABLE);
    told_bytes = 0;
    virtqueue_publish(&vq);
    CHECK_EQ(told_bytes, 2);
    driver_close(&d);
}

static void test_slice(void)
{
    struct iovec iov[] = { { (void *)0x1000, 10 }, { (void *)0x2000, 20 }, { (void *)0x3000, 30 } };
    struct iovec out[3];

    CHECK_EQ(virtqueue_slice(iov, 3, 5, 30, out, 3), 3);
    CHECK_EQ((uintptr_t)out[0].iov_base, 0x1005);
    CHECK_EQ(out[0].iov_len, 5);
    CHECK_EQ(out[2].iov_len, 5);
    CHECK_EQ(virtqueue_slice(iov, 3, 10, 20, out, 3), 1);
    CHECK_EQ((uintptr_t)out[0].iov_base, 0x2000);
    CHECK_EQ(virtqueue_slice(iov, 3, 5, 30, out, 2), 0);
    CHECK_EQ(virtqueue_slice(iov, 3, 40, 21, out, 3), 0);
}

static void test_snapshot(void)
{
    struct driver d;
    struct virtqueue vq, other;
    uint8_t bytes[256];
    struct snap snap = { false, bytes };

    open_queue(&d, &vq);
    give_back(&d, &vq, 0x1000);
    virtqueue_publish(&vq);
    virtqueue_snapshot(&vq, &snap);
    virtqueue_init(&other, &d.mem, SIZE);
    snap = (struct snap){ true, bytes };
    virtqueue_snapshot(&other, &snap);
    give_back(&d, &other, 0x1000);
    CHECK_EQ(virtqueue_publish(&other), true);
    driver_used(&d, 0, NULL);
    CHECK_EQ(driver_used(&d, 0, NULL), 1);
    driver_close(&d);
}

int main(void)
{
    test_chain();
    test_wrap();
    test_unpop();
    test_flags();
    test_event_idx();
    test_indirect();
    test_hostile_descriptors();
    test_long_chains();
    test_rom();
    test_hostile_indices();
    test_places();
    test_watches();
    test_slice();
    test_snapshot();
    return CHECK_DONE();
}
