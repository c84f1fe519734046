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

/* --- REP MOVS and REP STOS of n elements, downwards if back is set -------------------------- */

#define HOST_MOVS(text)                                                                            \
    __asm__ volatile(text : "+D"(to), "+S"(from), "+c"(n) : : "memory")

static inline void host_movs(unsigned size, bool back, uint8_t *to, const uint8_t *from,
                             uint64_t n)
{
    switch (size << 1 | back) {
    case 2: HOST_MOVS("rep movsb"); break;
    case 3: HOST_MOVS("std; rep movsb; cld"); break;
    case 4: HOST_MOVS("rep movsw"); break;
    case 5: HOST_MOVS("std; rep movsw; cld"); break;
    case 8: HOST_MOVS("rep movsl"); break;
    default: HOST_MOVS("std; rep movsl; cld"); break;
    }
}

#define HOST_STOS(text)                                                                            \
    __asm__ volatile(text : "+D"(to), "+c"(n) : "a"(value) : "memory")

static inline void host_stos(unsigned size, bool back, uint8_t *to, uint64_t value, uint64_t n)
{
    switch (size << 1 | back) {
    case 2: HOST_STOS("rep stosb"); break;
    case 3: HOST_STOS("std; rep stosb; cld"); break;
    case 4: HOST_STOS("rep stosw"); break;
    case 5: HOST_STOS("std; rep stosw; cld"); break;
    case 8: HOST_STOS("rep stosl"); break;
    default: HOST_STOS("std; rep stosl; cld"); break;
    }
}

/* --- REP SCAS and REP CMPS of n > 0 elements, in the same way ------------------------------- */

#define HOST_SCAS(text)                                                                            \
    __asm__ volatile(text HOST_FLAGS_STORE : "+a"(value), "+D"(at), "+c"(n) : : "cc", "memory")
#define HOST_SCAS_SIZES(base, rep, suffix)                                                         \
    case base: HOST_SCAS(rep " scas" suffix); break;                                               \
    case (base) + 1: HOST_SCAS("std; " rep " scas" suffix "; cld"); break;

/* Returns how many of n elements were not looked at; flags: of the last comparison. */
static inline uint64_t host_scas(unsigned size, bool until_equal, bool back, uint64_t value,
                                 const uint8_t *at, uint64_t n, uint16_t *flags)
{
    switch (size << 2 | (unsigned)until_equal << 1 | back) {
    HOST_SCAS_SIZES(4, "repe", "b")
    HOST_SCAS_SIZES(6, "repne", "b")
    HOST_SCAS_SIZES(8, "repe", "w")
    HOST_SCAS_SIZES(10, "repne", "w")
    HOST_SCAS_SIZES(16, "repe", "l")
    HOST_SCAS_SIZES(18, "repne", "l")
    }
    *flags = (uint16_t)value;
    return n;
}

#define HOST_CMPS(text)                                                                            \
    __asm__ volatile(text HOST_FLAGS_STORE                                                         \
                     : "+S"(a), "+D"(b), "+c"(n), "=&a"(*flags)                                    \
                     :                                                                             \
                     : "cc", "memory")
#define HOST_CMPS_SIZES(base, rep, suffix)                                                         \
    case base: HOST_CMPS(rep " cmps" suffix); break;                                               \
    case (base) + 1: HOST_CMPS("std; " rep " cmps" suffix "; cld"); break;

static inline uint64_t host_cmps(unsigned size, bool until_equal, bool back, const uint8_t *a,
                                 const uint8_t *b, uint64_t n, uint16_t *flags)
{
    switch (size << 2 | (unsigned)until_equal << 1 | back) {
    HOST_CMPS_SIZES(4, "repe", "b")
    HOST_CMPS_SIZES(6, "repne", "b")
    HOST_CMPS_SIZES(8, "repe", "w")
    HOST_CMPS_SIZES(10, "repne", "w")
    HOST_CMPS_SIZES(16, "repe", "l")
    HOST_CMPS_SIZES(18, "repne", "l")
    }
    return n;
}

#endif
