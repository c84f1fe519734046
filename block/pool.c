/*
 * Requests on their way: queue of the drive -> busy list, while a worker is at it -> done list ->
 * back to the controller, on the vcpu's thread.
 */
#include "block/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/thread.h"
#include "block/disk.h"
#include "devices/blockdev.h"

enum { WORKERS = 4, SETTLE_S = 2 };

struct drive {
    struct blockdev dev;
    struct pool *pool;
    struct drive *next;
    struct disk *image; /* changed only when nothing is queued or busy */
    struct block_request *queue, **queue_end, *busy;
    _Atomic unsigned unfinished; /* of those; more only by the vcpu's thread */
    bool unsettled; /* written since the last flush */
    bool batch;     /* of the vcpu's thread: more is coming */
    struct pool_stats stats;
    struct pool_stats at_once;   /* of the vcpu's thread, without the lock */
};

struct pool {
    pthread_mutex_t lock; /* of all below and of the drives' lists */
    pthread_cond_t work;  /* there may be a request to do, or ending */
    pthread_cond_t idle;  /* a request was done */
    struct drive *drives, *turn;
    struct block_request *done, **done_end;
    void (*wake)(void *arg);
    void *wake_arg;
    pthread_t worker[WORKERS];
    unsigned started;
    bool ending;
};

/* --- Order ------------------------------------------------------------------ */

static bool changes(const struct block_request *r)
{
    return r->op != BLOCK_READ && r->op != BLOCK_FLUSH;
}

static bool touch(const struct drive *d, const struct block_request *a,
                  const struct block_request *b)
{
    uint64_t granule = d->image ? disk_granule(d->image) : BLOCK_SECTOR;

    if (!a->size || !b->size)
        return false;
    return a->offset / granule <= (b->offset + b->size - 1) / granule &&
           b->offset / granule <= (a->offset + a->size - 1) / granule;
}

/* Whether r must wait for an earlier one. begun: a worker is at that. */
static bool must_wait(const struct drive *d, const struct block_request *r,
                      const struct block_request *earlier, bool begun)
{
    if (r->op == BLOCK_FLUSH)
        return changes(earlier);
    if (earlier->op == BLOCK_FLUSH)
        return changes(r) && !begun;
    return (changes(r) || changes(earlier)) && touch(d, r, earlier);
}

static bool is_ready(const struct drive *d, const struct block_request *r)
{
    for (const struct block_request *e = d->busy; e; e = e->next)
        if (must_wait(d, r, e, true))
            return false;
    for (const struct block_request *e = d->queue; e != r; e = e->next)
        if (must_wait(d, r, e, false))
            return false;
    return true;
}

/* --- Lists ------------------------------------------------------------------ */

/* Takes the first request that waits for nothing from the queue to the busy ones. */
static struct block_request *take_from(struct drive *d)
{
    for (struct block_request **at = &d->queue; *at; at = &(*at)->next) {
        struct block_request *r = *at;

        if (!is_ready(d, r))
            continue;
        *at = r->next;
        if (d->queue_end == &r->next)
            d->queue_end = at;
        r->next = d->busy;
        d->busy = r;
        return r;
    }
    return NULL;
}

/* From the drives in turn. */
static struct block_request *take(struct pool *pool, struct drive **drive)
{
    struct drive *start = pool->turn ? pool->turn : pool->drives;

    for (struct drive *d = start; d;) {
        struct block_request *r = take_from(d);

        if (r) {
            *drive = d;
            pool->turn = d->next;
            return r;
        }
        d = d->next ? d->next : pool->drives;
        if (d == start)
            break;
    }
    return NULL;
}

static void count(struct pool_stats *stats, const struct block_request *r)
{
    stats->errors += r->err != 0;
    stats->reads += r->op == BLOCK_READ;
    stats->flushes += r->op == BLOCK_FLUSH;
    stats->writes += changes(r);
    if (r->op == BLOCK_READ)
        stats->read_bytes += r->size;
    else if (r->op == BLOCK_WRITE)
        stats->written_bytes += r->size;
}

