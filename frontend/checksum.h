/* The checksum of firmware's tables (ACPI, MultiProcessor, SMBIOS): all their bytes add up to 0. */
#ifndef FRONTEND_CHECKSUM_H
#define FRONTEND_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Makes the sum of these bytes 0 by the one at at. */
static inline void checksum_set(uint8_t *bytes, size_t size, size_t at)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + bytes[i]);
    bytes[at] = (uint8_t)(bytes[at] - sum);
}

#endif
