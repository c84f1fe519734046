/* The header, its extensions, and what can be wrong with them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/qcow2.h"

enum { /* offsets of fields */
    VERSION = 4, BACKING_OFFSET = 8, BACKING_SIZE = 16, CLUSTER_BITS = 20, SIZE = 24, CRYPT = 32,
    L1_SIZE = 36, L1_OFFSET = 40, RT_OFFSET = 48, RT_CLUSTERS = 56, SNAPSHOT_COUNT = 60,
    SNAPSHOT_OFFSET = 64, INCOMPATIBLE = 72, COMPATIBLE = 80, AUTOCLEAR = 88, REFCOUNT_ORDER = 96,
    HEADER_LENGTH = 100, COMPRESSION = 104,
};
enum { V2_LENGTH = 72, V3_LENGTH = 104, NAME_MAX_LENGTH = 1023, SNAPSHOTS_MAX = 65536 };
enum { EXT_END = 0, EXT_FORMAT = 0xe2792aca, EXT_NAMES = 0x6803f857, EXT_BITMAPS = 0x23852875 };

static int wrong(const struct qcow2 *q, struct disk_error *error, const char *what)
{
    return fail(error, -EINVAL, "'%s' is damaged or no qcow2 image: %s", q->image.path, what);
}

/* --- Features --------------------------------------------------------------- */

static const char *known_name(unsigned bit)
{
    static const char *const names[] = {
        [2] = "external data file", [3] = "compression type", [4] = "extended L2 entries",
    };

    return bit < sizeof(names) / sizeof(*names) ? names[bit] : NULL;
}

/* The image may hold a table of names: 1 byte type, 1 byte bit, 46 of text. */
static void written_name(const uint8_t *table, size_t size, unsigned bit, char *name)
{
    for (size_t i = 0; i + 48 <= size; i += 48) {
        if (table[i] || table[i + 1] != bit)
            continue;
        memcpy(name, table + i + 2, 46);
        name[46] = 0;
        for (char *c = name; *c; c++)
            if (*c < ' ' || *c > '~')
                *c = '?';
    }
}

static int check_features(const struct qcow2 *q, const uint8_t *names, size_t names_size,
                          struct disk_error *error)
{
    uint64_t unknown = q->incompatible & ~(uint64_t)(QCOW2_DIRTY | QCOW2_CORRUPT);
    unsigned bit = unknown ? (unsigned)__builtin_ctzll(unknown) : 0;
    char name[48] = "";

    if (!unknown)
        return 0;
    written_name(names, names_size, bit, name);
    if (known_name(bit))
        snprintf(name, sizeof(name), "%s", known_name(bit));
    return fail(error, -ENOTSUP, "'%s' uses a feature that is not supported: %s (incompatible"
                " feature bit %u); convert it by qemu-img convert -O qcow2", q->image.path,
                name[0] ? name : "one without a name", bit);
}

/* --- Extensions ------------------------------------------------------------- */

static char *text_of(const uint8_t *from, size_t size)
{
    return strndup((const char *)from, size);
}

struct names {
    const uint8_t *table;
    size_t size;
};

static int take_extension(struct qcow2 *q, uint32_t type, const uint8_t *data, uint32_t size,
                          struct names *names)
{
    if (type == EXT_FORMAT && size <= 64) {
        free(q->backing_format);
        q->backing_format = text_of(data, size);
        return q->backing_format ? 0 : -ENOMEM;
    }
    if (type == EXT_NAMES)
        *names = (struct names){ data, size };
    if (type == EXT_BITMAPS && size >= 24) {
        q->bitmap_count = get32(data);
        q->bitmap_directory_size = get64(data + 8);
        q->bitmap_directory = get64(data + 16);
    }
    return 0;
}

/* cluster: the first of the image. They end where the backing file's name begins. */
static int read_extensions(struct qcow2 *q, const uint8_t *cluster, size_t size,
                           struct names *names, struct disk_error *error)
{
    size_t at = q->header_length;

    while (at + 8 <= size) {
        uint32_t type = get32(cluster + at), length = get32(cluster + at + 4);

        at += 8;
        if (type == EXT_END)
            return 0;
        if (length > size - at)
            return wrong(q, error, "a header extension is longer than there is room for");
        if (take_extension(q, type, cluster + at, length, names))
            return fail(error, -ENOMEM, "'%s': no memory", q->image.path);
        at += (length + 7) & ~7ull;
    }
    return 0;
}

/* --- Reading ---------------------------------------------------------------- */

static bool is_table(const struct qcow2 *q, uint64_t offset, uint64_t bytes, uint64_t file_end)
{
    return !(offset & (q->cluster_size - 1)) && offset && offset <= file_end &&
           bytes <= file_end - offset;
}

