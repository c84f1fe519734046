/*
 * An open qcow2 image. Internal to the qcow2_*.c files; the format is described in QEMU's
 * docs/interop/qcow2.txt, whose names are used here.
 *
 * What is on disk is a tree: the header points to the L1 table and to the refcount table, these to
 * L2 tables and refcount blocks, L2 tables to data. Invariants (decision 0013):
 *
 *   Q1  Below the header nothing of the tree is changed in place, but for data clusters that only
 *       the active L2 tables refer to. Changed tables live in memory; a commit writes each to a
 *       free cluster and then changes both roots (and features) by one write inside the header's
 *       sector.
 *   Q2  The header changes only when all below its new roots is on stable storage.
 *   Q3  A cluster that the tree on disk uses is not reused before a commit that does without it:
 *       until then it is `busy`. A cluster that somebody is writing to before it is in the tree
 *       (a reservation) has refcount 0 and is not given out either.
 *
 * So after a kill the image is what the last commit made of it, without leaks, and there is nothing
 * to repair.
 *
 * Locks: `lock` guards everything below it in the struct; data is read and written without it.
 * `commit_lock` is held through a commit and taken first.
 */
#ifndef BLOCK_QCOW2_H
#define BLOCK_QCOW2_H

#include <pthread.h>

#include "block/internal.h"

#define QCOW2_COPIED     (1ull << 63)
#define QCOW2_COMPRESSED (1ull << 62)
#define QCOW2_ZERO       1ull
#define QCOW2_OFFSET     0x00fffffffffffe00ull
#define QCOW2_L1_MAX     (32u << 20) /* bytes */
#define QCOW2_REFTABLE_MAX (8u << 20)

enum { /* incompatible features */
    QCOW2_DIRTY = 1, QCOW2_CORRUPT = 2,
};
enum { QCOW2_LAZY = 1 };    /* compatible */
enum { QCOW2_BITMAPS = 1 }; /* autoclear */

/* An L2 table or a refcount block in memory, as on disk. */
struct table {
    struct table *newer, *older; /* in the order of use */
    uint64_t index;              /* in the table above it */
    bool is_l2;
    bool dirty;      /* not what is at its place on disk */
    bool committing; /* written by the commit that is going on */
    uint64_t *busy;  /* refcount blocks: bits of clusters that are not free yet; NULL: none */
    unsigned busy_count;
    uint64_t first_free; /* refcount blocks: no entry below is free */
    uint8_t data[];
};

/* What changes at once. l1_offset 0: there is none yet. */
struct roots {
    uint32_t l1_size; /* entries */
    uint64_t l1_offset, rt_offset;
    uint32_t rt_clusters;
};

/* Clusters that are about to be part of the tree. */
struct reservation {
    uint64_t first, count;
    struct reservation *next;
};

/* Clusters with refcount 0 in memory whose busy bits are set. */
struct freed {
    uint64_t *cluster; /* number * 2, + 1: give its space back to the host */
    size_t count, room;
};

struct qcow2 {
    struct disk image;
    unsigned version, cluster_bits, refcount_order;
    uint32_t cluster_size;
    uint64_t incompatible, compatible, autoclear;
    uint32_t header_length, snapshot_count;
    uint64_t snapshot_offset, bitmap_directory, bitmap_directory_size;
    uint32_t bitmap_count;
    char *backing_name, *backing_format; /* as written; NULL: none */
    bool no_commit;                      /* nobody will read it again: snapshot=on */

    pthread_mutex_t commit_lock;
    struct roots committed; /* what the header says */

    pthread_mutex_t lock;
    struct roots roots; /* where the tables in memory were last written to */
    uint64_t *l1;       /* host order */
    bool l1_dirty;
    struct table **l2; /* by L1 index; NULL: not in memory */
    uint64_t *rt;
    uint64_t rt_entries; /* in memory: may be more than there is room for on disk */
    bool rt_dirty;
    struct table **rb; /* by refcount table index */
    struct table *newest, *oldest;
    uint64_t table_count, dirty_count;

    uint64_t hint; /* no cluster below is free */
    uint64_t end;  /* clusters at and above have never been written */
    struct reservation *reservations;
    struct freed freed, committing;
    bool damaged; /* found to be wrong: no more changes */

    uint64_t packed; /* where the next compressed cluster goes, bytes; 0: nowhere yet */

    pthread_mutex_t inflate_lock;
    uint64_t inflated_at; /* guest offset of what is in inflated; ~0: nothing */
    uint8_t *inflated, *deflated;
};

static inline struct qcow2 *qcow2_of(struct disk *image)
{
    return (struct qcow2 *)image;
}

static inline uint64_t qcow2_l2_entries(const struct qcow2 *q)
{
    return q->cluster_size / 8;
}

static inline uint64_t qcow2_refs_per_block(const struct qcow2 *q)
{
    return (uint64_t)q->cluster_size * 8 >> q->refcount_order;
}

