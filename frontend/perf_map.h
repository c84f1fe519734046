/*
 * /tmp/perf-PID.map: names of translated code for perf. Reference: Linux,
 * tools/perf/Documentation/jit-interface.txt: a line for each piece of code, "START SIZE NAME", the
 * numbers hexadecimal.
 *
 * The file is true of the code that there is now: what was at addresses that have been used again
 * is not in it any more (perf_dump.h is, with times).
 */
#ifndef FRONTEND_PERF_MAP_H
#define FRONTEND_PERF_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct code_names;
struct perf_map;

/* names: as long as it lives. NULL: no memory. */
struct perf_map *perf_map_create(struct code_names *names);
void perf_map_destroy(struct perf_map *map); /* NULL is allowed; the file stays */

/* Makes the file, for this process. 0, or -1 with *error. */
int perf_map_open(struct perf_map *map, struct error *error);

/* struct code_listener's (cpu/engine.h); arg: the map. */
void perf_map_made(void *arg, const void *host, uint32_t size, uint32_t gla, bool user);
void perf_map_reused(void *arg, const void *host, uint64_t size);

/* Brings the file up to now. */
void perf_map_write(struct perf_map *map);

/* The same, at the end. 0, or -1 with *error: it could not be written. */
int perf_map_close(struct perf_map *map, struct error *error);

#endif
