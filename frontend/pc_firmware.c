/*
 * fw_cfg's files, the BIOS data area and where ACPI, MultiProcessor and SMBIOS tables go.
 *
 * Reference: IBM AT Technical Reference (BIOS data area); SeaBIOS's "Runtime configuration"
 *            for the files; ACPI Specification 6.4, 5.2.5.1 (finding the RSDP).
 */
#include "frontend/pc_firmware.h"

#include <stdbool.h>
#include <string.h>

#include "base/physmem.h"
#include "devices/acpi_pm.h"
#include "devices/cf9.h"
#include "devices/fw_cfg.h"
#include "devices/mc146818.h"
#include "devices/piix3.h"
#include "frontend/acpi.h"
#include "frontend/apm_rom.h"
#include "frontend/boot_real.h"
#include "frontend/mptable.h"
#include "frontend/enter_rom.h"
#include "frontend/option_rom.h"
#include "frontend/pc.h"
#include "frontend/pc_map.h"
#include "frontend/pc_pci.h"
#include "frontend/smbios.h"

uint16_t pc_firmware_equipment(const struct pc_config *config)
{
    unsigned ports = 0;

    for (unsigned i = 0; i < PC_SERIAL_COUNT; i++)
        ports += config->serial[i] != NULL;
    return 0x0006 | (config->floppy != NULL) | (config->vga ? 0x0020 : 0) | ports << 9;
}

/* --- ACPI --------------------------------------------------------------- */

static void build_acpi(const struct pc_config *config, uint32_t gpa, struct acpi_tables *tables)
{
    struct acpi_config acpi = {
        .pci_ports = PORT_CONFIG,
        .pci_memory = PC_RAM_MAX,
        .pci_memory_end = GPA_PCI_END,
        .pm_base = PORT_ACPI_PM,
        .sci = IRQ_SCI,
        .reset_port = PORT_RESET,
        .reset_value = CF9_RESET_VALUE,
        .century = MC146818_CENTURY,
        .vga = config->vga,
        .apic = config->apic,
        .rtc_base = PORT_RTC,
        .rtc_irq = IRQ_RTC,
        .keyboard_data = PORT_KBC_DATA,
        .keyboard_command = PORT_KBC_COMMAND,
        .keyboard_irq = IRQ_KEYBOARD,
        .mouse_irq = IRQ_MOUSE,
        .fdc_base = config->floppy ? PORT_FDC : 0,
        .fdc_irq = IRQ_FDC,
        .fdc_dma = DMA_FDC,
        .pvpanic_base = PORT_PVPANIC,
        .isa_slot = PC_SLOT_ISA,
        .pirq_route = PIIX3_PIRQ_ROUTE,
        .pirq_of = pc_pci_pirq,
        .pirq_irqs = { IRQ_5, IRQ_PIRQ_AB, IRQ_PIRQ_CD },
    };

    for (unsigned i = 0; i < PC_SERIAL_COUNT; i++) {
        acpi.serial_base[i] = config->serial[i] ? SERIAL_PORT(i) : 0;
        acpi.serial_irq[i] = SERIAL_IRQ(i);
    }
    acpi_build(&acpi, gpa, tables);
}

/* --- Files -------------------------------------------------------------- */

#define FILE_RSDP   "etc/acpi/rsdp"
#define FILE_TABLES "etc/acpi/tables"
#define FILE_LOADER "etc/table-loader"

enum { LOAD_ALLOCATE = 1, LOAD_POINTER = 2, LOAD_CHECKSUM = 3 };
enum { ZONE_HIGH = 1, ZONE_LOW = 2 }; /* anywhere, or where systems look for the RSDP */
enum { STEP_SIZE = 128, STEPS_MAX = 2 + ACPI_POINTERS_MAX + ACPI_CHECKSUMS_MAX };

struct loader {
    uint8_t steps[STEPS_MAX * STEP_SIZE];
    unsigned count;
};

static void put16(uint8_t *at, uint64_t value)
{
    at[0] = value & 0xff;
    at[1] = value >> 8 & 0xff;
}

static void put32(uint8_t *at, uint64_t value)
{
    put16(at, value & 0xffff);
    put16(at + 2, value >> 16 & 0xffff);
}

static uint8_t *step(struct loader *loader, uint32_t command, const char *file)
{
    uint8_t *at = loader->steps + STEP_SIZE * loader->count++;

    put32(at, command);
    strcpy((char *)at + 4, file);
    return at + 4 + FW_CFG_NAME_MAX;
}

/* The blob's root pointer and its tables are two files. */
static const char *file_of(uint32_t at)
{
    return at < ACPI_RSDP_ROOM ? FILE_RSDP : FILE_TABLES;
}

static uint32_t offset_of(uint32_t at)
{
    return at < ACPI_RSDP_ROOM ? at : at - ACPI_RSDP_ROOM;
}

