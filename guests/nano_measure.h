/*
 * How often an operation must be done until its time is sure. For nanobench.c, in a guest, and for
 * nanobench_native.c, an ordinary program; each says how its lines get out.
 */
#ifndef GUESTS_NANO_MEASURE_H
#define GUESTS_NANO_MEASURE_H

#include "guests/lib/x86.h"

/* The smallest n that an operation is asked for; all others are multiples of it. */
enum { NANO_BATCH = 256 };

struct nano_rules {
    uint64_t round; /* TSC cycles that a round takes at least */
    uint32_t count; /* 0, or how many operations a round has, whatever it takes */
    bool marks;     /* tell when a round starts and ends: the host's clock is asked */
};

/* TSC cycles that n operations took. */
typedef uint64_t nano_time(const void *operation, uint32_t n);

/*
 * Does the operation in several rounds and reports the quickest, without "idle" cycles that are not
 * its own in each of them.
 */
void nano_measure(const char *name, nano_time *time_of, const void *operation, uint64_t idle,
                  const struct nano_rules *rules);

/* The program's own: "NANO name cycles.tenths". */
void nano_report(const char *name, uint64_t cycles, uint32_t tenths);
/* "NANO-FROM name n" and "NANO-TO name n" */
void nano_mark(const char *when, const char *name, uint32_t n);

#endif
