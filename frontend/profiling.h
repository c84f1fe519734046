/*
 * -perf and -profile: what runs where in the guest, for tools that draw it. docs/profiling.md is
 * for their users.
 *
 * All functions take NULL, where neither was asked for.
 */
#ifndef FRONTEND_PROFILING_H
#define FRONTEND_PROFILING_H

struct code_listener;
struct error;
struct machine;
struct profiling;

/* Before the engine; reads what gives names. *profiling stays NULL where nothing was asked for. 0,
 * or -1 with *error. */
int profiling_create(struct profiling **profiling, struct machine *machine, struct error *error);
void profiling_destroy(struct profiling *profiling); /* before the machine's engine */

/* What the engine tells of translated code, or NULL. */
const struct code_listener *profiling_listener(const struct profiling *profiling);

/* Makes the files and starts; the machine is complete. 0, or -1 with *error. */
int profiling_open(struct profiling *profiling, struct error *error);

/* The engine has come back. */
void profiling_look(struct profiling *profiling);

/* The guest is about to start anew. */
void profiling_restart(struct profiling *profiling);

/* The files are complete. 0, or -1 with *error. */
int profiling_close(struct profiling *profiling, struct error *error);

#endif
