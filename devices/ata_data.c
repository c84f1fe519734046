/*
 * Commands of an ATA disk that have an address: reading, writing, verifying, TRIM, and where the
 * disk ends; and the flush that a write may end with.
 *
 * Reference: ATA/ATAPI-6 (T13/1410D), 8 (commands); ATA8-ACS for DATA SET MANAGEMENT; ATA-1 for CHS
 *            translation.
 *
 * A read goes: read_more() asks the medium for a chunk, read_done() passes it to the guest,
 * ata_read_sent() goes on; a write the other way round. Of a chunk that fails, ide_io.c finds out
 * how much is good: that much is moved, and the error is reported with the sector's address.
 */
#include <errno.h>

#include "devices/ata.h"

/* --- Addresses ---------------------------------------------------------- */

static uint64_t sector_count(const struct ide_drive *drive)
{
    return drive->medium->size / BLOCK_SECTOR;
}

static uint64_t lba48(const struct ide_drive *drive)
{
    uint64_t low = drive->reg[IDE_LBA_LOW] | drive->reg[IDE_LBA_MID] << 8 |
                   (uint64_t)drive->reg[IDE_LBA_HIGH] << 16;
    uint64_t high = drive->hob[IDE_LBA_LOW] | drive->hob[IDE_LBA_MID] << 8 |
                    (uint64_t)drive->hob[IDE_LBA_HIGH] << 16;

    return low | high << 24;
}

static uint64_t lba28(const struct ide_drive *drive)
{
    uint32_t low = drive->reg[IDE_LBA_LOW], device = drive->reg[IDE_DEVICE] & 0x0f;
    uint32_t high = drive->reg[IDE_LBA_MID] | drive->reg[IDE_LBA_HIGH] << 8;

    if (drive->reg[IDE_DEVICE] & DEVICE_LBA)
        return low | high << 8 | device << 24;
    if (!low || low > drive->ata.sectors || device >= drive->ata.heads)
        return UINT64_MAX; /* there is no such sector */
    return ((uint64_t)high * drive->ata.heads + device) * drive->ata.sectors + low - 1;
}

static void put_lba48(struct ide_drive *drive, uint64_t lba)
{
    for (unsigned i = 0; i < 3; i++) {
        drive->reg[IDE_LBA_LOW + i] = lba >> 8 * i & 0xff;
        drive->hob[IDE_LBA_LOW + i] = lba >> (24 + 8 * i) & 0xff;
    }
}

static void put_lba28(struct ide_drive *drive, uint32_t lba)
{
    uint32_t device = lba >> 24;

    if (!(drive->reg[IDE_DEVICE] & DEVICE_LBA)) {
        uint32_t track = lba / drive->ata.sectors, cylinder = track / drive->ata.heads;

        device = track % drive->ata.heads;
        lba = (lba % drive->ata.sectors + 1) | cylinder << 8;
    }
    for (unsigned i = 0; i < 3; i++)
        drive->reg[IDE_LBA_LOW + i] = lba >> 8 * i & 0xff;
    drive->reg[IDE_DEVICE] = (drive->reg[IDE_DEVICE] & 0xf0) | (device & 0x0f);
}

static void fail_at(struct ide_drive *drive, uint64_t lba, uint8_t error)
{
    if (drive->ata.flags & EXT)
        put_lba48(drive, lba);
    else
        put_lba28(drive, lba & UINT32_MAX);
    ide_fail(drive, error);
}

/* Takes the range of the command; false: it has failed. */
static bool take_range(struct ide_drive *drive)
{
    struct ata_state *ata = &drive->ata;
    uint32_t count = drive->reg[IDE_COUNT];

    if (ata->flags & EXT) {
        ata->lba = lba48(drive);
        count |= (uint32_t)drive->hob[IDE_COUNT] << 8;
        ata->left = count ? count : 0x10000;
    } else {
        ata->lba = lba28(drive);
        ata->left = count ? count : 0x100;
    }
    ata->power = POWER_ACTIVE;
    if (ata->lba < sector_count(drive) && ata->left <= sector_count(drive) - ata->lba)
        return true;
    ide_fail(drive, ERROR_IDNF);
    return false;
}

