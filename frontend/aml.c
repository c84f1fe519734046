/*
 * Writing ACPI tables and AML.
 *
 * Reference: ACPI Specification 6.4: 5.2.6 (headers), 6.4 (resource descriptors), 20.2 (AML).
 */
#include "frontend/aml.h"

#include "base/bug.h"
#include "frontend/checksum.h"

/* --- Bytes -------------------------------------------------------------- */

void aml_put(struct aml *a, uint64_t value, unsigned size)
{
    BUG_ON(a->used + size > ACPI_BLOB_MAX);
    for (unsigned i = 0; i < size; i++)
        a->to->bytes[a->used++] = value >> 8 * i & 0xff;
}

void aml_text(struct aml *a, const char *text)
{
    while (*text)
        aml_put(a, (uint8_t)*text++, 1);
}

void aml_align(struct aml *a, unsigned to)
{
    while (a->used % to)
        aml_put(a, 0, 1);
}

void aml_put_at(struct aml *a, size_t at, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        a->to->bytes[at + i] = value >> 8 * i & 0xff;
}

void aml_pointer_at(struct aml *a, size_t at, size_t target, unsigned size)
{
    struct acpi_tables *to = a->to;

    BUG_ON(to->pointers == ACPI_POINTERS_MAX);
    to->pointer[to->pointers++] = (struct acpi_pointer){ (uint32_t)at, size };
    aml_put_at(a, at, a->gpa + target, size);
}

void aml_checksum(struct aml *a, size_t start, size_t size, size_t at)
{
    struct acpi_tables *to = a->to;

    BUG_ON(to->checksums == ACPI_CHECKSUMS_MAX);
    to->checksum[to->checksums++] =
        (struct acpi_checksum){ (uint32_t)start, (uint32_t)size, (uint32_t)at };
    checksum_set(to->bytes + start, size, at - start);
}

enum { HEADER_LENGTH = 4, HEADER_CHECKSUM = 9 };

size_t aml_table_begin(struct aml *a, const char *signature, uint8_t revision)
{
    size_t start;

    aml_align(a, 16);
    start = a->used;
    aml_text(a, signature);
    aml_put(a, 0, 4); /* length */
    aml_put(a, revision, 1);
    aml_put(a, 0, 1); /* checksum */
    aml_text(a, "NOVT  ");
    aml_text(a, "NOVTBORD");
    aml_put(a, 1, 4);
    aml_text(a, "NOVT");
    aml_put(a, 1, 4);
    return start;
}

size_t aml_table_end(struct aml *a, size_t start)
{
    aml_put_at(a, start + HEADER_LENGTH, a->used - start, 4);
    aml_checksum(a, start, a->used - start, start + HEADER_CHECKSUM);
    return start;
}

/* --- Objects ------------------------------------------------------------ */

enum { LENGTH_BYTES = 3, LENGTH_MAX = 1 << 20 };

/* A length always takes three bytes here: 4 bits, 8 and 8, counted from its own first byte. */
size_t aml_length_begin(struct aml *a)
{
    aml_put(a, 0, LENGTH_BYTES);
    return a->used - LENGTH_BYTES;
}

void aml_length_end(struct aml *a, size_t at)
{
    size_t length = a->used - at;

    BUG_ON(length >= LENGTH_MAX);
    a->to->bytes[at] = 0x80 | (length & 15);
    a->to->bytes[at + 1] = length >> 4 & 0xff;
    a->to->bytes[at + 2] = length >> 12 & 0xff;
}

void aml_name(struct aml *a, const char *segment)
{
    aml_put(a, AML_NAME, 1);
    aml_text(a, segment);
}

void aml_byte(struct aml *a, uint8_t value)
{
    aml_put(a, AML_BYTE, 1);
    aml_put(a, value, 1);
}

void aml_dword(struct aml *a, uint32_t value)
{
    aml_put(a, AML_DWORD, 1);
    aml_put(a, value, 4);
}

/* Three letters of five bits, four hexadecimal digits, the first byte first. */
void aml_hid_eisa(struct aml *a, const char *id)
{
    uint32_t value = (uint32_t)(id[0] - '@') << 26 | (uint32_t)(id[1] - '@') << 21 |
                     (uint32_t)(id[2] - '@') << 16;

    for (unsigned i = 0; i < 4; i++) {
        char c = id[3 + i];

        value |= (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10) << (12 - 4 * i);
    }
    aml_name(a, "_HID");
    aml_dword(a, __builtin_bswap32(value));
}

