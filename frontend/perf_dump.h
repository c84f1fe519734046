/*
 * jit-PID.dump in the current folder: translated code with its names and times, for perf inject
 * --jit. Reference: Linux, tools/perf/Documentation/jitdump-specification.txt, version 1.
 *
 * Times are CLOCK_MONOTONIC's: perf record -k mono. A kernel's code that was made before its names
 * were known has addresses for names.
 */
#ifndef FRONTEND_PERF_DUMP_H
#define FRONTEND_PERF_DUMP_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct code_names;
struct perf_dump;

/* As perf_map.h's. */
struct perf_dump *perf_dump_create(struct code_names *names);
void perf_dump_destroy(struct perf_dump *dump);
int perf_dump_open(struct perf_dump *dump, struct error *error);
void perf_dump_made(void *arg, const void *host, uint32_t size, uint32_t gla, bool user);
void perf_dump_reused(void *arg, const void *host, uint64_t size);
void perf_dump_write(struct perf_dump *dump);
int perf_dump_close(struct perf_dump *dump, struct error *error);

#endif