static int check_tables(const struct qcow2 *q, uint64_t end, struct disk_error *error)
{
    const struct roots *r = &q->roots;
    uint64_t covered = (uint64_t)q->cluster_size * qcow2_l2_entries(q);

    if (q->image.size > INT64_MAX - covered)
        return wrong(q, error, "its size is beyond all bounds");
    if (r->l1_size > QCOW2_L1_MAX / 8)
        return wrong(q, error, "its L1 table is too large");
    if (r->l1_size < (q->image.size + covered - 1) / covered)
        return wrong(q, error, "its L1 table is too small for its size");
    if (r->l1_size && !is_table(q, r->l1_offset, r->l1_size * 8ull, end))
        return wrong(q, error, "its L1 table is outside the file");
    if (!r->rt_clusters || r->rt_clusters > QCOW2_REFTABLE_MAX >> q->cluster_bits)
        return wrong(q, error, "its refcount table is missing or too large");
    if (!is_table(q, r->rt_offset, (uint64_t)r->rt_clusters << q->cluster_bits, end))
        return wrong(q, error, "its refcount table is outside the file");
    if (q->snapshot_count > SNAPSHOTS_MAX)
        return wrong(q, error, "it has too many snapshots");
    if (q->snapshot_count && !is_table(q, q->snapshot_offset, q->snapshot_count * 40ull, end))
        return wrong(q, error, "its table of snapshots is outside the file");
    return 0;
}

static int read_fixed(struct qcow2 *q, const uint8_t *h, struct disk_error *error)
{
    bool v3;

    q->version = get32(h + VERSION);
    v3 = q->version == 3;
    if (q->version != 2 && !v3)
        return fail(error, -ENOTSUP, "'%s' is qcow version %u; 2 and 3 are supported",
                    q->image.path, q->version);
    q->cluster_bits = get32(h + CLUSTER_BITS);
    if (q->cluster_bits < 9 || q->cluster_bits > 21)
        return wrong(q, error, "its cluster size is not between 512 bytes and 2 MiB");
    q->cluster_size = 1u << q->cluster_bits;
    q->image.size = get64(h + SIZE);
    q->roots = (struct roots){ get32(h + L1_SIZE), get64(h + L1_OFFSET), get64(h + RT_OFFSET),
                               get32(h + RT_CLUSTERS) };
    q->snapshot_count = get32(h + SNAPSHOT_COUNT);
    q->snapshot_offset = get64(h + SNAPSHOT_OFFSET);
    q->incompatible = v3 ? get64(h + INCOMPATIBLE) : 0;
    q->compatible = v3 ? get64(h + COMPATIBLE) : 0;
    q->autoclear = v3 ? get64(h + AUTOCLEAR) : 0;
    q->refcount_order = v3 ? get32(h + REFCOUNT_ORDER) : 4;
    q->header_length = v3 ? get32(h + HEADER_LENGTH) : V2_LENGTH;
    if (q->refcount_order > 6)
        return wrong(q, error, "its refcounts are wider than 64 bits");
    if (v3 && (q->header_length < V3_LENGTH || q->header_length > q->cluster_size))
        return wrong(q, error, "its header's length is impossible");
    if (get32(h + CRYPT))
        return fail(error, -ENOTSUP, "'%s' is encrypted, which is not supported; convert it by"
                    " qemu-img convert", q->image.path);
    return 0;
}

static int read_backing_name(struct qcow2 *q, const uint8_t *h, const uint8_t *cluster,
                             struct disk_error *error)
{
    uint64_t offset = get64(h + BACKING_OFFSET);
    uint32_t size = get32(h + BACKING_SIZE);

    if (!offset || !size)
        return 0;
    if (size > NAME_MAX_LENGTH || offset > q->cluster_size || size > q->cluster_size - offset)
        return wrong(q, error, "its backing file's name is outside the header's cluster");
    q->backing_name = text_of(cluster + offset, size);
    if (!q->backing_name || strlen(q->backing_name) != size)
        return wrong(q, error, "its backing file's name holds a byte that is 0");
    return 0;
}

static int read_rest(struct qcow2 *q, const uint8_t *h, const uint8_t *cluster,
                     struct disk_error *error)
{
    uint64_t backing = get64(h + BACKING_OFFSET);
    size_t size = backing && backing < q->cluster_size ? backing : q->cluster_size;
    struct names names = { NULL, 0 };
    int err = read_extensions(q, cluster, size, &names, error);

    if (!err)
        err = check_features(q, names.table, names.size, error);
    return err ? err : read_backing_name(q, h, cluster, error);
}

