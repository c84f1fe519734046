/*
 * A character line: a chip that speaks bytes on one end (ns16550, debugcon), something on the host
 * on the other (stdio, a file, a pty, a socket: frontend/console_*.c; null and memory: here).
 *
 * Everything happens on the vcpu's thread. Nothing blocks. Nothing is lost, in either direction:
 *
 *   guest to host   The chip calls host->write(), which takes as many bytes as the host has room
 *                   for. When it took fewer than offered, the chip keeps the rest, and the back end
 *                   owes it one chardev_writable() as soon as more can be taken. Chips collect
 *                   bytes first (devices/outbuf.h), so write() may be one host system call.
 *   host to guest   The back end asks chardev_window() how many bytes the chip can take now, reads
 *                   no more than that from the host, and hands them over by chardev_receive(). With
 *                   a window of 0 it stops polling its descriptor for input; the chip calls
 *                   host->accept() when the window is open again (it may be called more often).
 *
 * A back end is: a struct with a struct chardev in it, a filled-in struct chardev_host, and
 * chardev_init(). A chip attaches itself with chardev_attach(); bytes that arrive before that, or
 * on a line that is not attached, wait in the host (the window is 0).
 */
#ifndef DEVICES_CHARDEV_H
#define DEVICES_CHARDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a back end does. Only write is required; the others may be NULL. */
struct chardev_host {
    /* Takes up to size bytes and returns how many: less than size means "ask again when I call
     * chardev_writable()". A back end whose host side failed for good takes (drops) everything. */
    size_t (*write)(void *host, const uint8_t *bytes, size_t size);
    /* The window is open: poll for input again. May be called from inside chardev_receive(). */
    void (*accept)(void *host);
    /* The chip's modem outputs changed. */
    void (*modem)(void *host, bool dtr, bool rts);
    /* The guest sends (true) or ends (false) a break. */
    void (*send_break)(void *host, bool on);
};

/* What a chip does. All but resize are required. */
struct chardev_device {
    size_t (*window)(void *dev);
    void (*receive)(void *dev, const uint8_t *bytes, size_t size); /* size <= window */
    void (*writable)(void *dev);
    void (*receive_break)(void *dev);
    /* Somebody is (not) at the other end: DCD, DSR and CTS. On until the back end says else. */
    void (*carrier)(void *dev, bool on);
    /* The terminal at the other end has this size now, in characters. NULL: sizes mean nothing to
     * this chip. */
    void (*resize)(void *dev, unsigned columns, unsigned rows);
};

/* Open only so that a back end can embed it; use the functions below. */
struct chardev {
    const struct chardev_host *host_ops;
    void *host;
    const struct chardev_device *dev_ops; /* NULL until a chip attaches */
    void *dev;
};

/* --- For back ends ------------------------------------------------------ */

static inline void chardev_init(struct chardev *line, const struct chardev_host *ops, void *host)
{
    *line = (struct chardev){ .host_ops = ops, .host = host };
}

/* How many bytes the chip can take now. */
static inline size_t chardev_window(struct chardev *line)
{
    return line->dev_ops ? line->dev_ops->window(line->dev) : 0;
}

/* Hands bytes to the chip; size is at most what chardev_window() has just returned. */
static inline void chardev_receive(struct chardev *line, const uint8_t *bytes, size_t size)
{
    if (line->dev_ops)
        line->dev_ops->receive(line->dev, bytes, size);
}

/* write() may be called again with a hope of success; it usually is, before this returns. */
static inline void chardev_writable(struct chardev *line)
{
    if (line->dev_ops)
        line->dev_ops->writable(line->dev);
}

static inline void chardev_receive_break(struct chardev *line)
{
    if (line->dev_ops)
        line->dev_ops->receive_break(line->dev);
}

static inline void chardev_carrier(struct chardev *line, bool on)
{
    if (line->dev_ops)
        line->dev_ops->carrier(line->dev, on);
}

/* Whether the chip wants to hear of a terminal's size; then whoever has one calls the next. */
static inline bool chardev_has_size(const struct chardev *line)
{
    return line->dev_ops && line->dev_ops->resize;
}

static inline void chardev_resize(struct chardev *line, unsigned columns, unsigned rows)
{
    if (chardev_has_size(line))
        line->dev_ops->resize(line->dev, columns, rows);
}

/* --- For chips ---------------------------------------------------------- */

/* A line has one chip. Tells the back end that the window is open. */
void chardev_attach(struct chardev *line, const struct chardev_device *ops, void *dev);
void chardev_detach(struct chardev *line);

static inline size_t chardev_write(struct chardev *line, const uint8_t *bytes, size_t size)
{
    return line->host_ops->write(line->host, bytes, size);
}

static inline void chardev_accept(struct chardev *line)
{
    if (line->host_ops->accept)
        line->host_ops->accept(line->host);
}

static inline void chardev_modem(struct chardev *line, bool dtr, bool rts)
{
    if (line->host_ops->modem)
        line->host_ops->modem(line->host, dtr, rts);
}

static inline void chardev_send_break(struct chardev *line, bool on)
{
    if (line->host_ops->send_break)
        line->host_ops->send_break(line->host, on);
}

/* --- A back end without a host -------------------------------------------- */

/* For tests: what the guest wrote, up to room bytes at a time; room 0 plays a stalled host. */
struct chardev_memory {
    struct chardev line;
    uint8_t text[65536];
    size_t size;         /* bytes in text */
    size_t room;         /* how many more it takes; lowered by each write */
    unsigned writes;     /* calls of write(), each a host system call in a real back end */
    unsigned accepts;
    bool dtr, rts, brk;
};

/* room starts at the size of text. */
void chardev_memory_init(struct chardev_memory *memory);

#endif
