/*
 * PS/2 devices: the queues and the commands that keyboard and mouse have in common.
 *
 * Reference: IBM PS/2 Hardware Interface Technical Reference, "Keyboard" and "Mouse".
 */
#include "devices/ps2.h"

#include <string.h>

#include "base/snap.h"
#include "devices/ps2_private.h"

#define TEST_OK 0xaa

enum {
    CMD_SET_RATE = 0xf3,
    CMD_ID = 0xf2,
    CMD_ENABLE = 0xf4,
    CMD_DISABLE = 0xf5,
    CMD_DEFAULTS = 0xf6,
    CMD_RESEND = 0xfe,
    CMD_RESET = 0xff,
    CMD_FIRST = 0xe6, /* below: arguments */
};

/* --- Queues ------------------------------------------------------------- */

void ps2_push(struct ps2_fifo *fifo, uint8_t value)
{
    if (fifo->count < fifo->size)
        fifo->byte[(fifo->head + fifo->count++) % PS2_QUEUE] = value;
}

static uint8_t pop(struct ps2_fifo *fifo)
{
    uint8_t value = fifo->byte[fifo->head];

    fifo->head = (fifo->head + 1) % PS2_QUEUE;
    fifo->count--;
    return value;
}

uint8_t ps2_read(struct ps2 *dev)
{
    if (dev->answers.count)
        dev->last = pop(&dev->answers);
    else if (dev->events.count)
        dev->last = pop(&dev->events);
    if (dev->kind == PS2_MOUSE && !dev->events.count)
        ps2_mouse_stream(dev);
    return dev->last;
}

/* --- Commands ----------------------------------------------------------- */

static void set_defaults(struct ps2 *dev)
{
    dev->command = 0;
    dev->events.head = dev->events.count = 0;
    if (dev->kind == PS2_KEYBOARD)
        ps2_keyboard_defaults(dev);
    else
        ps2_mouse_defaults(dev);
}

static void reset(struct ps2 *dev)
{
    enum ps2_kind kind = dev->kind;

    ps2_init(dev, kind);
    ps2_answer(dev, PS2_ACK);
    ps2_answer(dev, TEST_OK);
    if (kind == PS2_MOUSE)
        ps2_answer(dev, 0x00);
}

static void identify(struct ps2 *dev)
{
    ps2_answer(dev, PS2_ACK);
    ps2_answer(dev, dev->kind == PS2_MOUSE ? dev->id : 0xab);
    if (dev->kind == PS2_KEYBOARD)
        ps2_answer(dev, 0x83);
}

static void argument(struct ps2 *dev, uint8_t value)
{
    uint8_t command = dev->command;

    dev->command = 0;
    if (dev->kind == PS2_KEYBOARD)
        ps2_keyboard_argument(dev, command, value);
    else
        ps2_mouse_argument(dev, command, value);
}

static void own_command(struct ps2 *dev, uint8_t value)
{
    if (dev->kind == PS2_KEYBOARD)
        ps2_keyboard_command(dev, value);
    else
        ps2_mouse_command(dev, value);
}

void ps2_write(struct ps2 *dev, uint8_t value)
{
    if (dev->wrap && value != CMD_RESET && value != 0xec) {
        ps2_answer(dev, value);
        return;
    }
    if (dev->command && value < CMD_FIRST) {
        argument(dev, value);
        return;
    }
    dev->command = 0;
    switch (value) {
    case CMD_RESET: reset(dev); return;
    case CMD_ID: identify(dev); return;
    case CMD_RESEND: ps2_answer(dev, dev->last); return;
    case CMD_SET_RATE: dev->command = value; break;
    case CMD_ENABLE: dev->enabled = true; break;
    case CMD_DISABLE:
        if (dev->kind == PS2_KEYBOARD)
            set_defaults(dev);
        dev->enabled = false;
        break;
    case CMD_DEFAULTS: set_defaults(dev); break;
    default: own_command(dev, value); return;
    }
    ps2_answer(dev, PS2_ACK);
}

/* --- Life --------------------------------------------------------------- */

void ps2_init(struct ps2 *dev, enum ps2_kind kind)
{
    memset(dev, 0, sizeof(*dev));
    dev->kind = kind;
    dev->answers.size = PS2_ANSWERS;
    dev->events.size = PS2_QUEUE;
    set_defaults(dev);
}

static void snap_fifo(struct ps2_fifo *fifo, struct snap *snap)
{
    snap_bytes(snap, fifo->byte, sizeof(fifo->byte));
    snap_u8(snap, &fifo->head);
    snap_u8(snap, &fifo->count);
    fifo->head %= PS2_QUEUE;
    if (fifo->count > fifo->size)
        fifo->count = fifo->size;
}

static void snap_settings(struct ps2 *dev, struct snap *snap)
{
    uint8_t *const fields[] = {
        &dev->command, &dev->last, &dev->scan_set, &dev->leds, &dev->repeat, &dev->resolution,
        &dev->rate, &dev->scaling, &dev->remote, &dev->wrap, &dev->id, &dev->knock[0],
        &dev->knock[1], &dev->buttons, &dev->buttons_told,
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
        snap_u8(snap, fields[i]);
}

void ps2_snapshot(struct ps2 *dev, struct snap *snap)
{
    uint8_t enabled = dev->enabled;

    snap_fifo(&dev->answers, snap);
    snap_fifo(&dev->events, snap);
    snap_u8(snap, &enabled);
    snap_settings(dev, snap);
    if (dev->kind == PS2_KEYBOARD)
        snap_bytes(snap, dev->key_type, sizeof(dev->key_type));
    snap_bytes(snap, dev->held, sizeof(dev->held));
    snap_bytes(snap, &dev->dx, sizeof(dev->dx));
    snap_bytes(snap, &dev->dy, sizeof(dev->dy));
    snap_bytes(snap, &dev->dz, sizeof(dev->dz));
    dev->enabled = enabled;
}