int header_read(struct qcow2 *q, struct disk_error *error)
{
    int64_t end = file_size(&q->image.file);
    uint8_t h[V3_LENGTH], *cluster;
    int err = end < 0 ? (int)end : file_read(&q->image.file, 0, h, sizeof(h));

    if (err)
        return fail(error, err, "cannot read '%s': %s", q->image.path, strerror(-err));
    if (end < V2_LENGTH && qcow2_magic(h))
        return wrong(q, error, "it ends within its header");
    if (end < V2_LENGTH || !qcow2_magic(h))
        return fail(error, -EINVAL, "'%s' is not a qcow2 image: its first bytes are not QFI\\xfb;"
                    " try format=raw", q->image.path);
    err = read_fixed(q, h, error);
    if (err)
        return err;
    cluster = malloc(q->cluster_size);
    if (!cluster)
        return fail(error, -ENOMEM, "'%s': no memory", q->image.path);
    err = file_read(&q->image.file, 0, cluster, q->cluster_size);
    if (err)
        fail(error, err, "cannot read '%s': %s", q->image.path, strerror(-err));
    if (!err)
        err = read_rest(q, h, cluster, error);
    free(cluster);
    return err ? err : check_tables(q, (uint64_t)end, error);
}

/* --- Writing ---------------------------------------------------------------- */

int header_write_roots(struct qcow2 *q, const struct roots *roots)
{
    uint8_t at[AUTOCLEAR + 8 - L1_SIZE];
    size_t size = q->version < 3 ? INCOMPATIBLE - L1_SIZE : sizeof(at);

    put32(at, roots->l1_size);
    put64(at + (L1_OFFSET - L1_SIZE), roots->l1_offset);
    put64(at + (RT_OFFSET - L1_SIZE), roots->rt_offset);
    put32(at + (RT_CLUSTERS - L1_SIZE), roots->rt_clusters);
    put32(at + (SNAPSHOT_COUNT - L1_SIZE), q->snapshot_count);
    put64(at + (SNAPSHOT_OFFSET - L1_SIZE), q->snapshot_offset);
    put64(at + (INCOMPATIBLE - L1_SIZE), q->incompatible);
    put64(at + (COMPATIBLE - L1_SIZE), q->compatible);
    put64(at + (AUTOCLEAR - L1_SIZE), q->autoclear);
    return file_write(&q->image.file, L1_SIZE, at, size);
}

/* Returns where the next one goes. */
static size_t put_extension(uint8_t *cluster, size_t at, uint32_t type, const char *text)
{
    put32(cluster + at, type);
    put32(cluster + at + 4, (uint32_t)strlen(text));
    memcpy(cluster + at + 8, text, strlen(text));
    return at + 8 + ((strlen(text) + 7) & ~7ull);
}

static void put_fixed(const struct qcow2 *q, uint8_t *h)
{
    put32(h, 0x514649fb);
    put32(h + VERSION, q->version);
    put32(h + CLUSTER_BITS, q->cluster_bits);
    put64(h + SIZE, q->image.size);
    if (q->version < 3)
        return;
    put64(h + COMPATIBLE, q->compatible);
    put32(h + REFCOUNT_ORDER, q->refcount_order);
    put32(h + HEADER_LENGTH, V3_LENGTH);
}

int header_write_new(struct qcow2 *q, const struct disk_layout *layout,
                     struct disk_error *error)
{
    static const char *const formats[] = { [DISK_RAW] = "raw", [DISK_QCOW2] = "qcow2" };
    size_t name = layout->backing ? strlen(layout->backing) : 0;
    size_t at = q->version < 3 ? V2_LENGTH : V3_LENGTH;
    uint8_t *cluster = calloc(1, q->cluster_size);
    int err;

    if (!cluster)
        return fail(error, -ENOMEM, "no memory");
    q->header_length = (uint32_t)at;
    put_fixed(q, cluster);
    if (layout->backing && layout->backing_format != DISK_PROBE)
        at = put_extension(cluster, at, EXT_FORMAT, formats[layout->backing_format]);
    at += 8; /* the end's extension is zeros */
    if (name > NAME_MAX_LENGTH || name > q->cluster_size - at) {
        free(cluster);
        return fail(error, -ENAMETOOLONG, "the backing file's name is too long: it must fit in the"
                    " header's cluster (and in 1023 bytes)");
    }
    if (name) {
        put64(cluster + BACKING_OFFSET, at);
        put32(cluster + BACKING_SIZE, (uint32_t)name);
        memcpy(cluster + at, layout->backing, name);
    }
    err = file_write(&q->image.file, 0, cluster, q->cluster_size);
    free(cluster);
    return err ? fail(error, err, "cannot write the image: %s", strerror(-err)) : 0;
}
