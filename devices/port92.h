/* System control port A (0x92): the fast ways to A20 and to the processor's reset. */
#ifndef DEVICES_PORT92_H
#define DEVICES_PORT92_H

#include <stdint.h>

#include "base/irq.h"

struct bus;
struct port92;
struct snap;

struct port92_config {
    struct bus *ports;
    uint16_t base;
    struct irq a20;   /* follows every write */
    struct irq reset; /* goes up when the guest pulls the processor's reset */
};

/* NULL with errno set when the port is taken or memory is out. */
struct port92 *port92_create(const struct port92_config *config);
void port92_destroy(struct port92 *port);

void port92_reset(struct port92 *port);
void port92_snapshot(struct port92 *port, struct snap *snap);

#endif
