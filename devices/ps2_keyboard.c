/*
 * PS/2 keyboard: its own commands, and keys in the three scan code sets.
 *
 * Reference: IBM PS/2 Hardware Interface Technical Reference, "Keyboard" (101 and 102 keys).
 * Modelled:  sets 1, 2 and 3, the sequences of Print Screen and Pause, types of keys in set 3,
 *            lights, overrun.
 * Not:       repetition by itself: who presses keys repeats them; the "fake shifts" around cursor
 *            keys while Num Lock is on, which no guest needs.
 */
#include "devices/keys.h"
#include "devices/ps2_private.h"

enum {
    CMD_LEDS = 0xed,
    CMD_ECHO = 0xee,
    CMD_SCAN_SET = 0xf0,
    CMD_RATE = 0xf3,
    CMD_ALL_FIRST = 0xf7, /* to 0xfa: the type of all keys */
    CMD_ALL_LAST = 0xfa,
    CMD_KEY_FIRST = 0xfb, /* to 0xfd: of those whose codes follow */
    CMD_KEY_LAST = 0xfd,
};

#define REPEAT_DEFAULT 0x2b /* 10.9 a second after half a second */
#define LONGEST 8           /* bytes: Pause */

/* --- Commands ----------------------------------------------------------- */

static const uint8_t types[4] = { PS2_TYPEMATIC, PS2_MAKE_BREAK, PS2_MAKE, PS2_TYPEMATIC_BREAK };

static void set_types(struct ps2 *dev, uint8_t type)
{
    for (unsigned i = 0; i < PS2_SET3_CODES; i++)
        dev->key_type[i] = type;
}

void ps2_keyboard_defaults(struct ps2 *dev)
{
    dev->scan_set = 2;
    dev->repeat = REPEAT_DEFAULT;
    dev->enabled = true;
    set_types(dev, PS2_TYPEMATIC_BREAK);
}

void ps2_keyboard_command(struct ps2 *dev, uint8_t value)
{
    if (value == CMD_ECHO) {
        ps2_answer(dev, CMD_ECHO);
        return;
    }
    if (value >= CMD_ALL_FIRST && value <= CMD_ALL_LAST) {
        set_types(dev, types[value - CMD_ALL_FIRST]);
    } else if (value == CMD_LEDS || value == CMD_SCAN_SET ||
               (value >= CMD_KEY_FIRST && value <= CMD_KEY_LAST)) {
        dev->command = value;
    } else {
        ps2_answer(dev, PS2_RESEND);
        return;
    }
    ps2_answer(dev, PS2_ACK);
}

static void set_scan_set(struct ps2 *dev, uint8_t value)
{
    if (!value)
        ps2_answer(dev, dev->scan_set);
    else if (value <= 3)
        dev->scan_set = value;
}

void ps2_keyboard_argument(struct ps2 *dev, uint8_t command, uint8_t value)
{
    ps2_answer(dev, PS2_ACK);
    switch (command) {
    case CMD_LEDS: dev->leds = value & 7; break;
    case CMD_RATE: dev->repeat = value & 0x7f; break;
    case CMD_SCAN_SET: set_scan_set(dev, value); break;
    default:
        if (value < PS2_SET3_CODES)
            dev->key_type[value] = types[command - CMD_KEY_FIRST];
        dev->command = command; /* codes follow until a command does */
        break;
    }
}

/* --- Keys --------------------------------------------------------------- */

bool ps2_has_room(const struct ps2 *dev)
{
    return dev->events.size - dev->events.count >= LONGEST;
}

static bool is_held(const struct ps2 *dev, unsigned key)
{
    return dev->held[key / 8] >> key % 8 & 1;
}

static bool either(const struct ps2 *dev, unsigned left, unsigned right)
{
    return is_held(dev, left) || is_held(dev, right);
}

static void send(struct ps2 *dev, const uint8_t *bytes, unsigned count)
{
    if (dev->events.count + count > dev->events.size) {
        ps2_push(&dev->events, dev->scan_set == 1 ? 0xff : 0x00); /* overrun */
        return;
    }
    for (unsigned i = 0; i < count; i++)
        ps2_push(&dev->events, bytes[i]);
}

/* Sets 1 and 2: a code with its prefix. */
static void send_code(struct ps2 *dev, unsigned code, bool down)
{
    uint8_t bytes[4];
    unsigned count = 0;

    if (code >> 8)
        bytes[count++] = (uint8_t)(code >> 8);
    if (!down && dev->scan_set != 1)
        bytes[count++] = 0xf0;
    bytes[count++] = (uint8_t)(!down && dev->scan_set == 1 ? code | 0x80 : code);
    send(dev, bytes, count);
}

static void send_sysrq(struct ps2 *dev, bool down)
{
    bool first = dev->scan_set == 1;
    unsigned shift = first ? 0xe02a : 0xe012, print = first ? 0xe037 : 0xe07c;

    if (either(dev, KEYS_ALT, KEYS_ALT_R)) {
        send_code(dev, first ? 0x54 : 0x84, down);
    } else if (either(dev, KEYS_CTRL, KEYS_CTRL_R) || either(dev, KEYS_SHIFT, KEYS_SHIFT_R)) {
        send_code(dev, print, down);
    } else if (down) {
        send_code(dev, shift, true);
        send_code(dev, print, true);
    } else {
        send_code(dev, print, false);
        send_code(dev, shift, false);
    }
}

/* Pressed and released in one. */
static void send_pause(struct ps2 *dev)
{
    static const uint8_t pause_1[] = { 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5 };
    static const uint8_t pause_2[] = { 0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77 };
    unsigned stop = dev->scan_set == 1 ? 0xe046 : 0xe07e;

    if (either(dev, KEYS_CTRL, KEYS_CTRL_R)) {
        send_code(dev, stop, true);
        send_code(dev, stop, false);
    } else if (dev->scan_set == 1) {
        send(dev, pause_1, sizeof(pause_1));
    } else {
        send(dev, pause_2, sizeof(pause_2));
    }
}

static void send_set_3(struct ps2 *dev, unsigned code, bool down, bool again)
{
    uint8_t type = dev->key_type[code % PS2_SET3_CODES];

    if (!code || (again && (type == PS2_MAKE_BREAK || type == PS2_MAKE)) ||
        (!down && (type == PS2_MAKE || type == PS2_TYPEMATIC)))
        return;
    send_code(dev, code, down);
}

void ps2_key(struct ps2 *dev, unsigned key, bool down)
{
    const struct keys_codes *codes = keys_codes(key);
    bool before;

    if (!codes)
        return;
    before = is_held(dev, key);
    dev->held[key / 8] &= ~(1u << key % 8);
    dev->held[key / 8] |= down << key % 8;
    if (!dev->enabled || (!before && !down))
        return;
    if (dev->scan_set == 3)
        send_set_3(dev, codes->set[2], down, before && down);
    else if (key == KEYS_SYSRQ)
        send_sysrq(dev, down);
    else if (key == KEYS_PAUSE && down && !before)
        send_pause(dev);
    else if (codes->set[dev->scan_set - 1])
        send_code(dev, codes->set[dev->scan_set - 1], down);
}
