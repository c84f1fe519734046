/*
 * ACPI tables.
 *
 * Reference: ACPI Specification 6.4: 5.2 (tables), 5.2.9 (FADT; offsets are its table 5.9's),
 *            6.4 (resource descriptors), 20.2 (AML). ACPI 2.0 to 3.0 contents, FADT revision 3.
 * Not there: MADT (there is no APIC, so interrupts are the 8259s'), GPE blocks, PCI.
 *
 * Tables and AML are written front to back into one blob; lengths and checksums are filled in when
 * their object ends.
 */
#include "frontend/acpi.h"

#include <string.h>

#include "base/bug.h"
#include "devices/acpi_pm.h"

struct blob {
    uint8_t *bytes;
    uint32_t gpa; /* of bytes[0] */
    size_t used;
};

/* --- Bytes -------------------------------------------------------------- */

static void put(struct blob *b, uint64_t value, unsigned size)
{
    BUG_ON(b->used + size > ACPI_BLOB_MAX);
    for (unsigned i = 0; i < size; i++)
        b->bytes[b->used++] = value >> 8 * i;
}

static void put_text(struct blob *b, const char *text)
{
    while (*text)
        put(b, (uint8_t)*text++, 1);
}

static void put_at(struct blob *b, size_t at, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        b->bytes[at + i] = value >> 8 * i;
}

static void align(struct blob *b, unsigned to)
{
    while (b->used % to)
        put(b, 0, 1);
}

/* Makes the bytes from start to the end of size sum up to 0 by the one at at. */
static void checksum(struct blob *b, size_t start, size_t size, size_t at)
{
    uint8_t sum = 0;

    b->bytes[at] = 0;
    for (size_t i = 0; i < size; i++)
        sum += b->bytes[start + i];
    b->bytes[at] = -sum;
}

/* --- Tables ------------------------------------------------------------- */

enum { HEADER_LENGTH = 4, HEADER_CHECKSUM = 9, HEADER_SIZE = 36, RSDP_SIZE = 36, RSDP_1_SIZE = 20 };

static size_t table_begin(struct blob *b, const char *signature, uint8_t revision)
{
    size_t start;

    align(b, 16);
    start = b->used;
    put_text(b, signature);
    put(b, 0, 4); /* length */
    put(b, revision, 1);
    put(b, 0, 1); /* checksum */
    put_text(b, "NOVT  ");
    put_text(b, "NOVTBORD");
    put(b, 1, 4);
    put_text(b, "NOVT");
    put(b, 1, 4);
    return start;
}

/* Returns the table's gpa. */
static uint32_t table_end(struct blob *b, size_t start)
{
    put_at(b, start + HEADER_LENGTH, b->used - start, 4);
    checksum(b, start, b->used - start, start + HEADER_CHECKSUM);
    return b->gpa + (uint32_t)start;
}

static uint32_t facs(struct blob *b)
{
    size_t start;

    align(b, 64);
    start = b->used;
    put_text(b, "FACS");
    put(b, 64, 4);
    while (b->used < start + 64)
        put(b, 0, 1);
    put_at(b, start + 32, 1, 1); /* version */
    return b->gpa + (uint32_t)start;
}

static void generic_address(struct blob *b, size_t at, uint16_t port, unsigned bytes)
{
    put_at(b, at, 1, 1); /* system I/O */
    put_at(b, at + 1, 8 * bytes, 1);
    put_at(b, at + 3, bytes == 4 ? 3 : bytes == 2 ? 2 : 1, 1); /* access size */
    put_at(b, at + 4, port, 8);
}

#define FADT_SIZE        244
#define BOOT_LEGACY      0x0001 /* IAPC_BOOT_ARCH */
#define BOOT_8042        0x0002
#define BOOT_NO_VGA      0x0004
#define FLAG_WBINVD      (1u << 0)
#define FLAG_PROC_C1     (1u << 2)
#define FLAG_SLP_BUTTON  (1u << 5) /* there is none in the fixed registers */
#define FLAG_FIX_RTC     (1u << 6) /* nor a clock that wakes */
#define FLAG_RESET_REG   (1u << 10)
#define LATENCY_NO_C2    0x0fff
#define LATENCY_NO_C3    0xffff

