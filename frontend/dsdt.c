/*
 * The DSDT: the chips that a system cannot find by itself, and how the interrupt pins of PCI slots
 * get to IRQs.
 *
 * Reference: ACPI Specification 6.4: 6.2.13 (_PRT), 7 (sleeping states), 8.4 (processors),
 *            19.6 (the language);
 *            PCI Firmware Specification 3.0, 4 (host bridges).
 */
#include "frontend/dsdt.h"

#include "devices/acpi_pm.h"
#include "frontend/acpi.h"
#include "frontend/aml.h"

/* --- PCI ---------------------------------------------------------------- */

enum { SLOT_COUNT = 32, PIN_COUNT = 4, ROUTE_OFF = 0x80, ROUTE_IRQ = 0x0f };

/* Bits of what _STA returns. */
enum { STATUS_OFF = 0x09, STATUS_ON = 0x0b };

#define LINK_NAME(i)  ((const char[]){ 'L', 'N', 'K', (char)('A' + (i)), 0 })
#define ROUTE_NAME(i) ((const char[]){ 'P', 'R', 'Q', (char)('A' + (i)), 0 })

/* Which link each pin of each slot is wired to: { slot << 16 | any function, pin, link, 0 }. */
static void routing(struct aml *a, const struct acpi_config *c)
{
    size_t package;

    aml_name(a, "_PRT");
    package = aml_package_begin(a, SLOT_COUNT * PIN_COUNT);
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
        for (unsigned pin = 0; pin < PIN_COUNT; pin++) {
            size_t entry = aml_package_begin(a, 4);

            aml_dword(a, slot << 16 | 0xffff);
            aml_byte(a, pin);
            aml_text(a, LINK_NAME(c->pirq_of(slot, pin)));
            aml_put(a, AML_ZERO, 1);
            aml_length_end(a, entry);
        }
    aml_length_end(a, package);
}

/* Bus 0, all ports but those of configuration space, and the memory above RAM. */
static void pci_windows(struct aml *a, const struct acpi_config *c)
{
    struct aml_resources crs = aml_resources_begin(a, "_CRS");

    aml_space(a, 2, AML_SPACE_BUS, 0, 0, 0);
    aml_io(a, c->pci_ports, 8);
    aml_space(a, 2, AML_SPACE_IO, AML_SPACE_ALL_IO, 0, c->pci_ports - 1u);
    aml_space(a, 2, AML_SPACE_IO, AML_SPACE_ALL_IO, c->pci_ports + 8u, 0xffff);
    aml_space(a, 4, AML_SPACE_MEMORY, AML_SPACE_READ_WRITE, 0xa0000, 0xbffff); /* VGA */
    aml_space(a, 4, AML_SPACE_MEMORY, AML_SPACE_READ_WRITE, c->pci_memory,
              c->pci_memory_end - 1);
    aml_resources_end(a, &crs);
}

/* The ISA bridge, for the sake of its four route registers. */
static void isa_bridge(struct aml *a, const struct acpi_config *c)
{
    size_t device = aml_device_begin(a, "ISA_"), field;

    aml_name(a, "_ADR");
    aml_dword(a, (uint32_t)c->isa_slot << 16);
    aml_put(a, AML_EXT, 1);
    aml_put(a, AML_EXT_REGION, 1);
    aml_text(a, "PIRQ");
    aml_put(a, 2, 1); /* PCI configuration space */
    aml_byte(a, c->pirq_route);
    aml_byte(a, ACPI_PIRQ_COUNT);
    aml_put(a, AML_EXT, 1);
    aml_put(a, AML_EXT_FIELD, 1);
    field = aml_length_begin(a);
    aml_text(a, "PIRQ");
    aml_put(a, 1, 1); /* by bytes; the rest of a register is preserved */
    for (unsigned i = 0; i < ACPI_PIRQ_COUNT; i++) {
        aml_text(a, ROUTE_NAME(i));
        aml_put(a, 8, 1); /* bits */
    }
    aml_length_end(a, field);
    aml_length_end(a, device);
}

static void pci_host(struct aml *a, const struct acpi_config *c)
{
    size_t device = aml_device_begin(a, "PCI0");

    aml_hid_eisa(a, "PNP0A03");
    aml_name(a, "_UID");
    aml_put(a, AML_ZERO, 1);
    pci_windows(a, c);
    routing(a, c);
    isa_bridge(a, c);
    aml_length_end(a, device);
}

