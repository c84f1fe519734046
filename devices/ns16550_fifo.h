/* The 16550A's receiver FIFO: bytes with what went wrong with each, and the error bits of the LSR.
 * With FIFOs off it is the receiver's buffer register, and holds one. */
#ifndef DEVICES_NS16550_FIFO_H
#define DEVICES_NS16550_FIFO_H

#include <stdbool.h>
#include <stdint.h>

struct snap;

enum { NS16550_FIFO_SIZE = 16 };

#define LSR_OE 0x02
#define LSR_BI 0x10

struct ns16550_fifo {
    uint8_t byte[NS16550_FIFO_SIZE], flags[NS16550_FIFO_SIZE]; /* flags: LSR_BI */
    uint8_t head, count;
    uint8_t errors; /* LSR bits: of the byte at the top, and overrun */
    bool enabled;
};

static inline unsigned ns16550_fifo_capacity(const struct ns16550_fifo *fifo)
{
    return fifo->enabled ? NS16550_FIFO_SIZE : 1;
}

/* Where there is no room it is an overrun: the FIFO keeps what it has, without it the new byte
 * replaces the old. */
void ns16550_fifo_push(struct ns16550_fifo *fifo, uint8_t byte, uint8_t flags);

/* The byte at the top; that of the last time when it is empty. */
uint8_t ns16550_fifo_pop(struct ns16550_fifo *fifo);

/* What a read of the LSR tells: the errors are forgotten. */
uint8_t ns16550_fifo_take_errors(struct ns16550_fifo *fifo);

/* Of any byte in it. */
bool ns16550_fifo_has_error(const struct ns16550_fifo *fifo);

/* Empty; an overrun is still told. */
void ns16550_fifo_clear(struct ns16550_fifo *fifo);

void ns16550_fifo_snapshot(struct ns16550_fifo *fifo, struct snap *snap);

#endif
