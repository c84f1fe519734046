/*
 * The order of requests: random ones that overlap, many at once, on a host whose reads and writes
 * take random times (--wrap). Each read must give what the writes submitted before it made; a flush
 * is done after everything before it. Then errors, and media that come and go.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "block/disk.h"
#include "block/pool.h"
#include "devices/blockdev.h"
#include "tests/block/bell.h"
#include "tests/check.h"
#include "tests/random.h"

enum { SIZE = 256 << 10, MOST = 16384, DEPTH = 24, REQUESTS = 4000 };

struct slot {
    struct block_request request;
    struct iovec iov[2];
    uint8_t data[MOST], want[MOST];
    unsigned number;
    bool busy;
};

static struct run {
    struct pool *pool;
    int bell;
    struct blockdev *drive;
    struct slot slot[DEPTH];
    uint8_t model[SIZE];
    uint64_t state;
    unsigned submitted, done;
    int last_err;
} run;

ssize_t __real_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __real_preadv(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __wrap_preadv(int fd, const struct iovec *iov, int count, off_t offset);

static void dawdle(void)
{
    static atomic_uint turn;
    unsigned t = atomic_fetch_add(&turn, 2654435761u);

    if (t >> 29 == 0)
        usleep(t >> 20 & 255);
}

ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    dawdle();
    return __real_pwritev(fd, iov, count, offset);
}

ssize_t __wrap_preadv(int fd, const struct iovec *iov, int count, off_t offset)
{
    dawdle();
    return __real_preadv(fd, iov, count, offset);
}

static uint64_t draw(uint64_t below)
{
    return random_next(&run.state) % below;
}

static void done(void *arg, struct block_request *request, int err)
{
    struct slot *s = arg;

    CHECK_EQ(err, 0);
    CHECK_EQ(s->busy, true);
    s->busy = false;
    run.done++;
    if (request->op == BLOCK_READ)
        CHECK_EQ(memcmp(s->data, s->want, request->size), 0);
    for (unsigned i = 0; request->op == BLOCK_FLUSH && i < DEPTH; i++)
        CHECK_EQ(run.slot[i].busy && run.slot[i].request.op == BLOCK_WRITE &&
                     run.slot[i].number < s->number, false);
}

static void set_up(struct slot *s)
{
    struct block_request *r = &s->request;
    unsigned what = (unsigned)draw(20);

    *r = (struct block_request){ .iov = s->iov, .iov_count = 2, .done = done, .arg = s };
    r->size = (draw(MOST / 512) + 1) * 512;
    r->offset = draw((SIZE - r->size) / 512 + 1) * 512;
    s->iov[0] = (struct iovec){ s->data, 512 };
    s->iov[1] = (struct iovec){ s->data + 512, r->size - 512 };
    r->op = what < 9 ? BLOCK_WRITE : what < 18 ? BLOCK_READ : what < 19 ? BLOCK_ZERO : BLOCK_FLUSH;
    if (r->op == BLOCK_WRITE) {
        memset(s->data, (int)draw(255) + 1, r->size);
        memcpy(run.model + r->offset, s->data, r->size);
    } else if (r->op == BLOCK_ZERO) {
        memset(run.model + r->offset, 0, r->size);
    } else if (r->op == BLOCK_READ) {
        memset(s->data, 0xee, r->size);
        memcpy(s->want, run.model + r->offset, r->size);
    } else {
        r->offset = r->size = 0;
    }
}

static void start(struct slot *s)
{
    set_up(s);
    s->number = run.submitted++;
    s->busy = true;
    if (draw(2) && blockdev_try_now(run.drive, &s->request))
        done(s, &s->request, s->request.err);
    else
        blockdev_submit(run.drive, &s->request);
}

static void wait_some(void)
{
    CHECK_EQ(bell_wait(run.bell, run.pool, 240000), true);
}

static struct disk *image(const char *path, enum disk_format format, bool readonly)
{
    const struct disk_layout layout = { .size = SIZE,
                                        .cluster_size = format == DISK_QCOW2 ? 2048 : 0 };
    struct disk_options options = { .format = format, .readonly = readonly };
    struct disk_error error;
    struct disk *disk;

    if (!readonly && disk_create(path, format, &layout, &error))
        printf("FAIL %s\n", error.text);
    disk = disk_open(path, &options, &error);
    if (!disk)
        printf("FAIL %s\n", error.text);
    return disk;
}

static void test_order(enum disk_format format)
{
    struct pool_stats stats;

    memset(&run, 0, sizeof(run));
    run.state = 88172645463325252;
    run.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    run.pool = pool_create(bell_ring, &run.bell);
    run.drive = pool_add(run.pool, image("a", format, false), false, "serial");
    CHECK_EQ(run.drive->size, SIZE);
    while (run.submitted < REQUESTS) {
        bool any = false;

        blockdev_batch(run.drive, draw(2));
        for (unsigned i = 0; i < DEPTH; i++)
            if (!run.slot[i].busy && run.submitted < REQUESTS)
                start(&run.slot[i]);
        blockdev_batch(run.drive, false);
        for (unsigned i = 0; i < DEPTH; i++)
            any |= run.slot[i].busy;
        if (any)
            wait_some();
    }
    blockdev_drain(run.drive);
    CHECK_EQ(run.done, REQUESTS);
    stats = pool_stats(run.drive);
    CHECK_EQ(stats.reads + stats.writes + stats.flushes, REQUESTS);
    CHECK_EQ(stats.errors, 0);
    CHECK_EQ(pool_destroy(run.pool), 0);
}

/* --- Errors and media ------------------------------------------------------- */

