/* The virtio disk on a medium in memory that answers when the test says so. */
#include "devices/virtio_blk.h"

#include <errno.h>

#include "devices/blockdev.h"
#include "tests/unit/virtio_driver.h"

enum { DISK = 1 << 20, SIZE = 256 };

enum { IN, OUT, FLUSH = 4, GET_ID = 8, DISCARD = 11, ZEROES = 13 };

/* --- The medium --------------------------------------------------------- */

struct medium {
    struct blockdev dev;
    uint8_t bytes[DISK];
    struct block_request *waiting[512];
    unsigned count, reads, writes, flushes, discards, zeroes;
    bool at_once;
    int err;
};

static void transfer(struct medium *m, struct block_request *r)
{
    uint64_t at = r->offset, size = 0;

    for (unsigned i = 0; i < r->iov_count; i++) {
        if (r->op == BLOCK_READ)
            memcpy(r->iov[i].iov_base, m->bytes + at, r->iov[i].iov_len);
        else
            memcpy(m->bytes + at, r->iov[i].iov_base, r->iov[i].iov_len);
        at += r->iov[i].iov_len;
        size += r->iov[i].iov_len;
    }
    CHECK_EQ(size, r->size);
}

static void perform(struct medium *m, struct block_request *r)
{
    r->err = m->err;
    CHECK_EQ(r->offset + r->size <= m->dev.size, 1);
    switch (r->op) {
    case BLOCK_READ: m->reads++; break;
    case BLOCK_WRITE: m->writes++; break;
    case BLOCK_FLUSH: m->flushes++; break;
    case BLOCK_DISCARD: m->discards++; break;
    case BLOCK_ZERO: m->zeroes++; break;
    }
    if (!r->err && (r->op == BLOCK_READ || r->op == BLOCK_WRITE))
        transfer(m, r);
    if (!r->err && r->op == BLOCK_ZERO)
        memset(m->bytes + r->offset, 0, r->size);
}

static void submit(void *medium, struct block_request *r)
{
    struct medium *m = medium;

    m->waiting[m->count++] = r;
}

static bool try_now(void *medium, struct block_request *r)
{
    struct medium *m = medium;

    if (m->at_once)
        perform(m, r);
    return m->at_once;
}

/* Answers everything, the last one first. */
static void answer(struct medium *m)
{
    while (m->count) {
        struct block_request *r = m->waiting[--m->count];

        perform(m, r);
        r->done(r->arg, r, r->err);
    }
}

static void drain(void *medium)
{
    answer(medium);
}

/* --- The machine -------------------------------------------------------- */

struct bench {
    struct driver d;
    struct medium m;
    struct virtio_blk *blk;
    uint64_t header, status, data;
};

static void open_bench(struct bench *b, bool legacy, bool readonly)
{
    driver_open(&b->d, legacy);
    memset(&b->m, 0, sizeof(b->m));
    for (unsigned i = 0; i < DISK; i++)
        b->m.bytes[i] = (uint8_t)(i >> 9) ^ (uint8_t)i;
    b->m.dev = (struct blockdev){ .submit = submit, .try_now = try_now, .drain = drain,
                                  .medium = &b->m, .size = DISK, .present = true,
                                  .readonly = readonly };
    b->blk = virtio_blk_create(&(struct virtio_blk_config){
        b->d.pci, DRIVER_SLOT, VIRTIO_PCI_TRANSITIONAL, &b->d.mem, &b->m.dev, 7 });
    driver_probe(&b->d);
    b->header = driver_alloc(&b->d, 16, 16);
    b->status = driver_alloc(&b->d, 16, 16);
    b->data = driver_alloc(&b->d, 1 << 20, 4096);
}

static void close_bench(struct bench *b)
{
    virtio_blk_destroy(b->blk);
    driver_close(&b->d);
}

#define RINGS (1ull << VIRTIO_F_EVENT_IDX | 1ull << VIRTIO_F_INDIRECT_DESC)
#define FEATURES (RINGS | 0x6a74)

static void start(struct bench *b, uint64_t features)
{
    CHECK_EQ(driver_negotiate(&b->d, features), true);
    driver_queue(&b->d, 0, SIZE);
    driver_go(&b->d);
}

static void put_header(struct bench *b, uint64_t gpa, uint32_t type, uint64_t sector)
{
    memset(driver_ptr(&b->d, gpa), 0, 16);
    memcpy(driver_ptr(&b->d, gpa), &type, 4);
    memcpy(driver_ptr(&b->d, gpa + 8), &sector, 8);
}

