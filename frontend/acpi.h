/* The ACPI tables of the board, as bytes to be put into the guest's memory. */
#ifndef FRONTEND_ACPI_H
#define FRONTEND_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACPI_SERIAL_MAX 4
#define ACPI_BLOB_MAX 8192
#define ACPI_POINTERS_MAX 16
#define ACPI_CHECKSUMS_MAX 16
#define ACPI_RSDP_SIZE 36
#define ACPI_RSDP_ROOM 64 /* the root pointer is alone in the first bytes, the tables follow */

enum { ACPI_PIRQ_COUNT = 4, ACPI_PIRQ_CHOICES = 3 };
enum { ACPI_PROCESSOR_ID = 0 }; /* the _UID in the DSDT, and the MADT's number */

/* Where the board has its chips; a serial port's base of 0 means that it is not there. */
struct acpi_config {
    uint16_t pci_ports; /* the eight of configuration space */
    uint32_t pci_memory, pci_memory_end;
    uint16_t pm_base;
    uint8_t sci;
    uint16_t reset_port;
    uint8_t reset_value;
    uint8_t century; /* CMOS index */
    bool vga;
    bool apic; /* local APIC, I/O APIC and HPET, at their places */
    uint16_t rtc_base;
    uint8_t rtc_irq;
    uint16_t keyboard_data, keyboard_command;
    uint8_t keyboard_irq, mouse_irq;
    uint16_t fdc_base; /* 0: there is no floppy controller */
    uint8_t fdc_irq, fdc_dma;
    uint16_t serial_base[ACPI_SERIAL_MAX];
    uint8_t serial_irq[ACPI_SERIAL_MAX];
    uint16_t pvpanic_base;

    /* PCI interrupts: the ISA bridge's slot, its first route register, which of the four each pin
     * of a slot is wired to, and the IRQs to route them to. */
    unsigned isa_slot;
    uint8_t pirq_route;
    unsigned (*pirq_of)(unsigned slot, unsigned pin);
    uint8_t pirq_irqs[ACPI_PIRQ_CHOICES];
};

/* The tables as bytes. All pointers in them are the gpa plus an offset; firmware that puts them
 * elsewhere adds the difference, and corrects the checksums in the order given. */
struct acpi_tables {
    uint8_t bytes[ACPI_BLOB_MAX];
    size_t size;
    unsigned pointers, checksums;
    struct acpi_pointer {
        uint32_t at, size;
    } pointer[ACPI_POINTERS_MAX];
    struct acpi_checksum {
        uint32_t start, size, at;
    } checksum[ACPI_CHECKSUMS_MAX];
};

/* Builds RSDP (first), XSDT, RSDT, FADT, FACS, DSDT, MADT, HPET for gpa (a multiple of 64 between
 * 0xe0000 and 0xfffff, where systems look for the RSDP; or 0, for firmware to move). */
void acpi_build(const struct acpi_config *config, uint32_t gpa, struct acpi_tables *tables);

#endif