/* --- Interrupt links ---------------------------------------------------- */

static void route_register(struct aml *a, unsigned i)
{
    aml_text(a, "\\\x2f\x04_SB_PCI0ISA_"); /* from the root, four segments */
    aml_text(a, ROUTE_NAME(i));
}

/* If (PRQx & 0x80) { Return (off) } Return (on) */
static void link_status(struct aml *a, unsigned i)
{
    size_t method = aml_method_begin(a, "_STA", 0), body;

    aml_put(a, AML_IF, 1);
    body = aml_length_begin(a);
    aml_put(a, AML_AND, 1);
    route_register(a, i);
    aml_byte(a, ROUTE_OFF);
    aml_put(a, AML_ZERO, 1); /* no target */
    aml_put(a, AML_RETURN, 1);
    aml_byte(a, STATUS_OFF);
    aml_length_end(a, body);
    aml_put(a, AML_RETURN, 1);
    aml_byte(a, STATUS_ON);
    aml_length_end(a, method);
}

/* PRQx |= 0x80 */
static void link_disable(struct aml *a, unsigned i)
{
    size_t method = aml_method_begin(a, "_DIS", 0);

    aml_put(a, AML_OR, 1);
    route_register(a, i);
    aml_byte(a, ROUTE_OFF);
    route_register(a, i);
    aml_length_end(a, method);
}

/* RESO[5] = PRQx & 15; Return (RESO) */
static void link_current(struct aml *a, unsigned i)
{
    struct aml_resources template = aml_resources_begin(a, "RESO");
    size_t method;

    aml_interrupts(a, (const uint8_t[]){ 0 }, 1);
    aml_resources_end(a, &template);
    method = aml_method_begin(a, "_CRS", 0);
    aml_put(a, AML_STORE, 1);
    aml_put(a, AML_AND, 1);
    route_register(a, i);
    aml_byte(a, ROUTE_IRQ);
    aml_put(a, AML_ZERO, 1);
    aml_put(a, AML_INDEX, 1);
    aml_text(a, "RESO");
    aml_byte(a, AML_INTERRUPT_NUMBER);
    aml_put(a, AML_ZERO, 1);
    aml_put(a, AML_RETURN, 1);
    aml_text(a, "RESO");
    aml_length_end(a, method);
}

/* PRQx = DerefOf (Arg0[5]) */
static void link_set(struct aml *a, unsigned i)
{
    size_t method = aml_method_begin(a, "_SRS", 1);

    aml_put(a, AML_STORE, 1);
    aml_put(a, AML_DEREF, 1);
    aml_put(a, AML_INDEX, 1);
    aml_put(a, AML_ARG0, 1);
    aml_byte(a, AML_INTERRUPT_NUMBER);
    aml_put(a, AML_ZERO, 1);
    route_register(a, i);
    aml_length_end(a, method);
}

static void interrupt_link(struct aml *a, const struct acpi_config *c, unsigned i)
{
    size_t device = aml_device_begin(a, LINK_NAME(i));
    struct aml_resources possible;

    aml_hid_eisa(a, "PNP0C0F");
    aml_name(a, "_UID");
    aml_byte(a, i + 1);
    possible = aml_resources_begin(a, "_PRS");
    aml_interrupts(a, c->pirq_irqs, ACPI_PIRQ_CHOICES);
    aml_resources_end(a, &possible);
    link_status(a, i);
    link_disable(a, i);
    link_current(a, i);
    link_set(a, i);
    aml_length_end(a, device);
}

/* --- ISA ---------------------------------------------------------------- */

static void rtc(struct aml *a, const struct acpi_config *c)
{
    size_t device = aml_device_begin(a, "RTC_");
    struct aml_resources crs;

    aml_hid_eisa(a, "PNP0B00");
    crs = aml_resources_begin(a, "_CRS");
    aml_io(a, c->rtc_base, 2);
    aml_irq(a, c->rtc_irq);
    aml_resources_end(a, &crs);
    aml_length_end(a, device);
}

