/* A medium made of memory, whose requests are done when and in which order the test says. */
#ifndef TESTS_UNIT_MEDIUM_H
#define TESTS_UNIT_MEDIUM_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/blockdev.h"

enum { QUEUE = 8 };

struct medium {
    struct blockdev dev;
    uint8_t *bytes;
    struct block_request *queue[QUEUE];
    unsigned queued;
    bool manual;           /* the test calls medium_step() */
    uint64_t bad, bad_size; /* a range that fails */
    int err;               /* with this */
    unsigned reads, writes, flushes, discards, trays;
};

static inline void medium_submit(void *arg, struct block_request *request)
{
    struct medium *m = arg;

    if (m->queued == QUEUE)
        abort();
    m->queue[m->queued++] = request;
}

static inline void medium_move(struct medium *m, struct block_request *request)
{
    uint64_t at = request->offset;

    for (unsigned i = 0; i < request->iov_count; i++) {
        const struct iovec *iov = &request->iov[i];

        if (request->op == BLOCK_READ)
            memcpy(iov->iov_base, m->bytes + at, iov->iov_len);
        else
            memcpy(m->bytes + at, iov->iov_base, iov->iov_len);
        at += iov->iov_len;
    }
}

static inline int medium_do(struct medium *m, struct block_request *request)
{
    if (!m->dev.present)
        return -ENOMEDIUM;
    if (request->offset + request->size > m->dev.size || request->size % BLOCK_SECTOR)
        abort(); /* the contract */
    m->reads += request->op == BLOCK_READ;
    m->writes += request->op == BLOCK_WRITE;
    m->flushes += request->op == BLOCK_FLUSH;
    m->discards += request->op == BLOCK_DISCARD;
    if (m->err && request->offset < m->bad + m->bad_size &&
        request->offset + request->size > m->bad)
        return m->err;
    if (request->op == BLOCK_DISCARD)
        memset(m->bytes + request->offset, 0, request->size);
    else
        medium_move(m, request);
    return 0;
}

/* Does the n-th of what waits. */
static inline void medium_step(struct medium *m, unsigned n)
{
    struct block_request *request = m->queue[n];

    memmove(&m->queue[n], &m->queue[n + 1], (m->queued - n - 1) * sizeof(*m->queue));
    m->queued--;
    request->done(request->arg, request, medium_do(m, request));
}

static inline void medium_run(struct medium *m)
{
    while (m->queued)
        medium_step(m, 0);
}

/* For a medium that can drain: the test sets dev.drain. */
static inline void medium_drain(void *arg)
{
    medium_run(arg);
}

static inline void medium_tray(void *arg)
{
    struct medium *m = arg;

    m->trays++;
}

static inline void medium_init(struct medium *m, uint64_t size, bool cdrom)
{
    *m = (struct medium){ .dev = { .submit = medium_submit, .tray_moved = medium_tray,
                                   .medium = m, .size = size, .present = true, .cdrom = cdrom,
                                   .readonly = cdrom },
                          .bytes = calloc(1, size), .err = 0 };
}

static inline void medium_fill(struct medium *m)
{
    for (uint64_t i = 0; i < m->dev.size; i++)
        m->bytes[i] = (uint8_t)(i * 7 + i / 512 * 13 + (i >> 17) + m->dev.cdrom);
}

#endif
