/*
 * Virtio block device.
 *
 * Reference: Virtual I/O Device (VIRTIO) 1.1, 5.2 (1.0 with discard and write zeroes).
 * Modelled:  reads and writes straight between the medium and guest memory, as many at once as the
 *            ring has entries; flush, the write cache switch, discard, write zeroes, ID; read-only
 *            disks, topology, a capacity that changes.
 * Not:       several queues, SCSI commands, secure erase.
 *
 * A driver that knows nothing of flushes gets a disk without a write cache: each of its writes is
 * followed by a flush of ours.
 *
 * What the host has in memory already is read while the driver notifies, so that the whole batch
 * costs no thread's time and one interrupt; the rest goes to the medium's threads.
 */
#include "devices/virtio_blk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "base/physmem.h"
#include "base/snap.h"
#include "devices/blockdev.h"

/* --- Layout ------------------------------------------------------------- */

enum {
    F_SEG_MAX = 2,
    F_GEOMETRY = 4,
    F_RO = 5,
    F_BLK_SIZE = 6,
    F_FLUSH = 9,
    F_TOPOLOGY = 10,
    F_CONFIG_WCE = 11,
    F_DISCARD = 13,
    F_WRITE_ZEROES = 14,
};

/* The configuration space. */
enum {
    CONFIG_CAPACITY = 0,
    CONFIG_SEG_MAX = 12,
    CONFIG_CYLINDERS = 16,
    CONFIG_HEADS = 18,
    CONFIG_SECTORS = 19,
    CONFIG_BLK_SIZE = 20,
    CONFIG_PHYSICAL_EXP = 24,
    CONFIG_MIN_IO = 26,
    CONFIG_WRITEBACK = 32,
    CONFIG_DISCARD_MAX = 36,
    CONFIG_DISCARD_SEGMENTS = 40,
    CONFIG_DISCARD_ALIGN = 44,
    CONFIG_ZEROES_MAX = 48,
    CONFIG_ZEROES_SEGMENTS = 52,
    CONFIG_ZEROES_UNMAP = 56,
    CONFIG_SIZE = 60,
};

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };

enum {
    QUEUE_SIZE = VIRTQUEUE_SIZE_MAX,
    HEADER_SIZE = 16,
    ID_SIZE = 20,
    PHYSICAL_EXP = 3,       /* blocks of 4 KiB on the host's side */
    TRANSFER_MAX = 64 << 20, /* bytes; no driver asks for more at once */
    AT_ONCE_MAX = 4 << 20,   /* bytes read while the driver notifies: the guest waits meanwhile */
    RANGE_MAX = 0x3fffff,   /* sectors of one discard or write of zeroes: 2 GiB */
    RANGE_UNMAP = 1,
};

struct header {
    uint32_t type, reserved;
    uint64_t sector;
};

struct range {
    uint64_t sector;
    uint32_t count, flags;
};

/* --- State -------------------------------------------------------------- */

struct request {
    struct virtio_blk *blk;
    struct request *next;   /* of those that are free */
    unsigned epoch;
    uint8_t *status;        /* host memory of the last byte */
    uint32_t written;       /* what the driver will be told, with the status */
    bool flush_after;
    struct block_request block;
    struct virtqueue_chain chain;
};

struct virtio_blk {
    struct virtio_pci virtio;
    struct blockdev *medium;
    struct request *free;
    unsigned in_flight;
    uint64_t at_once_left;  /* bytes, in this notification */
    bool writeback, starved;
    char serial[ID_SIZE + 1];
};

/* --- Completing --------------------------------------------------------- */

static void recycle(struct request *r)
{
    r->next = r->blk->free;
    r->blk->free = r;
}

static void set_status(struct request *r, uint8_t status)
{
    struct physmem *mem = r->blk->virtio.setup.mem;

    *r->status = status;
    physmem_written(mem, (uint64_t)(r->status - mem->ram), 1);
}

static void complete(struct request *r, uint8_t status)
{
    set_status(r, status);
    virtio_pci_push(&r->blk->virtio, 0, &r->chain, r->written);
    recycle(r);
}

static uint8_t status_of(int err)
{
    return !err ? S_OK : err == -EOPNOTSUPP ? S_UNSUPP : S_IOERR;
}

