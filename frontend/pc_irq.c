/*
 * Who hears of an IRQ. Each ISA wire goes to the 8259s and to the I/O APIC's pin of that number,
 * IRQ 0 to pin 2, as on every PC; what the 8259s make of theirs goes to the local APIC's LINT0.
 * PCI's four are ISA IRQs behind the PIIX3's router. Pins 16 to 23 are the HPET's alone.
 *
 * Reference: MultiProcessor Specification 1.4, 3.6.2.2 (virtual wire mode), 3.6.2.3 (symmetric).
 */
#include "frontend/pc_irq.h"

#include <stdlib.h>

#include "base/snap.h"
#include "devices/hpet.h"
#include "devices/i8259.h"
#include "devices/ioapic.h"
#include "devices/lapic.h"
#include "frontend/pc_map.h"

enum { IRQS = 16, PIN_IRQ0 = 2 };

struct pc_irq {
    struct pc_irq_config config;
    struct i8259 *pic;
    struct lapic *lapic; /* these three or none */
    struct ioapic *ioapic;
    struct hpet *hpet;
    bool replaced; /* the HPET stands in for PIT and RTC */
    struct irq pic_wire[IRQS], ioapic_wire[IRQS];
};

/* --- Wires -------------------------------------------------------------- */

static void both_set(void *sink, unsigned irq, bool level)
{
    struct pc_irq *irqs = sink;

    irq_set(&irqs->pic_wire[irq], level);
    if (irqs->ioapic)
        irq_set(&irqs->ioapic_wire[irq], level);
}

/* PIT and RTC, which the HPET can cut off. */
static void replaceable_set(void *sink, unsigned irq, bool level)
{
    const struct pc_irq *irqs = sink;

    if (!irqs->replaced)
        both_set(sink, irq, level);
}

static void replaces(void *arg, bool on)
{
    struct pc_irq *irqs = arg;

    irqs->replaced = on;
    both_set(irqs, IRQ_PIT, false);
    both_set(irqs, IRQ_RTC, false);
}

struct irq pc_irq_wire(struct pc_irq *irqs, unsigned irq)
{
    bool replaceable = irq == IRQ_PIT || irq == IRQ_RTC;

    return (struct irq){ replaceable ? replaceable_set : both_set, irqs, irq };
}

/* --- Between the chips -------------------------------------------------- */

static void tick_taken(struct pc_irq *irqs)
{
    irqs->config.pit_taken(irqs->config.arg);
    if (irqs->hpet)
        hpet_taken(irqs->hpet);
}

static bool tick_waits(void *arg)
{
    return pc_irq_tick_waits(arg);
}

static void pic_taken(void *arg, unsigned irq)
{
    if (irq == IRQ_PIT)
        tick_taken(arg);
}

static void apic_taken(void *arg, uint8_t vector)
{
    struct pc_irq *irqs = arg;

    if (ioapic_vector(irqs->ioapic, PIN_IRQ0) == vector)
        tick_taken(irqs);
}

static void apic_eoi(void *arg, uint8_t vector)
{
    ioapic_eoi(((struct pc_irq *)arg)->ioapic, vector);
}

static void apic_nmi(void *arg)
{
    struct pc_irq *irqs = arg;

    irqs->config.nmi(irqs->config.arg);
}

static bool message(void *arg, uint8_t destination, bool logical, unsigned mode, uint8_t vector,
                    bool level)
{
    return lapic_message(((struct pc_irq *)arg)->lapic, destination, logical, mode, vector, level);
}

bool pc_irq_takes_messages(const struct pc_irq *irqs)
{
    return irqs->lapic;
}

void pc_irq_message(struct pc_irq *irqs, uint64_t address, uint32_t data)
{
    if (address >> 20 == LAPIC_BASE >> 20)
        lapic_message(irqs->lapic, address >> 12 & 0xff, address >> 2 & 1, data >> 8 & 7,
                      data & 0xff, data >> 15 & 1);
}

uint8_t pc_irq_ack(struct pc_irq *irqs)
{
    int vector = irqs->lapic ? lapic_ack(irqs->lapic) : LAPIC_8259;

    if (vector == LAPIC_NOTHING)
        return lapic_spurious(irqs->lapic);
    return vector == LAPIC_8259 ? i8259_ack(irqs->pic) : (uint8_t)vector;
}

