/*
 * The events of a run (novt run -trace), on their way from where they happen to a thread that
 * writes them down: a ring of fixed-size records with one producer, the vcpu's thread, and one
 * consumer. Nobody who has no trace pays more than a test of a NULL pointer.
 *
 * E1. Events are told outside of translated code and of signal handlers only, by one thread.
 * E2. None is lost: with a full ring the producer waits.
 * E3. events_put() leaves the vector registers alone: the guest's state may be in them.
 *
 * Reference: SDM 3, 18.17: the counter is taken to go at one rate, as the guest's does.
 */
#ifndef BASE_EVENTS_H
#define BASE_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_kind {
#define EVENT(name, ...) EVENT_##name,
#include "base/events.def"
    EVENT_COUNT
};

enum event_mode {
#define EVENT_MODE(constant, name) EVENT_MODE_##constant,
#include "base/events.def"
    EVENT_MODES
};

#define EVENT_VALUES 3

struct event_record {
    uint64_t tsc;                 /* the host's counter, less what it counted during pauses */
    uint64_t value[EVENT_VALUES]; /* a WORD is the address of a string that is never freed */
    uint32_t eip;                 /* the guest's instruction: its offset in CS */
    uint8_t kind;
    uint8_t mode, then;           /* the mode it happened in, and what it has led to */
};

struct events;

/* sensitive: every such instruction shall be told of, also what costs more than telling it does.
 * NULL: no memory. */
struct events *events_create(bool sensitive);
bool events_sensitive(const struct events *events);
void events_destroy(struct events *events);

/* --- The producer ---------------------------------------------------------------- */

/* Changes of the mode are no events here: readers find them between these (tracefile/reader.h). */
struct event_modes {
    uint8_t mode, then;
};
void events_put(struct events *events, enum event_kind kind, struct event_modes modes,
                uint32_t eip, uint64_t a, uint64_t b, uint64_t c);

/* Guest time stood still for so many cycles of the counter. */
void events_paused(struct events *events, uint64_t cycles);

static inline uint64_t event_word(const char *word)
{
    return (uint64_t)(uintptr_t)word;
}

/* --- The consumer ---------------------------------------------------------------- */

/* Until there are many events, events_stop() was called, or some milliseconds are over. */
void events_wait(struct events *events, unsigned ms);

/* *first: so many events that lie behind each other, the oldest; 0: there are none. */
size_t events_peek(struct events *events, const struct event_record **first);

/* The oldest count are no longer needed. */
void events_taken(struct events *events, size_t count);

/* From any thread: the consumer shall take what there is, and end. */
void events_stop(struct events *events);
bool events_stopped(struct events *events);

/* --- Both ------------------------------------------------------------------------ */

struct events_stats {
    uint64_t put, waits; /* waits: times that the ring was full */
};
struct events_stats events_stats(const struct events *events);

#endif
