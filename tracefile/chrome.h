/*
 * A trace for viewers of other traces (chrome://tracing, Perfetto): the trace event format's JSON.
 * What has a beginning and an end (a mode of the guest, a run on the bare CPU, sleep in HLT) is a
 * complete event on a row of its own, everything else an instant on its group's row.
 */
#ifndef TRACEFILE_CHROME_H
#define TRACEFILE_CHROME_H

#include <stdio.h>

#include "tracefile/filter.h"
#include "tracefile/reader.h"

/* 0, or -1: no host memory. Whether all could be written, ferror(out) says. */
int chrome_write(FILE *out, struct reader *reader, const struct filter *filter);

#endif
