/*
 * Which events of a trace are wanted: --filter WORD[,WORD...].
 *
 *   NAME, GROUP       events of this kind, of this group (base/events.def): any of those named
 *   !NAME, !GROUP     not these
 *   mode=MODE         in this mode of the guest: any of those named
 *   time=A-B          between A and B seconds of guest time
 *   eip=A-B           at an instruction from A to B
 *   VALUE=A, =A-B     with a value of this name that is A, or from A to B, or the word A
 *
 * What is not said is not asked for; all that is must hold. Either end of A-B may be left out.
 */
#ifndef TRACEFILE_FILTER_H
#define TRACEFILE_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "tracefile/reader.h"

struct filter; /* NULL: all events */

/* Adds words to *filter, which is made when it is NULL. 0, or -1 with the reason in why[size]. */
int filter_add(struct filter **filter, const char *words, char *why, size_t size);
void filter_destroy(struct filter *filter);
bool filter_wants(const struct filter *filter, const struct reader_event *event);

#endif