static uint32_t fadt(struct blob *b, const struct acpi_config *c, uint32_t facs_gpa,
                     uint32_t dsdt_gpa)
{
    uint16_t event = c->pm_base + ACPI_PM1_EVENT, control = c->pm_base + ACPI_PM1_CONTROL,
             timer = c->pm_base + ACPI_PM_TIMER;
    size_t t = table_begin(b, "FACP", 3);

    while (b->used < t + FADT_SIZE)
        put(b, 0, 1);
    put_at(b, t + 36, facs_gpa, 4);
    put_at(b, t + 40, dsdt_gpa, 4);
    put_at(b, t + 46, c->sci, 2);
    put_at(b, t + 56, event, 4);
    put_at(b, t + 64, control, 4);
    put_at(b, t + 76, timer, 4);
    put_at(b, t + 88, ACPI_PM1_EVENT_SIZE, 1);
    put_at(b, t + 89, ACPI_PM1_CONTROL_SIZE, 1);
    put_at(b, t + 91, ACPI_PM_TIMER_SIZE, 1);
    put_at(b, t + 96, LATENCY_NO_C2, 2);
    put_at(b, t + 98, LATENCY_NO_C3, 2);
    put_at(b, t + 108, c->century, 1);
    put_at(b, t + 109, BOOT_LEGACY | BOOT_8042 | BOOT_NO_VGA, 2);
    put_at(b, t + 112,
           FLAG_WBINVD | FLAG_PROC_C1 | FLAG_SLP_BUTTON | FLAG_FIX_RTC | FLAG_RESET_REG, 4);
    generic_address(b, t + 116, c->reset_port, 1);
    put_at(b, t + 128, c->reset_value, 1);
    put_at(b, t + 140, dsdt_gpa, 8);
    generic_address(b, t + 148, event, ACPI_PM1_EVENT_SIZE);
    put_at(b, t + 148 + 3, 2, 1); /* two registers of a word each */
    generic_address(b, t + 172, control, ACPI_PM1_CONTROL_SIZE);
    generic_address(b, t + 208, timer, ACPI_PM_TIMER_SIZE);
    return table_end(b, t);
}

static uint32_t root_table(struct blob *b, const char *signature, uint32_t entry, unsigned size)
{
    size_t start = table_begin(b, signature, 1);

    put(b, entry, size);
    return table_end(b, start);
}

static void rsdp(struct blob *b, uint32_t rsdt, uint32_t xsdt)
{
    memcpy(b->bytes, "RSD PTR ", 8);
    memcpy(b->bytes + 9, "NOVT  ", 6);
    b->bytes[15] = 2; /* revision */
    put_at(b, 16, rsdt, 4);
    put_at(b, 20, RSDP_SIZE, 4);
    put_at(b, 24, xsdt, 8);
    checksum(b, 0, RSDP_1_SIZE, 8);
    checksum(b, 0, RSDP_SIZE, 32);
}

/* --- AML ---------------------------------------------------------------- */

enum {
    AML_ZERO = 0x00,
    AML_NAME = 0x08,
    AML_BYTE = 0x0a,
    AML_DWORD = 0x0c,
    AML_STRING = 0x0d,
    AML_SCOPE = 0x10,
    AML_BUFFER = 0x11,
    AML_PACKAGE = 0x12,
    AML_EXT = 0x5b,
    AML_EXT_DEVICE = 0x82,
};

enum { RES_WORD_SPACE = 0x88, RES_DWORD_SPACE = 0x87 };
enum { SPACE_MEMORY, SPACE_IO, SPACE_BUS };
enum { SPACE_FIXED = 0x0c, SPACE_READ_WRITE = 1, SPACE_ALL_IO = 3 };
enum { RES_IRQ = 0x22, RES_IO = 0x47, RES_IO_DECODE16 = 1, RES_END = 0x79 };

/* A length always takes two bytes here: 4 bits and 8, counted from its own first byte. */
static size_t length_begin(struct blob *b)
{
    put(b, 0, 2);
    return b->used - 2;
}

