/*
 * The whole machine: guest memory, CPU, board, consoles and engine, put together from a config and
 * run until it ends. This is the only place that knows all of them.
 */
#ifndef FRONTEND_MACHINE_H
#define FRONTEND_MACHINE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/kill.h"
#include "base/physmem.h"
#include "base/spent.h"
#include "frontend/boot_real.h"
#include "frontend/config.h"
#include "frontend/image.h"
#include "frontend/stats.h"

struct control;
struct cpu_model;
struct debugger;
struct engine;
struct error;
struct expect;
struct kick;
struct drives;
struct mux;
struct names;
struct nics;
struct pc;
struct poller;
struct profiling;
struct shares;
struct screen;
struct tracing;
struct vcpu;

struct machine {
    const struct config *config;
    struct vm_stop stop;
    struct physmem mem;
    struct image firmware; /* empty with a kernel */
    struct clock clock;
    uint64_t base_ns; /* CLOCK_MONOTONIC at the clock's 0 */
    struct timer timeout;
    struct cpu_model *model;
    struct vcpu *vcpu;
    const struct engine *engine;
    struct pc *pc;
    struct poller *poller;
    struct kick *kick;
    struct console *serial[PC_SERIAL_COUNT], *debugcon;
    struct drives *drives;
    struct nics *nics;
    struct boot_real real; /* a kernel that firmware starts */
    struct shares *shares;
    struct console *virtcon;
    struct screen *screen; /* NULL: no VGA */
    struct control *control; /* NULL: no -monitor */
    struct debugger *debugger; /* NULL: no -gdb */
    struct mux *mux;         /* NULL: no monitor beside a console */
    struct profiling *profiling; /* NULL: no -perf, no -profile */
    struct tracing *tracing; /* NULL: no -trace */
    bool enters;             /* firmware has run: machine_enter() is due */
    bool told_no_bios;       /* that the guest calls it without there being one */
    bool paused;             /* pause.h */
    bool waking;             /* pause_until_awake() */
    bool engine_runs;        /* inside engine->run(), or one step of it */
    bool held_up;            /* inside run_held_up() */
    unsigned held_looks;     /* calls of it since the engine was last entered */
    uint64_t paused_ns, paused_tsc; /* CLOCK_MONOTONIC and the host's counter when it began */
    struct expect *expect; /* NULL: nothing to wait for */
    struct names *names;   /* NULL: no memory for them */
    struct run_stats stats;
    struct spent spent;    /* for -stats */
};

/*
 * Builds the machine, loads the kernel, and only then opens what the consoles need of the host. 0,
 * or -1 with *error; machine_destroy() is due in both cases.
 */
int machine_create(struct machine *machine, const struct config *config, struct error *error);
int machine_open(struct machine *machine, struct error *error);
void machine_destroy(struct machine *machine);

/* After a reset that the guest asked for: power-on again (memory cleared, everything reset, the
 * kernel loaded anew), or, as pc_resumes() says, the processor alone. 0, or -1 with *error. */
int machine_restart(struct machine *machine, struct error *error);

/* After firmware: the kernel is loaded, and the CPU put at its entry. 0, or -1 with *error. */
int machine_enter(struct machine *machine, struct error *error);

/* Writes out what the guest has printed and gives the terminal back. 0, or -1 with *error. */
int machine_close(struct machine *machine, struct error *error);

/* run.c: runs the guest until machine->stop says why not any more. */
void run_machine(struct machine *machine);

/* The engine waits for a process that the host does not run (cpu/env.h, held_up). */
bool run_held_up(void *machine);

/* The host's monotonic clock. */
uint64_t machine_host_ns(void);

#endif
