/* The tables as a guest finds them; where there is iasl, it reads the DSDT, too. */
#include "frontend/acpi.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/check.h"
#include "tests/unit/table_bytes.h"

#define GPA 0xe0000

static struct acpi_tables tables;
static const uint8_t *const blob = tables.bytes;

static unsigned pirq_of(unsigned slot, unsigned pin)
{
    return (slot + pin) & 3;
}

static const struct acpi_config config = {
    .apic = true,
    .pm_base = 0x600,
    .sci = 9,
    .pci_ports = 0xcf8,
    .pci_memory = 0xe0000000,
    .pci_memory_end = 0xfec00000,
    .reset_port = 0xcf9,
    .reset_value = 6,
    .century = 0x32,
    .rtc_base = 0x70,
    .rtc_irq = 8,
    .keyboard_data = 0x60,
    .keyboard_command = 0x64,
    .keyboard_irq = 1,
    .mouse_irq = 12,
    .fdc_base = 0x3f0,
    .fdc_irq = 6,
    .fdc_dma = 2,
    .serial_base = { 0x3f8, 0, 0x3e8 },
    .serial_irq = { 4, 3, 4 },
    .pvpanic_base = 0x505,
    .isa_slot = 1,
    .pirq_route = 0x60,
    .pirq_of = pirq_of,
    .pirq_irqs = { 5, 10, 11 },
};

/* The table at gpa, after looking at its header. */
static const uint8_t *table(uint64_t gpa, const char *signature)
{
    const uint8_t *t = blob + (gpa - GPA);

    CHECK_EQ(gpa > GPA && gpa < GPA + ACPI_BLOB_MAX, 1);
    CHECK_EQ(memcmp(t, signature, 4), 0);
    if (strcmp(signature, "FACS"))
        CHECK_EQ(sum(t, at(t, 4, 4)), 0);
    return t;
}

static bool holds(const uint8_t *t, const void *bytes, size_t size)
{
    return memmem(t, at(t, 4, 4), bytes, size) != NULL;
}

static const uint8_t *find_fadt(void)
{
    const uint8_t *xsdt, *rsdt;

    CHECK_EQ(memcmp(blob, "RSD PTR ", 8), 0);
    CHECK_EQ(sum(blob, 20), 0);
    CHECK_EQ(sum(blob, 36), 0);
    CHECK_EQ(blob[15], 2);
    rsdt = table(at(blob, 16, 4), "RSDT");
    xsdt = table(at(blob, 24, 8), "XSDT");
    CHECK_EQ(at(rsdt, 4, 4), 48);
    CHECK_EQ(at(xsdt, 4, 4), 60);
    CHECK_EQ(at(rsdt, 36, 4), at(xsdt, 36, 8));
    return table(at(xsdt, 36, 8), "FACP");
}

static void test_fadt(const uint8_t *fadt)
{
    CHECK_EQ(at(fadt, 4, 4), 244);
    CHECK_EQ(fadt[8], 3);
    CHECK_EQ(at(fadt, 36, 4) % 64, 0);
    CHECK_EQ(at(table(at(fadt, 36, 4), "FACS"), 4, 4), 64);
    CHECK_EQ(at(fadt, 40, 4), at(fadt, 140, 8));
    CHECK_EQ(at(fadt, 46, 2), 9);
    CHECK_EQ(at(fadt, 48, 4), 0); /* no SMI: always in ACPI mode */
    CHECK_EQ(at(fadt, 56, 4), 0x600);
    CHECK_EQ(at(fadt, 64, 4), 0x604);
    CHECK_EQ(at(fadt, 76, 4), 0x608);
    CHECK_EQ(at(fadt, 109, 2) & 3, 3);
    CHECK_EQ(at(fadt, 112, 4) >> 10 & 1, 1);
    CHECK_EQ(at(fadt, 112, 4) >> 4 & 3, 0); /* both buttons are fixed */
    CHECK_EQ(at(fadt, 120, 8), 0xcf9);
    CHECK_EQ(fadt[128], 6);
    /* each extended address says the same as the old one, width included */
    CHECK_EQ(at(fadt, 152, 8), at(fadt, 56, 4));
    CHECK_EQ(fadt[149], fadt[88] * 8);
    CHECK_EQ(at(fadt, 176, 8), at(fadt, 64, 4));
    CHECK_EQ(fadt[173], fadt[89] * 8);
    CHECK_EQ(at(fadt, 212, 8), at(fadt, 76, 4));
    CHECK_EQ(fadt[209], fadt[91] * 8);
}

