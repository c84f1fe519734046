/* The IDE function of the PIIX3: two channels at their legacy ports, each with up to two drives
 * (disks, or CD-ROMs when the medium says so), and bus-master DMA. */
#ifndef DEVICES_IDE_H
#define DEVICES_IDE_H

#include <stdbool.h>

#include "base/irq.h"

struct blockdev;
struct bus;
struct ide;
struct pci_bus;
struct physmem;
struct snap;

enum { IDE_CHANNEL_COUNT = 2, IDE_DRIVE_COUNT = 4 };

struct ide_config {
    struct pci_bus *pci;
    unsigned slot, function;
    struct bus *ports;
    struct physmem *mem;
    struct irq irq[IDE_CHANNEL_COUNT]; /* 14 and 15 on a PC */
    /* Primary 0 and 1, secondary 0 and 1; NULL: no drive. They outlive the chip, and must be able
     * to complete what it left in flight. */
    struct blockdev *drive[IDE_DRIVE_COUNT];

    /* Both channels' bits in IDETIM are set at power-on: QEMU's chip has none, and UEFI that was
     * made for it sets none. */
    bool decodes;
};

/* NULL with errno set when the place on the bus is taken or memory is out. */
struct ide *ide_create(const struct ide_config *config);
void ide_destroy(struct ide *ide);

/* Power-on: no channel answers before somebody sets its bit in IDETIM (but see decodes). A drive
 * whose medium still works on a request (a medium that cannot drain) stays busy until that is
 * done. */
void ide_reset(struct ide *ide);

/* No request is in flight. */
bool ide_is_idle(const struct ide *ide);

/* Only while idle. */
void ide_snapshot(struct ide *ide, struct snap *snap);

#endif
