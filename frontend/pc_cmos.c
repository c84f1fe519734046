/*
 * CMOS RAM as a setup program would have left it.
 *
 * Reference: IBM AT Technical Reference (10h to 33h); SeaBIOS for 34h (memory above 16 MiB), 38h
 *            and 3Dh (order of booting) and 39h (translation of disk addresses).
 */
#include "frontend/pc_cmos.h"

#include "base/physmem.h"
#include "devices/blockdev.h"
#include "devices/fdc.h"
#include "devices/mc146818.h"
#include "frontend/pc.h"

enum {
    AT_FLOPPIES = 0x10,
    AT_DISKS = 0x12,
    AT_EQUIPMENT = 0x14,
    AT_BASE_KIB = 0x15,
    AT_EXTENDED_KIB = 0x17,
    AT_DISK_TYPES = 0x19,
    AT_DISK_GEOMETRY = 0x1b, /* of the first, 9 bytes; then of the second */
    AT_SUM = 0x2e,           /* of 10h to 2Dh */
    AT_TESTED_KIB = 0x30,
    AT_ABOVE_16M = 0x34,
    AT_BOOT_3 = 0x38,
    AT_TRANSLATION = 0x39,
    AT_BOOT_1_2 = 0x3d,
    FIRST = 0x0e,
    SIZE = 0x40,
};

enum {
    BASE_KIB = 640,
    DISK_IN_TABLE = 0x0f, /* its type is in AT_DISK_TYPES: 47, geometry as given */
    DISK_GIVEN = 47,
    HEADS = 16,
    SECTORS = 63,
    CYLINDERS_MIN = 2, /* as IDENTIFY says, devices/ata_identify.c */
    CYLINDERS_MAX = 16383,
    NO_FLOPPY_CHECK = 1,
    BOOT_FLOPPY = 1,
    BOOT_DISK,
    BOOT_CDROM,
    BOOT_NETWORK,
    TRANSLATE_LBA = 1,
};

static uint64_t at_most(uint64_t value, uint64_t limit)
{
    return value < limit ? value : limit;
}

static void put16(uint8_t *at, uint64_t value)
{
    at[0] = value & 0xff;
    at[1] = value >> 8 & 0xff;
}

static uint64_t cylinders(const struct blockdev *disk)
{
    uint64_t whole = disk->size / BLOCK_SECTOR / (HEADS * SECTORS);

    return whole < CYLINDERS_MIN ? CYLINDERS_MIN : at_most(whole, CYLINDERS_MAX);
}

static void put_disk(uint8_t *cmos, unsigned i, const struct blockdev *disk)
{
    uint8_t *at = cmos + AT_DISK_GEOMETRY + 9 * i;

    cmos[AT_DISKS] |= DISK_IN_TABLE << (i ? 0 : 4);
    cmos[AT_DISK_TYPES + i] = DISK_GIVEN;
    put16(at, cylinders(disk));
    at[2] = HEADS;
    at[3] = at[4] = 0xff; /* no precompensation */
    at[5] = 0xc8;         /* more than 8 heads, no retries */
    put16(at + 6, cylinders(disk));
    at[8] = SECTORS;
}

/* The firmware's INT 13h has 1024 cylinders. */
static void put_disks(uint8_t *cmos, const struct pc_config *config)
{
    for (unsigned i = 0; i < PC_IDE_COUNT; i++) {
        const struct blockdev *disk = config->ide[i];

        if (!disk || disk->cdrom)
            continue;
        if (i < 2)
            put_disk(cmos, i, disk);
        if (cylinders(disk) > 1024)
            cmos[AT_TRANSLATION] |= TRANSLATE_LBA << 2 * i;
    }
}

static uint8_t boot_code(char letter)
{
    switch (letter) {
    case 'a': return BOOT_FLOPPY;
    case 'c': return BOOT_DISK;
    case 'd': return BOOT_CDROM;
    case 'n': return BOOT_NETWORK;
    default: return 0;
    }
}

/* Letters as -boot has them; the first three. */
static void put_boot_order(uint8_t *cmos, const char *order)
{
    uint8_t code[3] = { 0 };

    for (unsigned i = 0; i < 3 && order[i]; i++)
        code[i] = boot_code(order[i]);
    cmos[AT_BOOT_1_2] = code[0] | code[1] << 4;
    cmos[AT_BOOT_3] = (uint8_t)(code[2] << 4);
}

static void put_memory(uint8_t *cmos, uint64_t size)
{
    uint64_t extended_kib = at_most((size - (1 << 20)) >> 10, 0xffff);
    uint64_t above_16m = size > 16 << 20 ? size - (16 << 20) : 0;

    put16(cmos + AT_BASE_KIB, BASE_KIB);
    put16(cmos + AT_EXTENDED_KIB, extended_kib);
    put16(cmos + AT_TESTED_KIB, extended_kib);
    put16(cmos + AT_ABOVE_16M, at_most(above_16m >> 16, 0xffff)); /* in 64 KiB */
}

/* Unset: the shutdown status (pc_resumes()) is power-on. */
void pc_cmos_fill(struct mc146818 *rtc, const struct pc_config *config, uint8_t equipment)
{
    uint8_t cmos[SIZE] = { [AT_EQUIPMENT] = equipment };
    unsigned sum = 0;

    put_memory(cmos, config->mem->size);
    if (config->floppy)
        cmos[AT_FLOPPIES] = (uint8_t)(fdc_drive_kind(config->floppy) << 4);
    put_disks(cmos, config);
    put_boot_order(cmos, config->boot_order ? config->boot_order : "cad");
    cmos[AT_BOOT_3] |= config->no_floppy_check ? NO_FLOPPY_CHECK : 0;
    for (unsigned i = AT_FLOPPIES; i < AT_SUM; i++)
        sum += cmos[i];
    cmos[AT_SUM] = sum >> 8; /* high byte first, here alone */
    cmos[AT_SUM + 1] = sum & 0xff;
    for (unsigned i = FIRST; i < SIZE; i++)
        if (i != MC146818_CENTURY)
            mc146818_set_ram(rtc, i, cmos[i]);
}