/* --- Reading and writing ------------------------------------------------ */

/* Sectors of a PIO block. */
static uint32_t block_sectors(const struct ide_drive *drive)
{
    return drive->ata.flags & MULTIPLE ? drive->ata.multiple : 1;
}

static uint32_t block_bytes(const struct ide_drive *drive)
{
    return block_sectors(drive) * BLOCK_SECTOR;
}

static bool may_start(struct ide_drive *drive)
{
    drive->dma = drive->ata.flags & DMA;
    if (drive->ata.flags & MULTIPLE && !drive->ata.multiple) {
        ide_fail(drive, ERROR_ABRT);
        return false;
    }
    return take_range(drive);
}

static void next_chunk(struct ide_drive *drive)
{
    struct ata_state *ata = &drive->ata;

    ata->chunk = ata->left < IDE_CHUNK / BLOCK_SECTOR ? ata->left : IDE_CHUNK / BLOCK_SECTOR;
}

static void advance(struct ide_drive *drive, uint32_t sectors)
{
    drive->ata.lba += sectors;
    drive->ata.left -= sectors;
}

static void read_more(struct ide_drive *drive);

/* What is good before a bad sector is sent first; by PIO in whole blocks only. */
static void read_done(struct ide_drive *drive, uint32_t good, int err)
{
    struct ata_state *ata = &drive->ata;
    uint32_t sectors = good / BLOCK_SECTOR;

    if (err && !drive->dma)
        sectors -= sectors % block_sectors(drive);
    if (err && !sectors) {
        fail_at(drive, ata->lba + good / BLOCK_SECTOR, ERROR_UNC);
        return;
    }
    ata->chunk = sectors;
    ide_transfer_in(drive, sectors * BLOCK_SECTOR, block_bytes(drive), IDE_NEXT_ATA_READ);
}

static void read_more(struct ide_drive *drive)
{
    next_chunk(drive);
    ide_io_submit(drive, BLOCK_READ, drive->ata.lba * BLOCK_SECTOR,
                  drive->ata.chunk * BLOCK_SECTOR, 0, BLOCK_SECTOR, read_done);
}

/* The interrupt of a PIO read's last block was the last one. */
void ata_read_sent(struct ide_drive *drive)
{
    advance(drive, drive->ata.chunk);
    if (drive->ata.left)
        read_more(drive);
    else if (drive->dma)
        ide_finish(drive);
    else
        drive->status = STATUS_RDY | STATUS_DSC;
}

void ata_read_sectors(struct ide_drive *drive)
{
    if (may_start(drive))
        read_more(drive);
}

static void verify_more(struct ide_drive *drive);

static void verify_done(struct ide_drive *drive, uint32_t good, int err)
{
    if (err) {
        fail_at(drive, drive->ata.lba + good / BLOCK_SECTOR, ERROR_UNC);
        return;
    }
    advance(drive, drive->ata.chunk);
    if (drive->ata.left)
        verify_more(drive);
    else
        ide_finish(drive);
}

static void verify_more(struct ide_drive *drive)
{
    next_chunk(drive);
    ide_io_submit(drive, BLOCK_READ, drive->ata.lba * BLOCK_SECTOR,
                  drive->ata.chunk * BLOCK_SECTOR, 0, BLOCK_SECTOR, verify_done);
}

void ata_verify_sectors(struct ide_drive *drive)
{
    if (may_start(drive))
        verify_more(drive);
}

static void flush_done(struct ide_drive *drive, uint32_t good, int err)
{
    (void)good;
    if (err)
        ide_fail(drive, ERROR_ABRT);
    else
        ide_finish(drive);
}

void ata_flush_cache(struct ide_drive *drive)
{
    ide_io_submit(drive, BLOCK_FLUSH, 0, 0, 0, 0, flush_done);
}