static void test_dsdt(const uint8_t *dsdt)
{
    CHECK_EQ(holds(dsdt, "\x08_S5_\x12\x89\x00\x00\x04\x0a\x00", 12), 1);
    CHECK_EQ(holds(dsdt, "\x0c\x41\xd0\x0b\x00", 5), 1); /* PNP0B00 */
    CHECK_EQ(holds(dsdt, "\x0c\x41\xd0\x03\x03", 5), 1);
    CHECK_EQ(holds(dsdt, "\x0c\x41\xd0\x0a\x03", 5), 1);
    /* ports up to configuration space */
    CHECK_EQ(holds(dsdt, "\x88\x0d\x00\x01\x0c\x03\0\0\0\0\xf7\x0c\0\0\xf8\x0c", 16), 1);
    CHECK_EQ(holds(dsdt, "COM1", 4), 1);
    CHECK_EQ(holds(dsdt, "COM2", 4), 0); /* not there */
    CHECK_EQ(holds(dsdt, "COM3", 4), 1);
    CHECK_EQ(holds(dsdt, "\x47\x01\xf8\x03\xf8\x03\x01\x08\x22\x10\x00\x79\x00", 13), 1);
    CHECK_EQ(holds(dsdt, "QEMU0001", 9), 1);
    /* pin C of slot 3: (3 + 2) & 3 */
    CHECK_EQ(holds(dsdt, "\x04\x0c\xff\xff\x03\x00\x0a\x02LNKB\x00", 13), 1);
    CHECK_EQ(holds(dsdt, "\x89\x0e\x00\x09\x03\x05\0\0\0\x0a\0\0\0\x0b\0\0\0", 17), 1);
}

/* ACPI's own compiler, where it is installed (acpica-tools), reads and compiles the DSDT. */
static void test_with_iasl(const uint8_t *dsdt)
{
    char dir[] = "/tmp/novt-acpi-XXXXXX", command[256];
    FILE *file;

    if (system("command -v iasl >/dev/null 2>&1")) {
        puts("iasl is not installed: the DSDT is checked by this test alone");
        return;
    }
    CHECK_EQ(mkdtemp(dir) != NULL, 1);
    CHECK_EQ(chdir(dir), 0);
    file = fopen("dsdt.dat", "wb");
    CHECK_EQ(fwrite(dsdt, at(dsdt, 4, 4), 1, file), 1);
    fclose(file);
    CHECK_EQ(system("iasl -d dsdt.dat >log 2>&1"), 0);
    CHECK_EQ(system("iasl -we dsdt.dsl >>log 2>&1"), 0);
    CHECK_EQ(system("grep -q ' 0 Errors, 0 Warnings' log"), 0);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    CHECK_EQ(system(command), 0);
}

/* What firmware does that has been given tables for gpa 0, at another place. */
static void test_moved(void)
{
    static struct acpi_tables moved;

    acpi_build(&config, 0, &moved);
    for (unsigned i = 0; i < moved.pointers; i++) {
        uint64_t value = at(moved.bytes, moved.pointer[i].at, moved.pointer[i].size) + GPA;

        memcpy(moved.bytes + moved.pointer[i].at, &value, moved.pointer[i].size);
    }
    for (unsigned i = 0; i < moved.checksums; i++) {
        const struct acpi_checksum *c = &moved.checksum[i];

        moved.bytes[c->at] -= sum(moved.bytes + c->start, c->size);
    }
    CHECK_EQ(moved.size, tables.size);
    CHECK_EQ(memcmp(moved.bytes, tables.bytes, tables.size), 0);
}

/* The _UID of the DSDT's only processor. */
static unsigned processor_id(void)
{
    static const char object[] = "CPU0\x08_HID\x0d" "ACPI0007\0\x08_UID\x0a";
    const uint8_t *dsdt = memmem(blob, tables.size, "DSDT", 4),
                  *found = memmem(dsdt, at(dsdt, 4, 4), object, sizeof(object) - 1);

    CHECK_EQ(found != NULL, 1);
    return found[sizeof(object) - 1];
}

/* Only with APICs, and iasl finds no fault with them either. */
static void test_apic_tables(void)
{
    static struct acpi_tables without;
    struct acpi_config none = config;
    const uint8_t *madt = memmem(blob, tables.size, "APIC", 4),
                  *hpet = memmem(blob, tables.size, "HPET", 4);

    CHECK_EQ(madt && hpet, 1);
    CHECK_EQ(sum(madt, at(madt, 4, 4)), 0);
    CHECK_EQ(sum(hpet, at(hpet, 4, 4)), 0);
    CHECK_EQ(madt[8], 1); /* of the ACPI version that the FADT's 3 belongs to */
    CHECK_EQ(at(madt, 36, 4), 0xfee00000);
    CHECK_EQ(madt[44] == 0 && madt[45] == 8, 1);
    CHECK_EQ(madt[46], processor_id());
    CHECK_EQ(madt[52] == 1 && at(madt, 56, 4) == 0xfec00000, 1);
    CHECK_EQ(madt[64] == 2 && madt[67] == 0 && at(madt, 68, 4) == 2, 1);
    CHECK_EQ(at(hpet, 44, 8), 0xfed00000);
    none.apic = false;
    acpi_build(&none, GPA, &without);
    CHECK_EQ(memmem(without.bytes, without.size, "APIC", 4) == NULL, 1);
}

int main(void)
{
    const uint8_t *fadt, *dsdt;

    acpi_build(&config, GPA, &tables);
    CHECK_EQ(tables.size > 500 && tables.size <= ACPI_BLOB_MAX, 1);
    fadt = find_fadt();
    test_fadt(fadt);
    dsdt = table(at(fadt, 40, 4), "DSDT");
    test_dsdt(dsdt);
    test_with_iasl(dsdt);
    test_apic_tables();
    test_moved();
    return CHECK_DONE();
}
