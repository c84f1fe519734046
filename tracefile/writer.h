/* The thread that writes a run's events to a file, as format.h says. */
#ifndef TRACEFILE_WRITER_H
#define TRACEFILE_WRITER_H

#include <stdint.h>

#include "base/events.h"

struct writer;

struct writer_stats {
    uint64_t events, blocks, bytes; /* bytes: of the file */
};

/*
 * Makes the file anew and starts the thread, which takes the events until writer_close(). guest_ns:
 * the guest's time now. 0 or -errno.
 */
int writer_open(struct writer **writer, const char *path, struct events *events, uint64_t guest_ns);

/* Writes what there is, and the end. 0 or the -errno of the first failure: what came later is
 * missing. NULL is nothing. */
int writer_close(struct writer *writer, struct writer_stats *stats);

#endif
