/* The core that the vcpu's thread and the sandboxes share. */
#ifndef TRANSLATOR_AFFINITY_H
#define TRANSLATOR_AFFINITY_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "direct/sandbox.h"

struct affinity {
    cpu_set_t all;      /* where the thread may run otherwise; valid when known */
    bool known, pinned;
    unsigned cpu;       /* while pinned */
    uint64_t until;     /* ns, CLOCK_MONOTONIC: when the decision ends */
    uint64_t wanted, got;          /* time in sandboxes since, and their CPU time of it */
    uint64_t entered, entered_cpu;
    unsigned runs;
    bool measured;      /* this one */
};
void affinity_enter(struct affinity *p, struct sandbox *sandbox); /* before it runs */
void affinity_left(struct affinity *p, const struct sandbox *sandbox);
/* Now and then: nothing may have run directly for a while. */
void affinity_idle(struct affinity *p);

#endif
