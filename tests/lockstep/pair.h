/*
 * Two machines (tests/machine.h) that run the same: one by the interpreter, one by the translator.
 */
#ifndef TESTS_LOCKSTEP_PAIR_H
#define TESTS_LOCKSTEP_PAIR_H

#include <stddef.h>

#include "tests/machine.h"

enum {
    PAIR_STEPS = 20000,
    PAIR_COMPARED = 0x100000, /* bytes of memory */
};

struct pair {
    struct machine interp, bt;
    struct cpu_model *model; /* the host's: its vendor's ways are tested */
    unsigned differences; /* so far; each is printed */
};

/* 0, or -1 having said why. */
int pair_create(struct pair *pair);
void pair_destroy(struct pair *pair);

/*
 * Runs both, whose states are alike, until they halt, and compares registers, segments and memory;
 * what differs in memory is made equal again. False: the interpreter has not halted after
 * PAIR_STEPS instructions, so that nothing was compared.
 */
bool pair_run(struct pair *pair);

/* DMA to both: what a device writes, which invalidates nothing. */
void pair_dma(struct pair *pair, uint64_t gpa, const void *bytes, size_t size);

#endif
