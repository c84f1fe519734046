/*
 * How late virtual interrupts reach user code: from when a timer of the board was due until the CPU
 * takes its interrupt, by the tier that the code ran in. Only interrupts that came up while user
 * code ran with interrupts on: what the guest itself holds back is not ours.
 */
#ifndef FRONTEND_LATENCY_H
#define FRONTEND_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/spent.h"

#define LATENCY_TIERS (SPENT_INTERPRETER + 1)
#define LATENCY_BUCKETS (36 * 16) /* 16 to each power of two */

struct latency_row {
    uint64_t count, max_ns;
    uint32_t bucket[LATENCY_BUCKETS];
};

struct latency {
    struct latency_row row[LATENCY_TIERS]; /* by enum spent_on */
    bool waiting;
    uint64_t due_ns;
};

/* An interrupt waits that was due then. */
void latency_due(struct latency *latency, uint64_t due_ns);

/* The CPU takes an interrupt; where none was said to be due, nothing is counted. */
void latency_taken(struct latency *latency, uint64_t now_ns, unsigned tier);

/* The time in ns that no more than 1 - part of them exceeded, to 6 %; 0 for an empty row. */
uint64_t latency_percentile(const struct latency_row *row, double part);

#endif