static void take_requests(struct virtio_blk *blk);

static void done(void *arg, struct block_request *block, int err)
{
    struct request *r = arg;
    struct virtio_blk *blk = r->blk;

    if (!err && r->flush_after) {
        r->flush_after = false;
        block->op = BLOCK_FLUSH;
        blockdev_submit(blk->medium, block);
        return;
    }
    blk->in_flight--;
    if (!virtio_pci_release(&blk->virtio, r->epoch)) {
        virtqueue_touched(&blk->virtio.queue[0], &r->chain, 0, r->written);
        recycle(r);
        return;
    }
    complete(r, status_of(err));
    if (blk->starved)
        take_requests(blk);
    virtio_pci_signal(&blk->virtio, 0);
}

/* --- Requests ----------------------------------------------------------- */

static void submit(struct request *r, enum block_op op, uint64_t offset, uint64_t size)
{
    struct virtio_blk *blk = r->blk;
    bool read = op == BLOCK_READ;

    r->block = (struct block_request){
        .op = op,
        .offset = offset,
        .size = size,
        .iov = read ? virtqueue_in(&r->chain) : r->chain.iov,
        .iov_count = read ? r->chain.in_count : r->chain.out_count,
        .done = done,
        .arg = r,
    };
    if (read && size <= blk->at_once_left && blockdev_try_now(blk->medium, &r->block)) {
        blk->at_once_left -= size;
        complete(r, status_of(r->block.err));
        return;
    }
    r->epoch = virtio_pci_hold(&blk->virtio);
    blk->in_flight++;
    blockdev_submit(blk->medium, &r->block);
}

static bool inside(const struct virtio_blk *blk, uint64_t sector, uint64_t size)
{
    uint64_t all = blk->medium->size;

    return !(size % BLOCK_SECTOR) && sector <= all / BLOCK_SECTOR &&
           size <= all - sector * BLOCK_SECTOR;
}

static void transfer(struct request *r, enum block_op op, uint64_t sector, uint64_t size)
{
    const struct virtio_blk *blk = r->blk;

    if (!inside(blk, sector, size) || size > TRANSFER_MAX ||
        (op == BLOCK_WRITE && blk->medium->readonly)) {
        complete(r, S_IOERR);
        return;
    }
    r->written += op == BLOCK_READ ? (uint32_t)size : 0;
    r->flush_after = op == BLOCK_WRITE && !blk->writeback;
    if (size)
        submit(r, op, sector * BLOCK_SECTOR, size);
    else
        complete(r, S_OK);
}

static void discard(struct request *r, enum block_op op)
{
    const struct virtio_blk *blk = r->blk;
    struct range range;
    uint64_t size;

    if (r->chain.out_size != sizeof(range) ||
        virtqueue_read(&r->chain, 0, &range, sizeof(range)) != sizeof(range) ||
        range.flags & ~(op == BLOCK_ZERO ? RANGE_UNMAP : 0u)) {
        complete(r, S_UNSUPP);
        return;
    }
    size = (uint64_t)range.count * BLOCK_SECTOR;
    if (!inside(blk, range.sector, size) || range.count > RANGE_MAX || blk->medium->readonly) {
        complete(r, S_IOERR);
        return;
    }
    r->flush_after = !blk->writeback;
    submit(r, op, range.sector * BLOCK_SECTOR, size);
}

static void get_id(struct request *r)
{
    struct virtio_blk *blk = r->blk;

    virtqueue_write(&blk->virtio.queue[0], &r->chain, 0, blk->serial, ID_SIZE);
    r->written += r->chain.in_size < ID_SIZE ? (uint32_t)r->chain.in_size : ID_SIZE;
    complete(r, S_OK);
}

static void start(struct request *r, const struct header *header)
{
    switch (header->type) {
    case T_IN: transfer(r, BLOCK_READ, header->sector, r->chain.in_size); break;
    case T_OUT: transfer(r, BLOCK_WRITE, header->sector, r->chain.out_size); break;
    case T_FLUSH: submit(r, BLOCK_FLUSH, 0, 0); break;
    case T_GET_ID: get_id(r); break;
    case T_DISCARD: discard(r, BLOCK_DISCARD); break;
    case T_WRITE_ZEROES: discard(r, BLOCK_ZERO); break;
    default: complete(r, S_UNSUPP); break;
    }
}

