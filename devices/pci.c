/*
 * The PCI bus: see pci.h.
 *
 * Reference: PCI Local Bus Specification 2.2, 3.2.2.3 (configuration), 6.1 to 6.2.5 (the header,
 *            base address registers), 2.2.6 (interrupt pins).
 * Modelled:  type 0 headers, 32-bit base address registers, expansion ROMs, INTx# with its status
 *            and disable bits (these two as in 2.3), multi-function slots.
 * Not:       bridges, 64-bit base address registers, special cycles. MSI-X is pci_msix's.
 *
 * A window is claimed on its bus only while the guest decodes it at an address that makes sense:
 * not 0, nor reaching the end of the space (what sizing a register leaves in it). Two windows at
 * one place: the first one keeps it, the other comes when it goes.
 */
#include "devices/pci.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "base/snap.h"

/* --- Registers ---------------------------------------------------------- */

#define COMMAND_WRITABLE                                                                           \
    (PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | 0x140 | PCI_COMMAND_INTX_OFF)

enum {
    STATUS_INTERRUPT = 0x08,
    HEADER_MULTIFUNCTION = 0x80,
    BAR_PORTS = 0x01,
    BAR_PREFETCH = 0x08,
    ROM_ENABLE = 0x01,
    FUNCTION_COUNT = 8,
    BARS = PCI_BAR_COUNT + 1, /* with the ROM's */
};

/* --- State -------------------------------------------------------------- */

struct pci_bus {
    struct pci_bus_config config;
    struct pci_function *at[PCI_SLOT_COUNT][FUNCTION_COUNT];
    bool pin[PCI_SLOT_COUNT][PCI_PIN_COUNT]; /* as last told to the board */
};

static uint32_t get32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = value >> 8 * i & 0xff;
}

static unsigned command(const struct pci_function *f)
{
    return f->config[PCI_COMMAND] | (unsigned)f->config[PCI_COMMAND + 1] << 8;
}

/* --- Windows ------------------------------------------------------------ */

static unsigned bar_register(unsigned i)
{
    return i == PCI_ROM_BAR ? PCI_ROM : PCI_BAR0 + 4 * i;
}

static uint32_t bar_fixed(const struct pci_bar *bar)
{
    return bar->ports ? BAR_PORTS : bar->prefetch ? BAR_PREFETCH : 0;
}

static uint32_t bar_writable(const struct pci_bar *bar, unsigned i)
{
    return ~(bar->size - 1) | (i == PCI_ROM_BAR ? ROM_ENABLE : 0);
}

/* Where the guest wants it. */
static uint64_t bar_wanted(const struct pci_function *f, unsigned i)
{
    const struct pci_bar *bar = &f->bar[i];
    uint32_t value = get32(f->config + bar_register(i));
    uint64_t base = value & ~(bar->size - 1), end = base + bar->size;

    if (!(command(f) & (bar->ports ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)) ||
        (i == PCI_ROM_BAR && !(value & ROM_ENABLE)))
        return PCI_NOWHERE;
    return base && end < (bar->ports ? 1ull << 16 : 1ull << 32) ? base : PCI_NOWHERE;
}

static struct bus *bar_bus(const struct pci_function *f, const struct pci_bar *bar)
{
    return bar->ports ? f->bus->config.ports : f->bus->config.memory;
}

static void bar_moves(struct pci_function *f, unsigned i, uint64_t base)
{
    struct pci_bar *bar = &f->bar[i];

    bar->base = base;
    if (bar->moved)
        bar->moved(bar->dev, base);
}

static void bar_remove(struct pci_function *f, unsigned i)
{
    struct pci_bar *bar = &f->bar[i];

    if (bar->base == PCI_NOWHERE)
        return;
    if (bar->ops)
        bus_release(bar_bus(f, bar), bar->base);
    bar_moves(f, i, PCI_NOWHERE);
}

/* Takes away what has left its place. True when something did. */
static bool remove_windows(struct pci_function *f)
{
    bool any = false;

    for (unsigned i = 0; i < BARS; i++) {
        struct pci_bar *bar = &f->bar[i];

        if (!bar->size || bar->base == PCI_NOWHERE || bar->base == bar_wanted(f, i))
            continue;
        bar_remove(f, i);
        any = true;
    }
    return any;
}

