/* The local APIC of the CPU: memory-mapped registers, its timer, and which interrupt comes next. */
#ifndef DEVICES_LAPIC_H
#define DEVICES_LAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/irq.h"

struct bus;
struct clock;
struct lapic;
struct snap;

#define LAPIC_BASE 0xfee00000u
#define LAPIC_TIMER_HZ 1000000000ull /* of its timer before the divider */

/* Delivery modes, as in the ICR, an LVT entry and an I/O APIC's redirection entry. */
enum {
    LAPIC_FIXED = 0,
    LAPIC_LOWEST = 1,
    LAPIC_SMI = 2,
    LAPIC_NMI = 4,
    LAPIC_INIT = 5,
    LAPIC_STARTUP = 6,
    LAPIC_EXTINT = 7,
};

enum { LAPIC_NOTHING = -1, LAPIC_8259 = -2 }; /* what lapic_ack() says beside vectors */

struct lapic_config {
    struct bus *memory;
    struct clock *clock;
    struct irq intr; /* to the CPU's INTR */
    void (*nmi)(void *arg);
    void (*eoi)(void *arg, uint8_t vector);   /* of a level-triggered interrupt: the I/O APIC's */
    void (*taken)(void *arg, uint8_t vector); /* the CPU begins to serve it */
    void *arg;
};

/* NULL with errno set when the addresses are taken or memory is out. */
struct lapic *lapic_create(const struct lapic_config *config);
void lapic_destroy(struct lapic *lapic);

/* As hardware with one processor leaves it: disabled, LINT0 passes the 8259s' interrupts. */
void lapic_reset(struct lapic *lapic);
void lapic_snapshot(struct lapic *lapic, struct snap *snap);

/*
 * IA32_APIC_BASE is written (SDM 3, 10.4.4): where the page of registers is (gpa) and, by
 * LAPIC_ENABLED, whether. Off: the 8259s are the CPU's, and the registers are not there. On again:
 * they are as after lapic_reset(). A page that is RAM or has another chip's registers stays what it
 * is: the APIC's cannot be reached until they are moved again.
 */
#define LAPIC_ENABLED 0x800u
void lapic_set_base(struct lapic *lapic, uint64_t value);

/* The 8259s' INT: on LINT0. */
struct irq lapic_lint0(struct lapic *lapic);

/* A message: to this APIC if its destination says so (logical: by LDR and DFR). Whether it has been
 * accepted. */
bool lapic_message(struct lapic *lapic, uint8_t destination, bool logical, unsigned mode,
                   uint8_t vector, bool level);

/* The CPU's INTA cycle: the vector, LAPIC_8259 when it is those that are asked, LAPIC_NOTHING when
 * what was pending is not any more (the CPU takes the spurious vector, lapic_spurious()). */
int lapic_ack(struct lapic *lapic);
uint8_t lapic_spurious(const struct lapic *lapic);

/* Registers, for people. */
enum { LAPIC_LVT_COUNT = 6 }; /* timer, thermal, performance, LINT0, LINT1, error */
struct lapic_view {
    bool enabled; /* by IA32_APIC_BASE */
    uint8_t id, tpr;
    uint32_t ldr, dfr, svr, esr, lvt[LAPIC_LVT_COUNT], initial, current, divide;
    uint32_t irr[8], isr[8], tmr[8]; /* a bit for each vector */
};

/* Changes nothing. */
void lapic_look(const struct lapic *lapic, struct lapic_view *view);

/* Is this vector requested and not served yet? */
bool lapic_requested(const struct lapic *lapic, uint8_t vector);

#endif
