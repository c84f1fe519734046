/* What the makers of streams share: numbers drawn from a seed, and the bytes of the stream. */
#ifndef TESTS_LOCKSTEP_MAKER_H
#define TESTS_LOCKSTEP_MAKER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "tests/random.h"

extern uint8_t stream[];
extern unsigned stream_len;

static uint64_t maker_state;

static inline uint32_t rnd(void)
{
    return (uint32_t)(random_next(&maker_state) >> 16);
}

static inline bool one_in(unsigned n)
{
    return rnd() % n == 0;
}

/* From here on the same seed draws the same numbers. */
static inline void maker_begin(uint64_t seed)
{
    maker_state = seed * 0x9e3779b97f4a7c15ull + 1;
    for (unsigned i = 0; i < 20; i++)
        rnd();
}

static inline void put_bytes(const void *bytes, unsigned len)
{
    memcpy(stream + stream_len, bytes, len);
    stream_len += len;
}

#define PUT(...)                                                                                   \
    put_bytes((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

#endif
