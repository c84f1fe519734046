/*
 * A disk controller's request to a medium: one at a time, with a buffer of its own.
 *
 * The buffer is not guest memory: a request in flight cannot be taken back, and what it does may
 * come too late for a guest that has been reset. So nothing reaches guest memory but from the
 * vcpu's thread, through physmem, and the request survives the chip.
 */
#ifndef DEVICES_BLOCKIO_H
#define DEVICES_BLOCKIO_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/blockdev.h"

struct blockio;

/* good: bytes that came through before the error. err: 0 or -errno. */
typedef void blockio_done(void *owner, uint32_t good, int err);

/* size: of the buffer, bytes. NULL: memory is out. */
struct blockio *blockio_create(uint32_t size, void *owner);
/* A request in flight ends by itself, and tells nobody. */
void blockio_destroy(struct blockio *io);

/* size bytes, the chip's to fill and read while nothing is in flight. */
uint8_t *blockio_buffer(struct blockio *io);
bool blockio_in_flight(const struct blockio *io);

/* size bytes from offset, between the medium and the buffer at `at` (a flush or a discard uses no
 * buffer). When it fails it is tried again by `unit` bytes, so that what is good before the first
 * bad unit gets through and it is known which one is bad; unit 0: it is not. done() may come from
 * inside. Nothing may be in flight. */
void blockio_submit(struct blockio *io, struct blockdev *medium, const struct block_request *what,
                    uint32_t at, uint32_t unit, blockio_done *done);

/* What is in flight is not tried again; done() is still called. */
void blockio_cancel(struct blockio *io);

#endif
