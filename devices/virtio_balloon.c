/*
 * Virtio balloon.
 *
 * Reference: Virtual I/O Device (VIRTIO) 1.2, 5.5.
 * Modelled:  inflating and deflating, statistics, reports of free pages.
 * Not:       hints of free pages and page poison (both for migration).
 *
 * A page that is lent to us is punched out of the memory's file, which takes it out of every
 * mapping that there is of it, and watchers of the frame hear that it was written: it holds zeros
 * then. The guest may touch it again whenever it likes, and gets a fresh one.
 */
#include "devices/virtio_balloon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/physmem.h"
#include "base/snap.h"

enum { QUEUE_INFLATE, QUEUE_DEFLATE, QUEUE_STATS, QUEUE_REPORTS, QUEUES };
enum { F_STATS = 1, F_DEFLATE_ON_OOM = 2, F_REPORTS = 5 };
enum { CONFIG_TARGET = 0, CONFIG_ACTUAL = 4, CONFIG_SIZE = 8 };

enum {
    QUEUE_SIZE = 128,
    PFNS_MAX = 65536, /* of a chain; drivers send 256 */
    PFNS_AT_ONCE = 256,
    STATS_MAX = 64,   /* entries; there are ten */
    STAT_SIZE = 10,
};

#define FIRST_GPA (1ull << 20) /* below is more than RAM */
#define STATS_EVERY_NS NS_PER_SEC

struct virtio_balloon {
    struct virtio_pci virtio;
    struct physmem *mem;
    struct clock *clock;
    struct virtio_balloon_stats stats;
    bool stats_held;     /* the driver's buffer is with us until somebody asks */
    uint64_t returned;
    struct virtqueue_chain chain, stats_chain;
};

/* --- Giving memory back ------------------------------------------------- */

/* A run of pages that are given back together. */
struct run {
    uint64_t start, end; /* gpa */
};

static void give_back(struct virtio_balloon *balloon, struct run *run)
{
    uint64_t size = run->end - run->start;

    if (size && !fallocate(balloon->mem->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                           (off_t)run->start, (off_t)size)) {
        balloon->returned += size;
        physmem_written(balloon->mem, run->start, size);
    }
    *run = (struct run){ 0 };
}

/* Drivers count up or down. */
static void add_page(struct virtio_balloon *balloon, struct run *run, uint64_t gpa)
{
    if (gpa < FIRST_GPA || gpa >= balloon->mem->size)
        return;
    if (run->end != gpa && run->start != gpa + PAGE_SIZE)
        give_back(balloon, run);
    if (!run->end)
        *run = (struct run){ gpa, gpa + PAGE_SIZE };
    else if (run->end == gpa)
        run->end += PAGE_SIZE;
    else
        run->start = gpa;
}

static void inflate(struct virtio_balloon *balloon)
{
    struct run run = { 0 };
    uint32_t pfns[PFNS_AT_ONCE];
    uint64_t at = 0;
    size_t n;

    do {
        n = virtqueue_read(&balloon->chain, at, pfns, sizeof(pfns));
        at += n;
        for (size_t i = 0; i < n / sizeof(*pfns); i++)
            add_page(balloon, &run, (uint64_t)pfns[i] << PAGE_SHIFT);
    } while (n == sizeof(pfns));
    give_back(balloon, &run);
}

/* The chain's own buffers are free pages. */
static void take_report(struct virtio_balloon *balloon)
{
    const struct iovec *in = virtqueue_in(&balloon->chain);

    for (unsigned i = 0; i < balloon->chain.in_count; i++) {
        uint64_t gpa = (uint64_t)((uint8_t *)in[i].iov_base - balloon->mem->ram);
        struct run run = { (gpa + PAGE_MASK) & ~PAGE_MASK, (gpa + in[i].iov_len) & ~PAGE_MASK };

        if (run.start >= FIRST_GPA && run.end <= balloon->mem->size && run.start < run.end)
            give_back(balloon, &run);
    }
}

static bool take(struct virtio_balloon *balloon, unsigned queue)
{
    if (!virtio_pci_pop(&balloon->virtio, queue, &balloon->chain))
        return false;
    if (balloon->chain.out_size <= PFNS_MAX * sizeof(uint32_t) &&
        balloon->chain.in_size <= balloon->mem->size)
        return true;
    virtio_pci_fail(&balloon->virtio, "more pages at once than anybody sends");
    return false;
}

static void take_all(struct virtio_balloon *balloon, unsigned queue,
                     void (*each)(struct virtio_balloon *balloon))
{
    for (unsigned n = 0; n < QUEUE_SIZE && take(balloon, queue); n++) {
        if (each)
            each(balloon);
        virtio_pci_push(&balloon->virtio, queue, &balloon->chain, 0);
    }
    virtio_pci_signal(&balloon->virtio, queue);
}

/* --- Statistics --------------------------------------------------------- */

static void store_stat(struct virtio_balloon_stats *stats, const uint8_t entry[STAT_SIZE])
{
    uint64_t *const fields[] = {
        &stats->swap_in,      &stats->swap_out, &stats->major_faults,
        &stats->minor_faults, &stats->free,     &stats->total,
        &stats->available,    &stats->caches,
    };
    unsigned tag = entry[0] | (unsigned)entry[1] << 8;
    uint64_t value = 0;

    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)entry[2 + i] << 8 * i;
    if (tag < sizeof(fields) / sizeof(*fields))
        *fields[tag] = value;
}

