/* The SMBIOS tables of the board: who made it, its processor and its memory, for people and their
 * tools (dmidecode, /sys/class/dmi/id). As bytes to be put into the guest's memory. */
#ifndef FRONTEND_SMBIOS_H
#define FRONTEND_SMBIOS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SMBIOS_ENTRY_SIZE = 0x1f,
    SMBIOS_ENTRY_ROOM = 0x20, /* the entry point is alone in the first bytes, the table follows */
    SMBIOS_TEXT_MAX = 4096,   /* bytes of all strings of the user's */
    SMBIOS_TABLE_MAX = SMBIOS_TEXT_MAX + 2048,
    SMBIOS_OEM_MAX = 32,
};

enum {
    SMBIOS_TEXTS = 0
#define TEXT(type, offset, field, text, behind) + 1
#include "frontend/smbios_fields.def"
};

/* What the user says of the structures, and what the board is. All zeroes: nothing. */
struct smbios_config {
    const char *text[SMBIOS_TEXTS]; /* by smbios_fields.def's rows; NULL: what is said there */
    const char *oem[SMBIOS_OEM_MAX];
    unsigned oems;
    uint32_t given; /* bit N: something was said of structures of type N */

    uint8_t release[2]; /* the BIOS's, major and minor */
    bool uefi;
    uint8_t uuid[16];     /* in the order it is written in; zeroes: there is none */
    uint16_t speed;       /* the processor's now and at most, MHz; 0: 2000, as QEMU's */
    uint16_t speed_max;
    uint64_t processor_id; /* CPUID leaf 1: EAX, above it EDX */
    uint16_t memory_speed; /* 0: unknown */
};

/* The table's structures. firmware: one runs, and writes the one about itself (type 0), unless the
 * user has. Returns their size; entry gets the entry point for a table at gpa. */
size_t smbios_build(const struct smbios_config *config, uint64_t memory, bool firmware,
                    uint32_t gpa, uint8_t entry[SMBIOS_ENTRY_SIZE],
                    uint8_t table[SMBIOS_TABLE_MAX]);

#endif
