/* A function's expansion ROM: firmware reads it through its window and copies what it runs. */
#ifndef DEVICES_PCI_ROM_H
#define DEVICES_PCI_ROM_H

#include <stdint.h>

#include "devices/pci.h"

/* The image stays the caller's and outlives the function. bytes NULL: there is none. */
struct pci_rom {
    const uint8_t *bytes;
    uint32_t size;
};

enum { PCI_ROM_MAX = 16 << 20 };

/* Before pci_attach(): gives f a ROM; an image that is too large is left out. rom is the caller's
 * and stays where it is. */
void pci_rom_install(struct pci_function *f, const struct pci_rom *rom);

#endif