bool pc_irq_tick_waits(const struct pc_irq *irqs)
{
    int vector = irqs->ioapic ? ioapic_vector(irqs->ioapic, PIN_IRQ0) : -1;

    return i8259_waiting(irqs->pic, IRQ_PIT) ||
           (vector >= 0 && lapic_requested(irqs->lapic, (uint8_t)vector));
}

void pc_irq_set_apic_base(struct pc_irq *irqs, uint64_t value)
{
    if (irqs->lapic)
        lapic_set_base(irqs->lapic, value);
}

void pc_irq_set_levels(struct pc_irq *irqs, uint16_t levels)
{
    i8259_set_levels(irqs->pic, levels);
}

/* --- Life --------------------------------------------------------------- */

static bool create_apics(struct pc_irq *irqs)
{
    const struct pc_irq_config *c = &irqs->config;

    irqs->lapic = lapic_create(&(struct lapic_config){ c->memory, c->clock, c->intr, apic_nmi,
                                                       apic_eoi, apic_taken, irqs });
    irqs->ioapic = ioapic_create(&(struct ioapic_config){ c->memory, message, irqs });
    return irqs->lapic && irqs->ioapic;
}

static bool create_hpet(struct pc_irq *irqs)
{
    struct hpet_config config = {
        .memory = irqs->config.memory,
        .clock = irqs->config.clock,
        .irq0 = { both_set, irqs, IRQ_PIT },
        .irq8 = { both_set, irqs, IRQ_RTC },
        .replaces = replaces,
        .waiting = tick_waits,
        .arg = irqs,
    };

    for (unsigned pin = 0; pin < HPET_PINS; pin++)
        config.pin[pin] = ioapic_irq(irqs->ioapic, pin);
    irqs->hpet = hpet_create(&config);
    return irqs->hpet;
}

static bool create(struct pc_irq *irqs)
{
    const struct pc_irq_config *c = &irqs->config;
    struct i8259_config pic = { c->ports, PORT_PIC_MASTER, PORT_PIC_SLAVE, PORT_ELCR, c->intr,
                                pic_taken, irqs };

    if (c->apic && !create_apics(irqs))
        return false;
    if (c->apic)
        pic.intr = lapic_lint0(irqs->lapic);
    irqs->pic = i8259_create(&pic);
    if (!irqs->pic)
        return false;
    for (unsigned i = 0; i < IRQS; i++) {
        if (i == 2)
            continue;
        irqs->pic_wire[i] = i8259_irq(irqs->pic, i);
        if (irqs->ioapic)
            irqs->ioapic_wire[i] = ioapic_irq(irqs->ioapic, i ? i : PIN_IRQ0);
    }
    return !c->apic || create_hpet(irqs);
}

struct pc_irq *pc_irq_create(const struct pc_irq_config *config)
{
    struct pc_irq *irqs = calloc(1, sizeof(*irqs));

    if (!irqs)
        return NULL;
    irqs->config = *config;
    if (create(irqs))
        return irqs;
    pc_irq_destroy(irqs);
    return NULL;
}

void pc_irq_destroy(struct pc_irq *irqs)
{
    if (irqs->hpet)
        hpet_destroy(irqs->hpet);
    if (irqs->pic)
        i8259_destroy(irqs->pic);
    if (irqs->ioapic)
        ioapic_destroy(irqs->ioapic);
    if (irqs->lapic)
        lapic_destroy(irqs->lapic);
    free(irqs);
}

void pc_irq_reset(struct pc_irq *irqs)
{
    if (irqs->hpet)
        hpet_reset(irqs->hpet);
    if (irqs->ioapic)
        ioapic_reset(irqs->ioapic);
    i8259_reset(irqs->pic);
    if (irqs->lapic)
        lapic_reset(irqs->lapic);
}

void pc_irq_look(const struct pc_irq *irqs, struct pc_irq_view *view)
{
    *view = (struct pc_irq_view){ .apic = irqs->lapic };
    i8259_look(irqs->pic, view->pic);
    if (!view->apic)
        return;
    lapic_look(irqs->lapic, &view->lapic);
    ioapic_look(irqs->ioapic, &view->ioapic);
}

void pc_irq_snapshot(struct pc_irq *irqs, struct snap *snap)
{
    if (irqs->hpet)
        hpet_snapshot(irqs->hpet, snap);
    if (irqs->ioapic)
        ioapic_snapshot(irqs->ioapic, snap);
    i8259_snapshot(irqs->pic, snap);
    if (irqs->lapic)
        lapic_snapshot(irqs->lapic, snap);
}