static unsigned changes;

static void changed(void *controller)
{
    (void)controller;
    changes++;
}

static void keep_err(void *arg, struct block_request *request, int err)
{
    (void)arg, (void)request;
    run.last_err = err;
    run.done++;
}

static int one(enum block_op op, uint64_t offset, uint64_t size)
{
    static uint8_t data[MOST];
    struct iovec iov = { data, sizeof(data) };
    struct block_request r = { .op = op, .offset = offset, .size = size, .iov = &iov,
                               .iov_count = 1, .done = keep_err };

    run.done = 0;
    blockdev_submit(run.drive, &r);
    CHECK_EQ(run.done, 0); /* never from inside */
    while (!run.done)
        wait_some();
    return run.last_err;
}

static void test_errors(void)
{
    run.pool = pool_create(bell_ring, &run.bell);
    run.drive = pool_add(run.pool, NULL, true, NULL);
    run.drive->changed = changed;
    CHECK_EQ(run.drive->present, false);
    CHECK_EQ(one(BLOCK_READ, 0, 512), -ENOMEDIUM);
    CHECK_EQ(one(BLOCK_FLUSH, 0, 0), -ENOMEDIUM);
    CHECK_EQ(pool_change(run.pool, run.drive, image("a", DISK_QCOW2, true)), 0);
    CHECK_EQ(changes, 1);
    CHECK_EQ(run.drive->present && run.drive->readonly && run.drive->size == SIZE, true);
    CHECK_EQ(one(BLOCK_READ, 0, 512), 0);
    CHECK_EQ(one(BLOCK_WRITE, 0, 512), -EROFS);
    CHECK_EQ(one(BLOCK_DISCARD, 0, 512), -EROFS);
    CHECK_EQ(one(BLOCK_READ, SIZE, 512), -EINVAL);
    CHECK_EQ(one(BLOCK_READ, UINT64_MAX - 511, 1024), -EINVAL);
    CHECK_EQ(one(BLOCK_READ, SIZE - 512, 1024), -EINVAL);
    CHECK_EQ(pool_change(run.pool, run.drive, NULL), 0);
    CHECK_EQ(one(BLOCK_READ, 0, 512), -ENOMEDIUM);
    CHECK_EQ(changes, 2);
    CHECK_EQ(pool_destroy(run.pool), 0);
}

int main(void)
{
    char folder[] = "/tmp/novt-pool-XXXXXX", command[64];

    if (!mkdtemp(folder) || chdir(folder))
        return 1;
    test_order(DISK_RAW);
    test_order(DISK_QCOW2);
    test_errors();
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    if (system(command))
        return 1;
    return CHECK_DONE();
}
