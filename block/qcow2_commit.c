/*
 * Bringing changed tables to the disk, all at once (qcow2.h, Q1 to Q3; decision 0013):
 *
 *   1  in the lock: every changed L2 table, the L1 table, every changed refcount block and the
 *      refcount table get new places, and are written there. Getting places changes refcount
 *      blocks, so this goes round until none is without a new one
 *   2  without it: wait for the disk, write the roots into the header, wait again
 *   3  in the lock: what the tree on disk was made of is free
 *
 * While 2 goes on the guest's requests change tables again: they belong to the next commit. When a
 * step fails, the tables count as changed and the next commit tries again, in other places.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/qcow2.h"

#define DIRTY_MAX (8u << 20) /* bytes of tables */
enum { FREED_MAX = 1 << 16 };

/* --- 1: places -------------------------------------------------------------- */

/* Clusters in a row with refcount 1. */
static int take(struct qcow2 *q, uint64_t count, uint64_t *offset)
{
    struct reservation r = { 0, 0, NULL };
    int err = refs_reserve(q, count, true, &r);

    for (uint64_t n = 0; !err && n < count; n++)
        err = refs_set(q, r.first + n, 1);
    if (q->reservations == &r)
        refs_unreserve(q, &r);
    *offset = r.first << q->cluster_bits;
    return err;
}

/* What a root or a table leaves. */
static int leave(struct qcow2 *q, uint64_t offset, uint64_t count)
{
    for (uint64_t n = 0; offset && n < count; n++) {
        int err = refs_drop(q, (offset >> q->cluster_bits) + n, false);

        if (err)
            return err;
    }
    return 0;
}

static int move_l2(struct qcow2 *q, struct table *table)
{
    uint64_t *entry = &q->l1[table->index], old = *entry & QCOW2_OFFSET, new;
    int err = take(q, 1, &new);

    if (err)
        return err;
    *entry = new | QCOW2_COPIED;
    q->l1_dirty = true;
    return leave(q, old, 1);
}

static int move_l1(struct qcow2 *q)
{
    uint64_t count = qcow2_clusters(q, q->roots.l1_size * 8ull), old = q->roots.l1_offset, new;
    int err = take(q, count, &new);

    if (err)
        return err;
    q->roots.l1_offset = new;
    return leave(q, old, count);
}

static int move_block(struct qcow2 *q, struct table *table)
{
    uint64_t old = q->rt[table->index], new;
    int err = take(q, 1, &new);

    if (err)
        return err;
    q->rt[table->index] = new;
    return leave(q, old, 1);
}

/* Refcount table clusters for the blocks there are. */
static uint32_t reftable_clusters(const struct qcow2 *q)
{
    uint64_t n = q->rt_entries;
    uint32_t least = q->roots.rt_clusters ? q->roots.rt_clusters : 1;
    uint64_t need;

    while (n && !q->rt[n - 1] && !q->rb[n - 1])
        n--;
    need = qcow2_clusters(q, n * 8);
    if (need <= least)
        return least;
    need += need / 2; /* so that it does not grow every time */
    return (uint32_t)(need > QCOW2_REFTABLE_MAX >> q->cluster_bits
                          ? QCOW2_REFTABLE_MAX >> q->cluster_bits : need);
}

static int move_reftable(struct qcow2 *q)
{
    uint32_t count = reftable_clusters(q), old_count = q->roots.rt_clusters;
    uint64_t old = q->roots.rt_offset, new;
    int err = take(q, count, &new);

    if (err)
        return err;
    q->roots.rt_offset = new;
    q->roots.rt_clusters = count;
    return leave(q, old, old_count);
}

/* The changed tables of a kind that have no new place yet. They stay in memory: they are dirty. */
static size_t collect(struct qcow2 *q, bool l2, struct table **tables)
{
    size_t count = 0;

    for (struct table *table = q->oldest; table; table = table->newer)
        if (table->is_l2 == l2 && table->dirty && !table->committing)
            tables[count++] = table;
    return count;
}

/* Gives each of those one. *moved: there were some. */
static int move_tables(struct qcow2 *q, bool l2, bool *moved)
{
    struct table **tables = malloc((q->dirty_count + 1) * sizeof(struct table *));
    size_t count = tables ? collect(q, l2, tables) : 0;
    int err = tables ? 0 : -ENOMEM;

    *moved = count > 0;
    for (size_t i = 0; i < count; i++)
        tables[i]->committing = true;
    for (size_t i = 0; !err && i < count; i++)
        err = l2 ? move_l2(q, tables[i]) : move_block(q, tables[i]);
    free(tables);
    return err;
}

/* --- 1: writing ------------------------------------------------------------- */

