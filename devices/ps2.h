/*
 * What hangs on the i8042's two ports: a keyboard and a wheel mouse. Open so that the controller
 * can embed them.
 *
 * Bytes for the host wait in two queues: answers to commands go first, so that a guest that does
 * not read keys still gets them.
 */
#ifndef DEVICES_PS2_H
#define DEVICES_PS2_H

#include <stdbool.h>
#include <stdint.h>

struct snap;

enum ps2_kind { PS2_KEYBOARD, PS2_MOUSE };

#define PS2_QUEUE 16
#define PS2_ANSWERS 8

struct ps2_fifo {
    uint8_t byte[PS2_QUEUE];
    uint8_t head, count, size;
};

/* Set 3: what a key does, settable for each (by its code). */
enum ps2_key_type { PS2_TYPEMATIC_BREAK, PS2_TYPEMATIC, PS2_MAKE_BREAK, PS2_MAKE };

#define PS2_SET3_CODES 0x90

struct ps2 {
    uint8_t kind;
    struct ps2_fifo answers, events;
    uint8_t command; /* waits for its argument; 0: none does */
    uint8_t last;    /* for "resend" */
    bool enabled;

    /* Keyboard */
    uint8_t scan_set, leds, repeat;
    uint8_t key_type[PS2_SET3_CODES];
    uint8_t held[18]; /* a bit for each key */

    /* Mouse */
    uint8_t resolution, rate, scaling, remote, wrap, id;
    uint8_t knock[2]; /* the last sample rates set, older first */
    uint8_t buttons, buttons_told;
    int32_t dx, dy, dz; /* not told yet */
};

void ps2_init(struct ps2 *dev, enum ps2_kind kind);
void ps2_snapshot(struct ps2 *dev, struct snap *snap);

/* A byte from the controller; answers are queued at once. */
void ps2_write(struct ps2 *dev, uint8_t value);

static inline bool ps2_has_data(const struct ps2 *dev)
{
    return dev->answers.count || dev->events.count;
}

/* The oldest byte; only while there is one. */
uint8_t ps2_read(struct ps2 *dev);

/* A key of devices/keys.h goes down (again and again while the host repeats it) or up. */
void ps2_key(struct ps2 *dev, unsigned key, bool down);

/* Whether the longest sequence of a key fits into the queue now. */
bool ps2_has_room(const struct ps2 *dev);

/* Movement right, down and of the wheel towards the user, in counts; buttons as in display.h. */
void ps2_move(struct ps2 *dev, int dx, int dy, int dz, unsigned buttons);

#endif
