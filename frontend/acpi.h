/* The ACPI tables of the board, as bytes to be put into the guest's memory. */
#ifndef FRONTEND_ACPI_H
#define FRONTEND_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACPI_SERIAL_MAX 4
#define ACPI_BLOB_MAX 4096

/* Where the board has its chips; a serial port's base of 0 means that it is not there. */
struct acpi_config {
    uint16_t pci_ports; /* the eight of configuration space */
    uint32_t pci_memory, pci_memory_end;
    uint16_t pm_base;
    uint8_t sci;
    uint16_t reset_port;
    uint8_t reset_value;
    uint8_t century; /* CMOS index */
    uint16_t rtc_base;
    uint8_t rtc_irq;
    uint16_t keyboard_data, keyboard_command;
    uint8_t keyboard_irq, mouse_irq;
    uint16_t serial_base[ACPI_SERIAL_MAX];
    uint8_t serial_irq[ACPI_SERIAL_MAX];
    uint16_t pvpanic_base;
};

/* Builds RSDP (first), XSDT, RSDT, FADT, FACS and DSDT, to be put at gpa (a multiple of 64 between
 * 0xe0000 and 0xfffff, where systems look for the RSDP). Returns the bytes used. */
size_t acpi_build(const struct acpi_config *config, uint32_t gpa, uint8_t blob[ACPI_BLOB_MAX]);

#endif
