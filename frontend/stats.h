/* -stats and -stats-json: what ran where, and how long it took. */
#ifndef FRONTEND_STATS_H
#define FRONTEND_STATS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "frontend/latency.h"

struct engine;
struct error;
struct json_t;
struct machine;
struct vcpu;

/* What the run loop counts. */
struct run_stats {
    uint64_t start_ns;      /* CLOCK_MONOTONIC at power-on, where vcpu->spent started too */
    uint64_t engine_exits, sleeps, resets;
    struct latency latency;
};

struct stats_source {
    const struct run_stats *run;
    const struct vcpu *vcpu;
    const struct engine *engine;
    const char *end; /* why it ended, in words */
    int status;
    const struct machine *machine; /* for what its devices did */
};

/* The same as JSON while the guest runs; a new object. Not accounted (no -stats: what costs time to
 * count was not counted): without "time", "instructions" and "address_spaces". */
struct json_t *stats_now(const struct stats_source *source, bool accounted);

/* -stats: the tables. */
void stats_print(FILE *out, const struct stats_source *source);

/* Can the file be written at the end? Touches nothing. 0, or -1 with *error. */
int stats_check_json(const char *path, struct error *error);

/* All of it or nothing: the file appears when it is complete. 0, or -1 with *error. */
int stats_write_json(const char *path, const struct stats_source *source, struct error *error);

#endif
