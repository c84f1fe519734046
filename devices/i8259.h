/* 8259A interrupt controllers, a cascaded pair: IRQ 0-7 on the master, 8-15 on the slave, which
 * hangs on the master's IRQ 2. Ports 0x20-0x21, 0xa0-0xa1 and the edge/level registers 0x4d0-0x4d1
 * on a PC. */
#ifndef DEVICES_I8259_H
#define DEVICES_I8259_H

#include <stdbool.h>
#include <stdint.h>

#include "base/irq.h"

struct bus;
struct i8259;
struct snap;

struct i8259_config {
    struct bus *ports;
    uint16_t master_base, slave_base;
    uint16_t elcr_base;
    struct irq intr; /* to the CPU's INTR pin */
    /* The guest has taken this IRQ (0-15): its INTA cycle or poll is over. May be NULL. */
    void (*taken)(void *arg, unsigned irq);
    void *taken_arg;
};

/* NULL with errno set when the ports are taken or memory is out. */
struct i8259 *i8259_create(const struct i8259_config *config);
void i8259_destroy(struct i8259 *pic);

void i8259_reset(struct i8259 *pic);
void i8259_snapshot(struct i8259 *pic, struct snap *snap);

/* For a board without firmware: these IRQs (a bit each) are levels. */
void i8259_set_levels(struct i8259 *pic, uint16_t irqs);

/* The wire of an IRQ: pin is 0-15, but not 2. */
struct irq i8259_irq(struct i8259 *pic, unsigned pin);

/* The CPU's INTA cycles: the vector. The spurious vector when nothing is pending any more. */
uint8_t i8259_ack(struct i8259 *pic);

/* Registers of one chip, for people: request, in service, mask, level-triggered; the vector of its
 * first IRQ. */
struct i8259_view {
    uint8_t irr, isr, imr, elcr, base;
};

/* Master, slave. */
void i8259_look(const struct i8259 *pic, struct i8259_view view[2]);

/* The guest has this IRQ unmasked, and its last edge still waits to be taken. */
bool i8259_waiting(const struct i8259 *pic, unsigned irq);

#endif
