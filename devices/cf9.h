/* The chip sets' reset control register, port 0xcf9. */
#ifndef DEVICES_CF9_H
#define DEVICES_CF9_H

#include <stdint.h>

#include "base/irq.h"

struct bus;
struct cf9;
struct snap;

#define CF9_RESET_VALUE 0x06 /* what resets the machine when written */

struct cf9_config {
    struct bus *ports;
    uint16_t base;
    struct irq reset; /* goes up when the guest resets the machine */
};

/* NULL with errno set when the ports are taken or memory is out. */
struct cf9 *cf9_create(const struct cf9_config *config);
void cf9_destroy(struct cf9 *cf9);

void cf9_reset(struct cf9 *cf9);
void cf9_snapshot(struct cf9 *cf9, struct snap *snap);

#endif
