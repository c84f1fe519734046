/*
 * Checking and repairing: every reference is counted and compared with the refcounts, and the flags
 * that say "only one reference" with both. Nothing is believed; time and memory are bounded by the
 * file's length.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "block/qcow2.h"

#define CLUSTERS_MAX (1ull << 29)
enum { REPORTS_MAX = 1000 };

struct tally {
    struct qcow2 *q;
    uint32_t *refs; /* by cluster of the file */
    uint64_t clusters;
    uint8_t *l2; /* room for one table */
    enum disk_repair repair;
    FILE *out;
    unsigned reports;
    struct disk_check *result;
};

static void report(struct tally *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void report(struct tally *t, const char *format, ...)
{
    va_list args;

    if (!t->out || t->reports > REPORTS_MAX)
        return;
    if (t->reports++ == REPORTS_MAX) {
        fprintf(t->out, "and more\n");
        return;
    }
    va_start(args, format);
    vfprintf(t->out, format, args);
    va_end(args);
    fputc('\n', t->out);
}

/* --- Counting --------------------------------------------------------------- */

static void mark(struct tally *t, uint64_t offset, uint64_t size, const char *what)
{
    uint64_t bits = t->q->cluster_bits;

    if (!size)
        return;
    if (offset + size < offset || (offset + size - 1) >> bits >= t->clusters) {
        report(t, "ERROR %s at %#llx: outside the file", what, (unsigned long long)offset);
        t->result->corruptions++;
        return;
    }
    for (uint64_t c = offset >> bits; c <= (offset + size - 1) >> bits; c++)
        t->refs[c] += t->refs[c] != UINT32_MAX;
}

static void count_entry(struct tally *t, uint64_t entry, uint64_t guest, bool active)
{
    struct mapping m;

    if (map_entry(t->q, entry, &m)) {
        report(t, "ERROR guest cluster at %#llx: entry %#llx is impossible",
               (unsigned long long)guest, (unsigned long long)entry);
        t->result->corruptions++;
        return;
    }
    if (m.kind == CLUSTER_NONE || !m.host)
        return;
    t->result->allocated += active;
    t->result->compressed += active && m.kind == CLUSTER_PACKED;
    mark(t, m.host, m.kind == CLUSTER_PACKED ? m.host_size : t->q->cluster_size, "data");
}

/* Reads a table unless it cannot be one, or has been seen as often as there are roots. */
static bool read_l2(struct tally *t, uint64_t offset)
{
    struct qcow2 *q = t->q;
    uint64_t cluster = offset >> q->cluster_bits, run;

    if (offset & (q->cluster_size - 1) || cluster >= t->clusters ||
        t->refs[cluster] > q->snapshot_count) {
        report(t, "ERROR L2 table at %#llx: outside the file, or used too often",
               (unsigned long long)offset);
        t->result->corruptions++;
        return false;
    }
    t->refs[cluster]++;
    if (file_is_hole(&q->image.file, offset, q->cluster_size, &run) && run == q->cluster_size)
        return false; /* a hostile image could have terabytes of these */
    if (!file_read(&q->image.file, offset, t->l2, q->cluster_size))
        return true;
    t->result->errors++;
    return false;
}

static void count_tree(struct tally *t, const uint64_t *l1, uint32_t size, bool active)
{
    uint64_t n = qcow2_l2_entries(t->q);

    for (uint32_t i = 0; i < size; i++) {
        uint64_t offset = l1[i] & QCOW2_OFFSET;

        if (!offset || !read_l2(t, offset))
            continue;
        for (uint64_t k = 0; k < n; k++)
            count_entry(t, get64(t->l2 + k * 8), (i * n + k) << t->q->cluster_bits, active);
    }
}

/* --- Snapshots -------------------------------------------------------------- */

static int count_snapshot(struct tally *t, uint64_t l1_offset, uint32_t l1_size)
{
    uint64_t *l1;
    int err;

    if (l1_size > QCOW2_L1_MAX / 8 || l1_offset & (t->q->cluster_size - 1)) {
        report(t, "ERROR a snapshot's L1 table is impossible");
        t->result->corruptions++;
        return 0;
    }
    mark(t, l1_offset, l1_size * 8ull, "a snapshot's L1 table");
    l1 = malloc(l1_size * 8ull + 8);
    if (!l1)
        return -ENOMEM;
    err = file_read(&t->q->image.file, l1_offset, l1, l1_size * 8ull);
    for (uint32_t i = 0; i < l1_size; i++)
        l1[i] = get64(&l1[i]);
    if (!err)
        count_tree(t, l1, l1_size, false);
    free(l1);
    return err;
}

static int count_snapshots(struct tally *t)
{
    struct qcow2 *q = t->q;
    uint64_t at = q->snapshot_offset;

    for (uint32_t i = 0; i < q->snapshot_count; i++) {
        uint8_t h[40];
        int err = file_read(&q->image.file, at, h, sizeof(h));

        if (!err)
            err = count_snapshot(t, get64(h), get32(h + 8));
        if (err)
            return err;
        at += sizeof(h) + get32(h + 36) + (get32(h + 12) >> 16) + (get32(h + 12) & 0xffff);
        at = (at + 7) & ~7ull;
        if (at - q->snapshot_offset > 64u << 20)
            return -EIO;
    }
    mark(t, q->snapshot_offset, at - q->snapshot_offset, "the snapshots' table");
    return 0;
}

/* --- Bitmaps ---------------------------------------------------------------- */

typedef int bitmap_fn(void *arg, uint64_t offset, uint64_t size);

static int each_bitmap_cluster(struct qcow2 *q, uint64_t table, uint32_t size, bitmap_fn *fn,
                               void *arg)
{
    int err = 0;

    for (uint32_t i = 0; !err && i < size; i++) {
        uint8_t entry[8];

        err = file_read(&q->image.file, table + i * 8ull, entry, sizeof(entry));
        if (!err && get64(entry) & QCOW2_OFFSET)
            err = fn(arg, get64(entry) & QCOW2_OFFSET, q->cluster_size);
    }
    return err ? err : fn(arg, table, size * 8ull);
}

/* Calls fn for every range that bitmaps take up. */
static int each_bitmap_range(struct qcow2 *q, bitmap_fn *fn, void *arg)
{
    uint64_t at = q->bitmap_directory, end = at + q->bitmap_directory_size;
    int64_t file_end = file_size(&q->image.file);

    if (!(q->autoclear & QCOW2_BITMAPS) || !q->bitmap_count)
        return 0;
    if (file_end < 0 || end < at || end > (uint64_t)file_end ||
        q->bitmap_directory_size > 64u << 20)
        return -EIO;
    while (at + 24 <= end) {
        uint8_t h[24];
        int err = file_read(&q->image.file, at, h, sizeof(h));

        if (!err && (get64(h) >= (uint64_t)file_end || get32(h + 8) > 8u << 20))
            err = -EIO;
        if (!err)
            err = each_bitmap_cluster(q, get64(h), get32(h + 8), fn, arg);
        if (err)
            return err;
        at += 24 + (uint64_t)get32(h + 20) + (get32(h + 16) & 0xffff);
        at = (at + 7) & ~7ull;
    }
    return fn(arg, q->bitmap_directory, q->bitmap_directory_size);
}

static int mark_range(void *arg, uint64_t offset, uint64_t size)
{
    mark(arg, offset, size, "a bitmap");
    return 0;
}

static int drop_range(void *arg, uint64_t offset, uint64_t size)
{
    struct qcow2 *q = arg;
    int err = 0;

    for (uint64_t n = 0; !err && n < qcow2_clusters(q, size); n++)
        err = refs_drop(q, (offset >> q->cluster_bits) + n, true);
    return err;
}

int check_drop_bitmaps(struct qcow2 *q)
{
    int err;

    pthread_mutex_lock(&q->lock);
    err = each_bitmap_range(q, drop_range, q);
    pthread_mutex_unlock(&q->lock);
    return err;
}

/* --- Refcounts -------------------------------------------------------------- */

/* Refcount blocks that cannot be are left out when everything is repaired. */
static void count_blocks(struct tally *t)
{
    struct qcow2 *q = t->q;

    for (uint64_t i = 0; i < q->rt_entries; i++) {
        uint64_t offset = q->rt[i];

        if (!offset)
            continue;
        if (!(offset & (q->cluster_size - 1)) && offset >> q->cluster_bits < t->clusters &&
            !t->refs[offset >> q->cluster_bits]) {
            t->refs[offset >> q->cluster_bits]++;
            continue;
        }
        report(t, "ERROR refcount block %llu at %#llx: outside the file, or used otherwise",
               (unsigned long long)i, (unsigned long long)offset);
        if (t->repair == REPAIR_ALL && !q->rb[i]) {
            q->rt[i] = 0;
            q->rt_dirty = true;
            t->result->corruptions_fixed++;
        } else {
            t->result->corruptions++;
        }
    }
}

static int count_all(struct tally *t)
{
    struct qcow2 *q = t->q;
    int err;

    mark(t, 0, 1, "the header");
    mark(t, q->roots.l1_offset, q->roots.l1_size * 8ull, "the L1 table");
    mark(t, q->roots.rt_offset, (uint64_t)q->roots.rt_clusters << q->cluster_bits,
         "the refcount table");
    count_tree(t, q->l1, q->roots.l1_size, true);
    err = count_snapshots(t);
    if (!err && each_bitmap_range(q, mark_range, t)) {
        report(t, "ERROR the bitmaps cannot be read");
        t->result->corruptions++;
    }
    if (!err)
        count_blocks(t);
    return err;
}

static int compare_one(struct tally *t, uint64_t cluster, uint64_t stored)
{
    uint64_t refs = cluster < t->clusters ? t->refs[cluster] : 0;
    bool leak = stored > refs, fix = t->repair == REPAIR_ALL || (leak && t->repair);

    if (stored == refs)
        return 0;
    report(t, "%s cluster %llu: refcount %llu, references %llu%s", leak ? "Leaked" : "ERROR",
           (unsigned long long)cluster, (unsigned long long)stored, (unsigned long long)refs,
           fix ? ": repaired" : "");
    if (leak)
        *(fix ? &t->result->leaks_fixed : &t->result->leaks) += 1;
    else
        *(fix ? &t->result->corruptions_fixed : &t->result->corruptions) += 1;
    return fix ? refs_set(t->q, cluster, refs) : 0;
}

/* One refcount block's clusters. */
static int compare_block(struct tally *t, uint64_t index)
{
    uint64_t per = qcow2_refs_per_block(t->q), first = index * per;
    struct table *block;
    int err = table_refs(t->q, index, false, &block);

    if (err) {
        report(t, "ERROR refcount block %llu cannot be read", (unsigned long long)index);
        t->result->errors++;
        return 0;
    }
    if (!block && first >= t->clusters)
        return 0;
    for (uint64_t i = 0; !err && i < per && (block || first + i < t->clusters); i++) {
        uint64_t stored;

        err = refs_get(t->q, first + i, &stored);
        if (!err && stored && t->result->end < (first + i + 1) << t->q->cluster_bits)
            t->result->end = (first + i + 1) << t->q->cluster_bits;
        if (!err)
            err = compare_one(t, first + i, stored);
    }
    return err;
}

static int compare(struct tally *t)
{
    uint64_t per = qcow2_refs_per_block(t->q), have = (t->clusters + per - 1) / per;
    uint64_t blocks = t->q->rt_entries > have ? t->q->rt_entries : have;
    int err = 0;

    for (uint64_t i = 0; !err && i < blocks; i++)
        err = compare_block(t, i);
    return err;
}

/* --- Flags ------------------------------------------------------------------ */

/* Whether entry's flag differs from its cluster's refcount; counts and repairs that. */
static bool is_flag_wrong(struct tally *t, uint64_t entry, uint64_t *right)
{
    uint64_t host = entry & QCOW2_OFFSET, count;

    *right = entry & ~QCOW2_COPIED;
    if (!(entry & QCOW2_COMPRESSED)) {
        if (!host || refs_get(t->q, host >> t->q->cluster_bits, &count))
            return false;
        if (count == 1)
            *right = entry | QCOW2_COPIED;
    }
    if (*right == entry)
        return false;
    report(t, "ERROR entry %#llx: its flag of a single reference is wrong%s",
           (unsigned long long)entry, t->repair == REPAIR_ALL ? ": repaired" : "");
    if (t->repair == REPAIR_ALL)
        t->result->corruptions_fixed++;
    else
        t->result->corruptions++;
    return t->repair == REPAIR_ALL;
}

static int check_flags(struct tally *t)
{
    struct qcow2 *q = t->q;
    int err = 0;

    for (uint32_t i = 0; !err && i < q->roots.l1_size; i++) {
        uint64_t right, offset = q->l1[i] & QCOW2_OFFSET;
        struct table *table;

        if (!offset || offset & (q->cluster_size - 1) ||
            offset >> q->cluster_bits >= t->clusters || table_l2(q, i, false, &table))
            continue;
        if (is_flag_wrong(t, q->l1[i], &right)) {
            q->l1[i] = right;
            q->l1_dirty = true;
        }
        for (uint64_t k = 0; k < qcow2_l2_entries(q); k++) {
            uint8_t *at = table->data + k * 8;

            if (!is_flag_wrong(t, get64(at), &right))
                continue;
            put64(at, right);
            table_changed(q, table);
        }
    }
    return err;
}

/* --- All of it -------------------------------------------------------------- */

static int run(struct tally *t)
{
    struct qcow2 *q = t->q;
    int err;

    pthread_mutex_lock(&q->lock);
    if (t->repair == REPAIR_ALL)
        q->damaged = false;
    t->result->total = qcow2_clusters(q, q->image.size);
    err = count_all(t);
    if (!err)
        err = compare(t);
    if (!err)
        err = check_flags(t);
    if (!err && t->repair == REPAIR_ALL && q->incompatible & QCOW2_CORRUPT &&
        !t->result->corruptions && !t->result->errors) {
        q->incompatible &= ~(uint64_t)QCOW2_CORRUPT;
        q->rt_dirty = true;
    }
    pthread_mutex_unlock(&q->lock);
    if (!err && t->repair)
        err = commit_now(q);
    return err;
}

int check_run(struct disk *image, enum disk_repair repair, FILE *out, struct disk_check *result)
{
    struct qcow2 *q = qcow2_of(image);
    struct tally t = { .q = q, .repair = repair, .out = out, .result = result };
    int err = repair ? 0 : disk_flush(image);
    int64_t end = file_size(&image->file);

    if (err || end < 0)
        return err ? err : (int)end;
    t.clusters = qcow2_clusters(q, (uint64_t)end);
    if (t.clusters > CLUSTERS_MAX)
        return -EFBIG;
    t.refs = calloc(t.clusters + 1, sizeof(*t.refs));
    t.l2 = malloc(q->cluster_size);
    err = t.refs && t.l2 ? run(&t) : -ENOMEM;
    free(t.refs);
    free(t.l2);
    return err;
}

static int is_counted(struct qcow2 *q, uint64_t offset, uint64_t size)
{
    for (uint64_t n = 0; n < qcow2_clusters(q, size); n++) {
        uint64_t count;

        if (refs_get(q, (offset >> q->cluster_bits) + n, &count) || !count)
            return -EIO;
    }
    return 0;
}

int check_tables_counted(struct qcow2 *q)
{
    const struct roots *r = &q->roots;
    int err = 0;

    pthread_mutex_lock(&q->lock);
    if (is_counted(q, 0, 1) || is_counted(q, r->l1_offset, r->l1_size * 8ull) ||
        is_counted(q, r->rt_offset, (uint64_t)r->rt_clusters << q->cluster_bits))
        err = -EIO;
    for (uint32_t i = 0; !err && i < r->l1_size; i++)
        if (q->l1[i] & QCOW2_OFFSET)
            err = is_counted(q, q->l1[i] & QCOW2_OFFSET, 1);
    for (uint64_t i = 0; !err && i < q->rt_entries; i++)
        if (q->rt[i])
            err = is_counted(q, q->rt[i], 1);
    pthread_mutex_unlock(&q->lock);
    return err;
}
