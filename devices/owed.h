/*
 * Ticks that the guest is owed: they came while the one before them still waited for it. The guest
 * may count its time by them, and it was the host that was busy.
 */
#ifndef DEVICES_OWED_H
#define DEVICES_OWED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct snap;

struct owed_config {
    struct clock *clock;
    void (*tick)(void *dev); /* an edge for the guest */
    void *dev;
    /* Does the last edge still wait for a guest that wants it? NULL: never, and nothing is owed. */
    bool (*waiting)(void *arg);
    void *arg;
};

struct owed {
    struct owed_config config;
    struct timer catch_up;
    uint64_t ticks, period_ns;
    unsigned at_once; /* of those that follow each other without a gap */
};

void owed_init(struct owed *owed, const struct owed_config *config);

/* So many ticks of this period have come, at least one. */
void owed_deliver(struct owed *owed, uint64_t ticks, uint64_t period_ns);

/* The guest has taken a tick: one that is owed may follow. */
void owed_taken(struct owed *owed);

/* The guest has set up its timer anew. */
void owed_forget(struct owed *owed);

/* After the device's own state: when it is loaded what is owed follows. */
void owed_snapshot(struct owed *owed, struct snap *snap);

#endif
