/* HPET: a 64-bit counter of 100 MHz and three comparators. */
#ifndef DEVICES_HPET_H
#define DEVICES_HPET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/irq.h"

struct bus;
struct clock;
struct hpet;
struct snap;

#define HPET_BASE 0xfed00000u
#define HPET_ID 0x8086a201u /* Intel, three comparators, 64 bits, can stand in for PIT and RTC */
#define HPET_MIN_TICK 100   /* what the ACPI table advises: 1 us */
#define HPET_PINS 24

struct hpet_config {
    struct bus *memory;
    struct clock *clock;
    struct irq pin[HPET_PINS]; /* of the I/O APIC */
    /* With legacy replacement comparators 0 and 1 are IRQ 0 and 8, and nobody else is. */
    struct irq irq0, irq8;
    void (*replaces)(void *arg, bool on); /* PIT and RTC are cut off, or back */
    /* Does the last edge of IRQ 0 still wait for a guest that wants it? NULL: never. */
    bool (*waiting)(void *arg);
    void *arg;
};

/* NULL with errno set when the addresses are taken or memory is out. */
struct hpet *hpet_create(const struct hpet_config *config);
void hpet_destroy(struct hpet *hpet);

void hpet_reset(struct hpet *hpet);
void hpet_snapshot(struct hpet *hpet, struct snap *snap);

/* The guest has taken IRQ 0: a missed tick may follow. */
void hpet_taken(struct hpet *hpet);

#endif