static void write_more(struct ide_drive *drive, bool first)
{
    next_chunk(drive);
    ide_transfer_out(drive, drive->ata.chunk * BLOCK_SECTOR, block_bytes(drive), !first,
                     IDE_NEXT_ATA_WRITE);
}

static void write_done(struct ide_drive *drive, uint32_t good, int err)
{
    struct ata_state *ata = &drive->ata;

    if (err) {
        fail_at(drive, ata->lba + good / BLOCK_SECTOR, ERROR_ABRT);
        return;
    }
    advance(drive, ata->chunk);
    if (ata->left)
        write_more(drive, false);
    else if (ata->flags & FUA || !ata->write_cache)
        ata_flush_cache(drive);
    else
        ide_finish(drive);
}

void ata_write_taken(struct ide_drive *drive)
{
    ide_io_submit(drive, BLOCK_WRITE, drive->ata.lba * BLOCK_SECTOR,
                  drive->ata.chunk * BLOCK_SECTOR, 0, BLOCK_SECTOR, write_done);
}

void ata_write_sectors(struct ide_drive *drive)
{
    if (drive->medium->readonly)
        ide_fail(drive, ERROR_ABRT);
    else if (may_start(drive))
        write_more(drive, true);
}

/* --- TRIM --------------------------------------------------------------- */

static uint64_t get64(const uint8_t *at)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

static void trim_more(struct ide_drive *drive);

/* It is a hint: a medium that cannot do it may say so. */
static void trim_done(struct ide_drive *drive, uint32_t good, int err)
{
    (void)good;
    if (err && err != -EOPNOTSUPP)
        ide_fail(drive, ERROR_ABRT);
    else
        trim_more(drive);
}

/* Entries are 48 bits of address and 16 of length; one of length 0 is empty. They are in the
 * buffer, which a discard does not touch. */
static void trim_more(struct ide_drive *drive)
{
    struct ata_state *ata = &drive->ata;

    while (ata->trim_at < drive->transfer.size) {
        uint64_t entry = get64(drive->channel->buffer + ata->trim_at);
        uint64_t lba = entry & 0xffffffffffff, count = entry >> 48;

        ata->trim_at += 8;
        if (!count)
            continue;
        if (lba >= sector_count(drive) || count > sector_count(drive) - lba) {
            ide_fail(drive, ERROR_IDNF | ERROR_ABRT);
            return;
        }
        ide_io_submit(drive, BLOCK_DISCARD, lba * BLOCK_SECTOR, (uint32_t)count * BLOCK_SECTOR, 0,
                      0, trim_done);
        return;
    }
    ide_finish(drive);
}

void ata_trim_taken(struct ide_drive *drive)
{
    drive->ata.trim_at = 0;
    trim_more(drive);
}

void ata_data_set_management(struct ide_drive *drive)
{
    uint32_t blocks = drive->reg[IDE_COUNT] | (uint32_t)drive->hob[IDE_COUNT] << 8;

    if (drive->reg[IDE_FEATURE] != 1 || !blocks || blocks > ATA_TRIM_BLOCKS_MAX ||
        drive->medium->readonly) {
        ide_fail(drive, ERROR_ABRT);
        return;
    }
    drive->dma = true;
    ide_transfer_out(drive, blocks * BLOCK_SECTOR, BLOCK_SECTOR, false, IDE_NEXT_ATA_TRIM);
}

/* --- Addresses without data --------------------------------------------- */

void ata_native_max(struct ide_drive *drive)
{
    uint64_t last = sector_count(drive) - 1;

    if (drive->ata.flags & EXT)
        put_lba48(drive, last);
    else
        put_lba28(drive, last < ATA_LBA28_LIMIT ? (uint32_t)last : ATA_LBA28_LIMIT);
    ide_finish(drive);
}

/* SEEK: the address must be there. */
void ata_seek(struct ide_drive *drive)
{
    if (lba28(drive) < sector_count(drive))
        ide_finish(drive);
    else
        ide_fail(drive, ERROR_IDNF);
}
