/* A controller's request to a medium: see blockio.h. */
#include "devices/blockio.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bug.h"

struct blockio {
    struct block_request request;
    struct iovec iov;
    void *owner; /* NULL: it is gone */
    struct blockdev *medium;
    uint64_t offset;
    uint32_t size, at, good, unit;
    bool in_flight, by_units;
    bool at_once; /* what goes on now does so from inside submit(): that must not go deeper */
    blockio_done *done;
    uint32_t buffer_size;
    uint8_t buffer[];
};

static void complete(struct blockio *io, int err);

static void request_done(void *arg, struct block_request *request, int err)
{
    (void)request;
    complete(arg, err);
}

static void submit(struct blockio *io)
{
    enum block_op op = io->request.op;
    uint32_t size = io->by_units ? io->unit : io->size;
    bool moves = op == BLOCK_READ || op == BLOCK_WRITE;

    io->iov = (struct iovec){ io->buffer + io->at + (moves ? io->good : 0), size };
    io->request = (struct block_request){
        .op = op,
        .offset = io->offset + io->good,
        .size = size,
        .iov = moves ? &io->iov : NULL,
        .iov_count = moves,
        .done = request_done,
        .arg = io,
    };
    io->in_flight = true;
    if (op == BLOCK_READ && !io->at_once && blockdev_try_now(io->medium, &io->request)) {
        io->at_once = true;
        complete(io, io->request.err);
        io->at_once = false;
    } else {
        blockdev_submit(io->medium, &io->request);
    }
}

static bool is_over(const struct blockio *io, int err)
{
    if (!err)
        return io->good >= io->size;
    return io->by_units || !io->unit || io->size <= io->unit;
}

static void complete(struct blockio *io, int err)
{
    if (!io->owner) {
        free(io);
        return;
    }
    io->in_flight = false;
    if (!err)
        io->good += io->by_units ? io->unit : io->size;
    if (is_over(io, err)) {
        io->done(io->owner, io->good, err);
        return;
    }
    io->by_units = true;
    submit(io);
}

static bool on_medium(const struct blockdev *medium, uint64_t offset, uint64_t size)
{
    return medium->present && offset <= medium->size && size <= medium->size - offset;
}

void blockio_submit(struct blockio *io, struct blockdev *medium, const struct block_request *what,
                    uint32_t at, uint32_t unit, blockio_done *done)
{
    bool moves = what->op == BLOCK_READ || what->op == BLOCK_WRITE;

    BUG_ON(io->in_flight || (moves && (what->size > io->buffer_size ||
                                       at > io->buffer_size - what->size)));
    if (!on_medium(medium, what->offset, what->size)) {
        done(io->owner, 0, medium->present ? -EIO : -ENOMEDIUM);
        return;
    }
    io->request.op = what->op;
    io->medium = medium;
    io->offset = what->offset;
    io->size = (uint32_t)what->size;
    io->at = at;
    io->good = 0;
    io->unit = unit;
    io->by_units = false;
    io->done = done;
    submit(io);
}

void blockio_cancel(struct blockio *io)
{
    if (!io->in_flight)
        return;
    io->unit = 0;
    if (io->by_units)
        io->size = 0; /* this one is the last */
}

uint8_t *blockio_buffer(struct blockio *io)
{
    return io->buffer;
}

bool blockio_in_flight(const struct blockio *io)
{
    return io->in_flight;
}

struct blockio *blockio_create(uint32_t size, void *owner)
{
    struct blockio *io = calloc(1, sizeof(*io) + size);

    if (!io)
        return NULL;
    io->owner = owner;
    io->buffer_size = size;
    return io;
}

void blockio_destroy(struct blockio *io)
{
    io->owner = NULL;
    if (!io->in_flight)
        free(io);
}
