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

struct fuzz_access {
    bool read;
    unsigned size;
    uint64_t address, value; /* value: of a write */
};

/* One access somewhere in count registers from base on, of one of so many sizes: of 1 byte, of 2,
 * 4, 8. */
static inline struct fuzz_access fuzz_pick(struct fuzz *f, unsigned sizes, uint64_t base,
                                           uint64_t count)
{
    uint8_t how = fuzz_byte(f);
    struct fuzz_access access = { .read = how & 0x80, .size = 1u << how % sizes };

    access.address = base + fuzz_below(f, count);
    if (!access.read)
        access.value = fuzz_bits(f, access.size);
    return access;
}

/* The same, of 1, 2 or 4 bytes, done. */
static inline void fuzz_access(struct fuzz *f, struct bus *bus, uint64_t base, uint64_t count)
{
    struct fuzz_access access = fuzz_pick(f, 3, base, count);

    if (access.read)
        bus_read(bus, access.address, access.size);
    else
        bus_write(bus, access.address, access.size, access.value);
}

#endif
