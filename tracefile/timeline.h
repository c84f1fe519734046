/*
 * A trace as one page of HTML that needs nothing else: a timeline to zoom into. timeline.html is
 * the page; what is put into it is the table of kinds and the events, encoded as in a trace
 * (format.h, with guest nanoseconds instead of the counter, and blocks of 256), compressed and in
 * base 64.
 */
#ifndef TRACEFILE_TIMELINE_H
#define TRACEFILE_TIMELINE_H

#include <stddef.h>
#include <stdio.h>

#include "tracefile/filter.h"
#include "tracefile/reader.h"

#define TIMELINE_EVENTS_MAX 20000000u /* more than a browser could hold */

/* name: of the trace, as its title. 0, or -1 with the reason in why[size]. Whether all could be
 * written, ferror(out) says. */
int timeline_write(FILE *out, struct reader *reader, const struct filter *filter, const char *name,
                   char *why, size_t size);

#endif