/* Puts a request of one buffer on the ring. */
static uint16_t put(struct bench *b, uint32_t type, uint64_t sector, uint64_t data, uint32_t size,
                    bool in)
{
    struct driver_buffer chain[3];
    unsigned n = 0;

    put_header(b, b->header, type, sector);
    *driver_ptr(&b->d, b->status) = 0xff;
    chain[n++] = (struct driver_buffer){ b->header, 16, false };
    if (size)
        chain[n++] = (struct driver_buffer){ data, size, in };
    chain[n++] = (struct driver_buffer){ b->status, 1, true };
    return driver_add(&b->d, 0, chain, n);
}

/* Does it, whenever the medium answers, and returns the status. */
static uint8_t ask(struct bench *b, uint32_t type, uint64_t sector, uint32_t size, bool in)
{
    uint16_t head = put(b, type, sector, b->data, size, in);

    driver_notify(&b->d, 0);
    answer(&b->m);
    answer(&b->m); /* flushes that follow */
    CHECK_EQ(driver_used(&b->d, 0, NULL), head);
    driver_want(&b->d, 0, b->d.queue[0].used_seen);
    return *driver_ptr(&b->d, b->status);
}

/* --- Tests -------------------------------------------------------------- */

static void test_data(bool legacy, uint64_t features, bool at_once)
{
    static struct bench b;

    open_bench(&b, legacy, false);
    b.m.at_once = at_once;
    start(&b, features);
    CHECK_EQ(ask(&b, IN, 5, 4096, true), 0);
    CHECK_EQ(memcmp(driver_ptr(&b.d, b.data), b.m.bytes + 5 * 512, 4096), 0);
    memset(driver_ptr(&b.d, b.data), 0x5a, 1024);
    CHECK_EQ(ask(&b, OUT, 2046, 1024, false), 0);
    CHECK_EQ(b.m.bytes[DISK - 1], 0x5a);
    CHECK_EQ(b.m.bytes[DISK - 1025] != 0x5a, true);
    CHECK_EQ(ask(&b, FLUSH, 0, 0, false), 0);
    CHECK_EQ(b.d.pin, true);
    driver_isr(&b.d);
    /* No more than there is. */
    CHECK_EQ(ask(&b, IN, 2047, 1024, true), 1);
    CHECK_EQ(ask(&b, IN, 2048, 512, true), 1);
    CHECK_EQ(ask(&b, IN, UINT64_MAX, 512, true), 1);
    CHECK_EQ(ask(&b, IN, UINT64_MAX / 512, 1024, true), 1);
    CHECK_EQ(ask(&b, IN, 0, 511, true), 1);
    CHECK_EQ(ask(&b, 77, 0, 512, true), 2);
    CHECK_EQ(b.m.reads, 1);
    b.m.err = -EIO;
    CHECK_EQ(ask(&b, IN, 0, 512, true), 1);
    b.m.err = -ENOSPC;
    CHECK_EQ(ask(&b, OUT, 0, 512, false), 1);
    b.m.err = 0;
    CHECK_EQ(ask(&b, IN, 0, 512, true), 0);
    close_bench(&b);
}

/* A driver without flushes must not lose what it was told is written. */
static void test_cache(void)
{
    static struct bench b;

    open_bench(&b, true, false);
    start(&b, 0);
    CHECK_EQ(ask(&b, OUT, 0, 512, false), 0);
    CHECK_EQ(b.m.flushes, 1);
    start(&b, 1 << 9);
    CHECK_EQ(ask(&b, OUT, 0, 512, false), 0);
    CHECK_EQ(b.m.flushes, 1);
    close_bench(&b);

    open_bench(&b, false, false);
    start(&b, FEATURES);
    CHECK_EQ(driver_read(&b.d, driver_config_at(&b.d, 32), 1), 1);
    CHECK_EQ(ask(&b, OUT, 0, 512, false), 0);
    CHECK_EQ(b.m.flushes, 0);
    driver_write(&b.d, driver_config_at(&b.d, 32), 1, 0);
    CHECK_EQ(ask(&b, OUT, 0, 512, false), 0);
    CHECK_EQ(b.m.flushes, 1);
    b.m.err = -EIO; /* of the write: no flush follows */
    CHECK_EQ(ask(&b, OUT, 0, 512, false), 1);
    CHECK_EQ(b.m.flushes, 1);
    close_bench(&b);
}

