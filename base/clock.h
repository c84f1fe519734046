/*
 * Virtual time. Devices never ask the host what time it is: they ask their
 * clock, so a test can stop time, step it, and get the same run twice.
 *
 * All times are in nanoseconds since power-on.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_SEC 1000000000ull
#define CLOCK_NEVER UINT64_MAX

struct timer;

struct clock {
    uint64_t now_ns;
    uint64_t boot_epoch_s;                /* UTC wall time at power-on */
    /* live time; NULL: now_ns stands still between advances */
    uint64_t (*read_ns)(void *host_arg);
    void *host_arg;
    /* called when the nearest timer moved nearer; may be NULL */
    void (*nearer)(void *arg);
    void *nearer_arg;
    struct timer *pending;                /* sorted, nearest first */
    bool firing;                          /* inside a timer's fire(): now_ns is when it was due */
};

struct timer {
    void (*fire)(void *arg);
    void *arg;
    uint64_t due_ns;
    struct timer *next;
    struct clock *clock; /* NULL when not armed */
};

/* The time now: read_ns's where there is one, else now_ns. Inside a timer's
 * fire() it is never before that timer's due time. */
uint64_t clock_now_ns(struct clock *clock);

/* Fires every timer due until now_ns + ns, in order, each with now_ns = its due time. */
void clock_advance(struct clock *clock, uint64_t ns);

/* The same up to clock_now_ns(): what the run loop calls. */
void clock_run_due(struct clock *clock);

/* When the nearest timer is due, or CLOCK_NEVER. */
uint64_t clock_next_due_ns(const struct clock *clock);

/* Arming an armed timer moves it. due_ns in the past fires at the next advance. */
void timer_arm(struct timer *timer, struct clock *clock, uint64_t due_ns);
void timer_cancel(struct timer *timer);

#endif
