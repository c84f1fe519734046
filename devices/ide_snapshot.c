/*
 * The IDE function's state, saved and loaded. What is in flight is not: the caller waits until the
 * function is idle, so the media are asked for nothing twice.
 */
#include "base/bug.h"
#include "base/snap.h"
#include "devices/ide_drive.h"

#define SNAP(snap, field) snap_bytes(snap, &(field), sizeof(field))

static void snapshot_transfer(struct ide_transfer *t, struct snap *snap)
{
    SNAP(snap, t->at);
    SNAP(snap, t->size);
    SNAP(snap, t->block);
    SNAP(snap, t->block_end);
    SNAP(snap, t->out);
    SNAP(snap, t->next);
}

static void snapshot_ata(struct ata_state *ata, struct snap *snap)
{
    SNAP(snap, ata->lba);
    SNAP(snap, ata->left);
    SNAP(snap, ata->chunk);
    SNAP(snap, ata->flags);
    SNAP(snap, ata->heads);
    SNAP(snap, ata->sectors);
    SNAP(snap, ata->multiple);
    SNAP(snap, ata->mode);
    SNAP(snap, ata->power);
    SNAP(snap, ata->asleep);
    SNAP(snap, ata->write_cache);
    SNAP(snap, ata->look_ahead);
    SNAP(snap, ata->smart);
    SNAP(snap, ata->smart_autosave);
    SNAP(snap, ata->smart_last);
    SNAP(snap, ata->smart_test);
}

static void snapshot_atapi(struct atapi_state *atapi, struct snap *snap)
{
    SNAP(snap, atapi->packet);
    SNAP(snap, atapi->key);
    SNAP(snap, atapi->asc);
    SNAP(snap, atapi->ascq);
    SNAP(snap, atapi->attention);
    SNAP(snap, atapi->event);
    SNAP(snap, atapi->frame);
    SNAP(snap, atapi->limit);
    SNAP(snap, atapi->lba);
    SNAP(snap, atapi->left);
    SNAP(snap, atapi->chunk);
}

static void snapshot_drive(struct ide_drive *drive, struct snap *snap)
{
    SNAP(snap, drive->reg);
    SNAP(snap, drive->hob);
    SNAP(snap, drive->error);
    SNAP(snap, drive->status);
    SNAP(snap, drive->intrq);
    SNAP(snap, drive->dma);
    snapshot_transfer(&drive->transfer, snap);
    snapshot_ata(&drive->ata, snap);
    snapshot_atapi(&drive->atapi, snap);
}

static void snapshot_dma(struct ide_channel *channel, struct snap *snap)
{
    struct ide_dma *dma = &channel->dma;
    uint8_t waiting = dma->drive ? 1 + dma->drive->unit : 0;

    SNAP(snap, dma->command);
    SNAP(snap, dma->status);
    SNAP(snap, dma->table);
    SNAP(snap, dma->entry);
    SNAP(snap, dma->gpa);
    SNAP(snap, dma->left);
    SNAP(snap, dma->last);
    snap_u8(snap, &waiting);
    dma->drive = waiting ? &channel->drive[(waiting - 1) & 1] : NULL;
}

/* The buffer, as far as a transfer has a use for it. */
static void snapshot_buffer(struct ide_channel *channel, struct snap *snap)
{
    for (unsigned i = 0; i < 2; i++) {
        struct ide_drive *drive = &channel->drive[i];

        if (drive->status & STATUS_DRQ || channel->dma.drive == drive)
            snap_bytes(snap, channel->buffer, drive->transfer.size);
    }
}

static void snapshot_channel(struct ide_channel *channel, struct snap *snap)
{
    SNAP(snap, channel->selected);
    SNAP(snap, channel->control);
    SNAP(snap, channel->resetting);
    SNAP(snap, channel->level);
    for (unsigned i = 0; i < 2; i++)
        snapshot_drive(&channel->drive[i], snap);
    snapshot_dma(channel, snap);
    if (channel->io)
        snapshot_buffer(channel, snap);
}

void ide_snapshot(struct ide *ide, struct snap *snap)
{
    BUG_ON(!ide_is_idle(ide));
    pci_snapshot(&ide->pci, snap);
    ide_decode(ide);
    for (unsigned n = 0; n < IDE_CHANNEL_COUNT; n++)
        snapshot_channel(&ide->channel[n], snap);
}
