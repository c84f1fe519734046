/* A machine of memory, a PCI bus, the IDE function and media made of memory. */
#ifndef TESTS_UNIT_IDE_MACHINE_H
#define TESTS_UNIT_IDE_MACHINE_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/physmem.h"
#include "devices/blockdev.h"
#include "devices/ide.h"
#include "devices/pci.h"
#include "tests/unit/chip.h"
#include "tests/unit/medium.h"

enum { BMIDE = 0xc000, TABLE = 0x1000, GPA = 0x10000, RAM = 4 << 20 };

/* --- The machine -------------------------------------------------------- */

struct machine {
    struct physmem mem;
    struct bus *ports, *memory;
    struct pci_bus *pci;
    struct pin irq[2];
    struct medium media[4];
    unsigned medium_count;
    struct ide *ide;
    unsigned traced; /* writes to watched frames that were told */
    uint16_t base;   /* of the channel in use */
};

static inline void machine_pin(void *board, unsigned slot, unsigned pin, bool level)
{
    (void)board;
    (void)slot;
    (void)pin;
    (void)level;
}

static inline void machine_on_write(void *arg, uint64_t gpa, uint64_t size)
{
    struct machine *m = arg;

    (void)gpa;
    (void)size;
    m->traced++;
}

static inline void machine_config(struct machine *m, unsigned at, unsigned size, uint32_t value)
{
    pci_config_write(m->pci, 1 << 11 | 1 << 8 | at, size, value);
}

/* As firmware would. */
static inline void machine_enable(struct machine *m)
{
    machine_config(m, 0x40, 4, 0x80008000);
    machine_config(m, PCI_BAR0 + 16, 4, BMIDE);
    machine_config(m, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
}

/* sizes: of the four drives, 0 none; cdroms: a bit per drive. The media are all zeros. */
static inline void machine_create(struct machine *m, const uint64_t sizes[4], unsigned cdroms)
{
    struct ide_config config = { .slot = 1, .function = 1 };

    memset(m, 0, sizeof(*m));
    if (physmem_init(&m->mem, RAM))
        abort();
    m->mem.on_write = machine_on_write;
    m->mem.arg = m;
    m->ports = bus_create();
    m->memory = bus_create();
    m->pci = pci_create(&(struct pci_bus_config){ m->ports, m->memory, machine_pin, m,
                                                    NULL });
    config.pci = m->pci;
    config.ports = m->ports;
    config.mem = &m->mem;
    for (unsigned i = 0; i < 2; i++)
        config.irq[i] = (struct irq){ pin_set, &m->irq[i], i };
    for (unsigned i = 0; i < 4; i++) {
        if (!sizes[i])
            continue;
        medium_init(&m->media[i], sizes[i], cdroms >> i & 1);
        config.drive[i] = &m->media[i].dev;
    }
    m->ide = ide_create(&config);
    if (!m->ide)
        abort();
    m->base = 0x1f0;
    machine_enable(m);
}

static inline void machine_init(struct machine *m, const uint64_t sizes[4], unsigned cdroms)
{
    machine_create(m, sizes, cdroms);
    for (unsigned i = 0; i < 4; i++)
        if (sizes[i])
            medium_fill(&m->media[i]);
}

static inline void machine_run(struct machine *m)
{
    for (bool any = true; any;) {
        any = false;
        for (unsigned i = 0; i < 4; i++)
            while (!m->media[i].manual && m->media[i].queued) {
                medium_step(&m->media[i], 0);
                any = true;
            }
    }
}

static inline void machine_free(struct machine *m)
{
    if (m->ide)
        ide_destroy(m->ide);
    for (unsigned i = 0; i < 4; i++) {
        medium_run(&m->media[i]);
        free(m->media[i].bytes);
    }
    pci_destroy(m->pci);
    bus_destroy(m->ports);
    bus_destroy(m->memory);
    physmem_destroy(&m->mem);
}

/* --- A driver ----------------------------------------------------------- */

enum { R_ERROR = 1, R_COUNT, R_LOW, R_MID, R_HIGH, R_DEVICE, R_STATUS };

static inline struct pin *machine_irq(struct machine *m)
{
    return &m->irq[m->base == 0x170];
}

static inline uint8_t rd(struct machine *m, unsigned reg)
{
    return in8(m->ports, m->base + reg);
}

static inline void wr(struct machine *m, unsigned reg, uint8_t value)
{
    out8(m->ports, m->base + reg, value);
}

static inline uint8_t alternate(struct machine *m)
{
    return in8(m->ports, m->base + 0x206);
}

static inline void control(struct machine *m, uint8_t value)
{
    out8(m->ports, m->base + 0x206, value);
}

static inline void command(struct machine *m, uint8_t value)
{
    wr(m, R_STATUS, value);
    machine_run(m);
}

static inline void address28(struct machine *m, uint32_t lba, uint8_t count)
{
    wr(m, R_COUNT, count);
    wr(m, R_LOW, lba);
    wr(m, R_MID, lba >> 8);
    wr(m, R_HIGH, lba >> 16);
    wr(m, R_DEVICE, (rd(m, R_DEVICE) & 0x10) | 0x40 | (lba >> 24 & 15));
}

static inline void address48(struct machine *m, uint64_t lba, uint16_t count)
{
    wr(m, R_COUNT, count >> 8);
    wr(m, R_LOW, lba >> 24);
    wr(m, R_MID, lba >> 32);
    wr(m, R_HIGH, lba >> 40);
    address28(m, lba & 0xffffff, count);
}

static inline void select_drive(struct machine *m, unsigned unit)
{
    wr(m, R_DEVICE, unit << 4);
}

static inline void pio_in(struct machine *m, void *to, unsigned size)
{
    uint8_t *out = to;

    for (unsigned i = 0; i < size; i += 2) {
        uint64_t value = bus_read(m->ports, m->base, 2);

        out[i] = value & 0xff;
        if (i + 1 < size)
            out[i + 1] = value >> 8;
    }
    machine_run(m);
}

static inline void pio_out(struct machine *m, const void *from, unsigned size)
{
    const uint8_t *in = from;

    for (unsigned i = 0; i < size; i += 2)
        bus_write(m->ports, m->base, 2, in[i] | in[i + 1] << 8);
    machine_run(m);
}

static inline void prd(struct machine *m, unsigned n, uint32_t gpa, uint32_t size, bool last)
{
    uint32_t entry[2] = { gpa, (size & 0xffff) | (last ? 0x80000000u : 0) };

    physmem_write(&m->mem, TABLE + 8 * n, entry, 8);
}

/* A table for size bytes at gpa. */
static inline void prds(struct machine *m, uint32_t gpa, uint32_t size)
{
    for (unsigned n = 0; size; n++) {
        uint32_t part = size < 0x10000 ? size : 0x10000;

        prd(m, n, gpa, part, part == size);
        gpa += part;
        size -= part;
    }
}

static inline uint16_t bm(struct machine *m)
{
    return BMIDE + (m->base == 0x170 ? 8 : 0);
}

static inline void dma_start(struct machine *m, bool to_memory)
{
    bus_write(m->ports, bm(m) + 4, 4, TABLE);
    out8(m->ports, bm(m) + 2, 0x06);
    out8(m->ports, bm(m), to_memory ? 8 : 0);
    out8(m->ports, bm(m), to_memory ? 9 : 1);
    machine_run(m);
}

static inline uint8_t dma_stop(struct machine *m)
{
    uint8_t status = in8(m->ports, bm(m) + 2);

    out8(m->ports, bm(m), 0);
    out8(m->ports, bm(m) + 2, 0x06);
    return status;
}

#endif
