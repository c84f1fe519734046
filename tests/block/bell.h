/* What tests wait by for a pool (block/pool.h): its threads ring, the test waits and dispatches. */
#ifndef TESTS_BLOCK_BELL_H
#define TESTS_BLOCK_BELL_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "block/pool.h"

/* For pool_create(); arg is an int, an eventfd. */
static inline void bell_ring(void *arg)
{
    uint64_t one = 1;

    if (write(*(int *)arg, &one, sizeof(one)) < 0)
        return; /* it rings already */
}

/* Waits so many milliseconds at most (-1: for ever), then dispatches. Whether it rang. */
static inline bool bell_wait(int bell, struct pool *pool, int ms)
{
    struct pollfd fd = { bell, POLLIN, 0 };
    bool rang = poll(&fd, 1, ms) == 1;
    uint64_t count;

    if (rang && read(bell, &count, sizeof(count)) < 0)
        rang = false;
    pool_dispatch(pool);
    return rang;
}

#endif
