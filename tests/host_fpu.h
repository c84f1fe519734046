/* What tests must know of the host's x87. */
#ifndef TESTS_HOST_FPU_H
#define TESTS_HOST_FPU_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "cpu/fpu.h"

/*
 * FXSAVE and XSAVE store FIP, FDP and FOP only while an exception is pending, as AMD's CPUs do
 * (cpu/fpu.h, F5): has FLD1 set FIP for it?
 */
static inline bool host_drops_pointers(void)
{
    uint8_t image[512] __attribute__((aligned(16)));
    uint32_t fip;

    __asm__ volatile("fninit\n\tfld1\n\tfxsave %0\n\tfninit" : "=m"(image));
    memcpy(&fip, image + FPU_FIP, 4);
    return !fip;
}

/*
 * The first byte at which two images differ, or FPU_AREA_SIZE; the header's are left out. On a host
 * that drops pointers a signal or another task may have made them 0 in the second; FLDCW may make
 * an exception pending after that.
 */
static inline unsigned fpu_difference(const uint8_t *a, const uint8_t *b)
{
    static const struct { uint8_t at, size; } fields[] = { { FPU_FOP, 2 }, { FPU_FIP, 8 },
                                                           { FPU_FDP, 8 } };
    static const uint8_t none[8];
    uint8_t lost[FPU_MXCSR] = { 0 };

    for (unsigned i = 0; i < 3 && host_drops_pointers(); i++)
        if (!memcmp(b + fields[i].at, none, fields[i].size))
            memset(lost + fields[i].at, 1, fields[i].size);
    for (unsigned i = 0; i < FPU_AREA_SIZE; i++)
        if ((i < 464 || i >= FPU_YMM) && !(i < FPU_MXCSR && lost[i]) && a[i] != b[i])
            return i;
    return FPU_AREA_SIZE;
}

#endif
