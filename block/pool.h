/*
 * The threads that do disk controllers' requests (devices/blockdev.h), and the drives they do them
 * for.
 *
 * Order: a request waits for every earlier one of its drive that touches the same granule, unless
 * both only read; a flush waits for all earlier writes, and later writes wait until it has begun.
 * Whatever is not ordered by that may be done in any order.
 *
 * All functions are called on the vcpu's thread.
 */
#ifndef BLOCK_POOL_H
#define BLOCK_POOL_H

#include <stdbool.h>
#include <stdint.h>

struct blockdev;
struct disk;
struct pool;

/* Threads are started by the first request. wake(arg) is called, on any thread, when there is
 * something for pool_dispatch() and there was nothing before. NULL: errno says why. */
struct pool *pool_create(void (*wake)(void *arg), void *arg);

/* Waits for what is going on, flushes and closes every image. Nobody is called back any more. 0, or
 * the first error of a flush: -errno. */
int pool_destroy(struct pool *pool);

/* Calls back for requests that are done, if any. */
void pool_dispatch(struct pool *pool);

/* A drive with this image in it, which is the pool's from now on; NULL: an empty one. It lives as
 * long as the pool. serial: at most 20 characters, or NULL. NULL: no memory, the image is still the
 * caller's. */
struct blockdev *pool_add(struct pool *pool, struct disk *image, bool cdrom, const char *serial);

/* Puts another image in, or none. Waits for the requests of the old one, calling back, flushes and
 * closes it, and calls changed(). 0, or what the flush did. */
int pool_change(struct pool *pool, struct blockdev *drive, struct disk *image);

/* Waits until no request is left, calling back; then flushes all. 0, or the first error: -errno. */
int pool_drain(struct pool *pool);

/* The image in a drive, or NULL. */
struct disk *pool_image(const struct blockdev *drive);

struct pool_stats {
    uint64_t reads, writes, flushes, errors; /* requests done */
    uint64_t read_bytes, written_bytes;
    uint64_t reads_at_once; /* of the reads, those that no thread was needed for */
    uint64_t wakes;         /* calls of wake() for its requests */
};

/* What it has done so far. */
struct pool_stats pool_stats(const struct blockdev *drive);

#endif
