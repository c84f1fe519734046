/* The MultiProcessor tables of the board: where the APICs are, for systems that do not read ACPI's
 * (teaching kernels, Linux with acpi=off). Without firmware; SeaBIOS makes its own. */
#ifndef FRONTEND_MPTABLE_H
#define FRONTEND_MPTABLE_H

#include <stddef.h>
#include <stdint.h>

#define MPTABLE_MAX 2048

struct mptable_config {
    uint8_t sci; /* this ISA IRQ, and those of PCI, are levels, active high */
    /* The ISA IRQ, and so the I/O APIC's pin, of a PCI device's pin (0 to 3 for INTA# to INTD#). */
    uint8_t (*pci_irq)(unsigned slot, unsigned pin);
};

/* Floating pointer (first) and configuration table for gpa, a multiple of 16 between 0xf0000 and
 * 0xfffff. Returns their size. */
size_t mptable_build(const struct mptable_config *config, uint32_t gpa,
                     uint8_t bytes[MPTABLE_MAX]);

#endif
