/*
 * What the board has on its PCI bus: the bridges, and the list to which every other PCI chip is
 * added (pc_pci.c says how). The ISA side is pc.c's.
 */
#ifndef FRONTEND_PC_PCI_H
#define FRONTEND_PC_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/irq.h"
#include "devices/piix3.h"

struct bus;
struct pc_config;
struct pc_irq;
struct pc_memory;
struct pc_pci;
struct pci_bus;
struct snap;
struct virtio_balloon;

/* Slots as the i440FX machines of other emulators have them: guests' configurations know them. */
enum {
    PC_SLOT_HOST = 0, /* i440FX */
    PC_SLOT_ISA = 1,  /* PIIX3: function 0 the ISA bridge, function 1 IDE */
    PC_SLOT_VGA = 2,
    PC_SLOT_FIRST_FREE = 3, /* network cards and virtio, in the order of the command line */
};

struct pc_pci_config {
    const struct pc_config *pc; /* what the user asked for; memory, clock, host sides */
    struct bus *ports, *memory; /* the CPU's */
    struct bus *pci_ports;      /* those among the configuration ports that are none of them */
    uint16_t config_port;
    struct irq irq[PIIX3_IRQ_COUNT];
    struct pc_memory *memory_map;
    struct pc_irq *irqs;        /* takes messages */
};

/* NULL with *error a sentence for the user. */
struct pc_pci *pc_pci_create(const struct pc_pci_config *config, const char **error);
void pc_pci_destroy(struct pc_pci *pci);

void pc_pci_reset(struct pc_pci *pci);
void pc_pci_snapshot(struct pc_pci *pci, struct snap *snap);

/* Waits until no chip writes to guest memory any more: it is about to be cleared. */
void pc_pci_quiet(struct pc_pci *pci);

/* Pushes collected output to the host. */
void pc_pci_idle(struct pc_pci *pci);

/* For those who look at it. */
struct pci_bus *pc_pci_bus(struct pc_pci *pci);

/* NULL: there is none. */
struct virtio_balloon *pc_pci_balloon(struct pc_pci *pci);

/* The guest has written to video memory that is shown. */
void pc_pci_touched(struct pc_pci *pci);

/* Where firmware may put windows, and what it sets up. */
struct pc_pci_setup {
    uint32_t ports, ports_end, memory, memory_end;
    uint8_t pirq[PIIX3_PIRQ_COUNT]; /* IRQs */
};

/* Does what firmware would, for a kernel that is started without one: places every window, turns
 * decoding on, routes the interrupts and tells the functions theirs, opens shadow RAM and IDE. */
void pc_pci_set_up(struct pc_pci *pci, const struct pc_pci_setup *setup);

/* Which PIRQ the wires of the board join this pin to. */
static inline unsigned pc_pci_pirq(unsigned slot, unsigned pin)
{
    return (slot + pin + 3) & 3;
}

#endif
