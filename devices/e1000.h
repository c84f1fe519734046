/* Intel 82540EM gigabit Ethernet controller: see e1000.c. */
#ifndef DEVICES_E1000_H
#define DEVICES_E1000_H

#include <stdint.h>

#include "devices/pci_rom.h"

struct clock;
struct e1000;
struct netdev;
struct physmem;
struct snap;

struct e1000_config {
    struct pci_bus *bus;
    unsigned slot;
    struct physmem *mem;
    struct clock *clock;
    struct netdev *cable; /* outlives the chip; its mac is in the EEPROM */
    struct pci_rom rom;
};

/* NULL: errno says why. */
struct e1000 *e1000_create(const struct e1000_config *config);
void e1000_destroy(struct e1000 *dev);
void e1000_reset(struct e1000 *dev);
void e1000_snapshot(struct e1000 *dev, struct snap *snap);

#endif