/* In the lock. True: wake() is to be called, outside of it. */
static bool put_done(struct pool *pool, struct block_request *r)
{
    bool first = !pool->done;

    r->next = NULL;
    *pool->done_end = r;
    pool->done_end = &r->next;
    return first;
}

/* In the lock; as put_done(). */
static bool finish(struct pool *pool, struct drive *d, struct block_request *r)
{
    struct block_request **at = &d->busy;

    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    d->unfinished--;
    count(&d->stats, r);
    pthread_cond_broadcast(&pool->idle);
    return put_done(pool, r);
}

/* --- Workers ---------------------------------------------------------------- */

static int carry_out(struct disk *image, const struct block_request *r)
{
    switch (r->op) {
    case BLOCK_READ: return disk_readv(image, r->offset, r->size, r->iov, r->iov_count);
    case BLOCK_WRITE: return disk_writev(image, r->offset, r->size, r->iov, r->iov_count);
    case BLOCK_FLUSH: return disk_flush(image);
    case BLOCK_DISCARD: return disk_discard(image, r->offset, r->size);
    case BLOCK_ZERO: return disk_zero(image, r->offset, r->size);
    }
    return -EINVAL;
}

/* In the lock, which it gives up. A drive that was written and then left alone is flushed, for
 * guests that never ask for it. */
static bool settle(struct pool *pool)
{
    for (struct drive *d = pool->drives; d; d = d->next) {
        struct block_request flush = { .op = BLOCK_FLUSH };

        if (!d->unsettled || d->busy || d->queue)
            continue;
        d->unsettled = false;
        d->busy = &flush; /* keeps the image where it is */
        pthread_mutex_unlock(&pool->lock);
        disk_flush(d->image); /* the next flush of the guest meets the same error */
        pthread_mutex_lock(&pool->lock);
        for (struct block_request **at = &d->busy; *at; at = &(*at)->next) {
            if (*at == &flush) {
                *at = flush.next;
                break;
            }
        }
        pthread_cond_broadcast(&pool->idle);
        if (d->queue)
            pthread_cond_broadcast(&pool->work);
        return true;
    }
    return false;
}

static void wait_for_work(struct pool *pool)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += SETTLE_S;
    if (pthread_cond_timedwait(&pool->work, &pool->lock, &until) == ETIMEDOUT)
        while (settle(pool))
            ;
}

static bool anything_queued(const struct pool *pool)
{
    for (const struct drive *d = pool->drives; d; d = d->next)
        if (d->queue)
            return true;
    return false;
}

static bool anything_unsettled(const struct pool *pool)
{
    for (const struct drive *d = pool->drives; d; d = d->next)
        if (d->unsettled)
            return true;
    return false;
}

/* In the lock, which it gives up. What is queued behind r is for the next worker, if it can be done
 * meanwhile; what waits for r this one finds afterwards. */
static void do_request(struct pool *pool, struct drive *d, struct block_request *r)
{
    bool first;

    if (anything_queued(pool))
        pthread_cond_signal(&pool->work);
    if (r->op == BLOCK_FLUSH)
        d->unsettled = false;
    else if (changes(r))
        d->unsettled = true;
    pthread_mutex_unlock(&pool->lock);
    r->err = carry_out(d->image, r);
    pthread_mutex_lock(&pool->lock);
    first = finish(pool, d, r);
    d->stats.wakes += first;
    if (!first)
        return;
    pthread_mutex_unlock(&pool->lock);
    pool->wake(pool->wake_arg);
    pthread_mutex_lock(&pool->lock);
}