static void place_windows(struct pci_function *f)
{
    for (unsigned i = 0; i < BARS; i++) {
        struct pci_bar *bar = &f->bar[i];
        uint64_t base = bar->size ? bar_wanted(f, i) : PCI_NOWHERE;

        if (base == PCI_NOWHERE || bar->base == base)
            continue;
        if (!bar->ops || !bus_claim(bar_bus(f, bar), base, bar->size, bar->ops, bar->dev))
            bar_moves(f, i, base);
    }
}

static void for_all(struct pci_bus *bus, void (*what)(struct pci_function *f))
{
    for (unsigned slot = 0; slot < PCI_SLOT_COUNT; slot++)
        for (unsigned i = 0; i < FUNCTION_COUNT; i++)
            if (bus->at[slot][i])
                what(bus->at[slot][i]);
}

static void update_windows(struct pci_function *f)
{
    if (remove_windows(f))
        for_all(f->bus, place_windows); /* somebody may have waited for the place */
    else
        place_windows(f);
}

/* --- Interrupts --------------------------------------------------------- */

static bool drives(const struct pci_function *f, unsigned pin)
{
    return f && f->asserted && f->config[PCI_INTERRUPT_PIN] == pin + 1 &&
           !(command(f) & PCI_COMMAND_INTX_OFF);
}

static void update_pins(struct pci_bus *bus, unsigned slot)
{
    for (unsigned pin = 0; pin < PCI_PIN_COUNT; pin++) {
        bool level = false;

        for (unsigned i = 0; i < FUNCTION_COUNT; i++)
            level |= drives(bus->at[slot][i], pin);
        if (level == bus->pin[slot][pin])
            continue;
        bus->pin[slot][pin] = level;
        bus->config.set_pin(bus->config.board, slot, pin, level);
    }
}

void pci_set_irq(struct pci_function *f, bool level)
{
    if (f->asserted == level)
        return;
    f->asserted = level;
    f->interrupts += level;
    f->config[PCI_STATUS] = (f->config[PCI_STATUS] & ~STATUS_INTERRUPT) |
                            (level ? STATUS_INTERRUPT : 0);
    update_pins(f->bus, f->slot);
}

void pci_message(struct pci_function *f, uint64_t address, uint32_t data)
{
    if (!pci_is_master(f))
        return;
    f->interrupts++;
    f->bus->config.message(f->bus->config.board, address, data);
}

bool pci_takes_messages(const struct pci_bus *bus)
{
    return bus->config.message;
}

bool pci_is_master(const struct pci_function *f)
{
    return command(f) & PCI_COMMAND_MASTER;
}

/* --- Configuration space ------------------------------------------------ */

static struct pci_function *selected(struct pci_bus *bus, uint32_t address)
{
    if (address >> 16 & 0xff)
        return NULL;
    return bus->at[address >> 11 & 31][address >> 8 & 7];
}

const struct pci_function *pci_next(const struct pci_bus *bus, const struct pci_function *f)
{
    unsigned i = f ? f->slot * FUNCTION_COUNT + f->function + 1u : 0;

    for (; i < PCI_SLOT_COUNT * FUNCTION_COUNT; i++)
        if (bus->at[i / FUNCTION_COUNT][i % FUNCTION_COUNT])
            return bus->at[i / FUNCTION_COUNT][i % FUNCTION_COUNT];
    return NULL;
}

/* Systems look for further functions of a slot only when the first one says that there are. */
static uint8_t header_type(const struct pci_function *f)
{
    bool others = false;

    for (unsigned i = 0; i < FUNCTION_COUNT; i++)
        others |= i != f->function && f->bus->at[f->slot][i];
    return f->config[PCI_HEADER_TYPE] | (others ? HEADER_MULTIFUNCTION : 0);
}

uint32_t pci_config_read(struct pci_bus *bus, uint32_t address, unsigned size)
{
    struct pci_function *f = selected(bus, address);
    unsigned at = address & 0xff;
    uint32_t value = 0;

    BUG_ON((at & 3) + size > 4);
    if (!f)
        return UINT32_MAX >> (32 - 8 * size);
    if (f->reading)
        f->reading(f->dev, at, size);
    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = at + i == PCI_HEADER_TYPE ? header_type(f) : f->config[at + i];

        value |= (uint32_t)byte << 8 * i;
    }
    return value;
}

