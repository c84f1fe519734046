/* What hangs on the i8042's two ports: a keyboard and a mouse that answer every command and that
 * nobody touches. Open so that the controller can embed them. */
#ifndef DEVICES_PS2_H
#define DEVICES_PS2_H

#include <stdbool.h>
#include <stdint.h>

struct snap;

enum ps2_kind { PS2_KEYBOARD, PS2_MOUSE };

#define PS2_QUEUE 16

struct ps2 {
    uint8_t kind;
    uint8_t queue[PS2_QUEUE]; /* bytes for the host, oldest at head */
    uint8_t head, count;
    uint8_t command;          /* waits for its argument; 0: none does */
    uint8_t last;             /* for "resend" */
    bool enabled;
    uint8_t scan_set;         /* keyboard */
    uint8_t resolution, rate, scaling, remote; /* mouse */
};

void ps2_init(struct ps2 *dev, enum ps2_kind kind);
void ps2_snapshot(struct ps2 *dev, struct snap *snap);

/* A byte from the controller; answers are queued at once. */
void ps2_write(struct ps2 *dev, uint8_t value);

static inline bool ps2_has_data(const struct ps2 *dev)
{
    return dev->count;
}

/* The oldest byte; only while there is one. */
uint8_t ps2_read(struct ps2 *dev);

#endif
