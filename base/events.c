/* The ring of events: see events.h. Compiled without vector registers (E3). */
#include "base/events.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define RING 32768u /* events; a power of two */
#define MANY 4096u  /* the consumer is woken for so many */

struct events {
    struct event_record *ring;
    /* the producer's */
    uint64_t paused, room_until, waits;
    bool sensitive;
    _Atomic uint64_t put; /* events, ever */
    _Atomic uint32_t bell; /* rung for the consumer */
    /* the consumer's, apart: no line of the cache is written by both all the time */
    _Alignas(64) _Atomic uint64_t taken;
    _Atomic uint32_t room; /* rung for the producer */
    atomic_bool stopped;
};

/* Until *word is no longer value, or anything else. syscall() itself uses no vector registers. */
static void futex_wait(_Atomic uint32_t *word, uint32_t value, const struct timespec *limit)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, limit, NULL, 0);
}

static void ring_bell(_Atomic uint32_t *word)
{
    atomic_fetch_add(word, 1);
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

bool events_sensitive(const struct events *events)
{
    return events->sensitive;
}

struct events *events_create(bool sensitive)
{
    struct events *events = aligned_alloc(64, sizeof(*events));

    if (!events)
        return NULL;
    *events = (struct events){ .room_until = RING, .sensitive = sensitive };
    events->ring = mmap(NULL, RING * sizeof(*events->ring), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (events->ring != MAP_FAILED)
        return events;
    free(events);
    return NULL;
}

void events_destroy(struct events *events)
{
    if (!events)
        return;
    munmap(events->ring, RING * sizeof(*events->ring));
    free(events);
}

/* --- The producer ---------------------------------------------------------------- */

static void wait_for_room(struct events *events, uint64_t put)
{
    for (bool waited = false;; waited = true) {
        uint32_t room = atomic_load(&events->room);

        events->room_until = atomic_load(&events->taken) + RING;
        if (put < events->room_until)
            return;
        if (!waited)
            events->waits++;
        futex_wait(&events->room, room, NULL);
    }
}

void events_put(struct events *events, enum event_kind kind, struct event_modes modes,
                uint32_t eip, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t put = atomic_load_explicit(&events->put, memory_order_relaxed);
    struct event_record *event = &events->ring[put & (RING - 1)];

    if (__builtin_expect(put == events->room_until, 0))
        wait_for_room(events, put);
    event->tsc = __builtin_ia32_rdtsc() - events->paused;
    event->value[0] = a;
    event->value[1] = b;
    event->value[2] = c;
    event->eip = eip;
    event->kind = (uint8_t)kind;
    event->mode = modes.mode;
    event->then = modes.then;
    atomic_store_explicit(&events->put, put + 1, memory_order_release);
    if (__builtin_expect(!((put + 1) & (MANY - 1)), 0))
        ring_bell(&events->bell);
}

void events_paused(struct events *events, uint64_t cycles)
{
    events->paused += cycles;
}

/* --- The consumer ---------------------------------------------------------------- */

static uint64_t waiting(const struct events *events)
{
    return atomic_load(&events->put) - atomic_load(&events->taken);
}

void events_wait(struct events *events, unsigned ms)
{
    const struct timespec limit = { ms / 1000, (long)(ms % 1000) * 1000000 };
    uint32_t bell = atomic_load(&events->bell);

    if (waiting(events) < MANY && !events_stopped(events))
        futex_wait(&events->bell, bell, &limit);
}

size_t events_peek(struct events *events, const struct event_record **first)
{
    uint64_t at = atomic_load(&events->taken) & (RING - 1), count = waiting(events);

    *first = &events->ring[at];
    return count < RING - at ? count : RING - at;
}

void events_taken(struct events *events, size_t count)
{
    atomic_fetch_add(&events->taken, count);
    ring_bell(&events->room);
}

void events_stop(struct events *events)
{
    atomic_store(&events->stopped, true);
    ring_bell(&events->bell);
}

bool events_stopped(struct events *events)
{
    return atomic_load(&events->stopped);
}

/* --- Both ------------------------------------------------------------------------ */

struct events_stats events_stats(const struct events *events)
{
    return (struct events_stats){ atomic_load(&events->put), events->waits };
}
