/*
 * What every fuzz target needs: the input as a row of decisions, and garbage for registers. When
 * the input has ended, every decision is 0 and fuzz_more() is false.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/bus.h"

struct fuzz {
    const uint8_t *data;
    size_t size;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline bool fuzz_more(const struct fuzz *f)
{
    return f->size > 0;
}

static inline uint8_t fuzz_byte(struct fuzz *f)
{
    if (!f->size)
        return 0;
    f->size--;
    return *f->data++;
}

/* size bytes, little-endian: 1 to 8. */
static inline uint64_t fuzz_bits(struct fuzz *f, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)fuzz_byte(f) << 8 * i;
    return value;
}

/* 0 to limit - 1. */
static inline uint64_t fuzz_below(struct fuzz *f, uint64_t limit)
{
    return fuzz_bits(f, limit > 0x10000 ? 8 : limit > 0x100 ? 2 : 1) % limit;
}

/* One access, of 1, 2 or 4 bytes, somewhere in count registers from base on. */
static inline void fuzz_access(struct fuzz *f, struct bus *bus, uint64_t base, uint64_t count)
{
    uint8_t how = fuzz_byte(f);
    unsigned size = 1u << how % 3;
    uint64_t address = base + fuzz_below(f, count);

    if (how & 0x80)
        bus_read(bus, address, size);
    else
        bus_write(bus, address, size, fuzz_bits(f, size));
}

#endif
