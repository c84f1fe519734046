/*
 * Data between a drive's buffer and the guest: transfers, and the data port that moves them in
 * blocks (PIO). Those that the bus master moves are ide_dma.c's.
 *
 * Reference: ATA/ATAPI-6 (T13/1410D), 9.5, 9.6 (PIO data in and out), 9.8 (packets).
 * Modelled:  the port by 16 and 32 bits, and by the string instruction at once.
 */
#include "devices/ide_drive.h"

#include <string.h>

#include "base/bug.h"

/* --- Transfers ---------------------------------------------------------- */

/* A packet's data comes with its count and direction in the registers. The packet itself leaves the
 * guest's limit there: after a command without data it must not look like a count of some. */
static void announce_packet_block(struct ide_drive *drive)
{
    struct ide_transfer *t = &drive->transfer;
    uint32_t size = t->block_end - t->at;

    if (t->next == IDE_NEXT_ATAPI_PACKET)
        return;
    drive->reg[IDE_COUNT] = t->out ? 0 : 2;
    drive->reg[IDE_LBA_MID] = size & 0xff;
    drive->reg[IDE_LBA_HIGH] = size >> 8 & 0xff;
}

static void begin_block(struct ide_drive *drive, bool irq)
{
    struct ide_transfer *t = &drive->transfer;

    t->block_end = t->size - t->at < t->block ? t->size : t->at + t->block;
    if (drive->cdrom)
        announce_packet_block(drive);
    drive->status = STATUS_RDY | STATUS_DSC | STATUS_DRQ;
    drive->error = 0;
    if (irq)
        ide_raise(drive);
}

static void begin_transfer(struct ide_drive *drive, bool irq)
{
    BUG_ON(!drive->transfer.size || drive->transfer.size > IDE_CHUNK);
    if (drive->dma)
        ide_dma_start(drive);
    else
        begin_block(drive, irq);
}

void ide_transfer_in(struct ide_drive *drive, uint32_t size, uint32_t block, enum ide_next next)
{
    drive->transfer = (struct ide_transfer){ .size = size, .block = block, .next = next };
    begin_transfer(drive, true);
}

void ide_transfer_out(struct ide_drive *drive, uint32_t size, uint32_t block, bool irq,
                      enum ide_next next)
{
    drive->transfer =
        (struct ide_transfer){ .size = size, .block = block, .out = true, .next = next };
    begin_transfer(drive, irq);
}

void ide_transfer_done(struct ide_drive *drive)
{
    static void (*const nexts[IDE_NEXT_COUNT])(struct ide_drive *) = {
        [IDE_NEXT_ATA_READ] = ata_read_sent,
        [IDE_NEXT_ATA_WRITE] = ata_write_taken,
        [IDE_NEXT_ATA_TRIM] = ata_trim_taken,
        [IDE_NEXT_ATA_IDENTIFY] = ata_identify_sent,
        [IDE_NEXT_ATAPI_PACKET] = atapi_packet_taken,
        [IDE_NEXT_ATAPI_REPLY] = atapi_reply_sent,
        [IDE_NEXT_ATAPI_READ] = atapi_read_sent,
    };

    drive->status = STATUS_BSY;
    nexts[drive->transfer.next](drive);
}

static void end_block(struct ide_drive *drive)
{
    struct ide_transfer *t = &drive->transfer;

    if (t->at < t->size) {
        begin_block(drive, true);
        return;
    }
    ide_transfer_done(drive);
}

/* --- The data port ------------------------------------------------------ */

/* The data port's place in the buffer, for size bytes (less at an odd end); NULL: no data now. */
static uint8_t *data_place(struct ide_channel *channel, bool out, unsigned *size)
{
    struct ide_drive *drive = ide_selected(channel);
    struct ide_transfer *t = &drive->transfer;

    if (!(drive->status & STATUS_DRQ) || t->out != out)
        return NULL;
    if (*size > t->block_end - t->at)
        *size = t->block_end - t->at;
    t->at += *size;
    return channel->buffer + t->at - *size;
}

static void data_moved(struct ide_channel *channel)
{
    struct ide_drive *drive = ide_selected(channel);

    if (drive->transfer.at == drive->transfer.block_end)
        end_block(drive);
}

uint64_t ide_pio_read(struct ide_channel *channel, unsigned size)
{
    uint8_t *from = data_place(channel, false, &size);
    uint32_t value = 0;

    if (!from)
        return UINT32_MAX;
    memcpy(&value, from, size);
    data_moved(channel);
    return value;
}

void ide_pio_write(struct ide_channel *channel, unsigned size, uint32_t value)
{
    uint8_t *to = data_place(channel, true, &size);

    if (!to)
        return;
    memcpy(to, &value, size);
    data_moved(channel);
}

/* Whole elements of a string instruction, up to the end of the block. */
static uint64_t string_elements(struct ide_channel *channel, bool out, unsigned size,
                                uint64_t count)
{
    const struct ide_drive *drive = ide_selected(channel);
    const struct ide_transfer *t = &drive->transfer;
    uint64_t most = (t->block_end - t->at) / size;

    if (!(drive->status & STATUS_DRQ) || t->out != out)
        return 0;
    return count < most ? count : most;
}

uint64_t ide_pio_read_string(struct ide_channel *channel, unsigned size, void *to,
                             uint64_t count)
{
    uint64_t n = string_elements(channel, false, size, count);
    unsigned bytes = (unsigned)n * size;

    if (!n)
        return 0;
    memcpy(to, data_place(channel, false, &bytes), bytes);
    data_moved(channel);
    return n;
}

uint64_t ide_pio_write_string(struct ide_channel *channel, unsigned size, const void *from,
                              uint64_t count)
{
    uint64_t n = string_elements(channel, true, size, count);
    unsigned bytes = (unsigned)n * size;

    if (!n)
        return 0;
    memcpy(data_place(channel, true, &bytes), from, bytes);
    data_moved(channel);
    return n;
}
