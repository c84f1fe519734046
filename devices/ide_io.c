/* A drive's request to its medium, by the channel's blockio. */
#include "devices/blockio.h"
#include "devices/ide_drive.h"

static void request_done(void *owner, uint32_t good, int err)
{
    struct ide_channel *channel = owner;

    if (!ide_settle(channel))
        channel->io_done(channel->io_drive, good, err);
}

void ide_io_submit(struct ide_drive *drive, enum block_op op, uint64_t offset, uint32_t size,
                   uint32_t at, uint32_t unit, ide_io_done *done)
{
    struct ide_channel *channel = drive->channel;
    struct block_request what = { .op = op, .offset = offset, .size = size };

    channel->io_drive = drive;
    channel->io_done = done;
    blockio_submit(channel->io, drive->medium, &what, at, unit, request_done);
}
