/*
 * PS/2 mouse with a wheel and five buttons.
 *
 * Reference: IBM PS/2 Hardware Interface Technical Reference, "Mouse"; the wheel's packets and how
 *            a driver asks for them (sample rates 200, 100, 80 and 200, 200, 80) are Microsoft's.
 * Modelled:  stream, remote and wrap mode, scaling, all settings; movement that the guest has not
 *            fetched is added up.
 * Not:       the sample rate and the resolution: packets go as fast as they are read.
 */
#include "devices/ps2_private.h"

#include <stdlib.h>

enum {
    CMD_SCALE_1 = 0xe6,
    CMD_SCALE_2 = 0xe7,
    CMD_RESOLUTION = 0xe8,
    CMD_STATUS = 0xe9,
    CMD_STREAM = 0xea,
    CMD_READ = 0xeb,
    CMD_WRAP_OFF = 0xec,
    CMD_WRAP = 0xee,
    CMD_REMOTE = 0xf0,
    CMD_RATE = 0xf3,
};

#define STATUS_REMOTE  0x40
#define STATUS_ENABLED 0x20
#define STATUS_SCALING 0x10

#define PACKET_ALWAYS 0x08
#define PACKET_LEFT   0x10 /* signs */
#define PACKET_DOWN   0x20

#define ID_PLAIN 0
#define ID_WHEEL 3
#define ID_5_BUTTONS 4

#define FARTHEST 255
#define ADDED_UP_MAX 32767

/* --- Packets ------------------------------------------------------------ */

static int32_t clamp(int32_t value, int32_t limit)
{
    return value > limit ? limit : value < -limit ? -limit : value;
}

/* Twice as far for fast movement; slow movement is slowed down. */
static int32_t scaled(const struct ps2 *dev, int32_t value)
{
    static const int32_t slow[] = { 0, 1, 1, 3, 6, 9 };
    int32_t size = abs(value);

    if (!dev->scaling || dev->remote)
        return value;
    size = size < 6 ? slow[size] : clamp(2 * size, FARTHEST);
    return value < 0 ? -size : size;
}

static int32_t take(int32_t *from, int32_t limit)
{
    int32_t part = clamp(*from, limit);

    *from -= part;
    return part;
}

static void packet(struct ps2 *dev, struct ps2_fifo *to)
{
    int32_t x = scaled(dev, take(&dev->dx, FARTHEST));
    int32_t y = -scaled(dev, take(&dev->dy, FARTHEST)); /* up counts */
    int32_t z = take(&dev->dz, dev->id == ID_PLAIN ? ADDED_UP_MAX : 7);

    ps2_push(to, (uint8_t)(PACKET_ALWAYS | (dev->buttons & 7) | (x < 0 ? PACKET_LEFT : 0) |
                           (y < 0 ? PACKET_DOWN : 0)));
    ps2_push(to, (uint8_t)x);
    ps2_push(to, (uint8_t)y);
    if (dev->id == ID_WHEEL)
        ps2_push(to, (uint8_t)z);
    else if (dev->id == ID_5_BUTTONS)
        ps2_push(to, (uint8_t)((z & 0x0f) | (dev->buttons & 0x18) << 1));
    dev->buttons_told = dev->buttons;
}

void ps2_mouse_stream(struct ps2 *dev)
{
    bool wheel = dev->dz && dev->id != ID_PLAIN;

    if (!dev->enabled || dev->remote || dev->wrap || dev->events.count)
        return;
    if (dev->dx || dev->dy || wheel || dev->buttons != dev->buttons_told)
        packet(dev, &dev->events);
}

void ps2_move(struct ps2 *dev, int dx, int dy, int dz, unsigned buttons)
{
    if (!dev->enabled && !dev->remote)
        return;
    dev->dx = clamp(dev->dx + clamp(dx, ADDED_UP_MAX), ADDED_UP_MAX);
    dev->dy = clamp(dev->dy + clamp(dy, ADDED_UP_MAX), ADDED_UP_MAX);
    dev->dz = clamp(dev->dz + clamp(dz, ADDED_UP_MAX), ADDED_UP_MAX);
    dev->buttons = buttons & 0x1f;
    ps2_mouse_stream(dev);
}

/* --- Commands ----------------------------------------------------------- */

void ps2_mouse_defaults(struct ps2 *dev)
{
    dev->resolution = 2;
    dev->rate = 100;
    dev->scaling = dev->remote = dev->wrap = 0;
    dev->enabled = false;
    dev->dx = dev->dy = dev->dz = 0;
}

static void status(struct ps2 *dev)
{
    unsigned buttons = (dev->buttons & 1) << 2 | (dev->buttons & 4) >> 1 | (dev->buttons & 2) >> 1;

    ps2_answer(dev, PS2_ACK);
    ps2_answer(dev, (uint8_t)((dev->remote ? STATUS_REMOTE : 0) |
                              (dev->enabled ? STATUS_ENABLED : 0) |
                              (dev->scaling ? STATUS_SCALING : 0) | buttons));
    ps2_answer(dev, dev->resolution);
    ps2_answer(dev, dev->rate);
}

void ps2_mouse_command(struct ps2 *dev, uint8_t value)
{
    switch (value) {
    case CMD_STATUS: status(dev); return;
    case CMD_READ:
        ps2_answer(dev, PS2_ACK);
        packet(dev, &dev->answers);
        return;
    case CMD_SCALE_1: dev->scaling = 0; break;
    case CMD_SCALE_2: dev->scaling = 1; break;
    case CMD_RESOLUTION: dev->command = value; break;
    case CMD_STREAM: dev->remote = 0; break;
    case CMD_REMOTE: dev->remote = 1; break;
    case CMD_WRAP: dev->wrap = 1; break;
    case CMD_WRAP_OFF: dev->wrap = 0; break;
    default: ps2_answer(dev, PS2_RESEND); return;
    }
    ps2_answer(dev, PS2_ACK);
}

static void knock(struct ps2 *dev, uint8_t rate)
{
    if (dev->knock[0] == 200 && dev->knock[1] == 100 && rate == 80)
        dev->id = ID_WHEEL;
    else if (dev->knock[0] == 200 && dev->knock[1] == 200 && rate == 80 && dev->id == ID_WHEEL)
        dev->id = ID_5_BUTTONS;
    dev->knock[0] = dev->knock[1];
    dev->knock[1] = rate;
}

void ps2_mouse_argument(struct ps2 *dev, uint8_t command, uint8_t value)
{
    ps2_answer(dev, PS2_ACK);
    if (command == CMD_RESOLUTION) {
        dev->resolution = value & 3;
    } else if (command == CMD_RATE) {
        dev->rate = value;
        knock(dev, value);
    }
}
