/* PIIX3 (82371SB), function 0: the ISA bridge, and with it the routing of PCI interrupts. */
#ifndef DEVICES_PIIX3_H
#define DEVICES_PIIX3_H

#include <stdbool.h>
#include <stdint.h>

#include "base/irq.h"

struct pci_bus;
struct piix3;
struct snap;

enum {
    PIIX3_PIRQ_COUNT = 4,
    PIIX3_IRQ_COUNT = 16,
    PIIX3_PIRQ_ROUTE = 0x60, /* the first one's register; 0x80 in it: to no IRQ */
};

struct piix3_config {
    struct pci_bus *pci;
    unsigned slot; /* it is function 0 there */
    struct irq irq[PIIX3_IRQ_COUNT]; /* the interrupt controllers' wires; set NULL: not for PCI */
};

/* NULL with errno set when the slot is taken or memory is out. */
struct piix3 *piix3_create(const struct piix3_config *config);
void piix3_destroy(struct piix3 *piix3);

/* One of the (up to 32) wires that the board joins to PIRQ[pirq]# drives it, or stops to. */
void piix3_set_pirq(struct piix3 *piix3, unsigned pirq, unsigned source, bool level);

void piix3_reset(struct piix3 *piix3);
void piix3_snapshot(struct piix3 *piix3, struct snap *snap);

#endif
