/* Output on its way from a chip to its character line: see outbuf.h. */
#include "devices/outbuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "devices/chardev.h"

static void flush_fire(void *arg)
{
    outbuf_flush(arg);
}

int outbuf_init(struct outbuf *buf, struct chardev *line, struct clock *clock)
{
    *buf = (struct outbuf){ .line = line, .clock = clock, .capacity = OUTBUF_FULL };
    buf->flush.fire = flush_fire;
    buf->flush.arg = buf;
    buf->bytes = malloc(buf->capacity);
    return buf->bytes ? 0 : -ENOMEM;
}

void outbuf_destroy(struct outbuf *buf)
{
    if (!buf->bytes)
        return;
    outbuf_flush(buf);
    timer_cancel(&buf->flush);
    free(buf->bytes);
    buf->bytes = NULL;
}

/* Room for one more byte behind the others: true when there is. */
static bool make_room(struct outbuf *buf)
{
    uint8_t *bytes;

    if (buf->start + buf->size < buf->capacity)
        return true;
    if (buf->start > buf->capacity / 2 || (buf->start && buf->capacity >= OUTBUF_MAX)) {
        memmove(buf->bytes, buf->bytes + buf->start, buf->size);
        buf->start = 0;
        return true;
    }
    if (buf->capacity >= OUTBUF_MAX)
        return false;
    bytes = realloc(buf->bytes, buf->capacity * 2);
    if (!bytes)
        return false;
    buf->bytes = bytes;
    buf->capacity *= 2;
    return true;
}

void outbuf_put(struct outbuf *buf, uint8_t byte)
{
    if (!make_room(buf)) {
        log_print(LOG_guest_errors, "output dropped: the host takes none\n");
        return;
    }
    buf->bytes[buf->start + buf->size++] = byte;
    if (buf->stalled)
        return;
    if (buf->size >= OUTBUF_WRITE)
        outbuf_flush(buf);
    else if (buf->size == 1)
        timer_arm(&buf->flush, buf->clock, clock_now_ns(buf->clock) + OUTBUF_DELAY_NS);
}

void outbuf_flush(struct outbuf *buf)
{
    size_t taken;

    timer_cancel(&buf->flush);
    if (buf->stalled || !buf->size)
        return;
    taken = chardev_write(buf->line, buf->bytes + buf->start, buf->size);
    buf->start += taken;
    buf->size -= taken;
    buf->stalled = buf->size > 0;
    if (!buf->size)
        buf->start = 0;
}

void outbuf_writable(struct outbuf *buf)
{
    buf->stalled = false;
    outbuf_flush(buf);
}
