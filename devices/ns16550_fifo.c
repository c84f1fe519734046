/* The 16550A's receiver FIFO: see ns16550_fifo.h. Reference: PC16550D, 8.5 (FIFO operation). */
#include "devices/ns16550_fifo.h"

#include "base/snap.h"

void ns16550_fifo_push(struct ns16550_fifo *fifo, uint8_t byte, uint8_t flags)
{
    unsigned at = (fifo->head + fifo->count) % NS16550_FIFO_SIZE;

    if (fifo->count == ns16550_fifo_capacity(fifo)) {
        fifo->errors |= LSR_OE;
        if (fifo->enabled)
            return;
        at = fifo->head;
        fifo->count = 0;
    }
    fifo->byte[at] = byte;
    fifo->flags[at] = flags;
    if (!fifo->count++)
        fifo->errors |= flags;
}

uint8_t ns16550_fifo_pop(struct ns16550_fifo *fifo)
{
    uint8_t byte = fifo->byte[fifo->head];

    if (!fifo->count)
        return byte;
    fifo->head = (fifo->head + 1) % NS16550_FIFO_SIZE;
    if (--fifo->count)
        fifo->errors |= fifo->flags[fifo->head];
    return byte;
}

uint8_t ns16550_fifo_take_errors(struct ns16550_fifo *fifo)
{
    uint8_t errors = fifo->errors;

    if (errors)
        fifo->flags[fifo->head] = 0;
    fifo->errors = 0;
    return errors;
}

bool ns16550_fifo_has_error(const struct ns16550_fifo *fifo)
{
    for (unsigned i = 0; i < fifo->count; i++)
        if (fifo->flags[(fifo->head + i) % NS16550_FIFO_SIZE])
            return true;
    return false;
}

void ns16550_fifo_clear(struct ns16550_fifo *fifo)
{
    fifo->head = fifo->count = 0;
    fifo->errors &= LSR_OE;
}

void ns16550_fifo_snapshot(struct ns16550_fifo *fifo, struct snap *snap)
{
    uint8_t enabled = fifo->enabled;

    snap_bytes(snap, fifo->byte, sizeof(fifo->byte));
    snap_bytes(snap, fifo->flags, sizeof(fifo->flags));
    snap_u8(snap, &fifo->head);
    snap_u8(snap, &fifo->count);
    snap_u8(snap, &fifo->errors);
    snap_u8(snap, &enabled);
    if (!snap->loading)
        return;
    fifo->enabled = enabled;
    fifo->head %= NS16550_FIFO_SIZE;
    if (fifo->count > ns16550_fifo_capacity(fifo))
        fifo->count = (uint8_t)ns16550_fifo_capacity(fifo);
}