/* Takes the header's bytes off the front of the out segments. */
static void cut_header(struct virtqueue_chain *chain)
{
    uint64_t left = HEADER_SIZE;
    unsigned gone = 0;

    chain->out_size -= HEADER_SIZE;
    while (left && left >= chain->iov[gone].iov_len)
        left -= chain->iov[gone++].iov_len;
    if (left) {
        chain->iov[gone].iov_base = (uint8_t *)chain->iov[gone].iov_base + left;
        chain->iov[gone].iov_len -= left;
    }
    chain->out_count -= gone;
    memmove(chain->iov, chain->iov + gone,
            (chain->out_count + chain->in_count) * sizeof(*chain->iov));
}

/* Takes the status off the end of the in segments; returns where it is. */
static uint8_t *cut_status(struct virtqueue_chain *chain)
{
    struct iovec *last = &virtqueue_in(chain)[chain->in_count - 1];

    chain->in_size--;
    if (!--last->iov_len)
        chain->in_count--;
    return (uint8_t *)last->iov_base + last->iov_len;
}

/* False: the chain is no request. */
static bool begin(struct request *r)
{
    struct header header;

    if (r->chain.out_size < HEADER_SIZE || !r->chain.in_size)
        return false;
    virtqueue_read(&r->chain, 0, &header, sizeof(header));
    cut_header(&r->chain);
    r->status = cut_status(&r->chain);
    r->written = 1;
    r->flush_after = false;
    start(r, &header);
    return true;
}

static struct request *get_request(struct virtio_blk *blk)
{
    struct request *r = blk->free;

    if (r) {
        blk->free = r->next;
        return r;
    }
    r = malloc(sizeof(*r));
    if (r)
        r->blk = blk;
    return r;
}

static void take_requests(struct virtio_blk *blk)
{
    for (unsigned n = 0; n < QUEUE_SIZE; n++) {
        struct request *r = get_request(blk);

        blk->starved = !r;
        if (!r)
            return;
        if (!virtio_pci_pop(&blk->virtio, 0, &r->chain)) {
            recycle(r);
            return;
        }
        if (!begin(r)) {
            recycle(r);
            virtio_pci_fail(&blk->virtio, "a request without header or status");
            return;
        }
    }
}

static void notify(void *dev, unsigned queue)
{
    struct virtio_blk *blk = dev;

    blk->at_once_left = AT_ONCE_MAX;
    blockdev_batch(blk->medium, true);
    take_requests(blk);
    blockdev_batch(blk->medium, false);
    virtio_pci_signal(&blk->virtio, queue);
}

/* --- Configuration ------------------------------------------------------ */

static uint64_t features(const struct blockdev *medium)
{
    uint64_t bits = 1 << F_SEG_MAX | 1 << F_GEOMETRY | 1 << F_BLK_SIZE | 1 << F_FLUSH |
                    1 << F_TOPOLOGY | 1 << F_CONFIG_WCE;

    return bits | (medium->readonly ? 1 << F_RO : 1 << F_DISCARD | 1 << F_WRITE_ZEROES);
}

static void fill_capacity(struct virtio_blk *blk)
{
    const struct blockdev *medium = blk->medium;
    uint64_t sectors = medium->present ? medium->size / BLOCK_SECTOR : 0;
    uint64_t cylinders = sectors / (16 * 63);

    virtio_pci_put(&blk->virtio, CONFIG_CAPACITY, 8, sectors);
    virtio_pci_put(&blk->virtio, CONFIG_CYLINDERS, 2, cylinders > 16383 ? 16383 : cylinders);
}

