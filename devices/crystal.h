/*
 * The PC's 14.31818 MHz crystal (exactly 315/22 MHz) and what is divided down from it: the timer
 * chip's clock (a twelfth) and the ACPI timer's (a quarter), in exact arithmetic, so that guests
 * that calibrate one against the other find them in step for ever.
 */
#ifndef DEVICES_CRYSTAL_H
#define DEVICES_CRYSTAL_H

#include <stdint.h>

/* a * num / den without overflow in a * num, rounded down. */
static inline uint64_t crystal_scale(uint64_t a, uint64_t num, uint64_t den)
{
    return a / den * num + a % den * num / den;
}

/* 1.193182 MHz ticks since power-on. */
static inline uint64_t crystal_pit_ticks(uint64_t ns)
{
    return crystal_scale(ns, 105, 88000);
}

/* When that tick comes: the first nanosecond at which crystal_pit_ticks() is tick. */
static inline uint64_t crystal_pit_ns(uint64_t tick)
{
    return crystal_scale(tick, 88000, 105) + (tick % 105 * 88000 % 105 != 0);
}

/* 3.579545 MHz ticks since power-on. */
static inline uint64_t crystal_pm_ticks(uint64_t ns)
{
    return crystal_scale(ns, 315, 88000);
}

/* When that tick comes. */
static inline uint64_t crystal_pm_ns(uint64_t tick)
{
    return crystal_scale(tick, 88000, 315) + (tick % 315 * 88000 % 315 != 0);
}

#endif
