/* i8042 keyboard controller with a keyboard and a mouse: ports 0x60 and 0x64, IRQ 1 and 12, and the
 * wires to A20 and to the processor's reset on a PC. */
#ifndef DEVICES_I8042_H
#define DEVICES_I8042_H

#include <stdbool.h>
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

/* Input: see ps2_key() and ps2_move(). Without room for a key one sends it later, or it is lost. */
void i8042_key(struct i8042 *kbc, unsigned key, bool down);
bool i8042_has_room(const struct i8042 *kbc);
void i8042_move(struct i8042 *kbc, int dx, int dy, int dz, unsigned buttons);

/* Calls set_leds(arg) when the guest sets the keyboard's lights: bit 0 scroll, 1 num, 2 caps. */
void i8042_tell_leds(struct i8042 *kbc, void (*set_leds)(void *arg, uint8_t leds), void *arg);

void i8042_reset(struct i8042 *kbc);
void i8042_snapshot(struct i8042 *kbc, struct snap *snap);

#endif
