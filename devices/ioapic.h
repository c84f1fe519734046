/* 82093AA, the I/O APIC: 24 pins, each with a redirection entry. */
#ifndef DEVICES_IOAPIC_H
#define DEVICES_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/irq.h"

struct bus;
struct ioapic;
struct snap;

#define IOAPIC_BASE 0xfec00000u
#define IOAPIC_PINS 24

struct ioapic_config {
    struct bus *memory;
    /* A message on the APIC bus, and whether somebody accepted it: see lapic_message(). */
    bool (*message)(void *arg, uint8_t destination, bool logical, unsigned mode, uint8_t vector,
                    bool level);
    void *arg;
};

/* NULL with errno set when the addresses are taken or memory is out. */
struct ioapic *ioapic_create(const struct ioapic_config *config);
void ioapic_destroy(struct ioapic *ioapic);

void ioapic_reset(struct ioapic *ioapic);
void ioapic_snapshot(struct ioapic *ioapic, struct snap *snap);

/* The wire of a pin, 0 to 23: up while the chip behind it wants an interrupt, whatever polarity the
 * guest believes in. */
struct irq ioapic_irq(struct ioapic *ioapic, unsigned pin);

/* A local APIC's end of a level-triggered interrupt. */
void ioapic_eoi(struct ioapic *ioapic, uint8_t vector);

/* Registers, for people: levels has a bit for each pin's wire. */
struct ioapic_view {
    uint8_t id;
    uint32_t levels;
    uint64_t entry[IOAPIC_PINS];
};

/* Changes nothing. */
void ioapic_look(const struct ioapic *ioapic, struct ioapic_view *view);

/* The vector that edges of this pin are sent with, or -1: it is masked, or sends something else. */
int ioapic_vector(const struct ioapic *ioapic, unsigned pin);

#endif
