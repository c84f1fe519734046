/*
 * The stub: what gdb asks for in packets, done to CPUs that stand still. Reference: "Debugging with
 * GDB", appendix E, Remote Protocol.
 * Modelled: all-stop mode; registers, memory, breakpoints and watchpoints of both kinds, steps and
 * range steps, threads (one for each CPU), monitor commands, detach, kill.
 * Not yet: non-stop mode, agent expressions, reverse execution.
 *
 *            gdb_stub_connect()        c, s, vCont: host.go()
 *   (nobody) ------------------> STOPPED --------------------> RUNNING
 *       ^                           ^                             |
 *       |                           +-----------------------------+
 *       +--- gdb_stub_disconnect()     gdb_stub_stopped(); a byte 3: host.halt() first
 */
#ifndef GDB_STUB_H
#define GDB_STUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gdb_stub;
struct vcpu;

/* Signals, as the protocol numbers them. */
enum { GDB_SIGINT = 2, GDB_SIGABRT = 6, GDB_SIGTRAP = 5, GDB_SIGSEGV = 11 };

/* What the stub asks of who has it; all are called from within gdb_stub_ functions. */
struct gdb_host {
    void *arg;
    void (*send)(void *arg, const char *bytes, size_t size);
    /* Let the guest go on. vcpu->stops says what for, and whether it is a step. */
    void (*go)(void *arg);
    /* Stop it, and call gdb_stub_stopped() then. */
    void (*halt)(void *arg);
    /* gdb has done with it: the guest goes on without stops, or is killed. */
    void (*leave)(void *arg, bool kill);
    /* What was typed behind "monitor": the answer, to be freed; NULL: no memory. */
    char *(*command)(void *arg, const char *words);
};

/* vcpus stays the caller's; each gets stops (cpu/stops.h). NULL: no memory. */
struct gdb_stub *gdb_stub_create(const struct gdb_host *host, struct vcpu *const *vcpus,
                                 unsigned count);
void gdb_stub_destroy(struct gdb_stub *stub);

/* Somebody has come, and the guest stands still, for this signal's reason; has gone. */
void gdb_stub_connect(struct gdb_stub *stub, unsigned signal);
void gdb_stub_disconnect(struct gdb_stub *stub);

/* What came from there. */
void gdb_stub_feed(struct gdb_stub *stub, const uint8_t *bytes, size_t size);

/* The guest stands still now. GDB_SIGTRAP: at a stop, or after a step. False: it is within a range
 * of steps, and has been let go on. */
bool gdb_stub_stopped(struct gdb_stub *stub, unsigned signal);

/* The machine has ended, with this exit status. */
void gdb_stub_ended(struct gdb_stub *stub, int status);

/* gdb has let the guest run, and waits. */
bool gdb_stub_is_running(const struct gdb_stub *stub);

/* Memory packets mean physical addresses from now on. */
void gdb_stub_use_physical(struct gdb_stub *stub, bool physical);

#endif
