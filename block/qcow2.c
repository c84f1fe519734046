/* Opening, making and closing qcow2 images. */
#include "block/qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void qcow2_damaged(struct qcow2 *q, const char *what)
{
    if (!q->damaged)
        fprintf(stderr, "novt: '%s' is damaged: %s. It is not written any more; see novt image"
                        " check\n", q->image.path, what);
    q->damaged = true;
}

/* --- The calls -------------------------------------------------------------- */

static int qcow2_flush(struct disk *image)
{
    return qcow2_of(image)->no_commit ? 0 : commit_now(qcow2_of(image));
}

static void qcow2_free(struct qcow2 *q)
{
    table_free_all(q);
    free(q->l1);
    free(q->l2);
    free(q->rt);
    free(q->rb);
    free(q->freed.cluster);
    free(q->committing.cluster);
    free(q->inflated);
    free(q->deflated);
    free(q->backing_name);
    free(q->backing_format);
    pthread_mutex_destroy(&q->lock);
    pthread_mutex_destroy(&q->commit_lock);
    pthread_mutex_destroy(&q->inflate_lock);
    free(q->image.path);
    free(q);
}

static void qcow2_close(struct disk *image)
{
    file_close(&image->file);
    qcow2_free(qcow2_of(image));
}

static void qcow2_info(struct disk *image, struct disk_info *info)
{
    const struct qcow2 *q = qcow2_of(image);

    info->cluster_size = q->cluster_size;
    info->version = q->version;
    info->refcount_bits = 1u << q->refcount_order;
    info->snapshots = q->snapshot_count;
    info->lazy_refcounts = q->compatible & QCOW2_LAZY;
    info->dirty = q->incompatible & QCOW2_DIRTY;
    info->corrupt = q->incompatible & QCOW2_CORRUPT;
    info->bitmaps = q->autoclear & QCOW2_BITMAPS && q->bitmap_count;
    info->backing = q->backing_name;
    info->backing_format = q->backing_format;
}

static const struct disk_ops qcow2_ops = {
    .read = map_read,
    .write = map_write,
    .zero = map_zero,
    .discard = map_discard,
    .flush = qcow2_flush,
    .close = qcow2_close,
    .is_zero = map_is_zero,
    .read_now = map_read_now,
    .write_compressed = pack_write,
    .info = qcow2_info,
    .check = check_run,
};

/* --- Opening ---------------------------------------------------------------- */

/* Takes the file over, even when there is no memory. */
static struct qcow2 *new_image(struct file *file, const char *path, struct disk_error *error)
{
    struct qcow2 *q = calloc(1, sizeof(*q));
    char *name = strdup(path);

    if (!q || !name) {
        fail(error, -ENOMEM, "'%s': no memory", path);
        file_close(file);
        free(q);
        free(name);
        return NULL;
    }
    q->image = (struct disk){
        .ops = &qcow2_ops,
        .format = DISK_QCOW2,
        .file = *file,
        .path = name,
        .readonly = !file->writable,
    };
    q->hint = 1;
    q->inflated_at = ~0ull;
    pthread_mutex_init(&q->lock, NULL);
    pthread_mutex_init(&q->commit_lock, NULL);
    pthread_mutex_init(&q->inflate_lock, NULL);
    return q;
}

static int make_arrays(struct qcow2 *q, struct disk_error *error)
{
    uint64_t l1 = q->roots.l1_size;

    q->rt_entries = ((uint64_t)q->roots.rt_clusters << q->cluster_bits) / 8;
    q->l1 = calloc(l1 + 1, sizeof(*q->l1));
    q->l2 = calloc(l1 + 1, sizeof(struct table *));
    q->rt = calloc(q->rt_entries + 1, sizeof(*q->rt));
    q->rb = calloc(q->rt_entries + 1, sizeof(struct table *));
    if (q->l1 && q->l2 && q->rt && q->rb)
        return 0;
    return fail(error, -ENOMEM, "'%s': no memory for its tables", q->image.path);
}

static int read_array(struct qcow2 *q, uint64_t offset, uint64_t *entries, uint64_t count)
{
    int err = file_read(&q->image.file, offset, entries, count * sizeof(*entries));

    for (uint64_t i = 0; i < count; i++)
        entries[i] = get64(&entries[i]);
    return err;
}

static int read_roots(struct qcow2 *q, struct disk_error *error)
{
    int64_t end = file_size(&q->image.file);
    int err = make_arrays(q, error);

    if (err)
        return err;
    err = read_array(q, q->roots.l1_offset, q->l1, q->roots.l1_size);
    if (!err)
        err = read_array(q, q->roots.rt_offset, q->rt, q->rt_entries);
    if (err)
        return fail(error, err, "cannot read the tables of '%s': %s", q->image.path,
                    strerror(-err));
    q->committed = q->roots;
    q->end = end < 0 ? 0 : qcow2_clusters(q, (uint64_t)end);
    q->image.granule = q->cluster_size;
    q->image.size &= ~511ull;
    return 0;
}

static int open_backing(struct qcow2 *q, const struct chain *up, struct disk_error *error)
{
    struct chain here = { up, q->image.file.dev, q->image.file.ino, up ? up->depth + 1 : 0 };

    if (!q->backing_name)
        return 0;
    q->image.backing = backing_open(q->backing_name, q->backing_format, q->image.path, &here,
                                    error);
    return q->image.backing ? 0 : -EINVAL;
}

