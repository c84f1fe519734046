/* Refcounts of every width, and which clusters are free. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/qcow2.h"

#define OFFSET_MAX (1ull << 55) /* of anything in the file */

/* --- Entries ---------------------------------------------------------------- */

static uint64_t read_entry(const struct qcow2 *q, const uint8_t *block, uint64_t i)
{
    unsigned bits = 1u << q->refcount_order, bytes = bits / 8;
    uint64_t value = 0;

    if (bits < 8)
        return block[i * bits / 8] >> i * bits % 8 & ((1u << bits) - 1);
    for (unsigned b = 0; b < bytes; b++)
        value = value << 8 | block[i * bytes + b];
    return value;
}

static void write_entry(const struct qcow2 *q, uint8_t *block, uint64_t i, uint64_t value)
{
    unsigned bits = 1u << q->refcount_order, bytes = bits / 8;

    if (bits < 8) {
        unsigned shift = i * bits % 8, mask = ((1u << bits) - 1) << shift;
        uint8_t *byte = &block[i * bits / 8];

        *byte = (uint8_t)((*byte & ~mask) | (value << shift & mask));
        return;
    }
    for (unsigned b = bytes; b-- > 0; value >>= 8)
        block[i * bytes + b] = (uint8_t)value;
}

static uint64_t most(const struct qcow2 *q)
{
    return q->refcount_order == 6 ? UINT64_MAX : (1ull << (1u << q->refcount_order)) - 1;
}

int refs_get(struct qcow2 *q, uint64_t cluster, uint64_t *count)
{
    uint64_t per = qcow2_refs_per_block(q);
    struct table *block;
    int err = table_refs(q, cluster / per, false, &block);

    *count = !err && block ? read_entry(q, block->data, cluster % per) : 0;
    return err;
}

int refs_set(struct qcow2 *q, uint64_t cluster, uint64_t count)
{
    uint64_t per = qcow2_refs_per_block(q);
    struct table *block;
    int err = count > most(q) ? -EOVERFLOW : table_refs(q, cluster / per, true, &block);

    if (err)
        return err;
    write_entry(q, block->data, cluster % per, count);
    if (!count && cluster % per < block->first_free)
        block->first_free = cluster % per;
    table_changed(q, block);
    if (cluster >= q->end && count)
        q->end = cluster + 1;
    return 0;
}

int refs_add(struct qcow2 *q, uint64_t cluster)
{
    uint64_t count;
    int err = refs_get(q, cluster, &count);

    return err ? err : refs_set(q, cluster, count + 1);
}

/* --- Freeing ---------------------------------------------------------------- */

static bool is_busy(const struct table *block, uint64_t i)
{
    return block->busy && block->busy[i / 64] >> i % 64 & 1;
}

static int set_busy(struct qcow2 *q, struct table *block, uint64_t i)
{
    if (!block->busy)
        block->busy = calloc(qcow2_refs_per_block(q) / 64 + 1, sizeof(*block->busy));
    if (!block->busy)
        return -ENOMEM;
    block->busy_count += !is_busy(block, i);
    block->busy[i / 64] |= 1ull << i % 64;
    return 0;
}

static int append(struct freed *list, uint64_t what)
{
    if (list->count == list->room) {
        size_t room = list->room * 2 + 64;
        uint64_t *cluster = realloc(list->cluster, room * sizeof(*cluster));

        if (!cluster)
            return -ENOMEM;
        list->cluster = cluster;
        list->room = room;
    }
    list->cluster[list->count++] = what;
    return 0;
}

int refs_drop(struct qcow2 *q, uint64_t cluster, bool punch)
{
    uint64_t per = qcow2_refs_per_block(q), count;
    struct table *block;
    int err = table_refs(q, cluster / per, false, &block);

    if (err)
        return err;
    count = block ? read_entry(q, block->data, cluster % per) : 0;
    if (!count)
        return -EIO; /* somebody has miscounted, and not we */
    if (count == 1) {
        err = set_busy(q, block, cluster % per);
        if (!err)
            err = append(&q->freed, cluster << 1 | punch);
        if (err)
            return err;
    }
    write_entry(q, block->data, cluster % per, count - 1);
    table_changed(q, block);
    return 0;
}