/* Several at once, answered in another order, with one interrupt. */
static void test_many(bool legacy)
{
    static struct bench b;
    uint16_t heads[40];

    open_bench(&b, legacy, false);
    start(&b, FEATURES);
    for (unsigned i = 0; i < 40; i++) {
        uint64_t header = driver_alloc(&b.d, 32, 16);

        put_header(&b, header, IN, i);
        heads[i] = driver_add(&b.d, 0,
                              (struct driver_buffer[]){ { header, 16, false },
                                                        { b.data + 4096 * i, 512, true },
                                                        { header + 16, 1, true } }, 3);
    }
    driver_notify(&b.d, 0);
    CHECK_EQ(b.m.count, 40);
    CHECK_EQ(driver_used(&b.d, 0, NULL), -1);
    answer(&b.m);
    for (unsigned i = 0; i < 40; i++) {
        CHECK_EQ(driver_used(&b.d, 0, NULL), heads[39 - i]);
        CHECK_EQ(memcmp(driver_ptr(&b.d, b.data + 4096 * i), b.m.bytes + 512 * i, 512), 0);
    }
    CHECK_EQ(b.d.edges, 1); /* the driver wanted to hear of the first one */
    close_bench(&b);
}

/* Header, data and status in any pieces. */
static void test_layouts(void)
{
    static struct bench b;
    uint64_t tail;

    open_bench(&b, false, false);
    start(&b, FEATURES);
    put_header(&b, 0x40000, OUT, 3);
    memset(driver_ptr(&b.d, 0x40010), 0x77, 112);
    memset(driver_ptr(&b.d, b.data), 0x78, 400);
    driver_add(&b.d, 0,
               (struct driver_buffer[]){ { 0x40000, 5, false }, { 0x40005, 123, false },
                                         { b.data, 400, false }, { b.status, 1, true } }, 4);
    driver_notify(&b.d, 0);
    answer(&b.m);
    CHECK_EQ(driver_used(&b.d, 0, NULL), 0);
    CHECK_EQ(b.m.bytes[3 * 512], 0x77);
    CHECK_EQ(b.m.bytes[3 * 512 + 111], 0x77);
    CHECK_EQ(b.m.bytes[3 * 512 + 112], 0x78);
    CHECK_EQ(b.m.bytes[3 * 512 + 511], 0x78);
    close_bench(&b);

    open_bench(&b, false, false);
    start(&b, FEATURES);
    tail = b.data + 8192;
    put_header(&b, 0x40000, IN, 9);
    driver_add(&b.d, 0, (struct driver_buffer[]){ { 0x40000, 3, false }, { 0x40003, 13, false },
                                                  { b.data, 100, true }, { tail, 413, true } }, 4);
    driver_notify(&b.d, 0);
    answer(&b.m);
    CHECK_EQ(driver_used(&b.d, 0, NULL), 0);
    CHECK_EQ(memcmp(driver_ptr(&b.d, b.data), b.m.bytes + 9 * 512, 100), 0);
    CHECK_EQ(memcmp(driver_ptr(&b.d, tail), b.m.bytes + 9 * 512 + 100, 412), 0);
    CHECK_EQ(*driver_ptr(&b.d, tail + 412), 0);
    close_bench(&b);
}

static void put_range(struct bench *b, uint64_t sector, uint32_t count, uint32_t flags)
{
    memcpy(driver_ptr(&b->d, b->data), &sector, 8);
    memcpy(driver_ptr(&b->d, b->data + 8), &count, 4);
    memcpy(driver_ptr(&b->d, b->data + 12), &flags, 4);
}

static void test_discard(void)
{
    static struct bench b;

    open_bench(&b, false, false);
    start(&b, FEATURES);
    put_range(&b, 8, 16, 0);
    CHECK_EQ(ask(&b, DISCARD, 0, 16, false), 0);
    CHECK_EQ(b.m.discards, 1);
    CHECK_EQ(ask(&b, ZEROES, 0, 16, false), 0);
    CHECK_EQ(b.m.bytes[8 * 512], 0);
    CHECK_EQ(b.m.bytes[24 * 512] != 0, true);
    put_range(&b, 8, 16, 1);
    CHECK_EQ(ask(&b, ZEROES, 0, 16, false), 0);
    CHECK_EQ(ask(&b, DISCARD, 0, 16, false), 2);
    put_range(&b, 8, 16, 2);
    CHECK_EQ(ask(&b, ZEROES, 0, 16, false), 2);
    CHECK_EQ(ask(&b, ZEROES, 0, 32, false), 2);
    CHECK_EQ(ask(&b, ZEROES, 0, 8, false), 2);
    put_range(&b, 2047, 2, 0);
    CHECK_EQ(ask(&b, ZEROES, 0, 16, false), 1);
    put_range(&b, ~0ull, 0xffffffff, 0);
    CHECK_EQ(ask(&b, DISCARD, 0, 16, false), 1);
    close_bench(&b);
}

