/*
 * Host time by what it is spent on: at any moment one thing, so that the parts make up the whole.
 * Costs nothing but a test while nobody wants to know (a NULL pointer).
 *
 * Reference: SDM 2, RDTSC. The counter is taken to go at one rate, as the guest's does.
 * Used on the vcpu's thread only, also by handlers of faults that translated code raises.
 */
#ifndef BASE_SPENT_H
#define BASE_SPENT_H

#include <stdint.h>

enum spent_on {
#define SPENT(constant, name, words) SPENT_##constant,
#include "base/spent.def"
#undef SPENT
    SPENT_COUNT,
};

struct spent {
    uint64_t start, since;        /* TSC */
    uint64_t cycles[SPENT_COUNT]; /* by now; the running thing's without what comes after since */
    uint64_t times[SPENT_COUNT];  /* begun */
    uint8_t on;
    uint8_t code; /* the tier that ran last; SPENT_INTERPRETER: there are none */
};

static inline void spent_start(struct spent *spent, enum spent_on what)
{
    *spent = (struct spent){ .on = (uint8_t)what, .code = SPENT_INTERPRETER };
    spent->start = spent->since = __builtin_ia32_rdtsc();
    spent->times[what] = 1;
}

/* Goes on with what, which had begun before. */
static inline void spent_back(struct spent *spent, enum spent_on what)
{
    uint64_t now;

    if (__builtin_expect(!spent, 1))
        return;
    now = __builtin_ia32_rdtsc();
    spent->cycles[spent->on] += now - spent->since;
    spent->since = now;
    if (spent->on < SPENT_INTERPRETER)
        spent->code = spent->on;
    spent->on = (uint8_t)what;
}

/* Begins what; returns what was interrupted, for spent_back(). */
static inline enum spent_on spent_begin(struct spent *spent, enum spent_on what)
{
    enum spent_on before;

    if (__builtin_expect(!spent, 1))
        return SPENT_MONITOR;
    before = spent->on;
    spent_back(spent, what);
    spent->times[what]++;
    return before;
}

/* What has begun last turns out to be another thing. */
static inline void spent_rename(struct spent *spent, enum spent_on what)
{
    if (__builtin_expect(!spent, 1))
        return;
    spent->times[spent->on]--;
    spent->times[what]++;
    spent->on = (uint8_t)what;
}

#endif
