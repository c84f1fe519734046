/* From the guest's offsets to places in the file: L2 entries, reading, writing, giving back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/qcow2.h"

/* --- Entries ---------------------------------------------------------------- */

static int map_packed(const struct qcow2 *q, uint64_t entry, struct mapping *m)
{
    unsigned shift = 62 - (q->cluster_bits - 8);
    uint64_t offset = entry & ((1ull << shift) - 1);
    uint64_t sectors = (entry & ~(QCOW2_COPIED | QCOW2_COMPRESSED)) >> shift;

    *m = (struct mapping){ .kind = CLUSTER_PACKED, .host = offset,
                           .host_size = (sectors + 1) * 512 - (offset & 511) };
    return 0;
}

int map_entry(const struct qcow2 *q, uint64_t entry, struct mapping *m)
{
    bool zero = entry & QCOW2_ZERO;

    if (entry & QCOW2_COMPRESSED)
        return map_packed(q, entry, m);
    *m = (struct mapping){ .host = entry & QCOW2_OFFSET };
    if (m->host & (q->cluster_size - 1) || (zero && q->version < 3))
        return -EIO;
    if (zero)
        m->kind = CLUSTER_ZERO;
    else if (m->host)
        m->kind = CLUSTER_DATA;
    m->own = m->kind == CLUSTER_DATA && entry & QCOW2_COPIED;
    return 0;
}

int map_drop(struct qcow2 *q, uint64_t entry)
{
    struct mapping m;
    int err = map_entry(q, entry, &m);
    uint64_t last;

    if (err || !m.host)
        return err;
    if (m.kind != CLUSTER_PACKED)
        return refs_drop(q, m.host >> q->cluster_bits, true);
    last = (m.host + m.host_size - 1) >> q->cluster_bits;
    for (uint64_t c = m.host >> q->cluster_bits; !err && c <= last; c++)
        err = refs_drop(q, c, true);
    return err;
}

/* --- Places ----------------------------------------------------------------- */

struct place {
    uint64_t l1, l2; /* indices */
    uint64_t in;     /* the offset in its cluster */
    uint64_t most;   /* bytes up to the end of the L2 table's reach, at most what was asked for */
};

static struct place place_of(const struct qcow2 *q, uint64_t offset, uint64_t size)
{
    uint64_t cluster = offset >> q->cluster_bits, n = qcow2_l2_entries(q);
    struct place p = { cluster / n, cluster % n, offset & (q->cluster_size - 1), size };
    uint64_t reach = ((n - p.l2) << q->cluster_bits) - p.in;

    if (p.most > reach)
        p.most = reach;
    return p;
}

/* NULL: there is no L2 table. */
static uint64_t entry_at(const struct table *table, uint64_t i)
{
    return table ? get64(table->data + i * 8) : 0;
}

/* Whether the cluster of next goes on where that of m ends. */
static bool continues(const struct qcow2 *q, const struct mapping *m, uint64_t n,
                      const struct mapping *next)
{
    if (m->kind != next->kind || m->own != next->own || m->kind == CLUSTER_PACKED)
        return false;
    return m->kind != CLUSTER_DATA || next->host == m->host + (n << q->cluster_bits);
}

/* In the lock. What is at p, and for how many bytes (*run) that goes on in the same way. */
static int look_up(struct qcow2 *q, const struct place *p, struct mapping *m, uint64_t *run)
{
    struct table *table;
    int err = table_l2(q, p->l1, false, &table);
    uint64_t have = q->cluster_size - p->in;

    if (!err)
        err = map_entry(q, entry_at(table, p->l2), m);
    for (uint64_t n = 1; !err && have < p->most; n++) {
        struct mapping next;

        if (map_entry(q, entry_at(table, p->l2 + n), &next) || !continues(q, m, n, &next))
            break;
        have += q->cluster_size;
    }
    *run = have < p->most ? have : p->most;
    return err;
}

/* --- Reading ---------------------------------------------------------------- */

static int read_backing(struct disk *backing, uint64_t offset, struct cursor *to, uint64_t size)
{
    uint64_t have = !backing || offset >= backing->size ? 0 : backing->size - offset;
    int err = 0;

    if (have > size)
        have = size;
    if (have)
        err = backing->ops->read(backing, offset, to, have);
    if (!err)
        cursor_fill_zero(to, size - have);
    return err;
}

static int read_mapped(struct qcow2 *q, uint64_t offset, const struct mapping *m,
                       struct cursor *to, uint64_t size)
{
    uint64_t in = offset & (q->cluster_size - 1);

