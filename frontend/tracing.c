/* -trace FILE: see tracing.h. */
#include "frontend/tracing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/output.h"
#include "cpu/vcpu.h"
#include "frontend/error.h"

struct tracing {
    struct vcpu *vcpu;
    const char *path;
    struct events *events;
    struct writer *writer;
    struct writer_stats file;
};

int tracing_create(struct tracing **out, struct vcpu *vcpu, bool sensitive,
                   struct error *error)
{
    struct tracing *tracing = calloc(1, sizeof(*tracing));

    *out = tracing;
    if (tracing)
        tracing->events = events_create(sensitive);
    if (!tracing || !tracing->events)
        return error_set(error, EX_OSERR, "-trace: no host memory; free some");
    tracing->vcpu = vcpu;
    vcpu->events = tracing->events;
    return 0;
}

int tracing_open(struct tracing *tracing, const char *path, uint64_t guest_ns,
                 struct error *error)
{
    int err = tracing ? writer_open(&tracing->writer, path, tracing->events, guest_ns) : 0;

    if (!err && tracing)
        tracing->path = path;
    return err ? error_set(error, EX_CANTCREAT,
                           "-trace: cannot write '%s': %s; %s", path, strerror(-err),
                           output_advice(-err))
               : 0;
}

int tracing_close(struct tracing *tracing, struct error *error)
{
    int err;

    if (!tracing)
        return 0;
    tracing->vcpu->events = NULL;
    err = writer_close(tracing->writer, &tracing->file);
    tracing->writer = NULL;
    return err ? error_set(error, EX_IOERR,
                           "-trace: cannot write to '%s': %s; free some space. The trace ends "
                           "there", tracing->path, strerror(-err))
               : 0;
}

void tracing_destroy(struct tracing *tracing)
{
    struct error ignored = { 0 };

    if (!tracing)
        return;
    if (tracing->events)
        tracing_close(tracing, &ignored);
    events_destroy(tracing->events);
    free(tracing);
}

struct tracing_stats tracing_stats(const struct tracing *tracing)
{
    return (struct tracing_stats){ events_stats(tracing->events), tracing->file };
}
