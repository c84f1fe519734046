/*
 * Split virtqueues: see virtqueue.h.
 *
 * Reference: Virtual I/O Device (VIRTIO) 1.0, 2.4 (split virtqueues), 2.4.2 (the legacy layout).
 * Modelled:  chains, indirect tables, also at the end of a chain, notification suppression by flags
 *            and by event indices.
 * Not:       packed rings, in-order use.
 *
 * The driver's side of the rings may change under us only by what devices write (worker threads of
 * the host among them): the guest does not run meanwhile. So no barriers; but each value is loaded
 * once, checked, and used.
 */
#include "devices/virtqueue.h"

#include <string.h>

#include "base/iov.h"
#include "base/log.h"
#include "base/physmem.h"
#include "base/snap.h"

/* --- Layout ------------------------------------------------------------- */

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };
enum { AVAIL_NO_INTERRUPT = 1 };

enum {
    RING_FLAGS = 0,
    RING_IDX = 2,
    RING_ENTRIES = 4,
    DESC_SIZE = 16,
    AVAIL_ENTRY = 2,
    USED_ENTRY = 8,
    RING_EVENT = 2, /* bytes of the index behind the entries */
    LEGACY_ALIGN = 4096,
    FIRST_MIB = 1 << 20,
    DESCRIPTORS_MAX = 1024, /* of a chain, with those that are empty or tables */
};

struct desc {
    uint64_t gpa;
    uint32_t len;
    uint16_t flags, next;
};

static uint64_t avail_size(const struct virtqueue *vq)
{
    return RING_ENTRIES + AVAIL_ENTRY * (uint64_t)vq->size + RING_EVENT;
}

static uint64_t used_size(const struct virtqueue *vq)
{
    return RING_ENTRIES + USED_ENTRY * (uint64_t)vq->size + RING_EVENT;
}

static uint16_t load16(const uint8_t *at)
{
    return __atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_RELAXED);
}

static void told(struct virtqueue *vq, const void *at, uint64_t size)
{
    uint64_t gpa = (uint64_t)((const uint8_t *)at - vq->mem->ram);

    physmem_written(vq->mem, gpa, size);
}

static void store16(struct virtqueue *vq, uint8_t *at, uint16_t value)
{
    __atomic_store_n((uint16_t *)(void *)at, value, __ATOMIC_RELAXED);
    told(vq, at, sizeof(value));
}

static bool fail(struct virtqueue *vq, const char *why)
{
    if (log_on(LOG_dev))
        log_print(LOG_dev, "virtqueue at %llx: %s\n", (unsigned long long)vq->desc, why);
    vq->broken = true;
    return false;
}

/* --- Starting ----------------------------------------------------------- */

void virtqueue_init(struct virtqueue *vq, struct physmem *mem, uint16_t max)
{
    *vq = (struct virtqueue){ .mem = mem, .max = max };
    virtqueue_reset(vq);
}

void virtqueue_reset(struct virtqueue *vq)
{
    *vq = (struct virtqueue){ .mem = vq->mem, .max = vq->max, .size = vq->max };
}

void virtqueue_place_legacy(struct virtqueue *vq, uint64_t gpa)
{
    vq->desc = gpa;
    vq->avail = gpa + DESC_SIZE * (uint64_t)vq->size;
    vq->used = (vq->avail + avail_size(vq) + LEGACY_ALIGN - 1) & ~(uint64_t)(LEGACY_ALIGN - 1);
}

/* Whether [gpa, gpa + size) is memory, which the device may write. From 1 MiB to its end RAM has no
 * holes; below, and in video memory, there are few frames. */
static bool is_memory(const struct physmem *mem, uint64_t gpa, uint64_t size, bool write)
{
    while (size) {
        uint64_t run = PAGE_SIZE - (gpa & PAGE_MASK);

        if (gpa >= FIRST_MIB && gpa < mem->size)
            run = mem->size - gpa;
        else if (!(write ? physmem_is_writable(mem, gpa) : physmem_is_ram(mem, gpa)))
            return false;
        if (run >= size)
            return true;
        gpa += run;
        size -= run;
    }
    return true;
}