    switch (m->kind) {
    case CLUSTER_DATA: return file_readv(&q->image.file, m->host + in, to, size);
    case CLUSTER_PACKED: return pack_read(q, offset, m, to, size);
    case CLUSTER_NONE: return read_backing(q->image.backing, offset, to, size);
    case CLUSTER_ZERO: break;
    }
    cursor_fill_zero(to, size);
    return 0;
}

int map_read(struct disk *image, uint64_t offset, struct cursor *to, uint64_t size)
{
    struct qcow2 *q = qcow2_of(image);
    int err = 0;

    while (!err && size) {
        struct place p = place_of(q, offset, size);
        struct mapping m;
        uint64_t run;

        pthread_mutex_lock(&q->lock);
        err = look_up(q, &p, &m, &run);
        pthread_mutex_unlock(&q->lock);
        if (!err)
            err = read_mapped(q, offset, &m, to, run);
        offset += run;
        size -= run;
    }
    return err;
}

/* look_up() if that waits for nothing: the table is in memory, and nobody has the lock. */
static bool look_up_now(struct qcow2 *q, const struct place *p, struct mapping *m, uint64_t *run)
{
    bool found = false;

    if (pthread_mutex_trylock(&q->lock))
        return false;
    if (q->l2[p->l1] || !(q->l1[p->l1] & QCOW2_OFFSET))
        found = !look_up(q, p, m, run);
    pthread_mutex_unlock(&q->lock);
    return found;
}

static bool read_backing_now(struct disk *backing, uint64_t offset, struct cursor *to,
                             uint64_t size)
{
    if (backing && offset < backing->size)
        return size <= backing->size - offset &&
               backing->ops->read_now(backing, offset, to, size);
    cursor_fill_zero(to, size);
    return true;
}

static bool read_mapped_now(struct qcow2 *q, uint64_t offset, const struct mapping *m,
                            struct cursor *to, uint64_t size)
{
    uint64_t in = offset & (q->cluster_size - 1);

    switch (m->kind) {
    case CLUSTER_DATA: return file_read_now(&q->image.file, m->host + in, to, size);
    case CLUSTER_NONE: return read_backing_now(q->image.backing, offset, to, size);
    case CLUSTER_PACKED: return false;
    case CLUSTER_ZERO: break;
    }
    cursor_fill_zero(to, size);
    return true;
}

bool map_read_now(struct disk *image, uint64_t offset, struct cursor *to, uint64_t size)
{
    struct qcow2 *q = qcow2_of(image);

    while (size) {
        struct place p = place_of(q, offset, size);
        struct mapping m;
        uint64_t run;

        if (!look_up_now(q, &p, &m, &run) || !read_mapped_now(q, offset, &m, to, run))
            return false;
        offset += run;
        size -= run;
    }
    return true;
}

bool map_is_zero(struct disk *image, uint64_t offset, uint64_t size, uint64_t *run)
{
    struct qcow2 *q = qcow2_of(image);
    struct disk *backing = image->backing;
    struct place p = place_of(q, offset, size);
    struct mapping m;
    int err;

    pthread_mutex_lock(&q->lock);
    err = look_up(q, &p, &m, run);
    pthread_mutex_unlock(&q->lock);
    if (err || m.kind == CLUSTER_ZERO)
        return !err;
    if (m.kind != CLUSTER_NONE)
        return false;
    if (!backing || offset >= backing->size)
        return true;
    if (*run > backing->size - offset)
        *run = backing->size - offset;
    return backing->ops->is_zero(backing, offset, *run, run);
}

/* --- Writing ---------------------------------------------------------------- */

/* Old content before or behind what is written into a new cluster. fresh: the file has zeros
 * there. */
static int copy_up(struct qcow2 *q, uint64_t offset, uint64_t host, uint64_t size, bool fresh)
{
    static const uint8_t zeros[512];
    struct cursor cursor;
    struct iovec iov;
    uint8_t *buffer;
    int err;

    if (!size)
        return 0;
    buffer = malloc(size);
    if (!buffer)
        return -ENOMEM;
    iov = (struct iovec){ buffer, size };
    cursor = (struct cursor){ &iov, 1, 0 };
    err = map_read(&q->image, offset, &cursor, size);
    if (!err && !(fresh && !memcmp(buffer, zeros, size < 512 ? size : 512) &&
                  (size <= 512 || !memcmp(buffer, buffer + 512, size - 512))))
        err = file_write(&q->image.file, host, buffer, size);
    free(buffer);
    return err;
}