/* Refcounts that whoever wrote the image last has left behind: counted anew. */
static int repair(struct qcow2 *q, struct disk_error *error)
{
    struct disk_check result = { 0 };
    int err = check_run(&q->image, REPAIR_ALL, NULL, &result);

    if (err || result.corruptions || result.errors)
        return fail(error, -EINVAL, "'%s' was not closed and cannot be repaired; try novt image"
                    " check -r all", q->image.path);
    fprintf(stderr, "novt: note: '%s' was not closed by whoever wrote it last; its refcounts were"
                    " counted anew\n", q->image.path);
    q->incompatible &= ~(uint64_t)QCOW2_DIRTY;
    q->rt_dirty = true;
    return commit_now(q) ? fail(error, -EIO, "'%s' cannot be written", q->image.path) : 0;
}

static int forget_bitmaps(struct qcow2 *q, struct disk_error *error)
{
    if (q->autoclear & QCOW2_BITMAPS && check_drop_bitmaps(q))
        return fail(error, -EINVAL, "'%s' is damaged: its bitmaps cannot be read; try novt image"
                    " check -r all", q->image.path);
    q->autoclear = 0;
    q->rt_dirty = true;
    return commit_now(q) ? fail(error, -EIO, "'%s' cannot be written", q->image.path) : 0;
}

static int make_writable(struct qcow2 *q, struct disk_error *error)
{
    int err = 0;

    if (q->incompatible & QCOW2_CORRUPT)
        return fail(error, -EINVAL, "'%s' is marked as corrupt; repair it (novt image check -r all)"
                    " or open it with readonly=on", q->image.path);
    if (q->incompatible & QCOW2_DIRTY)
        err = repair(q, error);
    if (!err && check_tables_counted(q))
        err = fail(error, -EINVAL, "'%s' is damaged: its refcounts do not count its own tables;"
                   " repair it (novt image check -r all) or open it with readonly=on",
                   q->image.path);
    if (!err && q->autoclear)
        err = forget_bitmaps(q, error);
    return err;
}

struct disk *qcow2_open(struct file *file, const char *path, const struct disk_options *options,
                         const struct chain *up, struct disk_error *error)
{
    struct qcow2 *q = new_image(file, path, error);

    if (!q)
        return NULL;
    if (header_read(q, error) || read_roots(q, error) ||
        (!options->alone && open_backing(q, up, error)) ||
        (file->writable && !options->damaged && make_writable(q, error))) {
        struct disk *backing = q->image.backing;

        if (backing)
            disk_close(backing);
        qcow2_close(&q->image);
        return NULL;
    }
    return &q->image;
}

/* --- Making one ------------------------------------------------------------- */

static int set_layout(struct qcow2 *q, const struct disk_layout *layout,
                      struct disk_error *error)
{
    uint32_t cluster = layout->cluster_size ? layout->cluster_size : 65536;
    unsigned bits = layout->refcount_bits ? layout->refcount_bits : 16;
    uint64_t reach, l1;

    if (cluster < 512 || cluster > 2u << 20 || cluster & (cluster - 1))
        return fail(error, -EINVAL, "cluster_size=%u: must be a power of two from 512 to 2M",
                    cluster);
    if (bits > 64 || bits & (bits - 1))
        return fail(error, -EINVAL, "refcount_bits=%u: must be a power of two up to 64", bits);
    q->version = layout->version ? layout->version : 3;
    if (q->version < 3 && (bits != 16 || layout->lazy_refcounts))
        return fail(error, -EINVAL, "compat=0.10 has neither lazy_refcounts nor refcount_bits other"
                    " than 16; write compat=1.1");
    q->cluster_size = cluster;
    q->cluster_bits = (unsigned)__builtin_ctz(cluster);
    q->refcount_order = (unsigned)__builtin_ctz(bits);
    q->compatible = layout->lazy_refcounts ? QCOW2_LAZY : 0;
    q->image.size = layout->size;
    reach = cluster * qcow2_l2_entries(q);
    l1 = layout->size / reach + (layout->size % reach != 0);
    if (l1 > QCOW2_L1_MAX / 8)
        return fail(error, -EFBIG, "%llu bytes are too many for clusters of %u bytes; write -o"
                    " cluster_size=2M", (unsigned long long)layout->size, cluster);
    q->roots.l1_size = (uint32_t)l1;
    return 0;
}

/* An empty tree is what a commit makes of nothing. */
static int make_tree(struct qcow2 *q, struct disk_error *error)
{
    int err = make_arrays(q, error);

    if (err)
        return err;
    q->l1_dirty = true;
    err = refs_set(q, 0, 1);
    if (!err)
        err = commit_now(q);
    return err ? fail(error, err, "cannot write the image: %s", strerror(-err)) : 0;
}

int qcow2_create(struct file *file, const struct disk_layout *layout, struct disk_error *error)
{
    struct qcow2 *q = new_image(file, "new image", error);
    int err;

    if (!q)
        return -ENOMEM;
    err = set_layout(q, layout, error);
    if (!err)
        err = header_write_new(q, layout, error);
    if (!err)
        err = make_tree(q, error);
    qcow2_free(q); /* the file stays the caller's */
    return err;
}

struct disk *qcow2_overlay(struct disk *backing, struct disk_error *error)
{
    struct disk_layout layout = { .size = backing->size };
    struct disk_options options = { .format = DISK_QCOW2, .alone = true };
    struct disk *image = NULL;
    struct file file;

    if (!file_temporary(&file, error)) {
        if (qcow2_create(&file, &layout, error))
            file_close(&file);
        else
            image = qcow2_open(&file, backing->path, &options, NULL, error);
    }
    if (!image) {
        disk_close(backing);
        return NULL;
    }
    image->backing = backing;
    image->snapshot = true;
    qcow2_of(image)->no_commit = true;
    return image;
}