static void keyboard(struct aml *a, const struct acpi_config *c)
{
    size_t device = aml_device_begin(a, "KBD_");
    struct aml_resources crs;

    aml_hid_eisa(a, "PNP0303");
    crs = aml_resources_begin(a, "_CRS");
    aml_io(a, c->keyboard_data, 1);
    aml_io(a, c->keyboard_command, 1);
    aml_irq(a, c->keyboard_irq);
    aml_resources_end(a, &crs);
    aml_length_end(a, device);
}

static void mouse(struct aml *a, const struct acpi_config *c)
{
    size_t device = aml_device_begin(a, "MOU_");
    struct aml_resources crs;

    aml_hid_eisa(a, "PNP0F13");
    crs = aml_resources_begin(a, "_CRS");
    aml_irq(a, c->mouse_irq);
    aml_resources_end(a, &crs);
    aml_length_end(a, device);
}

/* Registers 2 to 5 and 7: 6 is an IDE channel's. */
static void floppy(struct aml *a, const struct acpi_config *c)
{
    size_t device = aml_device_begin(a, "FDC0");
    struct aml_resources crs;

    aml_hid_eisa(a, "PNP0700");
    crs = aml_resources_begin(a, "_CRS");
    aml_io(a, c->fdc_base + 2, 4);
    aml_io(a, c->fdc_base + 7, 1);
    aml_irq(a, c->fdc_irq);
    aml_dma(a, c->fdc_dma);
    aml_resources_end(a, &crs);
    aml_length_end(a, device);
}

static void serial(struct aml *a, const struct acpi_config *c, unsigned i)
{
    const char segment[] = { 'C', 'O', 'M', (char)('1' + i), 0 };
    size_t device = aml_device_begin(a, segment);
    struct aml_resources crs;

    aml_hid_eisa(a, "PNP0501");
    aml_name(a, "_UID");
    aml_byte(a, i + 1);
    crs = aml_resources_begin(a, "_CRS");
    aml_io(a, c->serial_base[i], 8);
    aml_irq(a, c->serial_irq[i]);
    aml_resources_end(a, &crs);
    aml_length_end(a, device);
}

static void pvpanic(struct aml *a, const struct acpi_config *c)
{
    size_t device = aml_device_begin(a, "PEVT");
    struct aml_resources crs;

    aml_hid_text(a, "QEMU0001");
    crs = aml_resources_begin(a, "_CRS");
    aml_io(a, c->pvpanic_base, 1);
    aml_resources_end(a, &crs);
    aml_length_end(a, device);
}

/* --- The processor (8.4) ------------------------------------------------- */

/* What the MADT's entry of this number is: without it that belongs to no processor. */
static void processor(struct aml *a)
{
    size_t device = aml_device_begin(a, "CPU0");

    aml_hid_text(a, "ACPI0007");
    aml_name(a, "_UID");
    aml_byte(a, ACPI_PROCESSOR_ID);
    aml_length_end(a, device);
}

/* --- The table ---------------------------------------------------------- */

/* What to write to the power management chip's control register to switch off. */
static void soft_off(struct aml *a)
{
    size_t package;

    aml_name(a, "_S5_");
    package = aml_package_begin(a, 4);
    aml_byte(a, ACPI_S5_TYPE); /* for PM1a; there is no PM1b */
    aml_put(a, AML_ZERO, 1);
    aml_put(a, AML_ZERO, 1);
    aml_put(a, AML_ZERO, 1);
    aml_length_end(a, package);
}

size_t dsdt_build(struct aml *a, const struct acpi_config *c)
{
    size_t table = aml_table_begin(a, "DSDT", 1), scope;

    aml_put(a, AML_SCOPE, 1);
    scope = aml_length_begin(a);
    aml_text(a, "\\_SB_");
    processor(a);
    for (unsigned i = 0; i < ACPI_PIRQ_COUNT; i++)
        interrupt_link(a, c, i);
    pci_host(a, c);
    rtc(a, c);
    keyboard(a, c);
    mouse(a, c);
    if (c->fdc_base)
        floppy(a, c);
    for (unsigned i = 0; i < ACPI_SERIAL_MAX; i++)
        if (c->serial_base[i])
            serial(a, c, i);
    pvpanic(a, c);
    aml_length_end(a, scope);
    soft_off(a);
    return aml_table_end(a, table);
}