/* Host memory of a part. NULL: not aligned, or not in RAM. */
static uint8_t *part(const struct virtqueue *vq, uint64_t gpa, uint64_t size, unsigned align)
{
    if (gpa & (align - 1) || !is_memory(vq->mem, gpa, size, true))
        return NULL;
    return physmem_ptr(vq->mem, gpa);
}

static bool place(struct virtqueue *vq)
{
    if (!vq->size || vq->size & (vq->size - 1) || vq->size > vq->max)
        return fail(vq, "its size is wrong");
    vq->desc_at = part(vq, vq->desc, DESC_SIZE * (uint64_t)vq->size, 16);
    vq->avail_at = part(vq, vq->avail, avail_size(vq), 2);
    vq->used_at = part(vq, vq->used, used_size(vq), 4);
    if (!vq->desc_at || !vq->avail_at || !vq->used_at)
        return fail(vq, "its place is wrong");
    return true;
}

bool virtqueue_start(struct virtqueue *vq)
{
    vq->started = place(vq);
    return vq->started;
}

/* --- Chains ------------------------------------------------------------- */

struct table {
    const uint8_t *at;
    unsigned entries;
    bool indirect;
};

static bool add_segment(const struct virtqueue *vq, struct virtqueue_chain *chain,
                        const struct desc *desc)
{
    unsigned count = chain->out_count + chain->in_count;
    bool in = desc->flags & DESC_WRITE;
    uint8_t *host;

    if (!is_memory(vq->mem, desc->gpa, desc->len, in) || (!in && chain->in_count))
        return false;
    *(in ? &chain->in_size : &chain->out_size) += desc->len;
    if (!desc->len)
        return true;
    host = physmem_ptr(vq->mem, desc->gpa);
    if (in ? chain->in_count : chain->out_count) {
        struct iovec *last = &chain->iov[count - 1];

        if ((uint8_t *)last->iov_base + last->iov_len == host) {
            last->iov_len += desc->len;
            return true;
        }
    }
    if (count == VIRTQUEUE_SEGMENTS_MAX)
        return false;
    chain->iov[count] = (struct iovec){ host, desc->len };
    (*(in ? &chain->in_count : &chain->out_count))++;
    return true;
}

/* Goes over to the indirect table. */
static bool open_table(const struct virtqueue *vq, struct table *table, const struct desc *desc)
{
    if (table->indirect || !vq->indirect || !desc->len || desc->len % DESC_SIZE ||
        !is_memory(vq->mem, desc->gpa, desc->len, false))
        return false;
    *table = (struct table){ physmem_ptr(vq->mem, desc->gpa), desc->len / DESC_SIZE, true };
    return true;
}

static bool gather(struct virtqueue *vq, struct virtqueue_chain *chain)
{
    struct table table = { vq->desc_at, vq->size, false };
    unsigned i = chain->head;

    for (unsigned n = 0; n < DESCRIPTORS_MAX; n++) {
        struct desc desc;

        if (i >= table.entries)
            return fail(vq, "a descriptor's number is too large");
        memcpy(&desc, table.at + DESC_SIZE * (size_t)i, sizeof(desc));
        if (desc.flags & DESC_INDIRECT) {
            if (!open_table(vq, &table, &desc))
                return fail(vq, "a wrong indirect table");
            i = 0;
            continue;
        }
        if (!add_segment(vq, chain, &desc))
            return fail(vq, "a wrong buffer, or too many");
        if (!(desc.flags & DESC_NEXT))
            return true;
        i = desc.next;
    }
    return fail(vq, "a chain without an end");
}

bool virtqueue_is_empty(struct virtqueue *vq)
{
    uint8_t *event;
    uint16_t waiting;

    if (!vq->started || vq->broken)
        return true;
    waiting = (uint16_t)(load16(vq->avail_at + RING_IDX) - vq->last_avail);
    if (waiting > vq->size)
        return !fail(vq, "the available index went too far");
    if (waiting)
        return false;
    event = vq->used_at + RING_ENTRIES + USED_ENTRY * (size_t)vq->size;
    if (vq->event_idx && load16(event) != vq->last_avail)
        store16(vq, event, vq->last_avail);
    return true;
}

