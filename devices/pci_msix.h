/*
 * MSI-X: a PCI function's interrupts as messages, each with an address and data of its own, which
 * the guest writes into a table in one of the function's windows.
 *
 * A chip embeds a struct pci_msix, calls pci_msix_add() before pci_attach(), pci_msix_written()
 * from its function's written(), and pci_msix_send() where it would raise its pin.
 *
 * Reference: PCI Local Bus Specification 3.0, 6.8.2 (the capability, the table), 6.8.3 (its use).
 */
#ifndef DEVICES_PCI_MSIX_H
#define DEVICES_PCI_MSIX_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/pci.h"

struct snap;

enum {
    PCI_MSIX_MAX = 16,       /* vectors */
    PCI_MSIX_ENTRY_SIZE = 16,
    PCI_MSIX_CAP_SIZE = 12,  /* bytes of configuration space */
};

/* Open so that it can be embedded. */
struct pci_msix {
    struct pci_function *function;
    unsigned cap;    /* the capability, in configuration space */
    unsigned count;  /* of vectors; 0: there is no MSI-X */
    uint8_t table[PCI_MSIX_MAX * PCI_MSIX_ENTRY_SIZE];
    uint32_t pending; /* a bit for each vector that waits until it is unmasked */
};

/* Adds the capability at that place of the space, first in the list, and the window of a BAR. */
void pci_msix_add(struct pci_msix *m, struct pci_function *f, unsigned bar, unsigned cap,
                  unsigned count);

/* Whether the guest wants messages instead of the pin. */
bool pci_msix_on(const struct pci_msix *m);

/* Sends a message, now or when the guest unmasks it. A vector that there is none: nothing. */
void pci_msix_send(struct pci_msix *m, unsigned vector);

/* After a write to [at, at + size) of the space: what was masked may go. */
void pci_msix_written(struct pci_msix *m, unsigned at, unsigned size);

/* Beside pci_reset() and pci_snapshot(). */
void pci_msix_reset(struct pci_msix *m);
void pci_msix_snapshot(struct pci_msix *m, struct snap *snap);

#endif
