/*
 * ACPI tables.
 *
 * Reference: ACPI Specification 6.4: 5.2 (tables), 5.2.9 (FADT; offsets are its table 5.9's).
 *            ACPI 2.0 to 3.0 contents, FADT revision 3.
 *            HPET: IA-PC HPET Specification 1.0a, 3.2.4.
 * Not there: GPE blocks.
 */
#include "frontend/acpi.h"

#include <string.h>

#include "base/bug.h"
#include "devices/acpi_pm.h"
#include "devices/hpet.h"
#include "devices/ioapic.h"
#include "devices/lapic.h"
#include "frontend/aml.h"
#include "frontend/dsdt.h"

enum { RSDP_1_SIZE = 20 };

static size_t facs(struct aml *a)
{
    size_t start;

    aml_align(a, 64);
    start = a->used;
    aml_text(a, "FACS");
    aml_put(a, 64, 4);
    while (a->used < start + 64)
        aml_put(a, 0, 1);
    aml_put_at(a, start + 32, 1, 1); /* version */
    return start;
}

static void generic_address(struct aml *a, size_t at, uint16_t port, unsigned bytes)
{
    aml_put_at(a, at, 1, 1); /* system I/O */
    aml_put_at(a, at + 1, 8 * bytes, 1);
    aml_put_at(a, at + 3, bytes == 4 ? 3 : bytes == 2 ? 2 : 1, 1); /* access size */
    aml_put_at(a, at + 4, port, 8);
}

#define FADT_SIZE        244
#define BOOT_LEGACY      0x0001 /* IAPC_BOOT_ARCH */
#define BOOT_8042        0x0002
#define BOOT_NO_VGA      0x0004
#define FLAG_WBINVD      (1u << 0)
#define FLAG_PROC_C1     (1u << 2)
#define FLAG_FIX_RTC     (1u << 6) /* no clock that wakes in the fixed registers */
#define FLAG_RESET_REG   (1u << 10)
#define LATENCY_NO_C2    0x0fff
#define LATENCY_NO_C3    0xffff

static size_t fadt(struct aml *a, const struct acpi_config *c, size_t facs_at, size_t dsdt_at)
{
    uint16_t event = c->pm_base + ACPI_PM1_EVENT, control = c->pm_base + ACPI_PM1_CONTROL,
             timer = c->pm_base + ACPI_PM_TIMER;
    size_t t = aml_table_begin(a, "FACP", 3);

    while (a->used < t + FADT_SIZE)
        aml_put(a, 0, 1);
    aml_pointer_at(a, t + 36, facs_at, 4);
    aml_pointer_at(a, t + 40, dsdt_at, 4);
    aml_put_at(a, t + 46, c->sci, 2);
    aml_put_at(a, t + 56, event, 4);
    aml_put_at(a, t + 64, control, 4);
    aml_put_at(a, t + 76, timer, 4);
    aml_put_at(a, t + 88, ACPI_PM1_EVENT_SIZE, 1);
    aml_put_at(a, t + 89, ACPI_PM1_CONTROL_SIZE, 1);
    aml_put_at(a, t + 91, ACPI_PM_TIMER_SIZE, 1);
    aml_put_at(a, t + 96, LATENCY_NO_C2, 2);
    aml_put_at(a, t + 98, LATENCY_NO_C3, 2);
    aml_put_at(a, t + 108, c->century, 1);
    aml_put_at(a, t + 109, BOOT_LEGACY | BOOT_8042 | (c->vga ? 0 : BOOT_NO_VGA), 2);
    aml_put_at(a, t + 112, FLAG_WBINVD | FLAG_PROC_C1 | FLAG_FIX_RTC | FLAG_RESET_REG, 4);
    generic_address(a, t + 116, c->reset_port, 1);
    aml_put_at(a, t + 128, c->reset_value, 1);
    aml_pointer_at(a, t + 140, dsdt_at, 8);
    generic_address(a, t + 148, event, ACPI_PM1_EVENT_SIZE);
    aml_put_at(a, t + 148 + 3, 2, 1); /* two registers of a word each */
    generic_address(a, t + 172, control, ACPI_PM1_CONTROL_SIZE);
    generic_address(a, t + 208, timer, ACPI_PM_TIMER_SIZE);
    return aml_table_end(a, t);
}

/* --- MADT (5.2.12) and HPET ------------------------------------------------ */

enum { MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_NMI = 4 };
enum { ACTIVE_HIGH_LEVEL = 0x0d, ALL_PROCESSORS = 0xff };

