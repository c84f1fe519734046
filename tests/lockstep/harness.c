/*
 * Random streams in a pair of machines, one after another, and what is judged in the end.
 *
 * A stream that runs wild executes anything, and writes anywhere, where later ones may come by. So
 * that there is one way to go the CPU has neither a clock nor random numbers.
 */
#include "tests/lockstep/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpuid.h"

enum { STREAMS = 8000, DIFFERENCES_MAX = 20 };

struct tally {
    unsigned long streams, through, left_out, different;
};

/* --- One way to go ----------------------------------------------------------------------- */

static struct cpu_model *model_without_chance(struct pair *pair)
{
    struct cpu_model *model;
    const char *error;

    if (cpu_model_parse("host,-tsc,-rdtscp,-rdrand,-rdseed", &model, &error)) {
        printf("%s\n", error);
        return NULL;
    }
    pair->interp.vcpu->model = pair->bt.vcpu->model = model;
    return model;
}

/* Page tables are for load(), which knows what A and D bits may be. */
static void restore(struct pair *pair, const uint8_t *before)
{
    for (uint64_t page = 0; page < RAM; page += PAGE_SIZE) {
        bool table = page - TABLES <= (RAM >> 22) * PAGE_SIZE;

        if (table || !memcmp(physmem_ptr(&pair->interp.mem, page), before + page, PAGE_SIZE))
            continue;
        physmem_write(&pair->interp.mem, page, before + page, PAGE_SIZE);
        physmem_write(&pair->bt.mem, page, before + page, PAGE_SIZE);
    }
}

static uint8_t *copy_of_memory(const struct machine *m)
{
    uint8_t *copy = malloc(RAM);

    if (copy)
        memcpy(copy, physmem_ptr(&m->mem, 0), RAM);
    return copy;
}

/* --- Streams ----------------------------------------------------------------------------- */

static bool run_again(const struct harness *h, struct pair *pair)
{
    h->change_by_dma(pair);
    h->load_registers(&pair->interp), h->load_registers(&pair->bt);
    return pair_run(pair) && h->came_through(pair->interp.vcpu);
}

static void run_stream(const struct harness *h, struct pair *pair, uint64_t seed, unsigned pieces,
                       const uint8_t *memory, struct tally *tally)
{
    unsigned before = pair->differences;
    bool through;

    h->make(seed, pieces);
    h->load(&pair->interp), h->load(&pair->bt);
    tally->left_out += !pair_run(pair);
    through = h->came_through(pair->interp.vcpu);
    tally->through += through;
    if (h->change_by_dma)
        through &= run_again(h, pair);
    if (pair->differences != before) {
        tally->different++;
        h->dump(seed);
    }
    if (h->restores && !through)
        restore(pair, memory);
}

/* True: there are differences, or too little was tested. */
static bool judge(const struct harness *h, const struct pair *pair, const struct tally *tally)
{
    uint64_t counted = machine_stat(&pair->bt, h->counter);

    printf("%lu through, %lu left out, %llu %s: %u differences in %lu streams\n", tally->through,
           tally->left_out, (unsigned long long)counted, h->counter, pair->differences,
           tally->different);
    return pair->differences || tally->left_out > tally->streams / 8 ||
           counted < tally->streams || (h->most && counted > h->most(pair->bt.vcpu));
}

static void run_streams(const struct harness *h, struct pair *pair, uint64_t seed, unsigned pieces,
                        const uint8_t *memory, struct tally *tally)
{
    printf("%lu streams from seed %llu\n", tally->streams, (unsigned long long)seed);
    for (unsigned long i = 0; i < tally->streams && pair->differences < DIFFERENCES_MAX; i++)
        run_stream(h, pair, seed + i, pieces, memory, tally);
}

int harness_run(const struct harness *h, int argc, char **argv)
{
    struct tally tally = { .streams = argc > 1 ? strtoul(argv[1], NULL, 0) : STREAMS };
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    unsigned pieces = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 0) : UINT32_MAX;
    struct cpu_model *model;
    struct pair pair;
    uint8_t *memory;
    bool failed = true;

    machine_signal_stack();
    if (pair_create(&pair))
        return 2;
    model = model_without_chance(&pair);
    if (h->prepare)
        h->prepare(&pair.interp), h->prepare(&pair.bt);
    memory = copy_of_memory(&pair.interp);
    if (model && memory) {
        run_streams(h, &pair, seed, pieces, memory, &tally);
        failed = judge(h, &pair, &tally);
    }
    free(memory);
    pair_destroy(&pair);
    cpu_model_destroy(model);
    return failed;
}
