/*
 * Output on its way from a chip to its character line: bytes are collected, so that the host sees a
 * few large writes and not one for each byte a guest sends. They go out when there are many, a
 * moment after the first, or when the board says that the guest idles.
 *
 * A host that does not keep up makes the buffer full: the chip then stops saying that it can send.
 * A guest that sends all the same loses nothing until OUTBUF_MAX bytes wait.
 *
 * Open so that chips can embed it.
 */
#ifndef DEVICES_OUTBUF_H
#define DEVICES_OUTBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define OUTBUF_WRITE 2048       /* this many are sent at once */
#define OUTBUF_FULL 4096        /* with this many waiting, the chip shows itself busy */
#define OUTBUF_MAX (16u << 20)  /* beyond this, bytes are dropped */
#define OUTBUF_DELAY_NS 2000000 /* the longest a byte waits for company */

struct chardev;

struct outbuf {
    struct chardev *line;
    struct clock *clock;
    struct timer flush;
    uint8_t *bytes;
    size_t start, size, capacity; /* waiting: bytes[start .. start + size) */
    bool stalled;                 /* the host owes us a chardev_writable() */
};

/* 0 or -ENOMEM. */
int outbuf_init(struct outbuf *buf, struct chardev *line, struct clock *clock);

/* Sends what it can and forgets the rest. */
void outbuf_destroy(struct outbuf *buf);

/* Sent when there is much, or OUTBUF_DELAY_NS later; dropped where no room is left. */
void outbuf_put(struct outbuf *buf, uint8_t byte);

/* Offers everything to the host now, unless it is stalled. */
void outbuf_flush(struct outbuf *buf);

/* The host takes bytes again (for the chip's writable function). */
void outbuf_writable(struct outbuf *buf);

static inline bool outbuf_is_full(const struct outbuf *buf)
{
    return buf->size >= OUTBUF_FULL;
}

#endif
