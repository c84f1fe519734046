/*
 * host_add(), host_shl(), ...: one instruction of the host on zero-extended values of size bytes,
 * for each row of host_ops.def. *flags has the guest's flags as host_flags_pack() makes them,
 * before and after.
 */
#ifndef CPU_HOST_OPS_H
#define CPU_HOST_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/host_flags.h"

typedef uint64_t host_unary_fn(unsigned size, uint64_t a, uint16_t *flags);
typedef uint64_t host_binary_fn(unsigned size, uint64_t a, uint64_t b, uint16_t *flags);

/* Statements: execute the text on a (and b, count), flags behind it. */
#define HOST_ASM_FRESH(text)                                                                       \
    __asm__(text HOST_FLAGS_STORE : "+r"(a), "=&a"(*flags) : "r"(b) : "cc")
#define HOST_ASM(text)                                                                             \
    __asm__(HOST_FLAGS_LOAD text HOST_FLAGS_STORE : "+r"(a), "+&a"(*flags) : "r"(b) : "cc")
#define HOST_ASM_UNARY(text)                                                                       \
    __asm__(HOST_FLAGS_LOAD text HOST_FLAGS_STORE : "+r"(a), "+&a"(*flags) : : "cc")
#define HOST_ASM_SHIFT(text)                                                                       \
    __asm__(HOST_FLAGS_LOAD text HOST_FLAGS_STORE : "+r"(a), "+&a"(*flags) : "c"(count) : "cc")
#define HOST_ASM_DOUBLE(text)                                                                      \
    __asm__(HOST_FLAGS_LOAD text HOST_FLAGS_STORE                                                  \
            : "+r"(a), "+&a"(*flags)                                                               \
            : "r"(b), "c"(count)                                                                   \
            : "cc")

