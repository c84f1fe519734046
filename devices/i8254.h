/* 8254 interval timer: ports 0x40-0x43, and port 0x61 with its gate, the speaker and the refresh
 * toggle. Channel 0 is IRQ 0 on a PC, channel 1 refreshed memory, channel 2 drives the speaker. */
#ifndef DEVICES_I8254_H
#define DEVICES_I8254_H

#include <stdbool.h>
#include <stdint.h>

#include "base/irq.h"

struct bus;
struct clock;
struct i8254;
struct snap;

struct i8254_config {
    struct bus *ports;
    uint16_t base;
    uint16_t port_b;
    struct irq irq; /* channel 0's OUT */
    struct clock *clock;
    /* Does channel 0's last edge still wait for a guest that wants it? NULL: never. */
    bool (*waiting)(void *arg);
    void *waiting_arg;
};

/* NULL with errno set when the ports are taken or memory is out. */
struct i8254 *i8254_create(const struct i8254_config *config);
void i8254_destroy(struct i8254 *pit);

void i8254_reset(struct i8254 *pit);
void i8254_snapshot(struct i8254 *pit, struct snap *snap);

/* The guest has taken channel 0's interrupt: a missed tick may follow. */
void i8254_taken(struct i8254 *pit);

#endif