static void override(struct aml *a, unsigned irq, unsigned pin, unsigned flags)
{
    aml_put(a, MADT_OVERRIDE, 1);
    aml_put(a, 10, 1);
    aml_put(a, 0, 1); /* of the ISA bus */
    aml_put(a, irq, 1);
    aml_put(a, pin, 4);
    aml_put(a, flags, 2);
}

#define MADT_REVISION 1 /* ACPI 2.0's (5.2.10.4), as the FADT's 3 is */

static size_t madt(struct aml *a, const struct acpi_config *c)
{
    size_t start = aml_table_begin(a, "APIC", MADT_REVISION);

    aml_put(a, LAPIC_BASE, 4);
    aml_put(a, 1, 4); /* there are 8259s, too */
    aml_put(a, MADT_LAPIC, 1);
    aml_put(a, 8, 1);
    aml_put(a, ACPI_PROCESSOR_ID, 1);
    aml_put(a, 0, 1); /* its APIC's ID */
    aml_put(a, 1, 4); /* enabled */
    aml_put(a, MADT_IOAPIC, 1);
    aml_put(a, 12, 1);
    aml_put(a, 0, 2);
    aml_put(a, IOAPIC_BASE, 4);
    aml_put(a, 0, 4); /* its first interrupt */
    override(a, 0, 2, 0);
    override(a, c->sci, c->sci, ACTIVE_HIGH_LEVEL);
    for (unsigned i = 0; i < ACPI_PIRQ_CHOICES; i++)
        override(a, c->pirq_irqs[i], c->pirq_irqs[i], ACTIVE_HIGH_LEVEL);
    aml_put(a, MADT_NMI, 1);
    aml_put(a, 6, 1);
    aml_put(a, ALL_PROCESSORS, 1);
    aml_put(a, 0, 2);
    aml_put(a, 1, 1); /* LINT1 */
    return aml_table_end(a, start);
}

static size_t hpet(struct aml *a)
{
    size_t start = aml_table_begin(a, "HPET", 1);

    aml_put(a, HPET_ID, 4);
    aml_put(a, 64 << 8, 4); /* in memory, 64 bits wide */
    aml_put(a, HPET_BASE, 8);
    aml_put(a, 0, 1); /* its number */
    aml_put(a, HPET_MIN_TICK, 2);
    aml_put(a, 0, 1);
    return aml_table_end(a, start);
}

/* RSDT or XSDT: where the others are, in 4 or 8 bytes. */
static size_t root_table(struct aml *a, const char *signature, const size_t *tables, unsigned count,
                         unsigned size)
{
    size_t start = aml_table_begin(a, signature, 1);

    for (unsigned i = 0; i < count; i++) {
        aml_put(a, 0, size);
        aml_pointer_at(a, a->used - size, tables[i], size);
    }
    return aml_table_end(a, start);
}

static void rsdp(struct aml *a, size_t rsdt, size_t xsdt)
{
    uint8_t *bytes = a->to->bytes;

    memcpy(bytes, "RSD PTR ", 8);
    memcpy(bytes + 9, "NOVT  ", 6);
    bytes[15] = 2; /* revision */
    aml_pointer_at(a, 16, rsdt, 4);
    aml_put_at(a, 20, ACPI_RSDP_SIZE, 4);
    aml_pointer_at(a, 24, xsdt, 8);
    aml_checksum(a, 0, RSDP_1_SIZE, 8);
    aml_checksum(a, 0, ACPI_RSDP_SIZE, 32);
}

void acpi_build(const struct acpi_config *config, uint32_t gpa, struct acpi_tables *tables)
{
    struct aml a = { .to = tables, .gpa = gpa, .used = ACPI_RSDP_ROOM };
    size_t facs_at, dsdt_at, table[3], rsdt, xsdt;
    unsigned count = 1;

    BUG_ON(gpa % 64);
    memset(tables, 0, sizeof(*tables));
    facs_at = facs(&a);
    dsdt_at = dsdt_build(&a, config);
    table[0] = fadt(&a, config, facs_at, dsdt_at);
    if (config->apic) {
        table[count++] = madt(&a, config);
        table[count++] = hpet(&a);
    }
    rsdt = root_table(&a, "RSDT", table, count, 4);
    xsdt = root_table(&a, "XSDT", table, count, 8);
    rsdp(&a, rsdt, xsdt);
    tables->size = a.used;
}