static void take_stats(struct virtio_balloon *balloon)
{
    uint8_t entry[STAT_SIZE];

    if (balloon->stats_held || !virtio_pci_pop(&balloon->virtio, QUEUE_STATS,
                                               &balloon->stats_chain))
        return;
    balloon->stats_held = true;
    for (unsigned i = 0; i < STATS_MAX; i++) {
        if (virtqueue_read(&balloon->stats_chain, i * STAT_SIZE, entry, STAT_SIZE) != STAT_SIZE)
            break;
        store_stat(&balloon->stats, entry);
    }
    balloon->stats.known = true;
    balloon->stats.taken_ns = clock_now_ns(balloon->clock);
}

void virtio_balloon_ask_stats(struct virtio_balloon *balloon, struct virtio_balloon_stats *stats)
{
    *stats = balloon->stats;
    if (!balloon->stats_held ||
        clock_now_ns(balloon->clock) - balloon->stats.taken_ns < STATS_EVERY_NS)
        return;
    balloon->stats_held = false;
    virtio_pci_push(&balloon->virtio, QUEUE_STATS, &balloon->stats_chain, 0);
    virtio_pci_signal(&balloon->virtio, QUEUE_STATS);
}

/* --- The device --------------------------------------------------------- */

/* A driver without statistics has the queues behind theirs one further down. */
static unsigned reports_queue(const struct virtio_balloon *balloon)
{
    return virtio_pci_has(&balloon->virtio, F_STATS) ? QUEUE_REPORTS : QUEUE_STATS;
}

static void notify(void *dev, unsigned queue)
{
    struct virtio_balloon *balloon = dev;

    if (queue == QUEUE_INFLATE)
        take_all(balloon, queue, inflate);
    else if (queue == QUEUE_DEFLATE)
        take_all(balloon, queue, NULL);
    else if (queue == reports_queue(balloon) && virtio_pci_has(&balloon->virtio, F_REPORTS))
        take_all(balloon, queue, take_report);
    else if (queue == QUEUE_STATS)
        take_stats(balloon);
}

static void reset(void *dev)
{
    struct virtio_balloon *balloon = dev;

    balloon->stats = (struct virtio_balloon_stats){ 0 };
    balloon->stats_held = false;
    virtio_pci_put(&balloon->virtio, CONFIG_ACTUAL, 4, 0);
}

static const struct virtio_pci_class class = {
    .name = "virtio-balloon",
    .type = VIRTIO_BALLOON,
    .pci_class = { 0x00, 0x00, 0xff },
    .queues = QUEUES,
    .queue_size = (const uint16_t[]){ QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE },
    .config_size = CONFIG_SIZE,
    .notify = notify,
    .reset = reset,
};

void virtio_balloon_set_target(struct virtio_balloon *balloon, uint64_t memory)
{
    uint64_t all = balloon->mem->size, left = memory < all ? memory : all;

    virtio_pci_put(&balloon->virtio, CONFIG_TARGET, 4, (all - left) >> PAGE_SHIFT);
    virtio_pci_config_changed(&balloon->virtio);
}

uint64_t virtio_balloon_memory(const struct virtio_balloon *balloon)
{
    uint64_t lent = virtio_pci_get(&balloon->virtio, CONFIG_ACTUAL, 4) << PAGE_SHIFT;

    return lent < balloon->mem->size ? balloon->mem->size - lent : 0;
}

uint64_t virtio_balloon_returned(const struct virtio_balloon *balloon)
{
    return balloon->returned;
}

/* --- Life --------------------------------------------------------------- */

struct virtio_balloon *virtio_balloon_create(const struct virtio_balloon_config *config)
{
    uint64_t features = 1 << F_STATS | 1 << F_DEFLATE_ON_OOM | (uint64_t)config->reports
                                                                   << F_REPORTS;
    struct virtio_balloon *balloon = calloc(1, sizeof(*balloon));
    int err;

    if (!balloon)
        return NULL;
    balloon->mem = config->mem;
    balloon->clock = config->clock;
    for (unsigned i = 0; i < 4; i++)
        balloon->virtio.config_writable[CONFIG_ACTUAL + i] = 0xff;
    err = virtio_pci_attach(
        &balloon->virtio,
        &(struct virtio_pci_config){ &class, balloon, features, config->mode, config->mem,
                                     config->bus, config->slot });
    if (err) {
        free(balloon);
        errno = -err;
        return NULL;
    }
    return balloon;
}

void virtio_balloon_destroy(struct virtio_balloon *balloon)
{
    virtio_pci_detach(&balloon->virtio);
    free(balloon);
}

void virtio_balloon_reset(struct virtio_balloon *balloon)
{
    virtio_pci_reset(&balloon->virtio);
}

/* The driver's buffer of statistics goes back to it: it will send them again. */
void virtio_balloon_snapshot(struct virtio_balloon *balloon, struct snap *snap)
{
    if (!snap->loading && balloon->stats_held) {
        virtio_pci_unpop(&balloon->virtio, QUEUE_STATS);
        balloon->stats_held = false;
    }
    virtio_pci_snapshot(&balloon->virtio, snap);
    balloon->stats_held = false;
    take_stats(balloon);
}