static void release_one(struct qcow2 *q, uint64_t cluster)
{
    uint64_t per = qcow2_refs_per_block(q), i = cluster % per;
    struct table *block = q->rb[cluster / per]; /* its busy bits keep it in memory */

    if (!block || !is_busy(block, i))
        return;
    block->busy[i / 64] &= ~(1ull << i % 64);
    if (!--block->busy_count) {
        free(block->busy);
        block->busy = NULL;
    }
    if (i < block->first_free)
        block->first_free = i;
    if (cluster < q->hint)
        q->hint = cluster;
}

void refs_release(struct qcow2 *q, struct freed *list)
{
    uint64_t size = q->cluster_size;

    for (size_t i = 0, n; i < list->count; i += n) {
        uint64_t first = list->cluster[i];

        for (n = 1; i + n < list->count && list->cluster[i + n] == first + 2 * n; n++)
            ;
        if (first & 1)
            file_punch(&q->image.file, (first >> 1) * size, n * size);
        for (size_t k = 0; k < n; k++)
            release_one(q, (first >> 1) + k);
    }
    list->count = 0;
}

int refs_unrelease(struct qcow2 *q, struct freed *list)
{
    int err = 0;

    for (size_t i = 0; !err && i < list->count; i++)
        err = append(&q->freed, list->cluster[i]);
    list->count = 0;
    return err;
}

/* --- Finding ---------------------------------------------------------------- */

static bool is_reserved(const struct qcow2 *q, uint64_t cluster)
{
    for (const struct reservation *r = q->reservations; r; r = r->next)
        if (cluster - r->first < r->count)
            return true;
    return false;
}

/* 1, 0 or -errno. Cluster 0 is the header's, whatever is written there. */
static int look(struct qcow2 *q, uint64_t cluster)
{
    uint64_t per = qcow2_refs_per_block(q);
    struct table *block;
    int err;

    if (!cluster)
        return 0;
    err = table_refs(q, cluster / per, false, &block);
    if (err)
        return err;
    if (block && (read_entry(q, block->data, cluster % per) || is_busy(block, cluster % per)))
        return 0;
    return !is_reserved(q, cluster);
}

bool refs_is_free(struct qcow2 *q, uint64_t cluster)
{
    return look(q, cluster) > 0;
}

/* The first free entry of a block from *i on; their number when there is none. */
static void scan(const struct qcow2 *q, struct table *block, uint64_t *i)
{
    uint64_t per = qcow2_refs_per_block(q);
    bool from_start = *i <= block->first_free;

    if (from_start)
        *i = block->first_free;
    while (*i < per && (read_entry(q, block->data, *i) || is_busy(block, *i)))
        ++*i;
    if (from_start)
        block->first_free = *i;
}

/* Moves *at on to the next cluster that is free. */
static int next_free(struct qcow2 *q, uint64_t *at)
{
    uint64_t per = qcow2_refs_per_block(q);

    while (*at < OFFSET_MAX >> q->cluster_bits) {
        uint64_t i = *at % per;
        struct table *block;
        int err = table_refs(q, *at / per, false, &block);

        if (err)
            return err;
        if (block)
            scan(q, block, &i);
        *at += i - *at % per;
        if (i < per && !is_reserved(q, *at))
            return 0;
        *at += i < per;
    }
    return -EFBIG;
}

/* How many in a row from first on, up to want. */
static int count_free(struct qcow2 *q, uint64_t first, uint64_t want, uint64_t *count)
{
    for (*count = 0; *count < want; ++*count) {
        int is = look(q, first + *count);

        if (is <= 0)
            return is;
    }
    return 0;
}

int refs_reserve(struct qcow2 *q, uint64_t want, bool exactly, struct reservation *reservation)
{
    uint64_t at = q->hint, count = 0;

    do {
        int err;

        at += count;
        err = next_free(q, &at);
        if (!err)
            err = count_free(q, at, want, &count);
        if (err)
            return err;
    } while (count < want && exactly);
    if (want == 1 || !exactly)
        q->hint = at + count;
    *reservation = (struct reservation){ at, count, q->reservations };
    q->reservations = reservation;
    return 0;
}

void refs_unreserve(struct qcow2 *q, struct reservation *reservation)
{
    struct reservation **at = &q->reservations;

    while (*at != reservation)
        at = &(*at)->next;
    *at = reservation->next;
    if (reservation->first < q->hint)
        q->hint = reservation->first;
}