static bool touches(unsigned at, unsigned size, unsigned reg, unsigned reg_size)
{
    return at < reg + reg_size && reg < at + size;
}

void pci_config_write(struct pci_bus *bus, uint32_t address, unsigned size, uint32_t value)
{
    struct pci_function *f = selected(bus, address);
    unsigned at = address & 0xff;

    BUG_ON((at & 3) + size > 4);
    if (!f)
        return;
    for (unsigned i = 0; i < size; i++) {
        uint8_t *byte = &f->config[at + i], in = value >> 8 * i & 0xff;

        *byte = (*byte & ~f->writable[at + i]) | (in & f->writable[at + i]);
        *byte &= ~(in & f->clears[at + i]);
    }
    if (f->written)
        f->written(f->dev, at, size);
    if (touches(at, size, PCI_COMMAND, 2))
        update_pins(bus, f->slot);
    if (touches(at, size, PCI_COMMAND, 2) || touches(at, size, PCI_BAR0, 4 * PCI_BAR_COUNT) ||
        touches(at, size, PCI_ROM, 4))
        update_windows(f);
}

/* --- Life --------------------------------------------------------------- */

static bool bar_is_good(const struct pci_bar *bar, unsigned i)
{
    if (!bar->size)
        return true;
    if (bar->size & (bar->size - 1) || bar->size < (bar->ports ? 4 : 16))
        return false;
    return i != PCI_ROM_BAR || (!bar->ports && bar->size >= 2048);
}

/* What the bus lets guests write, beside what the chip says. */
static void set_writable(struct pci_function *f)
{
    f->writable[PCI_COMMAND] |= COMMAND_WRITABLE & 0xff;
    f->writable[PCI_COMMAND + 1] |= COMMAND_WRITABLE >> 8;
    f->writable[PCI_INTERRUPT_LINE] = 0xff;
    for (unsigned i = 0; i < BARS; i++)
        if (f->bar[i].size)
            put32(f->writable + bar_register(i), bar_writable(&f->bar[i], i));
}

static void power_on(struct pci_function *f)
{
    memcpy(f->config, f->after_reset, sizeof(f->config));
    for (unsigned i = 0; i < BARS; i++)
        if (f->bar[i].size)
            put32(f->config + bar_register(i), bar_fixed(&f->bar[i]));
}

int pci_attach(struct pci_bus *bus, unsigned slot, unsigned function, struct pci_function *f)
{
    BUG_ON(slot >= PCI_SLOT_COUNT || function >= FUNCTION_COUNT);
    for (unsigned i = 0; i < BARS; i++)
        if (!bar_is_good(&f->bar[i], i))
            return -EINVAL;
    if (bus->at[slot][function])
        return -EEXIST;
    f->bus = bus;
    f->slot = slot;
    f->function = function;
    f->asserted = false;
    for (unsigned i = 0; i < BARS; i++)
        f->bar[i].base = PCI_NOWHERE;
    set_writable(f);
    power_on(f);
    bus->at[slot][function] = f;
    return 0;
}

static void all_away(struct pci_function *f)
{
    for (unsigned i = 0; i < BARS; i++)
        if (f->bar[i].size)
            bar_remove(f, i);
    f->asserted = false;
    update_pins(f->bus, f->slot);
}

void pci_detach(struct pci_function *f)
{
    struct pci_bus *bus = f->bus;

    all_away(f);
    bus->at[f->slot][f->function] = NULL;
    f->bus = NULL;
    for_all(bus, place_windows);
}

void pci_reset(struct pci_function *f)
{
    all_away(f);
    power_on(f);
    update_windows(f);
}

void pci_snapshot(struct pci_function *f, struct snap *snap)
{
    uint8_t asserted = f->asserted;

    snap_bytes(snap, f->config, sizeof(f->config));
    snap_u8(snap, &asserted);
    if (!snap->loading)
        return;
    f->asserted = asserted;
    update_pins(f->bus, f->slot);
    update_windows(f);
}

struct pci_bus *pci_create(const struct pci_bus_config *config)
{
    struct pci_bus *bus = calloc(1, sizeof(*bus));

    if (bus)
        bus->config = *config;
    return bus;
}

void pci_destroy(struct pci_bus *bus)
{
    free(bus);
}
