/*
 * ACPI tables and the AML in them, written front to back into one block of bytes; lengths are
 * filled in when their object ends. acpi.c and dsdt.c use it.
 */
#ifndef FRONTEND_AML_H
#define FRONTEND_AML_H

#include <stddef.h>
#include <stdint.h>

#include "frontend/acpi.h"

struct aml {
    struct acpi_tables *to;
    uint32_t gpa; /* of to->bytes[0] */
    size_t used;
};

/* --- Bytes -------------------------------------------------------------- */

/* At the end, or at `at`: size bytes of value, little-endian; zeroes up to a multiple of `to`. */
void aml_put(struct aml *a, uint64_t value, unsigned size);
void aml_text(struct aml *a, const char *text); /* without the final 0 */
void aml_align(struct aml *a, unsigned to);
void aml_put_at(struct aml *a, size_t at, uint64_t value, unsigned size);
/* The gpa of to->bytes[target]; remembered for firmware that moves the tables. */
void aml_pointer_at(struct aml *a, size_t at, size_t target, unsigned size);
/* Makes [start, start + size) sum up to 0 by the byte at at. */
void aml_checksum(struct aml *a, size_t start, size_t size, size_t at);

/* A table with its header; both return where it starts. */
size_t aml_table_begin(struct aml *a, const char *signature, uint8_t revision);
size_t aml_table_end(struct aml *a, size_t start);

/* --- Objects (ACPI 20.2) --------------------------------------------------- */

enum {
    AML_ZERO = 0x00,
    AML_NAME = 0x08,
    AML_BYTE = 0x0a,
    AML_DWORD = 0x0c,
    AML_STRING = 0x0d,
    AML_SCOPE = 0x10,
    AML_BUFFER = 0x11,
    AML_PACKAGE = 0x12,
    AML_METHOD = 0x14,
    AML_EXT = 0x5b,
    AML_EXT_REGION = 0x80,
    AML_EXT_FIELD = 0x81,
    AML_EXT_DEVICE = 0x82,
    AML_ARG0 = 0x68,
    AML_STORE = 0x70,
    AML_AND = 0x7b,
    AML_OR = 0x7d,
    AML_DEREF = 0x83,
    AML_INDEX = 0x88,
    AML_IF = 0xa0,
    AML_RETURN = 0xa4,
};

/* A PkgLength, filled in by the second with all that came in between. */
size_t aml_length_begin(struct aml *a);
void aml_length_end(struct aml *a, size_t at);

/* The objects of these names and values. */
void aml_name(struct aml *a, const char *segment);
void aml_byte(struct aml *a, uint8_t value);
void aml_dword(struct aml *a, uint32_t value);
void aml_hid_eisa(struct aml *a, const char *id); /* "PNP0303" */
void aml_hid_text(struct aml *a, const char *id);

/* Each ends with aml_length_end(a, what it returned). */
size_t aml_device_begin(struct aml *a, const char *segment);
size_t aml_method_begin(struct aml *a, const char *segment, unsigned arguments);
size_t aml_package_begin(struct aml *a, unsigned elements);

/* --- Resources (ACPI 6.4) ---------------------------------------------------- */

enum { AML_SPACE_MEMORY, AML_SPACE_IO, AML_SPACE_BUS };
enum { AML_SPACE_READ_WRITE = 1, AML_SPACE_ALL_IO = 3 };

struct aml_resources {
    size_t length, size, start;
};

/* name: "_CRS", "_PRS" */
struct aml_resources aml_resources_begin(struct aml *a, const char *name);
void aml_resources_end(struct aml *a, const struct aml_resources *resources);

/* A fixed window of ports. */
void aml_io(struct aml *a, uint16_t base, uint8_t size);
void aml_irq(struct aml *a, unsigned irq); /* an edge of an ISA IRQ */
void aml_dma(struct aml *a, unsigned channel); /* of 8 bits, compatible timing */
/* One of these: level-triggered, active high, shared. */
enum { AML_INTERRUPT_NUMBER = 5 }; /* where a first one's number is in its resources */
void aml_interrupts(struct aml *a, const uint8_t *irqs, unsigned count);
/* What a bridge hands on; size 2 or 4, of the numbers. */
void aml_space(struct aml *a, unsigned size, uint8_t type, uint8_t flags, uint32_t first,
               uint32_t last);

#endif
