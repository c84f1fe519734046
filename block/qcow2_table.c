/*
 * L2 tables and refcount blocks in memory. Clean ones may be forgotten, the longest unused first;
 * dirty ones and refcount blocks with busy clusters stay until a commit.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/qcow2.h"

#define BYTES_MAX (16u << 20) /* of clean tables */
enum { KEEP = 8 };            /* never forgotten: somebody holds a pointer */

static struct table **slot(struct qcow2 *q, const struct table *table)
{
    return table->is_l2 ? &q->l2[table->index] : &q->rb[table->index];
}

static void link_newest(struct qcow2 *q, struct table *table)
{
    table->newer = NULL;
    table->older = q->newest;
    if (q->newest)
        q->newest->newer = table;
    else
        q->oldest = table;
    q->newest = table;
}

static void unlink_table(struct qcow2 *q, struct table *table)
{
    if (table->newer)
        table->newer->older = table->older;
    else
        q->newest = table->older;
    if (table->older)
        table->older->newer = table->newer;
    else
        q->oldest = table->newer;
}

static void forget(struct qcow2 *q, struct table *table)
{
    unlink_table(q, table);
    *slot(q, table) = NULL;
    q->table_count--;
    q->dirty_count -= table->dirty;
    free(table->busy);
    free(table);
}

static bool is_needed(const struct table *table)
{
    return table->dirty || table->committing || table->busy_count;
}

/* Looks at few of those that cannot go, so as not to take long when there are many. */
static void trim(struct qcow2 *q)
{
    struct table *table = q->oldest;

    for (unsigned looked = 0; table && looked < 64; looked++) {
        struct table *next = table->newer;

        if (q->table_count <= KEEP || q->table_count << q->cluster_bits <= BYTES_MAX)
            return;
        if (!is_needed(table)) {
            forget(q, table);
        } else if (next) {
            unlink_table(q, table);
            link_newest(q, table);
        }
        table = next;
    }
}

static struct table *new_table(struct qcow2 *q, uint64_t index, bool is_l2)
{
    struct table *table = calloc(1, sizeof(*table) + q->cluster_size);

    if (!table)
        return NULL;
    table->index = index;
    table->is_l2 = is_l2;
    return table;
}

static int load(struct qcow2 *q, struct table *table, uint64_t offset)
{
    int64_t end = file_size(&q->image.file);

    if (offset & (q->cluster_size - 1) || end < 0 || offset >= (uint64_t)end)
        return -EIO;
    return file_read(&q->image.file, offset, table->data, q->cluster_size);
}

static int get(struct qcow2 *q, uint64_t index, bool is_l2, uint64_t offset, bool make,
               struct table **out)
{
    struct table *table = is_l2 ? q->l2[index] : q->rb[index];
    int err = 0;

    *out = table;
    if (table && table != q->newest) {
        unlink_table(q, table);
        link_newest(q, table);
    }
    if (table || (!offset && !make))
        return 0;
    trim(q);
    table = new_table(q, index, is_l2);
    if (!table)
        return -ENOMEM;
    if (offset)
        err = load(q, table, offset);
    if (err) {
        free(table);
        return err;
    }
    link_newest(q, table);
    q->table_count++;
    *slot(q, table) = table;
    if (!offset)
        table_changed(q, table);
    *out = table;
    return 0;
}

int table_l2(struct qcow2 *q, uint64_t index, bool make, struct table **table)
{
    if (index >= q->roots.l1_size)
        return -EIO;
    return get(q, index, true, q->l1[index] & QCOW2_OFFSET, make, table);
}

/* Entries for count blocks and room for some more. */
static int grow_reftable(struct qcow2 *q, uint64_t count)
{
    uint64_t entries = count + count / 2 + 8;
    struct table **rb;
    uint64_t *rt;

    if (count > QCOW2_REFTABLE_MAX / 8)
        return -EFBIG;
    if (entries > QCOW2_REFTABLE_MAX / 8)
        entries = QCOW2_REFTABLE_MAX / 8;
    rt = realloc(q->rt, entries * sizeof(*rt));
    if (rt)
        q->rt = rt;
    rb = realloc(q->rb, entries * sizeof(struct table *));
    if (rb)
        q->rb = rb;
    if (!rt || !rb)
        return -ENOMEM;
    memset(rt + q->rt_entries, 0, (entries - q->rt_entries) * sizeof(*rt));
    memset(rb + q->rt_entries, 0, (entries - q->rt_entries) * sizeof(struct table *));
    q->rt_entries = entries;
    return 0;
}

int table_refs(struct qcow2 *q, uint64_t index, bool make, struct table **table)
{
    *table = NULL;
    if (index >= q->rt_entries) {
        int err = make ? grow_reftable(q, index + 1) : 0;

        if (err || !make)
            return err;
    }
    if (q->rt[index] & 511)
        return -EIO;
    return get(q, index, false, q->rt[index], make, table);
}

void table_changed(struct qcow2 *q, struct table *table)
{
    q->dirty_count += !table->dirty;
    table->dirty = true;
}

void table_clean(struct qcow2 *q, struct table *table)
{
    q->dirty_count -= table->dirty;
    table->dirty = false;
}

void table_free_all(struct qcow2 *q)
{
    while (q->newest)
        forget(q, q->newest);
}
