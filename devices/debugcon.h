/* The debug console of Bochs and QEMU: port 0xE9, or others. A byte written goes to the host; a
 * read gives 0xE9, which tells a guest that somebody listens. */
#ifndef DEVICES_DEBUGCON_H
#define DEVICES_DEBUGCON_H

#include <stdint.h>

struct bus;
struct chardev;
struct clock;
struct debugcon;

struct debugcon_config {
    struct bus *ports;
    uint16_t base;
    struct clock *clock;
    struct chardev *line;
    uint16_t second_base; /* 0: no second port */
};

/* NULL with errno set when the port is taken or memory is out. */
struct debugcon *debugcon_create(const struct debugcon_config *config);
void debugcon_destroy(struct debugcon *con);

/* Sends collected bytes on to the host. */
void debugcon_flush(struct debugcon *con);

#endif
