/* A machine of memory, a PCI bus, a fake cable and the 82540EM with its two rings. */
#ifndef TESTS_UNIT_E1000_MACHINE_H
#define TESTS_UNIT_E1000_MACHINE_H

#include "base/clock.h"
#include "base/physmem.h"
#include "devices/bus.h"
#include "devices/e1000.h"
#include "tests/check.h"
#include "tests/unit/fake_cable.h"

enum { SLOT = 3, RAM = 8 << 20, RINGS = 0x100000, TX_RING = RINGS, RX_RING = RINGS + 0x1000,
       DATA = 0x200000, BUFFERS = 0x400000, ENTRIES = 16 };
#define MEMORY 0xe0000000u
#define PORTS 0xc000u

enum { CTRL = 0, STATUS = 8, EECD = 0x10, EERD = 0x14, MDIC = 0x20, ICR = 0xc0, ITR = 0xc4,
       ICS = 0xc8, IMS = 0xd0, IMC = 0xd8, RCTL = 0x100, TCTL = 0x400, RDBAL = 0x2800,
       RDLEN = 0x2808, RDH = 0x2810, RDT = 0x2818, TDBAL = 0x3800, TDLEN = 0x3808, TDH = 0x3810,
       TDT = 0x3818, RXCSUM = 0x5000, MTA = 0x5200, RA = 0x5400, VFTA = 0x5600 };

static struct physmem mem;
static struct bus *ports, *memory;
static struct pci_bus *pci;
static struct fake_cable cable;
static struct clock timebase;
static struct e1000 *dev;
static bool pin;
static unsigned edges, tx_tail;

static inline void set_pin(void *board, unsigned slot, unsigned n, bool level)
{
    (void)board;
    CHECK_EQ(slot, SLOT);
    CHECK_EQ(n, 0);
    edges += level && !pin;
    pin = level;
}

static inline uint32_t rd(unsigned at)
{
    return (uint32_t)bus_read(memory, MEMORY + at, 4);
}

static inline void wr(unsigned at, uint32_t value)
{
    bus_write(memory, MEMORY + at, 4, value);
}

static inline void start_rings(void)
{
    memset(physmem_ptr(&mem, RINGS), 0, 0x2000);
    wr(TDBAL, TX_RING);
    wr(TDLEN, ENTRIES * 16);
    wr(TDH, 0);
    wr(TDT, 0);
    tx_tail = 0;
    wr(TCTL, 2);
    wr(RDBAL, RX_RING);
    wr(RDLEN, ENTRIES * 16);
    wr(RDH, 0);
    for (unsigned i = 0; i < ENTRIES; i++) {
        uint64_t gpa = BUFFERS + 0x4000 * i;

        memcpy(physmem_ptr(&mem, RX_RING + 16 * i), &gpa, 8);
    }
    wr(RDT, ENTRIES - 1);
    wr(RCTL, 1 << 1 | 1 << 15);
}

static inline void open_chip(void)
{
    CHECK_EQ(physmem_init(&mem, RAM), 0);
    ports = bus_create();
    memory = bus_create();
    pin = false;
    pci = pci_create(&(struct pci_bus_config){ ports, memory, set_pin, NULL, NULL });
    cable_init(&cable);
    timebase = (struct clock){ .now_ns = 1000000 };
    dev = e1000_create(&(struct e1000_config){ .bus = pci, .slot = SLOT, .mem = &mem,
                                               .clock = &timebase, .cable = &cable.dev });
    pci_config_write(pci, SLOT << 11 | PCI_BAR0, 4, MEMORY);
    pci_config_write(pci, SLOT << 11 | (PCI_BAR0 + 4), 4, PORTS);
    pci_config_write(pci, SLOT << 11 | PCI_COMMAND, 2, 7);
    start_rings();
}

static inline void close_chip(void)
{
    e1000_destroy(dev);
    pci_destroy(pci);
    bus_destroy(memory);
    bus_destroy(ports);
    physmem_destroy(&mem);
}

#endif
