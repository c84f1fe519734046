/* PIIX4 (82371AB), function 3: where the ports of ACPI's fixed hardware are, for firmware that asks
 * PCI; and an SMBus without devices. */
#ifndef DEVICES_PIIX4_PM_H
#define DEVICES_PIIX4_PM_H

#include <stdint.h>

struct bus;
struct pci_bus;
struct piix4_pm;
struct snap;

struct piix4_pm_config {
    struct pci_bus *pci;
    unsigned slot, function;
    struct bus *ports;
    uint16_t base;  /* of acpi_pm's ports */
    uint16_t smbus; /* of the SMBus's 16 */
};

/* NULL with errno set when the place is taken or memory is out. */
struct piix4_pm *piix4_pm_create(const struct piix4_pm_config *config);
void piix4_pm_destroy(struct piix4_pm *pm);

void piix4_pm_reset(struct piix4_pm *pm);
void piix4_pm_snapshot(struct piix4_pm *pm, struct snap *snap);

#endif