static inline uint64_t qcow2_clusters(const struct qcow2 *q, uint64_t bytes)
{
    return (bytes >> q->cluster_bits) + ((bytes & (q->cluster_size - 1)) != 0);
}

/* In the lock: the image is found to be wrong. It is not changed any more, and the user hears of it
 * once. */
void qcow2_damaged(struct qcow2 *q, const char *what);

/* --- qcow2_header.c --------------------------------------------------------- */

/* Reads and checks the header and its extensions. 0 or -errno with *error. */
int header_read(struct qcow2 *q, struct disk_error *error);
int header_write_new(struct qcow2 *q, const struct disk_layout *layout,
                     struct disk_error *error);

/* By one write inside one sector: these roots, the features as they are in q. */
int header_write_roots(struct qcow2 *q, const struct roots *roots);

/* --- qcow2_table.c ---------------------------------------------------------- */

/* The table at index, read if need be; *table is NULL when there is none and it is not to be made.
 * It stays where it is until KEEP more have been asked for. 0 or -errno. */
int table_l2(struct qcow2 *q, uint64_t index, bool make, struct table **table);
int table_refs(struct qcow2 *q, uint64_t index, bool make, struct table **table);
void table_changed(struct qcow2 *q, struct table *table);
void table_clean(struct qcow2 *q, struct table *table);
void table_free_all(struct qcow2 *q);

/* --- qcow2_refcount.c ------------------------------------------------------- */

/* In the caller's lock. Clusters are numbered from the start of the file. */
int refs_get(struct qcow2 *q, uint64_t cluster, uint64_t *count);
int refs_set(struct qcow2 *q, uint64_t cluster, uint64_t count);
int refs_add(struct qcow2 *q, uint64_t cluster);

/* One reference less; punch: if that was the last, the host may have the space. */
int refs_drop(struct qcow2 *q, uint64_t cluster, bool punch);

/* Reserves up to want free clusters in a row, or exactly that many; reservation->count says. */
int refs_reserve(struct qcow2 *q, uint64_t want, bool exactly, struct reservation *reservation);
void refs_unreserve(struct qcow2 *q, struct reservation *reservation);
bool refs_is_free(struct qcow2 *q, uint64_t cluster);

/* The clusters of a list are free from now on; or go back to q->freed. */
void refs_release(struct qcow2 *q, struct freed *list);
int refs_unrelease(struct qcow2 *q, struct freed *list);

/* --- qcow2_map.c ------------------------------------------------------------ */

enum cluster_kind { CLUSTER_NONE, CLUSTER_ZERO, CLUSTER_DATA, CLUSTER_PACKED };

struct mapping {
    enum cluster_kind kind;
    bool own;           /* DATA: may be written in place */
    uint64_t host;      /* DATA, ZERO: of the cluster, ZERO: 0 without one; PACKED: first byte */
    uint64_t host_size; /* PACKED: at most */
};

/* 0, or -EIO for an entry that cannot be. */
int map_entry(const struct qcow2 *q, uint64_t entry, struct mapping *mapping);

/* Takes away the references of an L2 entry. */
int map_drop(struct qcow2 *q, uint64_t entry);

/* Guest bytes, at their offset. 0 or -errno. map_read_now() is false where it would have to wait,
 * having read any part; map_is_zero() tells of *run bytes, from offset on. */
int map_read(struct disk *image, uint64_t offset, struct cursor *to, uint64_t size);
bool map_read_now(struct disk *image, uint64_t offset, struct cursor *to, uint64_t size);
int map_write(struct disk *image, uint64_t offset, struct cursor *from, uint64_t size);
int map_zero(struct disk *image, uint64_t offset, uint64_t size);
int map_discard(struct disk *image, uint64_t offset, uint64_t size);
bool map_is_zero(struct disk *image, uint64_t offset, uint64_t size, uint64_t *run);

/* --- qcow2_pack.c: compressed clusters --------------------------------------- */

/* Reads part of a compressed cluster. */
int pack_read(struct qcow2 *q, uint64_t offset, const struct mapping *mapping, struct cursor *to,
              uint64_t size);
int pack_write(struct disk *image, uint64_t offset, uint64_t size, const void *from);
void pack_forget(struct qcow2 *q, uint64_t offset);

/* --- qcow2_commit.c --------------------------------------------------------- */

/* Brings everything to the disk. */
int commit_now(struct qcow2 *q);

/* The same when much has come together, else nothing. */
int commit_if_much(struct qcow2 *q);

/* --- qcow2_check.c ---------------------------------------------------------- */

int check_run(struct disk *image, enum disk_repair repair, FILE *out,
              struct disk_check *result);

/* Whether the tables themselves are counted, so that none of them is taken for free. */
int check_tables_counted(struct qcow2 *q);

/* Takes the references of bitmaps away: whoever changes the image without keeping them must. */
int check_drop_bitmaps(struct qcow2 *q);

#endif
