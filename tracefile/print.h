/* A trace for people: a line for each event, or how many there are of each kind. */
#ifndef TRACEFILE_PRINT_H
#define TRACEFILE_PRINT_H

#include <stdio.h>

#include "tracefile/filter.h"
#include "tracefile/reader.h"

/* time, mode, eip, kind, values: "  0.001234567 kernel  c0101234 exception  vector=14 ..." */
void print_text(FILE *out, struct reader *reader, const struct filter *filter);

/* How many events there are of each kind, and over what time. */
void print_summary(FILE *out, struct reader *reader, const struct filter *filter);

/* All kinds of events, their groups and values. */
void print_kinds(FILE *out);

/* "name=value" with a blank before each; at most size bytes. */
void print_values(char *text, size_t size, const struct reader_event *event);

#endif
