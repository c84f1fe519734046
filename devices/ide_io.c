/*
 * A channel's request to a medium: one at a time, with a buffer of its own.
 *
 * The buffer is not guest memory: a request in flight cannot be taken back, and what it does may be
 * too late for a guest that has been reset. So nothing reaches guest memory but from the vcpu's
 * thread, through physmem, and the request survives the chip (invariant D3).
 *
 * When a request fails it is tried again in units, so that what is good before the first bad unit
 * gets through and the guest hears exactly which one is bad.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/bug.h"
#include "devices/ide_drive.h"

struct ide_io {
    struct block_request request;
    struct iovec iov;
    struct ide_channel *channel; /* NULL: the chip is gone */
    struct ide_drive *drive;
    uint64_t offset;
    uint32_t size, at, good, unit;
    bool by_units;
    bool at_once; /* what goes on now does so from inside submit(): that must not go deeper */
    ide_io_done *done;
    uint8_t buffer[IDE_CHUNK];
};

static void complete(struct block_request *request, struct ide_io *io, int err);

static void request_done(void *arg, struct block_request *request, int err)
{
    complete(request, arg, err);
}

static void submit(struct ide_io *io)
{
    struct ide_drive *drive = io->drive;
    uint32_t size = io->by_units ? io->unit : io->size;
    bool moves = io->request.op == BLOCK_READ || io->request.op == BLOCK_WRITE;

    io->iov = (struct iovec){ io->buffer + io->at + io->good, size };
    io->request = (struct block_request){
        .op = io->request.op,
        .offset = io->offset + io->good,
        .size = size,
        .iov = moves ? &io->iov : NULL,
        .iov_count = moves,
        .done = request_done,
        .arg = io,
    };
    io->channel->in_flight = true;
    if (!io->at_once && io->request.op == BLOCK_READ &&
        blockdev_try_now(drive->medium, &io->request)) {
        io->at_once = true;
        complete(&io->request, io, io->request.err);
        io->at_once = false;
    } else {
        blockdev_submit(drive->medium, &io->request);
    }
}

static void complete(struct block_request *request, struct ide_io *io, int err)
{
    (void)request;
    if (!io->channel) {
        free(io);
        return;
    }
    io->channel->in_flight = false;
    if (ide_settle(io->channel))
        return;
    if (!err)
        io->good += io->by_units ? io->unit : io->size;
    if ((err && (io->by_units || !io->unit || io->size <= io->unit)) || io->good >= io->size) {
        io->done(io->drive, io->good, err);
        return;
    }
    io->by_units = true;
    submit(io);
}

static bool on_medium(const struct blockdev *medium, uint64_t offset, uint64_t size)
{
    return medium->present && offset <= medium->size && size <= medium->size - offset;
}

void ide_io_submit(struct ide_drive *drive, enum block_op op, uint64_t offset, uint32_t size,
                   uint32_t at, uint32_t unit, ide_io_done *done)
{
    struct ide_io *io = drive->channel->io;

    BUG_ON(drive->channel->in_flight);
    if (!on_medium(drive->medium, offset, size)) {
        done(drive, 0, drive->medium->present ? -EIO : -ENOMEDIUM);
        return;
    }
    io->drive = drive;
    io->offset = offset;
    io->size = size;
    io->at = at;
    io->good = 0;
    io->unit = unit;
    io->by_units = false;
    io->done = done;
    io->request.op = op;
    submit(io);
}

struct ide_io *ide_io_create(struct ide_channel *channel)
{
    struct ide_io *io = calloc(1, sizeof(*io));

    if (!io)
        return NULL;
    io->channel = channel;
    channel->buffer = io->buffer;
    return io;
}

void ide_io_destroy(struct ide_io *io)
{
    bool in_flight = io->channel->in_flight;

    io->channel = NULL;
    if (!in_flight)
        free(io);
}