static void load_step(struct loader *loader, const char *file, unsigned zone)
{
    uint8_t *at = step(loader, LOAD_ALLOCATE, file);

    put32(at, ACPI_RSDP_ROOM); /* alignment */
    at[4] = zone;
}

/* Pointers hold offsets in the tables' file; firmware adds where that is. */
static void pointer_step(struct loader *loader, struct acpi_tables *tables,
                         const struct acpi_pointer *pointer)
{
    uint8_t *at = step(loader, LOAD_POINTER, file_of(pointer->at)), *to;
    uint8_t *value = tables->bytes + pointer->at;

    strcpy((char *)at, FILE_TABLES);
    to = at + FW_CFG_NAME_MAX;
    put32(to, offset_of(pointer->at));
    to[4] = pointer->size;
    put32(value, (value[0] | value[1] << 8) - ACPI_RSDP_ROOM);
}

static void checksum_step(struct loader *loader, const struct acpi_checksum *sum)
{
    uint8_t *at = step(loader, LOAD_CHECKSUM, file_of(sum->at));

    put32(at, offset_of(sum->at));
    put32(at + 4, offset_of(sum->start));
    put32(at + 8, sum->size);
}

static int acpi_files(const struct pc_config *config, struct fw_cfg *fw)
{
    struct acpi_tables tables;
    struct loader loader = { .count = 0 };
    int err;

    build_acpi(config, 0, &tables);
    load_step(&loader, FILE_RSDP, ZONE_LOW);
    load_step(&loader, FILE_TABLES, ZONE_HIGH);
    for (unsigned i = 0; i < tables.pointers; i++)
        pointer_step(&loader, &tables, &tables.pointer[i]);
    for (unsigned i = 0; i < tables.checksums; i++)
        checksum_step(&loader, &tables.checksum[i]);
    err = fw_cfg_set_file(fw, FILE_RSDP, tables.bytes, ACPI_RSDP_SIZE);
    if (!err)
        err = fw_cfg_set_file(fw, FILE_TABLES, tables.bytes + ACPI_RSDP_ROOM,
                              tables.size - ACPI_RSDP_ROOM);
    if (!err)
        err = fw_cfg_set_file(fw, FILE_LOADER, loader.steps, loader.count * STEP_SIZE);
    return err;
}

/* Firmware finds a place for the table, and tells the entry point. */
static int smbios_files(const struct pc_config *config, struct fw_cfg *fw)
{
    uint8_t entry[SMBIOS_ENTRY_SIZE], table[SMBIOS_TABLE_MAX];
    size_t size = smbios_build(&config->smbios, config->mem->size, true, 0, entry, table);
    int err = fw_cfg_set_file(fw, "etc/smbios/smbios-anchor", entry, sizeof(entry));

    return err ? err : fw_cfg_set_file(fw, "etc/smbios/smbios-tables", table, size);
}

static int memory_file(const struct pc_config *config, struct fw_cfg *fw)
{
    uint8_t run[20] = { 0 };

    put32(run + 8, config->mem->size & UINT32_MAX);
    put32(run + 12, config->mem->size >> 32);
    put32(run + 16, E820_RAM);
    return fw_cfg_set_file(fw, "etc/e820", run, sizeof(run));
}

/* --- Power off by the BIOS ----------------------------------------------- */

extern const uint8_t apm_rom[];

_Static_assert(APM_ROM_CONTROL == PORT_ACPI_PM + ACPI_PM1_CONTROL, "apm_rom.h");
_Static_assert(APM_ROM_SOFT_OFF == (1 << 13 | ACPI_S5_TYPE << 10), "apm_rom.h");

static int apm_file(struct fw_cfg *fw)
{
    uint8_t rom[APM_ROM_SIZE];

    memcpy(rom, apm_rom, sizeof(rom));
    option_rom_seal(rom, sizeof(rom));
    return fw_cfg_set_file(fw, "genroms/novt-apm.rom", rom, sizeof(rom));
}

extern const uint8_t enter_rom[];

_Static_assert(ENTER_ROM_PORT == PORT_ENTER, "enter_rom.h");

static int enter_file(struct fw_cfg *fw)
{
    static const char name[] = "genroms/novt-enter.rom", order[] = "/rom@genroms/novt-enter.rom\n";
    uint8_t rom[ENTER_ROM_SIZE];
    int err;

    memcpy(rom, enter_rom, sizeof(rom));
    option_rom_seal(rom, sizeof(rom));
    err = fw_cfg_set_file(fw, name, rom, sizeof(rom));
    return err ? err : fw_cfg_set_file(fw, "bootorder", order, sizeof(order));
}

