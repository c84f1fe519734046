/*
 * IDENTIFY DEVICE: what a disk says of itself.
 *
 * Reference: ATA/ATAPI-6 (T13/1410D), 8.15; ATA8-ACS for words 105 and 169 (TRIM); ATA-1
 *            (X3.221) for words 4 and 5.
 */
#include <stdio.h>
#include <string.h>

#include "devices/ide_drive.h"

enum { CYLINDERS_MIN = 2, CYLINDERS_MAX = 16383 };

static uint64_t sector_count(const struct ide_drive *drive)
{
    return drive->medium->size / BLOCK_SECTOR;
}

void ata_string(uint8_t *to, const char *text, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        to[i ^ 1] = *text ? (uint8_t)*text++ : ' ';
}

void ata_put_word(uint8_t *to, unsigned word, uint32_t value)
{
    to[2 * word] = value & 0xff;
    to[2 * word + 1] = value >> 8 & 0xff;
}

static void put_words(uint8_t *to, unsigned word, uint64_t value, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        ata_put_word(to, word + i, value >> 16 * i & 0xffff);
}

/* An image may be as small as a boot sector, and firmware that addresses by cylinders must reach
 * that: so there are some that the end of the disk is in, or before. */
static uint32_t cylinders_of(uint64_t total, uint32_t each)
{
    uint64_t cylinders = total / each;

    if (cylinders < CYLINDERS_MIN)
        return CYLINDERS_MIN;
    return (uint32_t)(cylinders > CYLINDERS_MAX ? CYLINDERS_MAX : cylinders);
}

static void identify_geometry(const struct ide_drive *drive, uint8_t *to)
{
    uint32_t heads = drive->ata.heads, sectors = drive->ata.sectors;
    uint64_t total = sector_count(drive), now = cylinders_of(total, heads * sectors);
    uint64_t in_chs = now * heads * sectors;

    in_chs = in_chs > total ? total : in_chs;
    ata_put_word(to, 1, cylinders_of(total, ATA_HEADS * ATA_SECTORS));
    ata_put_word(to, 3, ATA_HEADS);
    /* Bytes of a track and of a sector: retired, but the Bochs BIOS reads so many at a time. */
    ata_put_word(to, 4, ATA_SECTORS * BLOCK_SECTOR);
    ata_put_word(to, 5, BLOCK_SECTOR);
    ata_put_word(to, 6, ATA_SECTORS);
    ata_put_word(to, 54, (uint32_t)now);
    ata_put_word(to, 55, heads);
    ata_put_word(to, 56, sectors);
    put_words(to, 57, in_chs, 2);
    put_words(to, 60, total < ATA_LBA28_LIMIT ? total : ATA_LBA28_LIMIT, 2);
    put_words(to, 100, total, 4);
}

void ata_identify_modes(const struct ide_drive *drive, uint8_t *to)
{
    uint8_t mode = drive->ata.mode;
    bool udma = mode & MODE_UDMA;

    ata_put_word(to, 63, 0x0007 | (udma ? 0 : 0x0100u << (mode & 7)));
    ata_put_word(to, 88, 0x003f | (udma ? 0x0100u << (mode & 7) : 0));
    ata_put_word(to, 64, 0x0003); /* PIO 3 and 4 */
    for (unsigned i = 65; i <= 68; i++)
        ata_put_word(to, i, 120);   /* ns of a cycle */
    ata_put_word(to, 93, 0x6001 | (drive->unit ? 0x0a00 : 0x000a)); /* 80-wire cable */
}

static void identify_features(const struct ide_drive *drive, uint8_t *to)
{
    const struct ata_state *ata = &drive->ata;

    ata_put_word(to, 80, 0x00f0);  /* ATA-4 to ATA-7 */
    ata_put_word(to, 82, 0x4069);  /* SMART, NOP, look-ahead, write cache, power management */
    ata_put_word(to, 83, 0x7400);  /* FLUSH CACHE (EXT), 48-bit */
    ata_put_word(to, 84, 0x4043);  /* SMART's error log and self-tests, WRITE ... FUA EXT */
    ata_put_word(to, 85, 0x4008 | ata->smart | (ata->write_cache ? 0x20 : 0) |
                             (ata->look_ahead ? 0x40 : 0));
    ata_put_word(to, 86, 0x3400);
    ata_put_word(to, 87, 0x4043);
}

void ata_put_serial(const struct ide_drive *drive, uint8_t *to)
{
    unsigned second = drive->channel != drive->channel->ide->channel;
    char own[8];

    snprintf(own, sizeof(own), "NV%05u", 2 * second + drive->unit + 1);
    ata_string(to + 20, *drive->medium->serial ? drive->medium->serial : own, 20);
}

/* Words 0, 47 and so on as the standard numbers them. */
void ata_identify(const struct ide_drive *drive, uint8_t *to)
{
    memset(to, 0, BLOCK_SECTOR);
    ata_put_word(to, 0, 0x0040); /* a fixed disk */
    ata_put_serial(drive, to);
    ata_string(to + 46, "1.0", 8);
    ata_string(to + 54, "novt disk", 40);
    ata_put_word(to, 47, 0x8000 | ATA_MULTIPLE_MAX);
    ata_put_word(to, 48, 1);      /* 32-bit data port */
    ata_put_word(to, 49, 0x0f00); /* LBA, DMA, IORDY that can be turned off */
    ata_put_word(to, 50, 0x4000);
    ata_put_word(to, 51, 0x0200);
    ata_put_word(to, 53, 0x0007); /* words 54 to 58, 64 to 70 and 88 hold */
    ata_put_word(to, 59, drive->ata.multiple ? 0x100u | drive->ata.multiple : 0);
    identify_geometry(drive, to);
    ata_identify_modes(drive, to);
    identify_features(drive, to);
    if (drive->medium->readonly)
        return;
    ata_put_word(to, 105, ATA_TRIM_BLOCKS_MAX);
    ata_put_word(to, 169, 1);
}