bool virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
    unsigned slot = vq->last_avail & (vq->size - 1u);

    if (virtqueue_is_empty(vq))
        return false;
    if (vq->taken == vq->size)
        return fail(vq, "more chains than the ring has");
    chain->head = load16(vq->avail_at + RING_ENTRIES + AVAIL_ENTRY * (size_t)slot);
    chain->out_count = chain->in_count = 0;
    chain->out_size = chain->in_size = 0;
    if (!gather(vq, chain))
        return false;
    vq->last_avail++;
    vq->taken++;
    return true;
}

void virtqueue_unpop(struct virtqueue *vq)
{
    if (!vq->started || vq->broken)
        return;
    vq->last_avail--;
    vq->taken--;
}

void virtqueue_push(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t written)
{
    uint32_t entry[2] = { chain->head, written };
    uint8_t *at;

    virtqueue_touched(vq, chain, 0, written);
    if (!vq->started || vq->broken)
        return;
    at = vq->used_at + RING_ENTRIES + USED_ENTRY * (size_t)(vq->used_idx & (vq->size - 1u));
    memcpy(at, entry, sizeof(entry));
    told(vq, at, sizeof(entry));
    vq->used_idx++;
    vq->taken--;
}

/* Whether the driver wants to hear that the used index went from one to the other. */
static bool wants_interrupt(const struct virtqueue *vq, uint16_t from, uint16_t to)
{
    uint16_t event;

    if (!vq->event_idx)
        return !(load16(vq->avail_at + RING_FLAGS) & AVAIL_NO_INTERRUPT);
    event = load16(vq->avail_at + RING_ENTRIES + AVAIL_ENTRY * (size_t)vq->size);
    return !vq->asked_valid || (uint16_t)(to - event - 1) < (uint16_t)(to - from);
}

bool virtqueue_publish(struct virtqueue *vq)
{
    bool wanted;

    if (!vq->started || vq->broken || vq->used_idx == vq->published)
        return false;
    store16(vq, vq->used_at + RING_IDX, vq->used_idx);
    vq->published = vq->used_idx;
    wanted = wants_interrupt(vq, vq->asked, vq->used_idx);
    vq->asked = vq->used_idx;
    vq->asked_valid = true;
    return wanted;
}

/* --- Their bytes -------------------------------------------------------- */

size_t virtqueue_read(const struct virtqueue_chain *chain, uint64_t at, void *to, size_t size)
{
    return iov_read(chain->iov, chain->out_count, at, to, size);
}

size_t virtqueue_write(struct virtqueue *vq, const struct virtqueue_chain *chain, uint64_t at,
                       const void *from, size_t size)
{
    size_t done = iov_write(chain->iov + chain->out_count, chain->in_count, at, from, size);

    virtqueue_touched(vq, chain, at, done);
    return done;
}

void virtqueue_touched(struct virtqueue *vq, const struct virtqueue_chain *chain, uint64_t at,
                       uint64_t size)
{
    const struct iovec *in = chain->iov + chain->out_count;

    for (unsigned i = 0; i < chain->in_count && size; i++) {
        uint64_t len = in[i].iov_len;

        if (at >= len) {
            at -= len;
            continue;
        }
        len -= at;
        if (len > size)
            len = size;
        told(vq, (uint8_t *)in[i].iov_base + at, len);
        size -= len;
        at = 0;
    }
}

/* --- Snapshots ---------------------------------------------------------- */

void virtqueue_snapshot(struct virtqueue *vq, struct snap *snap)
{
    snap_bytes(snap, &vq->size, sizeof(vq->size));
    snap_bytes(snap, &vq->desc, sizeof(vq->desc));
    snap_bytes(snap, &vq->avail, sizeof(vq->avail));
    snap_bytes(snap, &vq->used, sizeof(vq->used));
    snap_bytes(snap, &vq->started, sizeof(vq->started));
    snap_bytes(snap, &vq->broken, sizeof(vq->broken));
    snap_bytes(snap, &vq->last_avail, sizeof(vq->last_avail));
    snap_bytes(snap, &vq->used_idx, sizeof(vq->used_idx));
    snap_bytes(snap, &vq->published, sizeof(vq->published));
    snap_bytes(snap, &vq->asked, sizeof(vq->asked));
    snap_bytes(snap, &vq->asked_valid, sizeof(vq->asked_valid));
    if (snap->loading)
        vq->taken = 0;
    if (snap->loading && vq->started)
        virtqueue_start(vq);
}
