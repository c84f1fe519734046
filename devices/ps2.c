/*
 * PS/2 keyboard and mouse: their command sets.
 *
 * Reference: IBM PS/2 Hardware Interface Technical Reference, "Keyboard" and "Mouse".
 * Modelled:  every command with its answer; the settings a guest can read back.
 * Not yet:   keys and movement, which come with a display.
 */
#include "devices/ps2.h"

#include "base/snap.h"

/* --- Registers ---------------------------------------------------------- */

#define ACK        0xfa
#define RESEND     0xfe
#define TEST_OK    0xaa
#define ECHO       0xee

enum { /* both */
    CMD_ID = 0xf2,
    CMD_RATE = 0xf3,
    CMD_ENABLE = 0xf4,
    CMD_DISABLE = 0xf5,
    CMD_DEFAULTS = 0xf6,
    CMD_RESEND = 0xfe,
    CMD_RESET = 0xff,
};

enum { /* keyboard */
    KBD_LEDS = 0xed,
    KBD_ECHO = 0xee,
    KBD_SCAN_SET = 0xf0,
    KBD_ALL_KEYS_FIRST = 0xf7,
    KBD_KEY_TYPE_LAST = 0xfd,
};

enum { /* mouse */
    MOUSE_SCALE_1 = 0xe6,
    MOUSE_SCALE_2 = 0xe7,
    MOUSE_RESOLUTION = 0xe8,
    MOUSE_STATUS = 0xe9,
    MOUSE_STREAM = 0xea,
    MOUSE_READ = 0xeb,
    MOUSE_WRAP_OFF = 0xec,
    MOUSE_WRAP = 0xee,
    MOUSE_REMOTE = 0xf0,
};

#define STATUS_REMOTE  0x40
#define STATUS_ENABLED 0x20
#define STATUS_SCALING 0x10
#define PACKET_ALWAYS  0x08

/* --- Behaviour ---------------------------------------------------------- */

static void reply(struct ps2 *dev, uint8_t value)
{
    if (dev->count == PS2_QUEUE)
        return; /* the guest does not read: what a device with a full buffer does */
    dev->queue[(dev->head + dev->count++) % PS2_QUEUE] = value;
}

static void set_defaults(struct ps2 *dev)
{
    dev->command = 0;
    dev->scan_set = 2;
    dev->resolution = 2;
    dev->rate = 100;
    dev->scaling = dev->remote = 0;
    dev->enabled = dev->kind == PS2_KEYBOARD;
}

static void reset(struct ps2 *dev)
{
    dev->head = dev->count = 0;
    set_defaults(dev);
    reply(dev, ACK);
    reply(dev, TEST_OK);
    if (dev->kind == PS2_MOUSE)
        reply(dev, 0x00);
}

static void identify(struct ps2 *dev)
{
    reply(dev, ACK);
    reply(dev, dev->kind == PS2_MOUSE ? 0x00 : 0xab);
    if (dev->kind == PS2_KEYBOARD)
        reply(dev, 0x83);
}

static void argument(struct ps2 *dev, uint8_t value)
{
    uint8_t command = dev->command;

    dev->command = 0;
    reply(dev, ACK);
    if (dev->kind == PS2_MOUSE && command == CMD_RATE)
        dev->rate = value;
    if (dev->kind == PS2_MOUSE && command == MOUSE_RESOLUTION)
        dev->resolution = value & 3;
    if (dev->kind == PS2_KEYBOARD && command == KBD_SCAN_SET) {
        if (value == 0)
            reply(dev, dev->scan_set);
        else if (value <= 3)
            dev->scan_set = value;
    }
}

static void keyboard_command(struct ps2 *dev, uint8_t value)
{
    if (value == KBD_ECHO) {
        reply(dev, ECHO);
        return;
    }
    if (value == KBD_LEDS || value == KBD_SCAN_SET)
        dev->command = value;
    else if (value < KBD_ALL_KEYS_FIRST || value > KBD_KEY_TYPE_LAST) {
        reply(dev, RESEND);
        return;
    }
    reply(dev, ACK);
}

static void mouse_status(struct ps2 *dev)
{
    reply(dev, ACK);
    reply(dev, (dev->remote ? STATUS_REMOTE : 0) | (dev->enabled ? STATUS_ENABLED : 0) |
                   (dev->scaling ? STATUS_SCALING : 0));
    reply(dev, dev->resolution);
    reply(dev, dev->rate);
}

static void mouse_packet(struct ps2 *dev)
{
    reply(dev, ACK);
    reply(dev, PACKET_ALWAYS);
    reply(dev, 0);
    reply(dev, 0);
}

static void mouse_command(struct ps2 *dev, uint8_t value)
{
    switch (value) {
    case MOUSE_STATUS: mouse_status(dev); return;
    case MOUSE_READ: mouse_packet(dev); return;
    case MOUSE_SCALE_1: dev->scaling = 0; break;
    case MOUSE_SCALE_2: dev->scaling = 1; break;
    case MOUSE_RESOLUTION: dev->command = value; break;
    case MOUSE_STREAM: dev->remote = 0; break;
    case MOUSE_REMOTE: dev->remote = 1; break;
    case MOUSE_WRAP:
    case MOUSE_WRAP_OFF: break;
    default: reply(dev, RESEND); return;
    }
    reply(dev, ACK);
}

void ps2_write(struct ps2 *dev, uint8_t value)
{
    if (dev->command && value < MOUSE_SCALE_1) {
        argument(dev, value);
        return;
    }
    dev->command = 0;
    switch (value) {
    case CMD_RESET: reset(dev); return;
    case CMD_ID: identify(dev); return;
    case CMD_RESEND: reply(dev, dev->last); return;
    case CMD_RATE: dev->command = value; break;
    case CMD_ENABLE: dev->enabled = true; break;
    case CMD_DISABLE: dev->enabled = false; break;
    case CMD_DEFAULTS: set_defaults(dev); break;
    default:
        if (dev->kind == PS2_KEYBOARD)
            keyboard_command(dev, value);
        else
            mouse_command(dev, value);
        return;
    }
    reply(dev, ACK);
}

uint8_t ps2_read(struct ps2 *dev)
{
    dev->last = dev->queue[dev->head];
    if (dev->count) {
        dev->head = (dev->head + 1) % PS2_QUEUE;
        dev->count--;
    }
    return dev->last;
}

/* --- Life --------------------------------------------------------------- */

void ps2_init(struct ps2 *dev, enum ps2_kind kind)
{
    *dev = (struct ps2){ .kind = kind };
    set_defaults(dev);
}

void ps2_snapshot(struct ps2 *dev, struct snap *snap)
{
    uint8_t enabled = dev->enabled;

    snap_bytes(snap, dev->queue, sizeof(dev->queue));
    snap_u8(snap, &dev->head);
    snap_u8(snap, &dev->count);
    snap_u8(snap, &dev->command);
    snap_u8(snap, &dev->last);
    snap_u8(snap, &enabled);
    snap_u8(snap, &dev->scan_set);
    snap_u8(snap, &dev->resolution);
    snap_u8(snap, &dev->rate);
    snap_u8(snap, &dev->scaling);
    snap_u8(snap, &dev->remote);
    dev->enabled = enabled;
    dev->head %= PS2_QUEUE;
    if (dev->count > PS2_QUEUE)
        dev->count = PS2_QUEUE;
}
