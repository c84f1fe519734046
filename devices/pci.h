/*
 * The PCI bus: functions, their configuration spaces, base address registers and interrupt pins.
 *
 * A chip embeds a struct pci_function, fills its identity and its BARs, and attaches it. The bus
 * answers configuration accesses (the host bridge's mechanism 1 brings them), claims and releases
 * the windows of the BARs on the port and memory buses as the guest moves them or turns decoding
 * on and off, and takes the interrupt pins to the board. One bus, number 0, with no bridges.
 *
 * Reference: PCI Local Bus Specification 2.2, 3.2.2.3 (configuration), 6.1 to 6.7.
 */
#ifndef DEVICES_PCI_H
#define DEVICES_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/bus.h"

struct pci_bus;
struct snap;

enum {
    PCI_CONFIG_SIZE = 256,
    PCI_BAR_COUNT = 6,
    PCI_ROM_BAR = 6, /* the expansion ROM's, at 0x30 */
    PCI_SLOT_COUNT = 32,
    PCI_PIN_COUNT = 4, /* INTA# is 0 */
};

/* Offsets in the header (type 0). */
enum {
    PCI_VENDOR = 0x00,
    PCI_DEVICE = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_CLASS = 0x09, /* three bytes: interface, subclass, class */
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM_VENDOR = 0x2c,
    PCI_SUBSYSTEM = 0x2e,
    PCI_ROM = 0x30,
    PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d,
};

enum {
    PCI_COMMAND_IO = 1,
    PCI_COMMAND_MEMORY = 2,
    PCI_COMMAND_MASTER = 4,
    PCI_COMMAND_INTX_OFF = 0x400,
};

#define PCI_NOWHERE UINT64_MAX

struct pci_bar {
    uint32_t size;  /* a power of two, at least 4 (ports) or 16 (memory); 0: there is none */
    bool ports;     /* in the port space, else memory */
    bool prefetch;
    const struct bus_ops *ops; /* NULL: nothing answers on the bus; moved() does what is needed */
    void *dev;
    /* Told when the window appears, moves or goes (base PCI_NOWHERE). May be NULL. */
    void (*moved)(void *dev, uint64_t base);
    uint64_t base;  /* where it answers now, or PCI_NOWHERE; the bus keeps it */
};

struct pci_function {
    const char *name; /* for the log */
    void *dev;
    uint8_t after_reset[PCI_CONFIG_SIZE]; /* identity, class, capabilities */
    uint8_t writable[PCI_CONFIG_SIZE];    /* bits a guest's write replaces; BARs are the bus's */
    uint8_t clears[PCI_CONFIG_SIZE];      /* bits that a written 1 clears */
    struct pci_bar bar[PCI_BAR_COUNT + 1];
    /* After a guest's write to [at, at + size) of the space. May be NULL. */
    void (*written)(void *dev, unsigned at, unsigned size);
    /* Before a guest's read of it, for registers that are computed. May be NULL. */
    void (*reading)(void *dev, unsigned at, unsigned size);

    uint8_t config[PCI_CONFIG_SIZE]; /* as the guest sees it; the chip may change its own bits */

    /* The bus's. */
    struct pci_bus *bus;
    uint8_t slot, function;
    bool asserted;
    uint64_t interrupts; /* asserted so many times */

    uint64_t kicks;      /* the chip counts: notifications of a driver that work waits */
};

struct pci_bus_config {
    struct bus *ports, *memory;
    /* Pin 0..3 of that slot has this level now (all functions of the slot taken together). */
    void (*set_pin)(void *board, unsigned slot, unsigned pin, bool level);
    void *board;
    /* A function writes a message (an interrupt) to an address. NULL: nobody takes them. */
    void (*message)(void *board, uint64_t address, uint32_t data);
};

/* NULL when memory is out. */
struct pci_bus *pci_create(const struct pci_bus_config *config);
void pci_destroy(struct pci_bus *bus); /* the functions are their chips' */

/* Puts the function there, powered on (after_reset). The chip fills everything but the bus's part
 * first: PCI_COMMAND, the interrupt line and the BARs need no writable bits. 0, -EEXIST when
 * the place is taken, -EINVAL for a bad BAR. It stays the chip's, and where it is, until
 * pci_detach(). */
int pci_attach(struct pci_bus *bus, unsigned slot, unsigned function, struct pci_function *f);
void pci_detach(struct pci_function *f);

/* The functions in the order of their places; the first one after f, or of all (NULL). NULL: no
 * more. */
const struct pci_function *pci_next(const struct pci_bus *bus, const struct pci_function *f);

/* Power-on state of the function's configuration space: BARs away, pin low. */
void pci_reset(struct pci_function *f);

/* Configuration space; address as mechanism 1 has it (bus 23:16, slot 15:11, function 10:8,
 * register 7:0). size 1, 2 or 4, not crossing a dword. Nobody there: ones. */
uint32_t pci_config_read(struct pci_bus *bus, uint32_t address, unsigned size);
void pci_config_write(struct pci_bus *bus, uint32_t address, unsigned size, uint32_t value);

/* The function's INTx#; nothing happens while the guest has it disabled in the command register. */
void pci_set_irq(struct pci_function *f, bool level);

/* An interrupt as a message; lost while the guest does not let the function write to memory. */
void pci_message(struct pci_function *f, uint64_t address, uint32_t data);

/* Whether anybody takes messages on this bus. */
bool pci_takes_messages(const struct pci_bus *bus);

/* Whether the guest lets the function write to memory. */
bool pci_is_master(const struct pci_function *f);

void pci_snapshot(struct pci_function *f, struct snap *snap);

#endif
