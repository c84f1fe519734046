/*
 * MSI-X: see pci_msix.h.
 *
 * Reference: PCI Local Bus Specification 3.0, 6.8.2.
 * Modelled:  the table, masks of entries and of the function, pending bits.
 * Not:       reads and writes of 64 bits at once (the bus splits them).
 *
 * The window: the table at 0, the pending bits at PENDING.
 */
#include "devices/pci_msix.h"

#include <string.h>

#include "base/bug.h"
#include "base/snap.h"

/* --- Registers ---------------------------------------------------------- */

enum {
    CAP_MSIX = 0x11,
    CAP_CONTROL = 2, /* two bytes */
    CAP_TABLE = 4,
    CAP_PENDING = 8,
    CONTROL_ON = 0x80,     /* of its upper byte */
    CONTROL_MASKED = 0x40,
    STATUS_HAS_CAPABILITIES = 0x10,
    ENTRY_ADDRESS = 0, /* eight bytes */
    ENTRY_DATA = 8,
    ENTRY_CONTROL = 12,
    ENTRY_MASKED = 1,
    PENDING = 0x800,
    WINDOW = 0x1000,
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

/* --- Messages ----------------------------------------------------------- */

static uint8_t control(const struct pci_msix *m)
{
    return m->count ? m->function->config[m->cap + CAP_CONTROL + 1] : 0;
}

bool pci_msix_on(const struct pci_msix *m)
{
    return control(m) & CONTROL_ON;
}

static bool may_go(const struct pci_msix *m, const uint8_t *entry)
{
    return (control(m) & (CONTROL_ON | CONTROL_MASKED)) == CONTROL_ON &&
           !(entry[ENTRY_CONTROL] & ENTRY_MASKED);
}

void pci_msix_send(struct pci_msix *m, unsigned vector)
{
    const uint8_t *entry;

    if (vector >= m->count)
        return;
    entry = m->table + PCI_MSIX_ENTRY_SIZE * vector;
    m->pending |= 1u << vector;
    if (!may_go(m, entry))
        return;
    m->pending &= ~(1u << vector);
    pci_message(m->function,
                get32(entry + ENTRY_ADDRESS) | (uint64_t)get32(entry + ENTRY_ADDRESS + 4) << 32,
                get32(entry + ENTRY_DATA));
}

static void send_pending(struct pci_msix *m)
{
    for (unsigned i = 0; i < m->count; i++)
        if (m->pending >> i & 1)
            pci_msix_send(m, i);
}

void pci_msix_written(struct pci_msix *m, unsigned at, unsigned size)
{
    unsigned byte = m->cap + CAP_CONTROL + 1;

    if (m->count && at <= byte && byte < at + size)
        send_pending(m);
}

/* --- The window --------------------------------------------------------- */

/* Bits of a table's byte that a guest may write: the address is one of dwords. */
static uint8_t writable(uint64_t at)
{
    switch (at % PCI_MSIX_ENTRY_SIZE) {
    case ENTRY_ADDRESS: return 0xfc;
    case ENTRY_CONTROL: return ENTRY_MASKED;
    case ENTRY_CONTROL + 1: case ENTRY_CONTROL + 2: case ENTRY_CONTROL + 3: return 0;
    default: return 0xff;
    }
}

static uint64_t window_read(void *dev, uint64_t at, unsigned size)
{
    const struct pci_msix *m = dev;
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = 0;

        if (at + i < m->count * PCI_MSIX_ENTRY_SIZE)
            byte = m->table[at + i];
        else if (at + i >= PENDING && at + i < PENDING + sizeof(m->pending))
            byte = m->pending >> 8 * (at + i - PENDING) & 0xff;
        value |= (uint64_t)byte << 8 * i;
    }
    return value;
}

static void window_write(void *dev, uint64_t at, unsigned size, uint64_t value)
{
    struct pci_msix *m = dev;

    for (unsigned i = 0; i < size && at + i < m->count * PCI_MSIX_ENTRY_SIZE; i++) {
        uint8_t *byte = &m->table[at + i], mask = writable(at + i);

        *byte = (*byte & ~mask) | ((value >> 8 * i) & mask);
    }
    send_pending(m);
}

static const struct bus_ops window_ops = {
    .read = window_read,
    .write = window_write,
    .max_size = 4,
    .name = "MSI-X",
};

/* --- Life --------------------------------------------------------------- */

void pci_msix_add(struct pci_msix *m, struct pci_function *f, unsigned bar, unsigned cap,
                  unsigned count)
{
    uint8_t *space = f->after_reset;

    BUG_ON(!count || count > PCI_MSIX_MAX || cap + PCI_MSIX_CAP_SIZE > PCI_CONFIG_SIZE);
    *m = (struct pci_msix){ .function = f, .cap = cap, .count = count };
    space[cap] = CAP_MSIX;
    space[cap + 1] = space[PCI_CAPABILITIES];
    space[cap + CAP_CONTROL] = (uint8_t)(count - 1);
    put32(space + cap + CAP_TABLE, bar);
    put32(space + cap + CAP_PENDING, PENDING | bar);
    space[PCI_CAPABILITIES] = (uint8_t)cap;
    space[PCI_STATUS] |= STATUS_HAS_CAPABILITIES;
    f->writable[cap + CAP_CONTROL + 1] = CONTROL_ON | CONTROL_MASKED;
    f->bar[bar] = (struct pci_bar){ .size = WINDOW, .ops = &window_ops, .dev = m };
    pci_msix_reset(m);
}

void pci_msix_reset(struct pci_msix *m)
{
    m->pending = 0;
    memset(m->table, 0, sizeof(m->table));
    for (unsigned i = 0; i < m->count; i++)
        m->table[i * PCI_MSIX_ENTRY_SIZE + ENTRY_CONTROL] = ENTRY_MASKED;
}

void pci_msix_snapshot(struct pci_msix *m, struct snap *snap)
{
    snap_bytes(snap, m->table, sizeof(m->table));
    snap_bytes(snap, &m->pending, sizeof(m->pending));
}
