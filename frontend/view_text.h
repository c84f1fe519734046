/*
 * What novt view shows, as text: each function prints a panel from what control commands returned.
 * A line that begins with '>' is where the CPU is, one with '=' a heading.
 */
#ifndef FRONTEND_VIEW_TEXT_H
#define FRONTEND_VIEW_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* "info registers"; short: without segments. */
void view_text_registers(FILE *out, const json_t *registers, bool brief);

/* "walk": the guest's tables and the shadow beside them. */
void view_text_address(FILE *out, const json_t *walk);

/* "units". */
void view_text_units(FILE *out, const json_t *units);

/* "step translated": the host instructions of a guest instruction, the one at cursor marked. */
void view_text_steps(FILE *out, const json_t *step, size_t cursor);

/* "stats": some of its counters, and how much they went up since, per second; since may be NULL. */
void view_text_counters(FILE *out, const json_t *stats, const json_t *since, double seconds);

#endif