/* Fills the reserved clusters, without the lock. */
static int fill(struct qcow2 *q, uint64_t offset, struct cursor *from, uint64_t size,
                const struct reservation *r, bool fresh)
{
    uint64_t mask = q->cluster_size - 1, in = offset & mask, end = offset + size;
    uint64_t host = r->first << q->cluster_bits, tail = -end & mask;
    int err = copy_up(q, offset - in, host, in, fresh);

    if (end + tail > q->image.size)
        tail = end < q->image.size ? q->image.size - end : 0;
    if (!err)
        err = file_writev(&q->image.file, host + in, from, size);
    return err ? err : copy_up(q, end, host + in + size, tail, fresh);
}

/* In the lock: the reserved clusters become part of the tree. */
static int enter(struct qcow2 *q, const struct place *p, const struct reservation *r)
{
    struct table *table;
    int err = 0;

    for (uint64_t n = 0; !err && n < r->count; n++)
        err = refs_set(q, r->first + n, 1);
    if (!err)
        err = table_l2(q, p->l1, true, &table);
    if (!err)
        table_changed(q, table); /* and so it stays in memory */
    for (uint64_t n = 0; !err && n < r->count; n++) {
        uint8_t *at = table->data + (p->l2 + n) * 8;
        uint64_t old = get64(at);

        put64(at, (r->first + n) << q->cluster_bits | QCOW2_COPIED);
        if (map_drop(q, old))
            qcow2_damaged(q, "a cluster is used that is not counted");
    }
    for (uint64_t n = 0; err && n < r->count; n++)
        refs_set(q, r->first + n, 0);
    return err;
}

/* In the lock: how many clusters from p on, of size bytes, cannot be written in place. */
static uint64_t count_new(struct qcow2 *q, const struct place *p, uint64_t size,
                          const struct table *table)
{
    uint64_t all = (p->in + size + q->cluster_size - 1) >> q->cluster_bits, n;

    for (n = 0; n < all; n++) {
        struct mapping m;

        if (map_entry(q, entry_at(table, p->l2 + n), &m) || m.own)
            break;
    }
    return n;
}

/* In the lock, which it gives up to write. Writes a start of what is asked for: *done bytes. */
static int write_new(struct qcow2 *q, uint64_t offset, const struct place *p, struct cursor *from,
                     uint64_t *done)
{
    struct reservation r;
    struct table *table;
    int err = table_l2(q, p->l1, true, &table);
    uint64_t want = err ? 0 : count_new(q, p, p->most, table);
    bool fresh;

    if (!err)
        err = refs_reserve(q, want, false, &r);
    if (err)
        return err;
    *done = (r.count << q->cluster_bits) - p->in;
    if (*done > p->most)
        *done = p->most;
    fresh = r.first >= q->end;
    if (r.first + r.count > q->end)
        q->end = r.first + r.count;
    pthread_mutex_unlock(&q->lock);
    err = fill(q, offset, from, *done, &r, fresh);
    pthread_mutex_lock(&q->lock);
    if (!err)
        err = enter(q, p, &r);
    refs_unreserve(q, &r);
    return err;
}

static bool overlaps(uint64_t a, uint64_t asize, uint64_t b, uint64_t bsize)
{
    return a < b + bsize && b < a + asize;
}

/* In the lock. Data where the image's own roots are: somebody made this image to be hurt. */
static bool hits_roots(const struct qcow2 *q, uint64_t host, uint64_t size)
{
    const struct roots *const both[] = { &q->roots, &q->committed };
    bool hit = host < q->cluster_size;

    for (int i = 0; i < 2; i++)
        hit |= overlaps(host, size, both[i]->l1_offset, both[i]->l1_size * 8ull) ||
               overlaps(host, size, both[i]->rt_offset,
                        (uint64_t)both[i]->rt_clusters << q->cluster_bits);
    return hit;
}

/* In the lock, which it gives up to write. */
static int write_some(struct qcow2 *q, uint64_t offset, struct cursor *from, uint64_t size,
                      uint64_t *done)
{
    struct place p = place_of(q, offset, size);
    struct mapping m;
    int err = q->damaged ? -EIO : look_up(q, &p, &m, done);

    if (err)
        return err;
    if (m.kind == CLUSTER_PACKED)
        pack_forget(q, offset);
    if (!m.own)
        return write_new(q, offset, &p, from, done);
    if (hits_roots(q, m.host, p.in + *done)) {
        qcow2_damaged(q, "the disk's data lies where its tables are");
        return -EIO;
    }
    pthread_mutex_unlock(&q->lock);
    err = file_writev(&q->image.file, m.host + p.in, from, *done);
    pthread_mutex_lock(&q->lock);
    return err;
}