int pc_firmware_fill_files(const struct pc_config *config, struct fw_cfg *fw)
{
    static const uint8_t for_ever[4] = { 0xff, 0xff, 0xff, 0xff };
    uint8_t one[2] = { 1 }, menu[2] = { config->boot_menu }, size[8];
    int err;

    put32(size, config->mem->size & UINT32_MAX);
    put32(size + 4, config->mem->size >> 32);
    err = fw_cfg_set(fw, FW_CFG_RAM_SIZE, size, sizeof(size));
    if (!err)
        err = fw_cfg_set(fw, FW_CFG_CPUS, one, sizeof(one));
    if (!err)
        err = fw_cfg_set(fw, FW_CFG_MAX_CPUS, one, sizeof(one));
    if (!err)
        err = fw_cfg_set(fw, FW_CFG_BOOT_MENU, menu, sizeof(menu));
    if (!err)
        err = fw_cfg_set_file(fw, "etc/boot-fail-wait", for_ever, sizeof(for_ever));
    if (!err)
        err = memory_file(config, fw);
    if (!err)
        err = apm_file(fw);
    if (!err && config->kernel)
        err = boot_real_fill(config->kernel, fw);
    if (!err && config->rom && config->enter)
        err = enter_file(fw);
    if (!err)
        err = smbios_files(config, fw);
    return err ? err : acpi_files(config, fw);
}

/* --- Without firmware --------------------------------------------------- */

static void put_ram(const struct pc_config *config, uint64_t gpa, uint64_t value, unsigned size)
{
    physmem_write(config->mem, gpa, &value, size); /* both little-endian */
}

static void write_bda(const struct pc_config *config)
{
    for (unsigned i = 0; i < PC_SERIAL_COUNT; i++)
        put_ram(config, GPA_BDA + 2 * i, config->serial[i] ? SERIAL_PORT(i) : 0, 2);
    put_ram(config, GPA_BDA + 0x0e, GPA_EBDA >> 4, 2);
    put_ram(config, GPA_BDA + 0x10, pc_firmware_equipment(config), 2);
    put_ram(config, GPA_BDA + 0x13, GPA_EBDA >> 10, 2); /* memory below it, KiB */
    put_ram(config, GPA_EBDA, (GPA_DISPLAY - GPA_EBDA) >> 10, 1);
}

/* As INT 10h leaves it in mode 3. */
static void write_bda_screen(const struct pc_config *config)
{
    put_ram(config, GPA_BDA + 0x49, 3, 1);
    put_ram(config, GPA_BDA + 0x4a, 80, 2);
    put_ram(config, GPA_BDA + 0x4c, 0x1000, 2); /* bytes in a page */
    put_ram(config, GPA_BDA + 0x60, 0x0d0e, 2); /* the cursor's lines */
    put_ram(config, GPA_BDA + 0x63, 0x3d4, 2);
    put_ram(config, GPA_BDA + 0x84, 24, 1); /* the last row */
    put_ram(config, GPA_BDA + 0x85, 16, 2); /* a character's height */
}

/* As pc.c has pc_pci_set_up() route them. */
static uint8_t pci_irq(unsigned slot, unsigned pin)
{
    return pc_pci_pirq(slot, pin) < 2 ? IRQ_PIRQ_AB : IRQ_PIRQ_CD;
}

static void write_mptable(const struct pc_config *config)
{
    const struct mptable_config tables = { .sci = IRQ_SCI, .pci_irq = pci_irq };
    uint8_t bytes[MPTABLE_MAX];
    size_t size = mptable_build(&tables, GPA_MPTABLE, bytes);

    physmem_write(config->mem, GPA_MPTABLE, bytes, size);
}

static void write_smbios(const struct pc_config *config)
{
    uint8_t entry[SMBIOS_ENTRY_SIZE], table[SMBIOS_TABLE_MAX];
    uint32_t gpa = GPA_SMBIOS + SMBIOS_ENTRY_ROOM;
    size_t size = smbios_build(&config->smbios, config->mem->size, false, gpa, entry, table);

    physmem_write(config->mem, GPA_SMBIOS, entry, sizeof(entry));
    physmem_write(config->mem, gpa, table, size);
}

/* A guest in real mode that calls what no firmware has put there: told by PORT_ENTER, and back. */
static void write_no_bios(const struct pc_config *config)
{
    static const uint8_t code[] = {
        0x52, 0xba, PORT_ENTER & 0xff, PORT_ENTER >> 8, 0xee, 0x5a, 0xcf, /* push dx ... iret */
    };

    physmem_write(config->mem, GPA_NO_BIOS, code, sizeof(code));
    for (unsigned vector = 0x10; vector <= 0x1a; vector++)
        put_ram(config, 4 * vector, (GPA_NO_BIOS & 0xffff) | 0xf0000000u, 4);
}

void pc_firmware_write_legacy(const struct pc_config *config)
{
    struct acpi_tables tables;

    write_bda(config);
    if (config->enter)
        write_no_bios(config);
    if (config->vga)
        write_bda_screen(config);
    build_acpi(config, GPA_TABLES, &tables);
    physmem_write(config->mem, GPA_TABLES, tables.bytes, tables.size);
    if (config->apic)
        write_mptable(config);
    write_smbios(config);
}
