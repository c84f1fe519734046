/*
 * I/O APIC.
 *
 * Reference: Intel 82093AA data sheet (order 290566), 3.0 to 3.2; the EOI register of version 0x20:
 *            82801 data sheets.
 * Modelled:  all of its registers; polarity is kept without effect, since wires here are logical.
 * Not:       arbitration; delivery status, since a message arrives at once or never.
 *
 * 3.2.4: an edge on a masked pin is lost, it is not sent when the mask goes (nor by QEMU or KVM). A
 * level waits as long as it is up. Remote IRR is set when a local APIC accepts a level: one that
 * nobody took is sent again when its entry is written or its wire moves, as KVM does.
 */
#include "devices/ioapic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/snap.h"
#include "devices/bus.h"
#include "devices/lapic.h"

/* --- Registers ---------------------------------------------------------- */

enum { MEMORY_SELECT = 0x00, MEMORY_WINDOW = 0x10, MEMORY_EOI = 0x40, MEMORY_SIZE = 0x1000 };
enum { REG_ID = 0, REG_VERSION = 1, REG_ARBITRATION = 2, REG_ENTRY = 0x10 };

#define VERSION (0x20u | (IOAPIC_PINS - 1) << 16)
#define ENTRY_LOGICAL 0x800ull
#define ENTRY_REMOTE_IRR 0x4000ull
#define ENTRY_LEVEL 0x8000ull
#define ENTRY_MASKED 0x10000ull
#define ENTRY_READ_ONLY 0x5000ull /* with the delivery status */
#define ENTRY_EXISTS 0xff0000000001ffffull

/* --- State -------------------------------------------------------------- */

struct ioapic {
    struct ioapic_config config;
    uint8_t select, id;
    uint32_t levels; /* of the pins */
    uint64_t entry[IOAPIC_PINS];
};

static unsigned mode_of(uint64_t entry)
{
    return entry >> 8 & 7;
}

/* Level triggering is for fixed and lowest-priority interrupts. */
static bool is_level(uint64_t entry)
{
    return entry & ENTRY_LEVEL && mode_of(entry) <= LAPIC_LOWEST;
}

static void send(struct ioapic *a, unsigned pin)
{
    uint64_t entry = a->entry[pin];

    if (is_level(entry))
        a->entry[pin] |= ENTRY_REMOTE_IRR; /* before: its end may come at once */
    if (!a->config.message(a->config.arg, entry >> 56 & 0xff, entry & ENTRY_LOGICAL, mode_of(entry),
                           entry & 0xff, is_level(entry)))
        a->entry[pin] &= ~ENTRY_REMOTE_IRR;
}

/* A level that is up, wanted, and not being served. */
static void update(struct ioapic *a, unsigned pin)
{
    uint64_t entry = a->entry[pin];

    if (is_level(entry) && a->levels >> pin & 1 && !(entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR)))
        send(a, pin);
}

static void pin_set(void *sink, unsigned pin, bool level)
{
    struct ioapic *a = sink;
    bool rose = level && !(a->levels >> pin & 1);

    a->levels = (a->levels & ~(1u << pin)) | (uint32_t)level << pin;
    if (is_level(a->entry[pin]))
        update(a, pin);
    else if (rose && !(a->entry[pin] & ENTRY_MASKED)) /* a masked edge is lost */
        send(a, pin);
}

struct irq ioapic_irq(struct ioapic *a, unsigned pin)
{
    return (struct irq){ pin_set, a, pin };
}

void ioapic_eoi(struct ioapic *a, uint8_t vector)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        if (!(a->entry[pin] & ENTRY_REMOTE_IRR) || (a->entry[pin] & 0xff) != vector)
            continue;
        a->entry[pin] &= ~ENTRY_REMOTE_IRR;
        update(a, pin);
    }
}

int ioapic_vector(const struct ioapic *a, unsigned pin)
{
    uint64_t entry = a->entry[pin];

    return entry & ENTRY_MASKED || mode_of(entry) > LAPIC_LOWEST ? -1 : (int)(entry & 0xff);
}

/* --- Memory ------------------------------------------------------------- */

static uint32_t reg_read(const struct ioapic *a)
{
    unsigned n = a->select - REG_ENTRY;

    if (a->select == REG_ID || a->select == REG_ARBITRATION)
        return (uint32_t)a->id << 24;
    if (a->select == REG_VERSION)
        return VERSION;
    if (a->select < REG_ENTRY || n >= 2 * IOAPIC_PINS)
        return 0;
    return (uint32_t)(a->entry[n / 2] >> n % 2 * 32);
}

static void entry_write(struct ioapic *a, unsigned n, uint32_t value)
{
    unsigned shift = n % 2 * 32;
    uint64_t kept = ~((uint64_t)UINT32_MAX << shift) | ENTRY_READ_ONLY | ~ENTRY_EXISTS;
    uint64_t *entry = &a->entry[n / 2];

    *entry = (*entry & kept) | ((uint64_t)value << shift & ~kept);
    if (!(*entry & ENTRY_LEVEL))
        *entry &= ~ENTRY_REMOTE_IRR; /* so a guest clears it without an EOI register */
    update(a, n / 2);
}

static void reg_write(struct ioapic *a, uint32_t value)
{
    unsigned n = a->select - REG_ENTRY;

    if (a->select == REG_ID)
        a->id = value >> 24 & 0xf;
    else if (a->select >= REG_ENTRY && n < 2 * IOAPIC_PINS)
        entry_write(a, n, value);
}

static uint64_t memory_read(void *dev, uint64_t offset, unsigned size)
{
    const struct ioapic *a = dev;

    (void)size;
    if (offset == MEMORY_SELECT)
        return a->select;
    return offset == MEMORY_WINDOW ? reg_read(a) : 0;
}

static void memory_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct ioapic *a = dev;

    if (offset == MEMORY_SELECT)
        a->select = value & 0xff;
    else if (offset == MEMORY_WINDOW && size == 4)
        reg_write(a, (uint32_t)value);
    else if (offset == MEMORY_EOI)
        ioapic_eoi(a, value & 0xff);
}

static const struct bus_ops memory_ops = {
    .read = memory_read,
    .write = memory_write,
    .max_size = 4,
    .name = "ioapic",
};

/* --- Life --------------------------------------------------------------- */

void ioapic_reset(struct ioapic *a)
{
    a->select = a->id = 0;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        a->entry[pin] = ENTRY_MASKED;
}

void ioapic_look(const struct ioapic *io, struct ioapic_view *view)
{
    *view = (struct ioapic_view){ .id = io->id, .levels = io->levels };
    memcpy(view->entry, io->entry, sizeof(view->entry));
}

void ioapic_snapshot(struct ioapic *a, struct snap *snap)
{
    snap_bytes(snap, &a->select, sizeof(a->select));
    snap_bytes(snap, &a->id, sizeof(a->id));
    snap_bytes(snap, &a->levels, sizeof(a->levels));
    snap_bytes(snap, a->entry, sizeof(a->entry));
}

struct ioapic *ioapic_create(const struct ioapic_config *config)
{
    struct ioapic *a = calloc(1, sizeof(*a));
    int err;

    if (!a)
        return NULL;
    a->config = *config;
    err = bus_claim(config->memory, IOAPIC_BASE, MEMORY_SIZE, &memory_ops, a);
    if (err) {
        free(a);
        errno = -err;
        return NULL;
    }
    ioapic_reset(a);
    return a;
}

void ioapic_destroy(struct ioapic *a)
{
    free(a);
}
