/*
 * Reference: Intel MultiProcessor Specification 1.4, chapter 4 (sections in brackets).
 * Modelled:  the floating pointer, one CPU, the ISA and PCI buses, one I/O APIC, who is wired to
 *            which of its pins, the local APIC's two.
 * Not there: the extended table, an IMCR.
 */
#include "frontend/mptable.h"

#include <string.h>

#include "base/bug.h"
#include "devices/ioapic.h"
#include "devices/lapic.h"
#include "frontend/checksum.h"
#include "frontend/pc_map.h"

enum { POINTER_SIZE = 16, HEADER_SIZE = 44, SPEC_1_4 = 4 };
enum { CPU = 0, BUS = 1, IOAPIC = 2, IO_INTERRUPT = 3, LOCAL_INTERRUPT = 4 };
enum { BUS_PCI = 0, BUS_ISA = 1, PCI_SLOTS = 32, PCI_PINS = 4, ISA_IRQS = 16 };
enum { INT = 0, NMI = 1, EXTINT = 3 };
enum { AS_THE_BUS = 0, ACTIVE_HIGH_LEVEL = 0x0d };
enum { PIN_PIT = 2 };
enum { ID_CPU = 0, ID_IOAPIC = 0, ALL_CPUS = 0xff };
enum { LAPIC_VERSION = 0x14, IOAPIC_VERSION = 0x20, ENABLED_BSP = 3, HAS_FPU_APIC = 0x201 };
enum { FAMILY_6 = 0x600 };

struct table {
    uint8_t *bytes;
    size_t used;
    unsigned entries;
};

static void put(struct table *t, uint64_t value, unsigned size)
{
    BUG_ON(t->used + size > MPTABLE_MAX);
    for (; size; size--, value >>= 8)
        t->bytes[t->used++] = value & 0xff;
}

static void put_text(struct table *t, const char *text)
{
    while (*text)
        put(t, (uint8_t)*text++, 1);
}

static void begin_entry(struct table *t, unsigned type)
{
    put(t, type, 1);
    t->entries++;
}

/* --- Entries (4.3) ------------------------------------------------------------------ */

static void cpu(struct table *t)
{
    begin_entry(t, CPU);
    put(t, ID_CPU, 1);
    put(t, LAPIC_VERSION, 1);
    put(t, ENABLED_BSP, 1);
    put(t, FAMILY_6, 4);
    put(t, HAS_FPU_APIC, 4);
    put(t, 0, 8);
}

static void bus(struct table *t, unsigned id, const char *type)
{
    begin_entry(t, BUS);
    put(t, id, 1);
    put_text(t, type);
}

static void ioapic(struct table *t)
{
    begin_entry(t, IOAPIC);
    put(t, ID_IOAPIC, 1);
    put(t, IOAPIC_VERSION, 1);
    put(t, 1, 1); /* usable */
    put(t, IOAPIC_BASE, 4);
}

struct wire {
    uint8_t entry, kind, flags, bus, irq, id, pin;
};

static void wire(struct table *t, struct wire w)
{
    begin_entry(t, w.entry);
    put(t, w.kind, 1);
    put(t, w.flags, 2);
    put(t, w.bus, 1);
    put(t, w.irq, 1);
    put(t, w.id, 1);
    put(t, w.pin, 1);
}

static uint32_t pci_wires(struct table *t, const struct mptable_config *c)
{
    uint32_t used = 0;

    for (unsigned slot = 0; slot < PCI_SLOTS; slot++)
        for (unsigned pin = 0; pin < PCI_PINS; pin++) {
            uint8_t irq = c->pci_irq(slot, pin);

            wire(t, (struct wire){ IO_INTERRUPT, INT, ACTIVE_HIGH_LEVEL, BUS_PCI,
                                   (uint8_t)(slot << 2 | pin), ID_IOAPIC, irq });
            used |= 1u << irq;
        }
    return used;
}

/* All but the cascade; the 8254 is at pin 2. PCI's are not ISA's, too. */
static void isa_wires(struct table *t, const struct mptable_config *c, uint32_t pci)
{
    for (uint8_t irq = 0; irq < ISA_IRQS; irq++) {
        uint8_t flags = irq == c->sci ? ACTIVE_HIGH_LEVEL : AS_THE_BUS;

        if (irq != IRQ_CASCADE && !(pci & 1u << irq))
            wire(t, (struct wire){ IO_INTERRUPT, INT, flags, BUS_ISA, irq, ID_IOAPIC,
                                   irq == IRQ_PIT ? PIN_PIT : irq });
    }
}

static void local_wires(struct table *t)
{
    wire(t, (struct wire){ LOCAL_INTERRUPT, EXTINT, AS_THE_BUS, BUS_ISA, 0, ID_CPU, 0 });
    wire(t, (struct wire){ LOCAL_INTERRUPT, NMI, AS_THE_BUS, BUS_ISA, 0, ALL_CPUS, 1 });
}

/* --- The whole (4.1, 4.2) --------------------------------------------------------------- */

static void pointer(struct table *t, uint32_t gpa)
{
    put_text(t, "_MP_");
    put(t, gpa + POINTER_SIZE, 4);
    put(t, POINTER_SIZE / 16, 1);
    put(t, SPEC_1_4, 1);
    put(t, 0, 6); /* checksum; a table; no IMCR */
    checksum_set(t->bytes, POINTER_SIZE, 10);
}

/* Length, checksum and number of entries are filled in at the end. */
static void header(struct table *t)
{
    put_text(t, "PCMP");
    put(t, 0, 2);
    put(t, SPEC_1_4, 1);
    put(t, 0, 1);
    put_text(t, "NOVT    ");
    put_text(t, "I440FX      ");
    put(t, 0, 8); /* no OEM's table; entries */
    put(t, LAPIC_BASE, 4);
    put(t, 0, 4); /* nothing extended */
}

size_t mptable_build(const struct mptable_config *config, uint32_t gpa,
                     uint8_t bytes[MPTABLE_MAX])
{
    struct table t = { .bytes = bytes };
    uint8_t *table = bytes + POINTER_SIZE;
    size_t size;

    BUG_ON(gpa % 16);
    pointer(&t, gpa);
    header(&t);
    cpu(&t);
    bus(&t, BUS_PCI, "PCI   ");
    bus(&t, BUS_ISA, "ISA   ");
    ioapic(&t);
    isa_wires(&t, config, pci_wires(&t, config));
    local_wires(&t);
    size = t.used - POINTER_SIZE;
    memcpy(table + 4, &(uint16_t){ (uint16_t)size }, 2);
    memcpy(table + 34, &(uint16_t){ (uint16_t)t.entries }, 2);
    checksum_set(table, size, 7);
    return t.used;
}
