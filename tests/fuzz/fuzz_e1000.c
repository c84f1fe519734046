/* Any register accesses to the 82540EM, any descriptors, frames at any time. */
#include <fcntl.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/physmem.h"
#include "devices/e1000.h"
#include "devices/pci.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_cable.h"

enum { SLOT = 3, RAM = 1 << 20, TX_RING = 0x10000, RX_RING = 0x11000, DATA = 0x20000, ENTRIES = 16,
       STEPS_MAX = 4096 };
#define MEMORY 0xe0000000u
#define PORTS 0xc000u

struct machine {
    struct physmem mem;
    struct bus *ports, *memory;
    struct pci_bus *pci;
    struct clock clock;
    struct e1000 *dev;
    struct fuzz_cable *cable;
    unsigned tail;
};

static void set_pin(void *board, unsigned slot, unsigned pin, bool level)
{
    (void)board;
    (void)slot;
    (void)pin;
    (void)level;
}

static void wr(struct machine *m, unsigned at, uint32_t value)
{
    bus_write(m->memory, MEMORY + at, 4, value);
}

/* As a driver would. */
static void start(struct machine *m)
{
    wr(m, 0x3800, TX_RING);
    wr(m, 0x3808, ENTRIES * 16);
    wr(m, 0x2800, RX_RING);
    wr(m, 0x2808, ENTRIES * 16);
    for (unsigned i = 0; i < ENTRIES; i++) {
        uint64_t gpa = DATA + 0x4000 * i;

        physmem_write(&m->mem, RX_RING + 16 * i, &gpa, 8);
    }
    wr(m, 0x2818, ENTRIES - 1);
    wr(m, 0x0400, 2);
    wr(m, 0x0100, 1 << 1 | 1 << 15);
}

/* A transmit descriptor with a mostly good address, and the tail moves. */
static void do_transmit(struct fuzz *f, struct machine *m)
{
    uint8_t how = fuzz_byte(f);
    uint64_t gpa = how & 1 ? DATA + (how >> 1) * 64u : fuzz_bits(f, 4);
    uint32_t words[2] = { (uint32_t)fuzz_bits(f, 4), (uint32_t)fuzz_bits(f, 4) };

    physmem_write(&m->mem, TX_RING + 16 * m->tail, &gpa, 8);
    physmem_write(&m->mem, TX_RING + 16 * m->tail + 8, words, 8);
    m->tail = (m->tail + 1) % ENTRIES;
    if (how & 0x40)
        wr(m, 0x3818, m->tail);
}

static void do_context(struct fuzz *f, struct machine *m)
{
    uint8_t context[16] = { 14, 24, 33, 0, 34, 50, 0, 0, 0, 0, 0, 0x2f, 0, 54, 0xb4, 5 };
    uint8_t at = fuzz_byte(f);

    context[at & 15] = fuzz_byte(f);
    context[at >> 4] = fuzz_byte(f);
    physmem_write(&m->mem, TX_RING + 16 * m->tail, context, 16);
    m->tail = (m->tail + 1) % ENTRIES;
}

static void do_bytes(struct fuzz *f, struct machine *m)
{
    uint64_t gpa = (fuzz_byte(f) & 1 ? TX_RING : DATA) + fuzz_bits(f, 2) % 0x2000;
    unsigned count = fuzz_byte(f) & 63;

    for (unsigned i = 0; i < count; i++)
        *physmem_ptr(&m->mem, gpa + i) = fuzz_byte(f);
}

static void step(struct fuzz *f, struct machine *m)
{
    switch (fuzz_byte(f) % 12) {
    case 0: fuzz_access(f, m->memory, MEMORY, 0x20000); break;
    case 1: wr(m, (unsigned)fuzz_below(f, 0x1800) * 4, (uint32_t)fuzz_bits(f, 4)); break;
    case 2: bus_read(m->memory, MEMORY + fuzz_below(f, 0x1800) * 4, 4); break;
    case 3: fuzz_access(f, m->ports, PORTS, 64); break;
    case 4: wr(m, 0x2818, fuzz_byte(f) & 15); break;
    case 5: do_context(f, m); break;
    case 6: case 7: do_transmit(f, m); break;
    case 8: do_bytes(f, m); break;
    case 9: clock_advance(&m->clock, fuzz_byte(f) * 1000); break;
    case 10: start(m); break;
    default: fuzz_cable_step(m->cable, f); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_cable cable;
    static struct physmem memory;
    struct fuzz f = { data, size };
    struct machine m = { .cable = &cable };

    if (!memory.ram && physmem_init(&memory, RAM))
        abort();
    m.mem = memory;
    m.ports = bus_create();
    m.memory = bus_create();
    m.pci = pci_create(&(struct pci_bus_config){ m.ports, m.memory, set_pin, NULL, NULL });
    fuzz_cable_init(&cable);
    m.dev = e1000_create(&(struct e1000_config){ .bus = m.pci, .slot = SLOT, .mem = &m.mem,
                                                 .clock = &m.clock, .cable = &cable.dev });
    if (!m.dev)
        abort();
    pci_config_write(m.pci, SLOT << 11 | PCI_BAR0, 4, MEMORY);
    pci_config_write(m.pci, SLOT << 11 | (PCI_BAR0 + 4), 4, PORTS);
    pci_config_write(m.pci, SLOT << 11 | PCI_COMMAND, 2, 7);
    start(&m);
    for (unsigned n = 0; fuzz_more(&f) && n < STEPS_MAX; n++)
        step(&f, &m);
    e1000_destroy(m.dev);
    pci_destroy(m.pci);
    bus_destroy(m.memory);
    bus_destroy(m.ports);
    if (fallocate(m.mem.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, RAM))
        abort();
    return 0;
}