void aml_hid_text(struct aml *a, const char *id)
{
    aml_name(a, "_HID");
    aml_put(a, AML_STRING, 1);
    aml_text(a, id);
    aml_put(a, 0, 1);
}

size_t aml_device_begin(struct aml *a, const char *segment)
{
    size_t at;

    aml_put(a, AML_EXT, 1);
    aml_put(a, AML_EXT_DEVICE, 1);
    at = aml_length_begin(a);
    aml_text(a, segment);
    return at;
}

size_t aml_method_begin(struct aml *a, const char *segment, unsigned arguments)
{
    size_t at;

    aml_put(a, AML_METHOD, 1);
    at = aml_length_begin(a);
    aml_text(a, segment);
    aml_put(a, arguments, 1); /* not serialized */
    return at;
}

size_t aml_package_begin(struct aml *a, unsigned elements)
{
    size_t at;

    aml_put(a, AML_PACKAGE, 1);
    at = aml_length_begin(a);
    aml_put(a, elements, 1);
    return at;
}

/* --- Resources ---------------------------------------------------------- */

enum { RES_WORD_SPACE = 0x88, RES_DWORD_SPACE = 0x87, RES_INTERRUPTS = 0x89 };
enum { INTERRUPT_SHARED_LEVEL_HIGH = 0x09 }; /* consumer, level, active high, shared */
enum { SPACE_FIXED = 0x0c };
enum { RES_IRQ = 0x22, RES_DMA = 0x2a, RES_IO = 0x47, RES_IO_DECODE16 = 1, RES_END = 0x79 };

struct aml_resources aml_resources_begin(struct aml *a, const char *name)
{
    struct aml_resources resources;

    aml_name(a, name);
    aml_put(a, AML_BUFFER, 1);
    resources.length = aml_length_begin(a);
    aml_byte(a, 0);
    resources.size = a->used - 1;
    resources.start = a->used;
    return resources;
}

void aml_resources_end(struct aml *a, const struct aml_resources *resources)
{
    aml_put(a, RES_END, 1);
    aml_put(a, 0, 1); /* checksum: none */
    a->to->bytes[resources->size] = (a->used - resources->start) & 0xff;
    aml_length_end(a, resources->length);
}

void aml_io(struct aml *a, uint16_t base, uint8_t size)
{
    aml_put(a, RES_IO, 1);
    aml_put(a, RES_IO_DECODE16, 1);
    aml_put(a, base, 2);
    aml_put(a, base, 2);
    aml_put(a, 1, 1); /* alignment */
    aml_put(a, size, 1);
}

void aml_irq(struct aml *a, unsigned irq)
{
    aml_put(a, RES_IRQ, 1);
    aml_put(a, 1u << irq, 2);
}

void aml_dma(struct aml *a, unsigned channel)
{
    aml_put(a, RES_DMA, 1);
    aml_put(a, 1u << channel, 1);
    aml_put(a, 0, 1);
}

void aml_interrupts(struct aml *a, const uint8_t *irqs, unsigned count)
{
    aml_put(a, RES_INTERRUPTS, 1);
    aml_put(a, 2 + 4 * count, 2);
    aml_put(a, INTERRUPT_SHARED_LEVEL_HIGH, 1);
    aml_put(a, count, 1);
    for (unsigned i = 0; i < count; i++)
        aml_put(a, irqs[i], 4);
}

void aml_space(struct aml *a, unsigned size, uint8_t type, uint8_t flags, uint32_t first,
               uint32_t last)
{
    aml_put(a, size == 2 ? RES_WORD_SPACE : RES_DWORD_SPACE, 1);
    aml_put(a, 3 + 5 * size, 2);
    aml_put(a, type, 1);
    aml_put(a, SPACE_FIXED, 1); /* minimum and maximum are fixed, positive decode */
    aml_put(a, flags, 1);
    aml_put(a, 0, size); /* granularity */
    aml_put(a, first, size);
    aml_put(a, last, size);
    aml_put(a, 0, size); /* translation */
    aml_put(a, last - first + 1, size);
}