static void length_end(struct blob *b, size_t at)
{
    size_t length = b->used - at;

    BUG_ON(length >= 0x1000);
    b->bytes[at] = 0x40 | (length & 15);
    b->bytes[at + 1] = length >> 4;
}

static void name(struct blob *b, const char *segment)
{
    put(b, AML_NAME, 1);
    put_text(b, segment);
}

static void byte(struct blob *b, uint8_t value)
{
    put(b, AML_BYTE, 1);
    put(b, value, 1);
}

/* "PNP0303": three letters of five bits, four hexadecimal digits, the first byte first. */
static void hid_eisa(struct blob *b, const char *id)
{
    uint32_t value = (uint32_t)(id[0] - '@') << 26 | (uint32_t)(id[1] - '@') << 21 |
                     (uint32_t)(id[2] - '@') << 16;

    for (unsigned i = 0; i < 4; i++) {
        char c = id[3 + i];

        value |= (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10) << (12 - 4 * i);
    }
    name(b, "_HID");
    put(b, AML_DWORD, 1);
    put(b, __builtin_bswap32(value), 4);
}

static void hid_text(struct blob *b, const char *id)
{
    name(b, "_HID");
    put(b, AML_STRING, 1);
    put_text(b, id);
    put(b, 0, 1);
}

static size_t device_begin(struct blob *b, const char *segment)
{
    size_t at;

    put(b, AML_EXT, 1);
    put(b, AML_EXT_DEVICE, 1);
    at = length_begin(b);
    put_text(b, segment);
    return at;
}

struct resources {
    size_t length, size, start;
};

static struct resources crs_begin(struct blob *b)
{
    struct resources crs;

    name(b, "_CRS");
    put(b, AML_BUFFER, 1);
    crs.length = length_begin(b);
    byte(b, 0);
    crs.size = b->used - 1;
    crs.start = b->used;
    return crs;
}

static void crs_io(struct blob *b, uint16_t base, uint8_t size)
{
    put(b, RES_IO, 1);
    put(b, RES_IO_DECODE16, 1);
    put(b, base, 2);
    put(b, base, 2);
    put(b, 1, 1); /* alignment */
    put(b, size, 1);
}

/* What a bridge hands on (ACPI 6.3, 6.4.3.5): words or double words for first and last. */
static void crs_space(struct blob *b, unsigned size, uint8_t type, uint8_t flags, uint32_t first,
                      uint32_t last)
{
    put(b, size == 2 ? RES_WORD_SPACE : RES_DWORD_SPACE, 1);
    put(b, 3 + 5 * size, 2);
    put(b, type, 1);
    put(b, SPACE_FIXED, 1); /* minimum and maximum are fixed, positive decode */
    put(b, flags, 1);
    put(b, 0, size); /* granularity */
    put(b, first, size);
    put(b, last, size);
    put(b, 0, size); /* translation */
    put(b, last - first + 1, size);
}

static void crs_irq(struct blob *b, unsigned irq)
{
    put(b, RES_IRQ, 1);
    put(b, 1u << irq, 2);
}

static void crs_end(struct blob *b, const struct resources *crs)
{
    put(b, RES_END, 1);
    put(b, 0, 1); /* checksum: none */
    b->bytes[crs->size] = b->used - crs->start;
    length_end(b, crs->length);
}

/* --- DSDT --------------------------------------------------------------- */

/* Bus 0, all ports but those of configuration space, and the memory above RAM. */
static void pci_host(struct blob *b, const struct acpi_config *c)
{
    size_t device = device_begin(b, "PCI0");
    struct resources crs;

    hid_eisa(b, "PNP0A03");
    crs = crs_begin(b);
    crs_space(b, 2, SPACE_BUS, 0, 0, 0);
    crs_io(b, c->pci_ports, 8);
    crs_space(b, 2, SPACE_IO, SPACE_ALL_IO, 0, c->pci_ports - 1u);
    crs_space(b, 2, SPACE_IO, SPACE_ALL_IO, c->pci_ports + 8u, 0xffff);
    crs_space(b, 4, SPACE_MEMORY, SPACE_READ_WRITE, c->pci_memory, c->pci_memory_end - 1);
    crs_end(b, &crs);
    length_end(b, device);
}

