/* -trace FILE: the ring that the machine's events go to, and the file that they are written to. */
#ifndef FRONTEND_TRACING_H
#define FRONTEND_TRACING_H

#include "tracefile/writer.h"

struct error;
struct tracing; /* NULL: no -trace; nothing is done then */
struct vcpu;

/* Before the engine is made, which translates otherwise for a trace; sensitive: -trace-sensitive.
 * 0, or -1 with *error. */
int tracing_create(struct tracing **tracing, struct vcpu *vcpu, bool sensitive,
                   struct error *error);

/* Makes the file; guest_ns: the guest's time. 0, or -1 with *error. */
int tracing_open(struct tracing *tracing, const char *path, uint64_t guest_ns,
                 struct error *error);

/* From here on nothing is told any more; the file is complete. 0, or -1 with *error. */
int tracing_close(struct tracing *tracing, struct error *error);

/* Before the engine is destroyed. */
void tracing_destroy(struct tracing *tracing);

struct tracing_stats {
    struct events_stats ring;
    struct writer_stats file; /* known when it is closed */
};
struct tracing_stats tracing_stats(const struct tracing *tracing);

#endif