static void *work(void *arg)
{
    struct pool *pool = arg;

    pthread_mutex_lock(&pool->lock);
    while (!pool->ending) {
        struct drive *d;
        struct block_request *r = take(pool, &d);

        if (r)
            do_request(pool, d, r);
        else if (anything_unsettled(pool))
            wait_for_work(pool);
        else
            pthread_cond_wait(&pool->work, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* One more when all others may be at work. */
static void start_worker(struct pool *pool)
{
    if (pool->started < WORKERS && !thread_start(&pool->worker[pool->started], work, pool))
        pool->started++;
}

/* --- Requests --------------------------------------------------------------- */

static int check(const struct drive *d, const struct block_request *r)
{
    if (!d->image)
        return -ENOMEDIUM;
    if (r->op == BLOCK_FLUSH)
        return 0;
    if (r->offset > d->dev.size || r->size > d->dev.size - r->offset)
        return -EINVAL;
    return changes(r) && d->dev.readonly ? -EROFS : 0;
}

static void submit(void *medium, struct block_request *r)
{
    struct drive *d = medium;
    struct pool *pool = d->pool;
    bool first = false;

    r->next = NULL;
    r->err = check(d, r);
    if (!r->err && !pool->started)
        start_worker(pool);
    if (!r->err && !pool->started)
        r->err = -ENOMEM;
    pthread_mutex_lock(&pool->lock);
    if (r->err) {
        first = put_done(pool, r);
    } else {
        if (d->queue || d->busy)
            start_worker(pool);
        *d->queue_end = r;
        d->queue_end = &r->next;
        d->unfinished++;
        if (!d->batch)
            pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->lock);
    if (first)
        pool->wake(pool->wake_arg);
}

/* One worker is woken, which wakes the next. */
static void batch(void *medium, bool on)
{
    struct drive *d = medium;
    bool any;

    d->batch = on;
    if (on)
        return;
    pthread_mutex_lock(&d->pool->lock);
    any = d->queue;
    pthread_mutex_unlock(&d->pool->lock);
    if (any)
        pthread_cond_signal(&d->pool->work);
}

/* In the lock: no write to that place, or flush of one, is on its way. */
static bool waits_for_none(const struct drive *d, const struct block_request *r)
{
    for (const struct block_request *e = d->busy; e; e = e->next)
        if (must_wait(d, r, e, true))
            return false;
    for (const struct block_request *e = d->queue; e; e = e->next)
        if (must_wait(d, r, e, false))
            return false;
    return true;
}

static bool is_free(struct drive *d, const struct block_request *r)
{
    bool free;

    if (!d->unfinished)
        return true;
    pthread_mutex_lock(&d->pool->lock);
    free = waits_for_none(d, r);
    pthread_mutex_unlock(&d->pool->lock);
    return free;
}

/* Nothing that changes the image is submitted meanwhile: this is the thread that would. */
static bool try_now(void *medium, struct block_request *r)
{
    struct drive *d = medium;

    if (r->op != BLOCK_READ || check(d, r) || !is_free(d, r) ||
        !disk_readv_now(d->image, r->offset, r->size, r->iov, r->iov_count))
        return false;
    r->err = 0;
    count(&d->at_once, r);
    return true;
}

void pool_dispatch(struct pool *pool)
{
    struct block_request *r, *next;

    pthread_mutex_lock(&pool->lock);
    r = pool->done;
    pool->done = NULL;
    pool->done_end = &pool->done;
    pthread_mutex_unlock(&pool->lock);
    for (; r; r = next) {
        next = r->next; /* the controller may use it for the next one */
        r->done(r->arg, r, r->err);
    }
}

/* In the lock: until the drive has nothing to do. Nobody may have been woken yet for a batch. */
static void wait_idle(struct pool *pool, const struct drive *d)
{
    pthread_cond_signal(&pool->work);
    while (d->queue || d->busy)
        pthread_cond_wait(&pool->idle, &pool->lock);
}

/* Until this drive's requests are done and called back for. */
static void drain(void *medium)
{
    struct drive *d = medium;
    bool again = true;

    while (again) {
        pthread_mutex_lock(&d->pool->lock);
        wait_idle(d->pool, d);
        again = d->pool->done;
        pthread_mutex_unlock(&d->pool->lock);
        pool_dispatch(d->pool);
    }
}

int pool_drain(struct pool *pool)
{
    bool again = true;
    int err = 0;

    while (again) {
        again = false;
        pthread_mutex_lock(&pool->lock);
        for (struct drive *d = pool->drives; d; d = d->next)
            wait_idle(pool, d);
        again = pool->done;
        pthread_mutex_unlock(&pool->lock);
        pool_dispatch(pool); /* which may submit more */
    }
    for (struct drive *d = pool->drives; d; d = d->next)
        if (d->image && !err)
            err = disk_flush(d->image);
    return err;
}

/* --- Drives ----------------------------------------------------------------- */

static void set_medium(struct drive *d, struct disk *image)
{
    uint64_t unit = d->dev.cdrom ? 2048 : BLOCK_SECTOR;

    d->image = image;
    d->dev.present = image;
    d->dev.size = image ? disk_size(image) / unit * unit : 0;
    d->dev.readonly = image && (disk_readonly(image) || d->dev.cdrom);
}

struct blockdev *pool_add(struct pool *pool, struct disk *image, bool cdrom, const char *serial)
{
    struct drive *d = calloc(1, sizeof(*d)), **end = &pool->drives;

    if (!d)
        return NULL;
    d->dev.submit = submit;
    d->dev.try_now = try_now;
    d->dev.batch = batch;
    d->dev.drain = drain;
    d->dev.medium = d;
    d->dev.cdrom = cdrom;
    strncpy(d->dev.serial, serial ? serial : "", sizeof(d->dev.serial) - 1);
    d->pool = pool;
    d->queue_end = &d->queue;
    set_medium(d, image);
    pthread_mutex_lock(&pool->lock);
    while (*end)
        end = &(*end)->next;
    *end = d;
    pthread_mutex_unlock(&pool->lock);
    return &d->dev;
}

int pool_change(struct pool *pool, struct blockdev *dev, struct disk *image)
{
    struct drive *d = dev->medium;
    struct disk *old;
    int err;

    drain(d);
    pthread_mutex_lock(&pool->lock);
    wait_idle(pool, d); /* settle() may be at it */
    old = d->image;
    d->unsettled = false;
    set_medium(d, image);
    pthread_mutex_unlock(&pool->lock);
    err = old ? disk_close(old) : 0;
    if (dev->changed)
        dev->changed(dev->controller);
    return err;
}

struct disk *pool_image(const struct blockdev *dev)
{
    return ((struct drive *)dev->medium)->image;
}

struct pool_stats pool_stats(const struct blockdev *dev)
{
    struct drive *d = dev->medium;
    struct pool_stats stats;

    pthread_mutex_lock(&d->pool->lock);
    stats = d->stats;
    pthread_mutex_unlock(&d->pool->lock);
    stats.reads += d->at_once.reads;
    stats.read_bytes += d->at_once.read_bytes;
    stats.reads_at_once = d->at_once.reads;
    return stats;
}

/* --- Life ------------------------------------------------------------------- */

struct pool *pool_create(void (*wake)(void *arg), void *arg)
{
    struct pool *pool = calloc(1, sizeof(*pool));

    if (!pool)
        return NULL;
    pool->wake = wake;
    pool->wake_arg = arg;
    pool->done_end = &pool->done;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->idle, NULL);
    return pool;
}

static void end_workers(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    for (struct drive *d = pool->drives; d; d = d->next)
        wait_idle(pool, d);
    pool->ending = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->started; i++)
        pthread_join(pool->worker[i], NULL);
}

int pool_destroy(struct pool *pool)
{
    int err = 0;

    if (!pool)
        return 0;
    end_workers(pool);
    for (struct drive *d = pool->drives, *next; d; d = next) {
        int flushed = d->image ? disk_close(d->image) : 0;

        next = d->next;
        err = err ? err : flushed;
        free(d);
    }
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->idle);
    free(pool);
    return err;
}