#define HOST_ALU(name)                                                                             \
    static inline uint64_t host_##name(unsigned size, uint64_t a, uint64_t b, uint16_t *flags)     \
    {                                                                                              \
        switch (size) {                                                                            \
        case 1: HOST_ASM_FRESH(#name "b %b2, %b0"); return a;                                      \
        case 2: HOST_ASM_FRESH(#name "w %w2, %w0"); return a;                                      \
        default: HOST_ASM_FRESH(#name "l %k2, %k0"); return a;                                     \
        }                                                                                          \
    }

#define HOST_ALU_FLAGS(name)                                                                       \
    static inline uint64_t host_##name(unsigned size, uint64_t a, uint64_t b, uint16_t *flags)     \
    {                                                                                              \
        switch (size) {                                                                            \
        case 1: HOST_ASM(#name "b %b2, %b0"); return a;                                            \
        case 2: HOST_ASM(#name "w %w2, %w0"); return a;                                            \
        default: HOST_ASM(#name "l %k2, %k0"); return a;                                           \
        }                                                                                          \
    }

#define HOST_WIDE(name)                                                                            \
    static inline uint64_t host_##name(unsigned size, uint64_t a, uint64_t b, uint16_t *flags)     \
    {                                                                                              \
        if (size == 2)                                                                             \
            HOST_ASM(#name "w %w2, %w0");                                                          \
        else                                                                                       \
            HOST_ASM(#name "l %k2, %k0");                                                          \
        return a;                                                                                  \
    }

#define HOST_UNARY(name)                                                                           \
    static inline uint64_t host_##name(unsigned size, uint64_t a, uint16_t *flags)                 \
    {                                                                                              \
        switch (size) {                                                                            \
        case 1: HOST_ASM_UNARY(#name "b %b0"); return a;                                           \
        case 2: HOST_ASM_UNARY(#name "w %w0"); return a;                                           \
        default: HOST_ASM_UNARY(#name "l %k0"); return a;                                          \
        }                                                                                          \
    }

#define HOST_SHIFT(name)                                                                           \
    static inline uint64_t host_##name(unsigned size, uint64_t a, uint64_t count, uint16_t *flags) \
    {                                                                                              \
        switch (size) {                                                                            \
        case 1: HOST_ASM_SHIFT(#name "b %%cl, %b0"); return a;                                     \
        case 2: HOST_ASM_SHIFT(#name "w %%cl, %w0"); return a;                                     \
        default: HOST_ASM_SHIFT(#name "l %%cl, %k0"); return a;                                    \
        }                                                                                          \
    }

#define HOST_DOUBLE(name)                                                                          \
    static inline uint64_t host_##name(unsigned size, uint64_t a, uint64_t b, uint64_t count,      \
                                       uint16_t *flags)                                            \
    {                                                                                              \
        if (size == 2)                                                                             \
            HOST_ASM_DOUBLE(#name "w %%cl, %w2, %w0");                                             \
        else                                                                                       \
            HOST_ASM_DOUBLE(#name "l %%cl, %k2, %k0");                                             \
        return a;                                                                                  \
    }

#define HOST_VEX2(name)                                                                            \
    static inline uint64_t host_##name(unsigned size, uint64_t a, uint16_t *flags)                 \
    {                                                                                              \
        (void)size;                                                                                \
        HOST_ASM_UNARY(#name " %k0, %k0");                                                         \
        return a;                                                                                  \
    }

/* AT&T's order is the reverse of Intel's. */
#define HOST_VEX3(name)                                                                            \
    static inline uint64_t host_##name(unsigned size, uint64_t a, uint64_t b, uint16_t *flags)     \
    {                                                                                              \
        (void)size;                                                                                \
        HOST_ASM(#name " %k2, %k0, %k0");                                                          \
        return a;                                                                                  \
    }

#include "cpu/host_ops.def"

/* --- Repeated string instructions on n elements, downwards if back is set --------------------- */

#define HOST_STRING_WAYS(where, run, text)                                                         \
    case where: run(text); break;                                                                  \
    case (where) + 1: run("std; " text "; cld"); break;

/* Cases of size << 1 | back. */
#define HOST_STRING_SIZES(run, name)                                                               \
    HOST_STRING_WAYS(1 << 1, run, "rep " name "b")                                                 \
    HOST_STRING_WAYS(2 << 1, run, "rep " name "w")                                                 \
    HOST_STRING_WAYS(4 << 1, run, "rep " name "l")

/* Cases of size << 2 | until_equal << 1 | back. */
#define HOST_STRING_COMPARISONS(run, name)                                                         \
    HOST_STRING_WAYS(1 << 2, run, "repe " name "b")                                                \
    HOST_STRING_WAYS(1 << 2 | 2, run, "repne " name "b")                                           \
    HOST_STRING_WAYS(2 << 2, run, "repe " name "w")                                                \
    HOST_STRING_WAYS(2 << 2 | 2, run, "repne " name "w")                                           \
    HOST_STRING_WAYS(4 << 2, run, "repe " name "l")                                                \
    HOST_STRING_WAYS(4 << 2 | 2, run, "repne " name "l")

#define HOST_MOVS(text)                                                                            \
    __asm__ volatile(text : "+D"(to), "+S"(from), "+c"(n) : : "memory")

/* The host takes 3 to 10 times as long where the destination begins 1 to 31 bytes
 * behind the source by its offset in a page (measured on Zen 4; glibc's memcpy avoids up to 63 on
 * Intel's): as where a file's page is read into what malloc has returned. */
#define HOST_MOVS_CLOSE 31

static inline bool host_movs_is_slow(const uint8_t *to, const uint8_t *from)
{
    uint64_t behind = (uint64_t)to - (uint64_t)from;

    return behind >= 4096 && ((behind - 1) & 4095) < HOST_MOVS_CLOSE;
}

/* Upwards; the destination does not begin within part's size behind the source. */
static inline void host_move_parts(uint8_t *to, const uint8_t *from, uint64_t bytes)
{
    uint64_t part[4];

    for (; bytes >= sizeof(part); bytes -= sizeof(part)) {
        __builtin_memcpy(part, from, sizeof(part));
        __builtin_memcpy(to, part, sizeof(part));
        to += sizeof(part);
        from += sizeof(part);
    }
    while (bytes--)
        *to++ = *from++;
}

static inline void host_movs(unsigned size, bool back, uint8_t *to, const uint8_t *from,
                             uint64_t n)
{
    if (!back && host_movs_is_slow(to, from)) {
        host_move_parts(to, from, n * size);
        return;
    }
    switch (size << 1 | back) {
    HOST_STRING_SIZES(HOST_MOVS, "movs")
    }
}

#define HOST_STOS(text)                                                                            \
    __asm__ volatile(text : "+D"(to), "+c"(n) : "a"(value) : "memory")

static inline void host_stos(unsigned size, bool back, uint8_t *to, uint64_t value, uint64_t n)
{
    switch (size << 1 | back) {
    HOST_STRING_SIZES(HOST_STOS, "stos")
    }
}

#define HOST_SCAS(text)                                                                            \
    __asm__ volatile(text HOST_FLAGS_STORE : "+a"(value), "+D"(at), "+c"(n) : : "cc", "memory")

/* Of n > 0. Returns how many were not looked at; flags: of the last comparison. */
static inline uint64_t host_scas(unsigned size, bool until_equal, bool back, uint64_t value,
                                 const uint8_t *at, uint64_t n, uint16_t *flags)
{
    switch (size << 2 | (unsigned)until_equal << 1 | back) {
    HOST_STRING_COMPARISONS(HOST_SCAS, "scas")
    }
    *flags = (uint16_t)value;
    return n;
}

#define HOST_CMPS(text)                                                                            \
    __asm__ volatile(text HOST_FLAGS_STORE                                                         \
                     : "+S"(a), "+D"(b), "+c"(n), "=&a"(*flags)                                    \
                     :                                                                             \
                     : "cc", "memory")

/* The same. */
static inline uint64_t host_cmps(unsigned size, bool until_equal, bool back, const uint8_t *a,
                                 const uint8_t *b, uint64_t n, uint16_t *flags)
{
    switch (size << 2 | (unsigned)until_equal << 1 | back) {
    HOST_STRING_COMPARISONS(HOST_CMPS, "cmps")
    }
    return n;
}

#endif
