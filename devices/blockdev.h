/*
 * The contract between a disk controller (IDE, virtio-blk, floppy) and the medium behind it.
 *
 * A controller submits requests and is called back, always on the vcpu's thread and never from
 * inside blockdev_submit(). What happens in between happens on other threads, in any order, unless
 * a flush is in between: a flush is done when everything done before it was submitted is on
 * stable storage. The controller keeps a request, its iovec and the memory under it until done().
 */
#ifndef DEVICES_BLOCKDEV_H
#define DEVICES_BLOCKDEV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define BLOCK_SECTOR 512

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_ZERO };

struct block_request {
    enum block_op op;
    uint64_t offset, size;   /* bytes, multiples of BLOCK_SECTOR; inside the medium */
    const struct iovec *iov; /* READ and WRITE: host memory, size bytes in all */
    unsigned iov_count;
    void (*done)(void *arg, struct block_request *request, int err); /* 0 or -errno */
    void *arg;

    struct block_request *next; /* the medium's */
    int err;
};

struct blockdev {
    /* Checks nothing; a medium that is not there fails with -ENOMEDIUM. */
    void (*submit)(void *medium, struct block_request *request);
    /* May be NULL. Does a READ at once if that waits for nothing, as when the host has the bytes in
     * memory (RWF_NOWAIT) and no write to that place is on its way: true, with request->err set
     * and done() not called. False: submit() it. */
    bool (*try_now)(void *medium, struct block_request *request);
    /* May be NULL. on: more requests follow, so that nobody need be woken for each; until off. */
    void (*batch)(void *medium, bool on);
    /* May be NULL. Waits until nothing is in flight, having called done() of all. For resets: the
     * guest's memory will have another owner. */
    void (*drain)(void *medium);
    /* The guest has opened or closed the tray (tray_open is new). May be NULL. */
    void (*tray_moved)(void *medium);
    void *medium;

    uint64_t size;   /* bytes, a multiple of BLOCK_SECTOR (2048 for a CD-ROM) */
    bool present;    /* a removable medium may be away */
    bool readonly;
    bool cdrom;
    bool locked;     /* set by the controller: the guest forbids taking it out */
    bool tray_open;  /* set by the controller: the guest has ejected it; it may still lie there */
    char serial[21]; /* at most 20 characters and a 0; empty: the controller makes one up */

    /* The controller's: the medium was taken out or put in (size, present and readonly are new), or
     * the user asks for it (eject_request, while locked). May be NULL. */
    void (*changed)(void *controller);
    void (*eject_request)(void *controller);
    void *controller;
};

static inline void blockdev_submit(struct blockdev *b, struct block_request *request)
{
    b->submit(b->medium, request);
}

static inline bool blockdev_try_now(struct blockdev *b, struct block_request *request)
{
    return b->try_now && b->try_now(b->medium, request);
}

static inline void blockdev_batch(struct blockdev *b, bool on)
{
    if (b->batch)
        b->batch(b->medium, on);
}

static inline void blockdev_drain(struct blockdev *b)
{
    if (b->drain)
        b->drain(b->medium);
}

#endif
