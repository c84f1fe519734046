/* Random streams in a pair of machines, one after another, and what is judged in the end. */
#include "tests/lockstep/harness.h"

#include <stdio.h>
#include <stdlib.h>

enum { STREAMS = 8000, DIFFERENCES_MAX = 20 };

struct tally {
    unsigned long streams, through, left_out;
};

static void run_again(const struct harness *h, struct pair *pair)
{
    h->change_by_dma(pair);
    h->load_registers(&pair->interp), h->load_registers(&pair->bt);
    (void)pair_run(pair);
}

static void run_stream(const struct harness *h, struct pair *pair, uint64_t seed, unsigned pieces,
                       struct tally *tally)
{
    unsigned before = pair->differences;

    h->make(seed, pieces);
    h->load(&pair->interp), h->load(&pair->bt);
    tally->left_out += !pair_run(pair);
    tally->through += h->came_through(pair->interp.vcpu);
    if (h->change_by_dma)
        run_again(h, pair);
    if (pair->differences != before)
        h->dump(seed);
}

/* True: there are differences, or too little was tested. */
static bool judge(const struct harness *h, const struct pair *pair, const struct tally *tally)
{
    uint64_t counted = machine_stat(&pair->bt, h->counter);

    printf("%lu through, %lu left out, %llu %s: %u differences\n", tally->through, tally->left_out,
           (unsigned long long)counted, h->counter, pair->differences);
    return pair->differences || tally->left_out > tally->streams / 8 ||
           counted < tally->streams || (h->most && counted > h->most(pair->bt.vcpu));
}

int harness_run(const struct harness *h, int argc, char **argv)
{
    struct tally tally = { argc > 1 ? strtoul(argv[1], NULL, 0) : STREAMS, 0, 0 };
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    unsigned pieces = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 0) : UINT32_MAX;
    struct pair pair;
    bool failed;

    machine_signal_stack();
    if (pair_create(&pair))
        return 2;
    if (h->prepare)
        h->prepare(&pair.interp), h->prepare(&pair.bt);
    printf("%lu streams from seed %llu\n", tally.streams, (unsigned long long)seed);
    for (unsigned long i = 0; i < tally.streams && pair.differences < DIFFERENCES_MAX; i++)
        run_stream(h, &pair, seed + i, pieces, &tally);
    failed = judge(h, &pair, &tally);
    pair_destroy(&pair);
    return failed;
}