static void fill_config(struct virtio_blk *blk)
{
    struct virtio_pci *v = &blk->virtio;

    fill_capacity(blk);
    virtio_pci_put(v, CONFIG_SEG_MAX, 4, QUEUE_SIZE - 2);
    virtio_pci_put(v, CONFIG_HEADS, 1, 16);
    virtio_pci_put(v, CONFIG_SECTORS, 1, 63);
    virtio_pci_put(v, CONFIG_BLK_SIZE, 4, BLOCK_SECTOR);
    virtio_pci_put(v, CONFIG_PHYSICAL_EXP, 1, PHYSICAL_EXP);
    virtio_pci_put(v, CONFIG_MIN_IO, 2, 1 << PHYSICAL_EXP);
    virtio_pci_put(v, CONFIG_DISCARD_MAX, 4, RANGE_MAX);
    virtio_pci_put(v, CONFIG_DISCARD_SEGMENTS, 4, 1);
    virtio_pci_put(v, CONFIG_DISCARD_ALIGN, 4, 1 << PHYSICAL_EXP);
    virtio_pci_put(v, CONFIG_ZEROES_MAX, 4, RANGE_MAX);
    virtio_pci_put(v, CONFIG_ZEROES_SEGMENTS, 4, 1);
    virtio_pci_put(v, CONFIG_ZEROES_UNMAP, 1, 1);
    v->config_writable[CONFIG_WRITEBACK] = 1;
}

static void choose_cache(struct virtio_blk *blk)
{
    blk->writeback = virtio_pci_has(&blk->virtio, F_CONFIG_WCE)
                         ? virtio_pci_get(&blk->virtio, CONFIG_WRITEBACK, 1)
                         : virtio_pci_has(&blk->virtio, F_FLUSH);
}

static void started(void *dev)
{
    choose_cache(dev);
}

static void config_written(void *dev, unsigned at, unsigned size)
{
    (void)at;
    (void)size;
    choose_cache(dev);
}

/* Old drivers may use the queue before they say DRIVER_OK: no cache until then. */
static void reset(void *dev)
{
    struct virtio_blk *blk = dev;

    blockdev_drain(blk->medium);
    virtio_pci_put(&blk->virtio, CONFIG_WRITEBACK, 1, 1);
    blk->writeback = blk->starved = false;
}

static const struct virtio_pci_class class = {
    .name = "virtio-blk",
    .type = VIRTIO_BLK,
    .pci_class = { 0x00, 0x00, 0x01 },
    .queues = 1,
    .queue_size = (const uint16_t[]){ QUEUE_SIZE },
    .config_size = CONFIG_SIZE,
    .notify = notify,
    .reset = reset,
    .start = started,
    .config_written = config_written,
};

/* --- Life --------------------------------------------------------------- */

static void changed(void *controller)
{
    struct virtio_blk *blk = controller;

    fill_capacity(blk);
    virtio_pci_config_changed(&blk->virtio);
}

static void set_serial(struct virtio_blk *blk, unsigned index)
{
    if (*blk->medium->serial)
        snprintf(blk->serial, sizeof(blk->serial), "%s", blk->medium->serial);
    else
        snprintf(blk->serial, sizeof(blk->serial), "novt-%u", index);
}

struct virtio_blk *virtio_blk_create(const struct virtio_blk_config *config)
{
    struct virtio_blk *blk = calloc(1, sizeof(*blk));
    int err;

    if (!blk)
        return NULL;
    blk->medium = config->medium;
    set_serial(blk, config->index);
    fill_config(blk);
    err = virtio_pci_attach(&blk->virtio,
                            &(struct virtio_pci_config){ &class, blk, features(config->medium),
                                                         config->mode, config->mem, config->bus,
                                                         config->slot });
    if (err) {
        free(blk);
        errno = -err;
        return NULL;
    }
    reset(blk);
    blk->medium->controller = blk;
    blk->medium->changed = changed;
    blk->medium->eject_request = NULL;
    return blk;
}

void virtio_blk_destroy(struct virtio_blk *blk)
{
    struct request *next;

    blockdev_drain(blk->medium);
    BUG_ON(blk->in_flight);
    blk->medium->changed = NULL;
    virtio_pci_detach(&blk->virtio);
    for (struct request *r = blk->free; r; r = next) {
        next = r->next;
        free(r);
    }
    free(blk);
}

void virtio_blk_reset(struct virtio_blk *blk)
{
    virtio_pci_reset(&blk->virtio);
}

void virtio_blk_snapshot(struct virtio_blk *blk, struct snap *snap)
{
    blockdev_drain(blk->medium);
    virtio_pci_snapshot(&blk->virtio, snap);
    if (snap->loading)
        choose_cache(blk);
}
