/*
 * The main function of tests that run random streams in a pair of machines, interpreter and
 * translator: makes each, loads, runs and compares it, lists one that differs, and judges by the
 * translator's counters whether enough was tested.
 */
#ifndef TESTS_LOCKSTEP_HARNESS_H
#define TESTS_LOCKSTEP_HARNESS_H

#include "tests/lockstep/pair.h"

/* What a test's streams are. What may be NULL says so. */
struct harness {
    /* Makes the stream of a seed and its scene; of no more pieces than that, the first ones. */
    void (*make)(uint64_t seed, unsigned pieces);
    /* Once, what no stream changes for good; may be NULL. */
    void (*prepare)(struct machine *m);
    /* Makes the machine what the scene says: memory and all. */
    void (*load)(struct machine *m);
    /* DMA to both, which invalidates nothing; then the stream runs again. NULL: only once. */
    void (*change_by_dma)(struct pair *pair);
    /* For that second run: the CPU alone. NULL with change_by_dma. */
    void (*load_registers)(struct machine *m);
    /* Did it come to its end, without a fault on the way? */
    bool (*came_through)(const struct vcpu *v);
    /* Prints the scene and lists the stream. */
    void (*dump)(uint64_t seed);

    /* What a stream that did not come to its end has written is put back: it must not matter to
     * the next one. Else that meets the more code the wilder it runs. */
    bool restores;
    const char *counter; /* of the translator's; as much as there are streams, or it has failed */
    /* And no more than this; NULL: without bound. */
    uint64_t (*most)(const struct vcpu *bt);
};

/* Arguments: [streams [seed [pieces]]]. Returns main()'s status. */
int harness_run(const struct harness *h, int argc, char **argv);

#endif
