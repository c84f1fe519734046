/*
 * Split virtqueues: what a virtio device does with the rings that a driver keeps in guest memory.
 *
 * A driver puts chains of buffers on the available ring; virtqueue_pop() takes one, checks every
 * address against RAM and gives host memory; virtqueue_push() puts it on the used ring with the
 * number of bytes written, and virtqueue_publish() lets the driver see what has been pushed and
 * says whether it wants an interrupt. Devices reach these through virtio_pci.h, which knows the
 * interrupt and what to do about a broken queue.
 *
 * Nothing here trusts the rings. They and the descriptors are read once and may change at any time:
 * by the guest, and by what devices write. A ring that makes no sense breaks the queue, for good
 * until virtqueue_reset(). pop() takes bounded time, but what devices write may well be an
 * available index: whoever pops in a loop stops after vq->size chains.
 *
 * Reference: Virtual I/O Device (VIRTIO) 1.0, 2.4.
 */
#ifndef DEVICES_VIRTQUEUE_H
#define DEVICES_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/iov.h"

struct physmem;
struct snap;

enum {
    VIRTQUEUE_SIZE_MAX = 256,     /* entries of a ring */
    VIRTQUEUE_SEGMENTS_MAX = 256, /* buffers of a chain */
};

/*
 * One chain of buffers, in host memory inside guest RAM. Neighbours in memory are one segment.
 * "out" is what the driver wrote for the device, "in" what the device is to fill. The segments stay
 * valid until the chain is pushed or the device is reset, also while the guest runs.
 */
struct virtqueue_chain {
    uint16_t head;                /* names the chain towards the driver */
    uint16_t out_count, in_count; /* segments */
    uint64_t out_size, in_size;   /* bytes in all; a hostile driver's may be many GiB */
    struct iovec iov[VIRTQUEUE_SEGMENTS_MAX]; /* out first, then in */
};

/* Open for its embedding in struct virtio_pci, and for tests. */
struct virtqueue {
    struct physmem *mem;
    uint16_t max;            /* what the device offers: a power of two */
    uint16_t size;           /* what the driver uses: the same or a smaller power of two */
    uint64_t desc, avail, used; /* gpa of the three parts */
    bool started, broken;
    bool event_idx, indirect; /* negotiated */
    /* Host memory of the three parts, while started. */
    uint8_t *desc_at, *avail_at, *used_at;
    uint16_t last_avail;     /* chains taken */
    uint16_t taken;          /* chains popped and not yet pushed: never more than size */
    uint16_t used_idx;       /* chains given back */
    uint16_t published;      /* ... that the driver knows of */
    uint16_t asked;          /* ... when it was last asked whether it wants an interrupt */
    bool asked_valid;
};

/* Before anything else: an empty queue of at most max entries, over that memory. */
void virtqueue_init(struct virtqueue *vq, struct physmem *mem, uint16_t max);

/* Stopped, and of size max. */
void virtqueue_reset(struct virtqueue *vq);

/* Parts where legacy drivers put them: one run from gpa, the used ring at the next page. */
void virtqueue_place_legacy(struct virtqueue *vq, uint64_t gpa);

/* Starts the queue with the size, addresses and features that are in *vq. False, and broken, when
 * they cannot be: size no power of two up to max, a part not aligned or not all in RAM. */
bool virtqueue_start(struct virtqueue *vq);

/* Takes the next chain. False: there is none (the driver will kick for the next one), or the queue
 * is not started, or broken. At most size chains are taken and not yet pushed at any time. */
bool virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain);

/* Puts the chain that was popped last, and not pushed, back in its place. */
void virtqueue_unpop(struct virtqueue *vq);

/* Whether there is a chain to pop. When not, the driver will kick for the next one. */
bool virtqueue_is_empty(struct virtqueue *vq);

/* Gives a chain back, with written bytes from the start of its in segments, which physmem is told
 * about. The driver sees it after virtqueue_publish(). */
void virtqueue_push(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t written);

/* Lets the driver see what has been pushed; true when it wants an interrupt for that. */
bool virtqueue_publish(struct virtqueue *vq);

/* Host memory of the in segments. */
static inline struct iovec *virtqueue_in(struct virtqueue_chain *chain)
{
    return chain->iov + chain->out_count;
}

/* Copies from the out segments (read) or to the in segments (write), from byte at of them on; as
 * many as there are, up to size. Returns how many. Physmem is told of what is written. */
size_t virtqueue_read(const struct virtqueue_chain *chain, uint64_t at, void *to, size_t size);
size_t virtqueue_write(struct virtqueue *vq, const struct virtqueue_chain *chain, uint64_t at,
                       const void *from, size_t size);

/* Tells physmem that [at, at + size) of the in segments may have been written. */
void virtqueue_touched(struct virtqueue *vq, const struct virtqueue_chain *chain, uint64_t at,
                       uint64_t size);

/* The part [at, at + size) of count segments: see iov_slice(). */
static inline unsigned virtqueue_slice(const struct iovec *iov, unsigned count, uint64_t at,
                                       uint64_t size, struct iovec *part, unsigned room)
{
    return iov_slice(iov, count, at, size, part, room);
}

/* Indices and addresses; nothing may be popped and not yet pushed. After loading, the caller
 * restores event_idx and indirect; the queue starts again by itself if it was started. */
void virtqueue_snapshot(struct virtqueue *vq, struct snap *snap);

#endif
