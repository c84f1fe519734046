/* Compressed clusters: raw deflate, packed one behind the other. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "block/qcow2.h"

enum { WINDOW_BITS = -12 }; /* raw, 4 KiB: what every reader of the format takes */

/* --- Reading ---------------------------------------------------------------- */

/* from holds size bytes, of which the last may not belong to it. */
static int inflate_cluster(struct qcow2 *q, const uint8_t *from, uint64_t size)
{
    z_stream stream = { .next_in = (uint8_t *)from, .avail_in = (unsigned)size,
                        .next_out = q->inflated, .avail_out = q->cluster_size };
    int status;

    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return -ENOMEM;
    status = inflate(&stream, Z_FINISH);
    inflateEnd(&stream);
    if (stream.avail_out)
        return -EIO;
    return status == Z_STREAM_END || status == Z_BUF_ERROR ? 0 : -EIO;
}

static int make_buffers(struct qcow2 *q)
{
    if (!q->inflated)
        q->inflated = malloc(q->cluster_size);
    if (!q->deflated)
        q->deflated = malloc(2ull * q->cluster_size + 512);
    return q->inflated && q->deflated ? 0 : -ENOMEM;
}

static int load(struct qcow2 *q, uint64_t guest, const struct mapping *m)
{
    uint64_t size = m->host_size;
    int err = make_buffers(q);

    if (q->inflated_at == guest)
        return 0;
    q->inflated_at = ~0ull;
    if (!err && size > 2ull * q->cluster_size)
        size = 2ull * q->cluster_size;
    if (!err)
        err = file_read(&q->image.file, m->host, q->deflated, size);
    if (!err)
        err = inflate_cluster(q, q->deflated, size);
    if (!err)
        q->inflated_at = guest;
    return err;
}

int pack_read(struct qcow2 *q, uint64_t offset, const struct mapping *m, struct cursor *to,
              uint64_t size)
{
    uint64_t in = offset & (q->cluster_size - 1);
    int err;

    pthread_mutex_lock(&q->inflate_lock);
    err = load(q, offset - in, m);
    if (!err)
        cursor_copy_to(to, q->inflated + in, size);
    pthread_mutex_unlock(&q->inflate_lock);
    return err;
}

/* Its guest cluster is about to be something else. */
void pack_forget(struct qcow2 *q, uint64_t offset)
{
    pthread_mutex_lock(&q->inflate_lock);
    if (q->inflated_at == (offset & ~(uint64_t)(q->cluster_size - 1)))
        q->inflated_at = ~0ull;
    pthread_mutex_unlock(&q->inflate_lock);
}

/* --- Writing ---------------------------------------------------------------- */

/* Fewer than size bytes, or 0: it does not get smaller. */
static uint64_t deflate_cluster(struct qcow2 *q, const uint8_t *from, uint8_t *to)
{
    z_stream stream = { .next_in = (uint8_t *)from, .avail_in = q->cluster_size,
                        .next_out = to, .avail_out = q->cluster_size - 1 };
    int status;

    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_BITS, 9,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return 0;
    status = deflate(&stream, Z_FINISH);
    deflateEnd(&stream);
    return status == Z_STREAM_END ? q->cluster_size - 1 - stream.avail_out : 0;
}

static bool may_share(const struct qcow2 *q)
{
    return q->refcount_order >= 4; /* more clusters in one than a small refcount can count */
}

/* In the lock: takes clusters for size bytes, behind the last ones when those go on there. */
static int take_room(struct qcow2 *q, uint64_t size, uint64_t *host)
{
    uint64_t here = q->packed && may_share(q) ? -q->packed & (q->cluster_size - 1) : 0;
    uint64_t more = size > here ? qcow2_clusters(q, size - here) : 0;
    uint64_t first = (q->packed + here) >> q->cluster_bits, free_after = 0;
    struct reservation r;
    int err = 0;

    while (here && free_after < more && refs_is_free(q, first + free_after))
        free_after++;
    if (here && free_after == more) {
        r = (struct reservation){ first, more, NULL };
        *host = q->packed;
    } else {
        here = 0;
        err = refs_reserve(q, qcow2_clusters(q, size), true, &r);
        if (err)
            return err;
        refs_unreserve(q, &r);
        *host = r.first << q->cluster_bits;
    }
    if (here)
        err = refs_add(q, *host >> q->cluster_bits);
    for (uint64_t n = 0; !err && n < r.count; n++)
        err = refs_set(q, r.first + n, 1);
    q->packed = *host + size;
    return err;
}

static uint64_t entry_of(const struct qcow2 *q, uint64_t host, uint64_t size)
{
    unsigned shift = 62 - (q->cluster_bits - 8);
    uint64_t sectors = ((host & 511) + size - 1) / 512; /* beyond the first */

    return QCOW2_COMPRESSED | sectors << shift | host;
}

static int enter(struct qcow2 *q, uint64_t offset, const uint8_t *data, uint64_t size)
{
    uint64_t cluster = offset >> q->cluster_bits, n = qcow2_l2_entries(q), host = 0, old;
    struct table *table;
    int err = q->damaged ? -EIO : table_l2(q, cluster / n, true, &table);

    if (!err)
        err = take_room(q, size, &host);
    if (!err)
        err = table_l2(q, cluster / n, true, &table);
    if (!err)
        err = file_write(&q->image.file, host, data, size);
    if (err)
        return err;
    old = get64(table->data + cluster % n * 8);
    put64(table->data + cluster % n * 8, entry_of(q, host, size));
    table_changed(q, table);
    return map_drop(q, old);
}

int pack_write(struct disk *image, uint64_t offset, uint64_t size, const void *from)
{
    struct qcow2 *q = qcow2_of(image);
    uint8_t *whole = calloc(1, q->cluster_size), *packed = malloc(q->cluster_size);
    uint64_t n = 0;
    int err = whole && packed && !(offset & (q->cluster_size - 1)) && size <= q->cluster_size
                  ? 0 : -EINVAL;

    if (!err) {
        memcpy(whole, from, size);
        n = deflate_cluster(q, whole, packed);
    }
    if (!err && n) {
        pack_forget(q, offset);
        pthread_mutex_lock(&q->lock);
        err = enter(q, offset, packed, n);
        pthread_mutex_unlock(&q->lock);
    }
    free(whole);
    free(packed);
    if (!err && !n)
        return disk_write(image, offset, size, from);
    return err ? err : commit_if_much(q);
}
