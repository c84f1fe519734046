/*
 * The PIIX3's bus master: moves a drive's data to and from the guest's memory along a table of
 * physical region descriptors.
 *
 * Reference: Intel 82371SB data sheet (PIIX3), 2.7 and 3.5; Programming Interface for Bus Master
 *            IDE Controller 1.0.
 * Modelled:  the registers of both channels, tables and regions anywhere in RAM.
 * Not:       the direction bit: the command decides; tables that cross 64 KiB go straight on.
 *
 * The drive and the guest start independently: data moves when the drive has a transfer waiting and
 * the guest has set START and lets the function be a master.
 *
 * A table too short for the command: ACTIVE goes away without an interrupt from here, the command
 * is dropped. A table or region that is not RAM: ERROR, and the command fails.
 */
#include "base/physmem.h"
#include "devices/bus.h"
#include "devices/ide_drive.h"

/* --- Registers ---------------------------------------------------------- */

enum { REG_COMMAND = 0, REG_STATUS = 2, REG_TABLE = 4, CHANNEL_PORTS = 8 };

#define COMMAND_START    0x01
#define COMMAND_WRITABLE 0x09 /* START, direction */

#define STATUS_ACTIVE   0x01
#define STATUS_ERROR    0x02
#define STATUS_CLEARED  0x06 /* by writing ones: error, interrupt */
#define STATUS_WRITABLE 0x60 /* the drives can do DMA: for firmware and drivers to agree on */

#define PRD_SIZE 8
#define PRD_LAST 0x80000000u

/* --- Behaviour ---------------------------------------------------------- */

static uint32_t get32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static bool fetch(struct ide_channel *channel)
{
    struct ide_dma *dma = &channel->dma;
    uint8_t prd[PRD_SIZE];
    uint32_t count;

    if (!physmem_read(channel->ide->config.mem, dma->entry, prd, sizeof(prd)))
        return false;
    count = get32(prd + 4);
    dma->entry += PRD_SIZE;
    dma->gpa = get32(prd) & ~1u;
    dma->left = count & 0xfffe ? count & 0xfffe : 0x10000;
    dma->last = count & PRD_LAST;
    return true;
}

/* Moves what fits into the current region. */
static bool move(struct ide_channel *channel)
{
    struct ide_dma *dma = &channel->dma;
    struct ide_transfer *t = &dma->drive->transfer;
    struct physmem *mem = channel->ide->config.mem;
    uint32_t part = t->size - t->at < dma->left ? t->size - t->at : dma->left;
    bool good = t->out ? physmem_read(mem, dma->gpa, channel->buffer + t->at, part) :
                         physmem_write(mem, dma->gpa, channel->buffer + t->at, part);

    t->at += part;
    dma->gpa += part;
    dma->left -= part;
    return good;
}

static bool is_used_up(const struct ide_dma *dma)
{
    return dma->last && !dma->left;
}

static void drop(struct ide_channel *channel)
{
    struct ide_drive *drive = channel->dma.drive;

    channel->dma.drive = NULL;
    channel->dma.status &= ~STATUS_ACTIVE;
    drive->status = STATUS_RDY | STATUS_DSC;
}

static void fail(struct ide_channel *channel)
{
    struct ide_drive *drive = channel->dma.drive;

    channel->dma.drive = NULL;
    channel->dma.status = (channel->dma.status & ~STATUS_ACTIVE) | STATUS_ERROR;
    if (drive->cdrom)
        atapi_dma_failed(drive);
    else
        ide_fail(drive, ERROR_ICRC | ERROR_ABRT);
}

void ide_dma_run(struct ide_channel *channel)
{
    struct ide_dma *dma = &channel->dma;
    struct ide_drive *drive = dma->drive;

    if (!drive || !(dma->command & COMMAND_START) || !pci_is_master(&channel->ide->pci))
        return;
    while (drive->transfer.at < drive->transfer.size) {
        if (is_used_up(dma)) {
            drop(channel);
            return;
        }
        if ((!dma->left && !fetch(channel)) || !move(channel)) {
            fail(channel);
            return;
        }
    }
    if (is_used_up(dma))
        dma->status &= ~STATUS_ACTIVE;
    dma->drive = NULL;
    ide_transfer_done(drive);
}

void ide_dma_start(struct ide_drive *drive)
{
    drive->status = STATUS_BSY;
    drive->channel->dma.drive = drive;
    ide_dma_run(drive->channel);
}

static void command_write(struct ide_channel *channel, uint8_t value)
{
    struct ide_dma *dma = &channel->dma;
    bool was_on = dma->command & COMMAND_START;

    dma->command = value & COMMAND_WRITABLE;
    if (!(value & COMMAND_START)) {
        dma->status &= ~STATUS_ACTIVE;
        return;
    }
    if (was_on)
        return;
    dma->status |= STATUS_ACTIVE;
    dma->entry = dma->table;
    dma->left = 0;
    dma->last = false;
    ide_dma_run(channel);
}

static void byte_write(struct ide_channel *channel, unsigned reg, uint8_t value)
{
    struct ide_dma *dma = &channel->dma;

    if (reg == REG_COMMAND)
        command_write(channel, value);
    else if (reg == REG_STATUS)
        dma->status = (dma->status & ~(value & STATUS_CLEARED) & ~STATUS_WRITABLE) |
                      (value & STATUS_WRITABLE);
    else if (reg >= REG_TABLE) {
        unsigned shift = 8 * (reg - REG_TABLE);

        dma->table = (dma->table & ~(0xffu << shift)) | (uint32_t)value << shift;
        dma->table &= ~3u;
    }
}

static uint8_t byte_read(const struct ide_channel *channel, unsigned reg)
{
    const struct ide_dma *dma = &channel->dma;

    if (reg == REG_COMMAND)
        return dma->command;
    if (reg == REG_STATUS)
        return dma->status;
    return reg >= REG_TABLE ? dma->table >> 8 * (reg - REG_TABLE) & 0xff : 0;
}

/* --- Ports -------------------------------------------------------------- */

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
    struct ide *ide = dev;
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        unsigned at = (offset + i) % (IDE_CHANNEL_COUNT * CHANNEL_PORTS);

        value |= (uint64_t)byte_read(&ide->channel[at / CHANNEL_PORTS], at % CHANNEL_PORTS)
                 << 8 * i;
    }
    return value;
}

/* The command register last: a driver may write it together with the status. */
static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct ide *ide = dev;

    for (unsigned i = size; i-- > 0;) {
        unsigned at = (offset + i) % (IDE_CHANNEL_COUNT * CHANNEL_PORTS);

        byte_write(&ide->channel[at / CHANNEL_PORTS], at % CHANNEL_PORTS, value >> 8 * i & 0xff);
    }
}

const struct bus_ops ide_dma_ops = {
    .read = port_read,
    .write = port_write,
    .max_size = 4,
    .name = "ide-dma",
};

/* --- Life --------------------------------------------------------------- */

void ide_dma_reset(struct ide_channel *channel)
{
    channel->dma = (struct ide_dma){ 0 };
}
