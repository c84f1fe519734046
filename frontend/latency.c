/* A histogram whose buckets widen with the time: each is at most a sixteenth of its own. */
#include "frontend/latency.h"

#define STEPS 16u /* buckets to a power of two */

static unsigned bucket_of(uint64_t ns)
{
    unsigned shift, bucket;

    if (ns < STEPS)
        return (unsigned)ns;
    shift = 59 - (unsigned)__builtin_clzll(ns); /* leaves 5 bits, the first of them 1 */
    bucket = (shift + 1) * STEPS + (unsigned)(ns >> shift) - STEPS;
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/* The longest time that falls into it. */
static uint64_t end_of(unsigned bucket)
{
    unsigned shift = bucket / STEPS;

    if (!shift)
        return bucket;
    shift--;
    return ((uint64_t)(bucket % STEPS + STEPS + 1) << shift) - 1;
}

void latency_due(struct latency *latency, uint64_t due_ns)
{
    latency->waiting = true;
    latency->due_ns = due_ns;
}

void latency_taken(struct latency *latency, uint64_t now_ns, unsigned tier)
{
    struct latency_row *row = &latency->row[tier < LATENCY_TIERS ? tier : LATENCY_TIERS - 1];
    uint64_t ns = now_ns > latency->due_ns ? now_ns - latency->due_ns : 0;

    if (!latency->waiting)
        return;
    latency->waiting = false;
    row->count++;
    row->bucket[bucket_of(ns)]++;
    if (ns > row->max_ns)
        row->max_ns = ns;
}

uint64_t latency_percentile(const struct latency_row *row, double part)
{
    uint64_t below = 0;

    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        below += row->bucket[i];
        if (row->count && (double)below >= part * (double)row->count)
            return end_of(i) < row->max_ns ? end_of(i) : row->max_ns;
    }
    return row->max_ns;
}