static void rtc(struct blob *b, const struct acpi_config *c)
{
    size_t device = device_begin(b, "RTC_");
    struct resources crs;

    hid_eisa(b, "PNP0B00");
    crs = crs_begin(b);
    crs_io(b, c->rtc_base, 2);
    crs_irq(b, c->rtc_irq);
    crs_end(b, &crs);
    length_end(b, device);
}

static void keyboard(struct blob *b, const struct acpi_config *c)
{
    size_t device = device_begin(b, "KBD_");
    struct resources crs;

    hid_eisa(b, "PNP0303");
    crs = crs_begin(b);
    crs_io(b, c->keyboard_data, 1);
    crs_io(b, c->keyboard_command, 1);
    crs_irq(b, c->keyboard_irq);
    crs_end(b, &crs);
    length_end(b, device);
}

static void mouse(struct blob *b, const struct acpi_config *c)
{
    size_t device = device_begin(b, "MOU_");
    struct resources crs;

    hid_eisa(b, "PNP0F13");
    crs = crs_begin(b);
    crs_irq(b, c->mouse_irq);
    crs_end(b, &crs);
    length_end(b, device);
}

static void serial(struct blob *b, const struct acpi_config *c, unsigned i)
{
    const char segment[] = { 'C', 'O', 'M', (char)('1' + i), 0 };
    size_t device = device_begin(b, segment);
    struct resources crs;

    hid_eisa(b, "PNP0501");
    name(b, "_UID");
    byte(b, i + 1);
    crs = crs_begin(b);
    crs_io(b, c->serial_base[i], 8);
    crs_irq(b, c->serial_irq[i]);
    crs_end(b, &crs);
    length_end(b, device);
}

static void pvpanic(struct blob *b, const struct acpi_config *c)
{
    size_t device = device_begin(b, "PEVT");
    struct resources crs;

    hid_text(b, "QEMU0001");
    crs = crs_begin(b);
    crs_io(b, c->pvpanic_base, 1);
    crs_end(b, &crs);
    length_end(b, device);
}

static uint32_t dsdt(struct blob *b, const struct acpi_config *c)
{
    size_t table = table_begin(b, "DSDT", 1), scope, package;

    put(b, AML_SCOPE, 1);
    scope = length_begin(b);
    put_text(b, "\\_SB_");
    pci_host(b, c);
    rtc(b, c);
    keyboard(b, c);
    mouse(b, c);
    for (unsigned i = 0; i < ACPI_SERIAL_MAX; i++)
        if (c->serial_base[i])
            serial(b, c, i);
    pvpanic(b, c);
    length_end(b, scope);

    name(b, "_S5_");
    put(b, AML_PACKAGE, 1);
    package = length_begin(b);
    put(b, 4, 1);
    byte(b, ACPI_S5_TYPE); /* for PM1a; there is no PM1b */
    put(b, AML_ZERO, 1);
    put(b, AML_ZERO, 1);
    put(b, AML_ZERO, 1);
    length_end(b, package);
    return table_end(b, table);
}

size_t acpi_build(const struct acpi_config *config, uint32_t gpa, uint8_t blob[ACPI_BLOB_MAX])
{
    struct blob b = { .bytes = blob, .gpa = gpa, .used = RSDP_SIZE };
    uint32_t facs_gpa, dsdt_gpa, fadt_gpa, rsdt, xsdt;

    BUG_ON(gpa % 64);
    memset(blob, 0, ACPI_BLOB_MAX);
    facs_gpa = facs(&b);
    dsdt_gpa = dsdt(&b, config);
    fadt_gpa = fadt(&b, config, facs_gpa, dsdt_gpa);
    rsdt = root_table(&b, "RSDT", fadt_gpa, 4);
    xsdt = root_table(&b, "XSDT", fadt_gpa, 8);
    rsdp(&b, rsdt, xsdt);
    return b.used;
}
