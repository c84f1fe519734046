/* -rtc: what the guest's clock says at the start. */
#ifndef FRONTEND_CONFIG_CLOCK_H
#define FRONTEND_CONFIG_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct error;

struct config_clock {
    bool local; /* the host's time of day where it is, else in UTC */
    bool fixed; /* neither, but this: */
    int64_t date; /* seconds from 1970 on */
};

/* 0, or -1 with *error. */
int config_clock_take(struct config_clock *clock, const char *value, struct error *error);

/* Seconds from 1970 on that the guest's clock has now. */
uint64_t config_clock_now(const struct config_clock *clock);

#endif