static void test_readonly(void)
{
    static struct bench b;

    open_bench(&b, false, true);
    CHECK_EQ(driver_features(&b.d) >> 5 & 1, 1);
    CHECK_EQ(driver_features(&b.d) >> 13 & 3, 0);
    start(&b, FEATURES);
    CHECK_EQ(ask(&b, IN, 0, 512, true), 0);
    CHECK_EQ(ask(&b, OUT, 0, 512, false), 1);
    put_range(&b, 8, 16, 0);
    CHECK_EQ(ask(&b, ZEROES, 0, 16, false), 1);
    CHECK_EQ(b.m.writes + b.m.zeroes, 0);
    close_bench(&b);
}

static void test_identity(void)
{
    static struct bench b;

    open_bench(&b, false, false);
    start(&b, FEATURES);
    CHECK_EQ(driver_read(&b.d, driver_config_at(&b.d, 0), 4), DISK / 512);
    CHECK_EQ(driver_read(&b.d, driver_config_at(&b.d, 12), 4), 254);
    CHECK_EQ(driver_read(&b.d, driver_config_at(&b.d, 20), 4), 512);
    CHECK_EQ(driver_read(&b.d, driver_config_at(&b.d, 24), 1), 3);
    CHECK_EQ(ask(&b, GET_ID, 0, 20, true), 0);
    CHECK_EQ(strcmp((char *)driver_ptr(&b.d, b.data), "novt-7"), 0);
    CHECK_EQ(ask(&b, GET_ID, 0, 3, true), 0);
    b.m.dev.size = DISK / 2;
    b.m.dev.changed(b.m.dev.controller);
    CHECK_EQ(driver_isr(&b.d) & 2, 2);
    CHECK_EQ(driver_read(&b.d, driver_config_at(&b.d, 0), 4), DISK / 1024);
    CHECK_EQ(ask(&b, IN, DISK / 1024, 512, true), 1);
    close_bench(&b);
}

/* --- Hostile ------------------------------------------------------------ */

static void test_hostile(void)
{
    static struct bench b;

    open_bench(&b, false, false);
    start(&b, FEATURES);
    driver_add(&b.d, 0, &(struct driver_buffer){ b.header, 16, false }, 1); /* no status */
    driver_notify(&b.d, 0);
    CHECK_EQ(driver_status(&b.d), 0x4f);
    start(&b, FEATURES);
    driver_add(&b.d, 0, (struct driver_buffer[]){ { b.header, 15, false }, { b.status, 1, true } },
               2);
    driver_notify(&b.d, 0);
    CHECK_EQ(driver_status(&b.d), 0x4f);

    /* The same request 256 times, and once more while they are in flight. */
    start(&b, RINGS);
    b.m.count = 0;
    put(&b, IN, 0, b.data, 512, true);
    for (unsigned i = 0; i < SIZE - 1; i++)
        driver_offer(&b.d, 0, 0);
    driver_notify(&b.d, 0);
    CHECK_EQ(b.m.count, SIZE);
    driver_offer(&b.d, 0, 0);
    driver_notify(&b.d, 0);
    CHECK_EQ(driver_status(&b.d), 0x4f);
    CHECK_EQ(b.m.count, SIZE);
    driver_set_status(&b.d, 0); /* which drains */
    CHECK_EQ(b.m.count, 0);
    CHECK_EQ(driver_status(&b.d), 0);
    start(&b, FEATURES);
    CHECK_EQ(ask(&b, IN, 0, 512, true), 0);

    /* A read over the rings themselves. */
    put(&b, IN, 0, b.d.queue[0].desc, 8192, true);
    driver_notify(&b.d, 0);
    answer(&b.m);
    driver_notify(&b.d, 0);
    CHECK_EQ(driver_status(&b.d), 0x4f);
    close_bench(&b);
}

int main(void)
{
    for (unsigned legacy = 0; legacy < 2; legacy++)
        for (unsigned at_once = 0; at_once < 2; at_once++) {
            test_data(legacy, 1 << 9, at_once);
            test_data(legacy, FEATURES, at_once);
        }
    test_cache();
    test_many(false);
    test_many(true);
    test_layouts();
    test_discard();
    test_readonly();
    test_identity();
    test_hostile();
    return CHECK_DONE();
}
