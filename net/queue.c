/* Frames between two threads; a record that would pass the ring's end starts at its beginning. */
#include "net/queue.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/bug.h"

struct record {
    uint32_t size;   /* of the frame */
    uint32_t span;   /* to the next record */
    bool skip;       /* nothing but the rest of the ring */
    struct netdev_offload offload;
};

enum { ALIGN = 64 };

struct queue {
    size_t bytes;
    uint8_t *ring;
    _Alignas(ALIGN) atomic_size_t head;
    size_t room;     /* what the frame being made may take */
    _Alignas(ALIGN) atomic_size_t tail;
};

static size_t span_of(size_t size)
{
    return (sizeof(struct record) + size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static struct record *at(const struct queue *q, size_t position)
{
    return (struct record *)(q->ring + (position & (q->bytes - 1)));
}

/* --- Putting ------------------------------------------------------------ */

static size_t free_bytes(const struct queue *q, size_t head)
{
    return q->bytes - (head - atomic_load_explicit(&q->tail, memory_order_acquire));
}

/* Passes over the rest of the ring when span bytes do not fit into it; or when the ring is empty,
 * since its beginning is in the caches, but never so much that less than half of it is left: the
 * rest is free again only when the taker has passed it, too. */
static bool make_straight(struct queue *q, size_t span)
{
    size_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
    size_t rest = q->bytes - (head & (q->bytes - 1)), unused = free_bytes(q, head);

    if (rest >= span && (unused < q->bytes || rest > q->bytes / 2))
        return unused >= span;
    if (unused < rest + span)
        return false;
    *at(q, head) = (struct record){ .span = (uint32_t)rest, .skip = true };
    atomic_store_explicit(&q->head, head + rest, memory_order_release);
    return true;
}

uint8_t *queue_room(struct queue *q, size_t size)
{
    BUG_ON(span_of(size) > q->bytes / 2);
    if (!make_straight(q, span_of(size)))
        return NULL;
    q->room = size;
    return (uint8_t *)(at(q, atomic_load_explicit(&q->head, memory_order_relaxed)) + 1);
}

void queue_put(struct queue *q, size_t size, const struct netdev_offload *offload)
{
    size_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
    struct record *record = at(q, head);

    BUG_ON(size > q->room);
    q->room = 0;
    *record = (struct record){ .size = (uint32_t)size, .span = (uint32_t)span_of(size) };
    if (offload)
        record->offload = *offload;
    atomic_store(&q->head, head + record->span);
}

size_t queue_free(const struct queue *q)
{
    size_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
    size_t all = free_bytes(q, head), rest = q->bytes - (head & (q->bytes - 1));
    size_t most = all <= rest ? all : all - rest > rest ? all - rest : rest;

    return most > span_of(0) ? most - span_of(0) : 0;
}

/* --- Taking ------------------------------------------------------------- */

uint8_t *queue_front(struct queue *q, size_t *size, struct netdev_offload **offload)
{
    struct record *record;

    for (;;) {
        size_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);

        if (atomic_load(&q->head) == tail)
            return NULL;
        record = at(q, tail);
        if (!record->skip)
            break;
        atomic_store_explicit(&q->tail, tail + record->span, memory_order_release);
    }
    *size = record->size;
    *offload = &record->offload;
    return (uint8_t *)(record + 1);
}

void queue_drop(struct queue *q)
{
    size_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);

    atomic_store(&q->tail, tail + at(q, tail)->span);
}

bool queue_is_empty(const struct queue *q)
{
    return atomic_load(&q->head) == atomic_load(&q->tail);
}

/* --- Life --------------------------------------------------------------- */

struct queue *queue_create(size_t bytes)
{
    struct queue *q = aligned_alloc(ALIGN, sizeof(*q));

    if (!q)
        return NULL;
    *q = (struct queue){ .bytes = bytes, .ring = aligned_alloc(ALIGN, bytes) };
    if (!q->ring) {
        free(q);
        return NULL;
    }
    return q;
}

void queue_destroy(struct queue *q)
{
    if (q)
        free(q->ring);
    free(q);
}