static int write_tables(struct qcow2 *q)
{
    int err = 0;

    for (struct table *table = q->oldest; !err && table; table = table->newer) {
        uint64_t offset = table->is_l2 ? q->l1[table->index] & QCOW2_OFFSET : q->rt[table->index];

        if (!table->committing)
            continue;
        err = file_write(&q->image.file, offset, table->data, q->cluster_size);
        table_clean(q, table);
    }
    return err;
}

/* count entries, and zeros up to size bytes. */
static int write_array(struct qcow2 *q, const uint64_t *entries, uint64_t count, uint64_t offset,
                       uint64_t size)
{
    uint8_t *bytes = calloc(1, size ? size : 1);
    int err;

    if (!bytes)
        return -ENOMEM;
    for (uint64_t i = 0; i < count && i < size / 8; i++)
        put64(bytes + i * 8, entries[i]);
    err = file_write(&q->image.file, offset, bytes, size);
    free(bytes);
    return err;
}

/* A last cluster that was not written to its end must be inside the file all the same. */
static int extend(struct qcow2 *q)
{
    int64_t size = file_size(&q->image.file);
    uint64_t want = q->end << q->cluster_bits;

    if (size < 0 || (uint64_t)size >= want)
        return size < 0 ? (int)size : 0;
    return ftruncate(q->image.file.fd, (off_t)want) ? -errno : 0;
}

static int write_roots_tables(struct qcow2 *q, bool l1)
{
    const struct roots *r = &q->roots;
    int err = l1 ? write_array(q, q->l1, r->l1_size, r->l1_offset, r->l1_size * 8ull) : 0;

    if (!err)
        err = write_array(q, q->rt, q->rt_entries, r->rt_offset,
                          (uint64_t)r->rt_clusters << q->cluster_bits);
    return err ? err : extend(q);
}

static int write_out(struct qcow2 *q)
{
    bool moved = false, l1;
    int err = move_tables(q, true, &moved);

    l1 = q->l1_dirty;
    if (!err && l1 && q->roots.l1_size)
        err = move_l1(q);
    if (!err)
        err = move_reftable(q);
    do {
        if (!err)
            err = move_tables(q, false, &moved);
        if (!err && reftable_clusters(q) > q->roots.rt_clusters)
            err = move_reftable(q);
    } while (!err && moved);
    if (!err)
        err = write_tables(q);
    if (!err)
        err = write_roots_tables(q, l1 && q->roots.l1_size);
    q->l1_dirty = q->rt_dirty = false;
    return err;
}

/* --- The commit ------------------------------------------------------------- */

static bool is_needed(const struct qcow2 *q)
{
    return q->dirty_count || q->l1_dirty || q->rt_dirty;
}

static int change_roots(struct qcow2 *q, const struct roots *roots)
{
    int err = file_sync(&q->image.file);

    if (!err)
        err = header_write_roots(q, roots);
    return err ? err : file_sync(&q->image.file);
}

/* In the lock. */
static void finish(struct qcow2 *q, const struct roots *roots, int err)
{
    for (struct table *table = q->oldest; table; table = table->newer) {
        if (err && table->committing)
            table_changed(q, table);
        table->committing = false;
    }
    if (err) {
        q->l1_dirty = q->rt_dirty = true;
        refs_unrelease(q, &q->committing);
        return;
    }
    q->committed = *roots;
    refs_release(q, &q->committing);
}

/* In the commit lock. */
static int commit(struct qcow2 *q)
{
    struct freed empty;
    struct roots roots;
    int err;

    pthread_mutex_lock(&q->lock);
    if (!is_needed(q)) {
        pthread_mutex_unlock(&q->lock);
        return file_sync(&q->image.file);
    }
    q->packed = 0;
    err = q->damaged ? -EIO : write_out(q);
    roots = q->roots;
    empty = q->committing;
    q->committing = q->freed;
    q->freed = empty;
    pthread_mutex_unlock(&q->lock);
    if (!err)
        err = change_roots(q, &roots);
    pthread_mutex_lock(&q->lock);
    finish(q, &roots, err);
    pthread_mutex_unlock(&q->lock);
    return err;
}

int commit_now(struct qcow2 *q)
{
    int err;

    pthread_mutex_lock(&q->commit_lock);
    err = commit(q);
    pthread_mutex_unlock(&q->commit_lock);
    return err;
}

int commit_if_much(struct qcow2 *q)
{
    bool much;

    pthread_mutex_lock(&q->lock);
    much = q->dirty_count << q->cluster_bits > DIRTY_MAX || q->freed.count > FREED_MAX;
    pthread_mutex_unlock(&q->lock);
    return much ? commit_now(q) : 0;
}
