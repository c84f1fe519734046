/* Reading firmware's tables as bytes. */
#ifndef TESTS_UNIT_TABLE_BYTES_H
#define TESTS_UNIT_TABLE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t at(const uint8_t *bytes, unsigned offset, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, bytes + offset, size);
    return value;
}

static inline uint8_t sum(const uint8_t *bytes, size_t size)
{
    uint8_t total = 0;

    while (size--)
        total = (uint8_t)(total + *bytes++);
    return total;
}

#endif
