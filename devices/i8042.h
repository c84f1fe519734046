/* i8042 keyboard controller with a keyboard and a mouse: ports 0x60 and 0x64, IRQ 1 and 12, and the
 * wires to A20 and to the processor's reset on a PC. */
#ifndef DEVICES_I8042_H
#define DEVICES_I8042_H

#include <stdint.h>

#include "base/irq.h"

struct bus;
struct i8042;
struct snap;

struct i8042_config {
    struct bus *ports;
    uint16_t data_port, command_port;
    struct irq keyboard_irq, mouse_irq;
    struct irq a20;   /* follows every write of the output port */
    struct irq reset; /* goes up when the guest pulls the processor's reset */
};

/* NULL with errno set when the ports are taken or memory is out. */
struct i8042 *i8042_create(const struct i8042_config *config);
void i8042_destroy(struct i8042 *kbc);

void i8042_reset(struct i8042 *kbc);
void i8042_snapshot(struct i8042 *kbc, struct snap *snap);

#endif
