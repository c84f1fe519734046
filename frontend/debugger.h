/*
 * A debugger at the running machine: a socket, one client at a time, and what the protocol
 * (gdb/stub.h) does to the machine. While a client is there and the guest stands still, the machine
 * is paused (pause.h); time does not pass for the guest.
 *
 * All functions take NULL where there is none.
 */
#ifndef FRONTEND_DEBUGGER_H
#define FRONTEND_DEBUGGER_H

#include <stdbool.h>

struct debug_spec;
struct debugger;
struct error;
struct machine;
struct vm_stop;

/* Starts to listen where the user asked for it (nowhere: *debugger is NULL); the machine is
 * complete. 0, or -1 with *error. */
int debugger_open(struct debugger **debugger, const struct debug_spec *spec,
                  struct machine *machine, struct error *error);

/* The machine has ended with this status: whoever waits is told. */
void debugger_ended(struct debugger *debugger, int status);
void debugger_close(struct debugger *debugger);

/* The engine returned EXIT_DEBUG. */
void debugger_stopped(struct debugger *debugger);

/* The machine is paused, perhaps by somebody else. */
void debugger_paused(struct debugger *debugger);

/* This end is a crash that a debugger wants to look at: the machine is paused before it ends, and
 * a client is told, or awaited. False: it is not, let it end. */
bool debugger_crashed(struct debugger *debugger, const struct vm_stop *stop);

/* The same under -S without a debugger, where the monitor is who looks: the machine is paused. */
bool debugger_crashed_alone(struct machine *machine, const struct vm_stop *stop);

/* A client keeps the guest stopped: only it can let it go on. */
bool debugger_holds(const struct debugger *debugger);

/* --- debugger_monitor.c -------------------------------------------------------------------- */

struct control;
struct gdb_stub;

/* What was typed behind "monitor": the answer as text, to be freed. NULL: no memory. */
char *debugger_monitor(struct machine *machine, struct control *control, struct gdb_stub *stub,
                       const char *words);

#endif
