/* The board's interrupt system: the 8259s, and with a CPU that has a local APIC that, the I/O APIC
 * and the HPET. */
#ifndef FRONTEND_PC_IRQ_H
#define FRONTEND_PC_IRQ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/irq.h"
#include "devices/i8259.h"
#include "devices/ioapic.h"
#include "devices/lapic.h"

struct bus;
struct clock;
struct pc_irq;
struct snap;

struct pc_irq_config {
    struct bus *ports, *memory;
    struct clock *clock;
    bool apic;
    struct irq intr;            /* to the CPU */
    void (*nmi)(void *arg);
    void (*pit_taken)(void *arg); /* the guest takes IRQ 0 */
    void *arg;
};

/* NULL when memory is out. */
struct pc_irq *pc_irq_create(const struct pc_irq_config *config);
void pc_irq_destroy(struct pc_irq *irqs);
void pc_irq_reset(struct pc_irq *irqs);
void pc_irq_snapshot(struct pc_irq *irqs, struct snap *snap);

/* Without firmware: these IRQs (a bit each) are levels. */
void pc_irq_set_levels(struct pc_irq *irqs, uint16_t levels);

/* An ISA IRQ's wire, 0-15 but not 2: it goes to the 8259s and the I/O APIC. */
struct irq pc_irq_wire(struct pc_irq *irqs, unsigned irq);

/* Interrupts as messages, which a PCI function writes to an address (SDM 3, 10.11). */
bool pc_irq_takes_messages(const struct pc_irq *irqs);
void pc_irq_message(struct pc_irq *irqs, uint64_t address, uint32_t data);

/* The CPU's INTA cycle: the vector. */
uint8_t pc_irq_ack(struct pc_irq *irqs);

/* Does the last edge of IRQ 0 still wait for a guest that wants it? */
bool pc_irq_tick_waits(const struct pc_irq *irqs);

/* All registers, for people. */
struct pc_irq_view {
    struct i8259_view pic[2]; /* master, slave */
    bool apic;                /* there are these: */
    struct lapic_view lapic;
    struct ioapic_view ioapic;
};

/* Changes nothing. */
void pc_irq_look(const struct pc_irq *irqs, struct pc_irq_view *view);

/* IA32_APIC_BASE was written. */
void pc_irq_set_apic_base(struct pc_irq *irqs, uint64_t value);

#endif