static int write_all(struct qcow2 *q, uint64_t offset, struct cursor *from, uint64_t size)
{
    int err = 0;

    pthread_mutex_lock(&q->lock);
    while (!err && size) {
        uint64_t done = 0;

        err = write_some(q, offset, from, size, &done);
        offset += done;
        size -= done;
    }
    pthread_mutex_unlock(&q->lock);
    return err;
}

int map_write(struct disk *image, uint64_t offset, struct cursor *from, uint64_t size)
{
    struct qcow2 *q = qcow2_of(image);
    int err = write_all(q, offset, from, size);

    return err ? err : commit_if_much(q);
}

/* --- Zeros and holes -------------------------------------------------------- */

static int write_zeros(struct qcow2 *q, uint64_t offset, uint64_t size)
{
    static uint8_t zeros[65536];
    int err = 0;

    while (!err && size) {
        uint64_t n = size < sizeof(zeros) ? size : sizeof(zeros), run;
        struct iovec iov = { zeros, n };
        struct cursor cursor = { &iov, 1, 0 };

        if (!map_is_zero(&q->image, offset, n, &run) || run < n)
            err = write_all(q, offset, &cursor, n);
        offset += n;
        size -= n;
    }
    return err;
}

/* What an entry becomes that shall read as zeros; false: this version cannot say so. */
static bool zero_entry(const struct qcow2 *q, uint64_t *entry)
{
    if (q->version >= 3 && (q->image.backing || q->backing_name)) {
        *entry = QCOW2_ZERO;
        return true;
    }
    *entry = 0;
    return !q->image.backing && !q->backing_name;
}

/* Whole clusters inside one L2 table. */
static int zero_entries(struct qcow2 *q, const struct place *p, uint64_t count, uint64_t entry)
{
    struct table *table;
    int err = q->damaged ? -EIO : table_l2(q, p->l1, entry != 0, &table);

    for (uint64_t n = 0; !err && table && n < count; n++) {
        uint8_t *at = table->data + (p->l2 + n) * 8;
        uint64_t old = get64(at);

        if (old == entry)
            continue;
        if (old & QCOW2_COMPRESSED)
            pack_forget(q, ((p->l1 * qcow2_l2_entries(q)) + p->l2 + n) << q->cluster_bits);
        put64(at, entry);
        table_changed(q, table);
        if (map_drop(q, old))
            qcow2_damaged(q, "a cluster is used that is not counted");
    }
    return err;
}

/* Calls zero_entries for the whole clusters of a range that begins with one. */
static int zero_clusters(struct qcow2 *q, uint64_t offset, uint64_t size, uint64_t entry)
{
    int err = 0;

    while (!err && size) {
        struct place p = place_of(q, offset, size);

        pthread_mutex_lock(&q->lock);
        err = zero_entries(q, &p, (p.most + q->cluster_size - 1) >> q->cluster_bits, entry);
        pthread_mutex_unlock(&q->lock);
        if (!err)
            err = commit_if_much(q);
        offset += p.most;
        size -= p.most;
    }
    return err;
}

/* Cuts a range into a part of a cluster, whole ones (the disk's end completes one), and a part. */
static void cut(const struct qcow2 *q, uint64_t offset, uint64_t size, uint64_t *head,
                uint64_t *tail)
{
    uint64_t mask = q->cluster_size - 1, end = offset + size;

    *head = -offset & mask;
    *tail = end == q->image.size ? 0 : end & mask;
    if (*head + *tail > size || *head > size) {
        *head = size;
        *tail = 0;
    }
}

int map_zero(struct disk *image, uint64_t offset, uint64_t size)
{
    struct qcow2 *q = qcow2_of(image);
    uint64_t head, tail, entry;
    int err;

    if (!zero_entry(q, &entry)) {
        err = write_zeros(q, offset, size);
        return err ? err : commit_if_much(q);
    }
    cut(q, offset, size, &head, &tail);
    err = write_zeros(q, offset, head);
    if (!err)
        err = zero_clusters(q, offset + head, size - head - tail, entry);
    if (!err)
        err = write_zeros(q, offset + size - tail, tail);
    return err ? err : commit_if_much(q);
}

int map_discard(struct disk *image, uint64_t offset, uint64_t size)
{
    struct qcow2 *q = qcow2_of(image);
    uint64_t head, tail, entry;

    if (!zero_entry(q, &entry))
        return 0;
    cut(q, offset, size, &head, &tail);
    return zero_clusters(q, offset + head, size - head - tail, entry);
}
