/*
 * The monitor loop.
 *
 *            +---------------------------- guest runs -----------------------------+
 *            v                                                                     |
 *      engine->run() --EXIT_REQUEST--> service(): timers that are due, input ------+
 *            |                                                                     |
 *            +---------EXIT_HALT-----> sleep_until_needed() --an interrupt waits---+
 *            |                                                                     |
 *            +---------EXIT_DEBUG----> paused, for a debugger ---------------------+
 *            |
 *            +---------EXIT_STOP-----> reboot or the end
 *
 * A paused machine (frontend/pause.h) stays in stay_paused() instead.
 *
 * What makes the engine return: the kick signal (frontend/kick.h), sent by a host timer armed for
 * the nearest virtual timer, or by the poller's thread when a descriptor is ready. All that a kick
 * asks for happens here, on the vcpu's thread, in between two runs: devices need no locks.
 *
 * R1. When the engine starts, the host timer is armed for the nearest virtual timer or earlier.
 * R2. While the guest sleeps, the signals are blocked except inside ppoll(): none is missed between
 *     looking and sleeping.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/spent.h"
#include "cpu/engine.h"
#include "cpu/event.h"
#include "cpu/stops.h"
#include "cpu/vcpu.h"
#include "frontend/control.h"
#include "frontend/debugger.h"
#include "frontend/error.h"
#include "frontend/kick.h"
#include "frontend/machine.h"
#include "frontend/pause.h"
#include "frontend/poller.h"
#include "frontend/profiling.h"
#include "frontend/report.h"
#include "frontend/terminal.h"

static bool is_running(const struct machine *m)
{
    return m->stop.end == VM_RUNNING;
}

#define SAMPLE_NS 1000000ull

static void arm(struct machine *m)
{
    uint64_t due = clock_next_due_ns(&m->clock);

    if (m->vcpu->sample_soon && clock_now_ns(&m->clock) + SAMPLE_NS < due)
        due = clock_now_ns(&m->clock) + SAMPLE_NS;
    if (due != CLOCK_NEVER)
        kick_at(m->kick, m->base_ns + due);
}

/* The nearest virtual timer is so near that sleeping would make it late, and it is due by now. */
static bool waited(struct machine *m)
{
    uint64_t due = clock_next_due_ns(&m->clock);

    return due != CLOCK_NEVER && kick_waited(m->kick, m->base_ns + due);
}

static void look_for_signal(struct machine *m)
{
    int sig = kick_signal(m->kick);

    if (sig)
        vm_stop(&m->stop, VM_SIGNAL, sig, "ended by signal %d", sig);
}

static void service(struct machine *m)
{
    enum spent_on before = spent_begin(m->vcpu->spent, SPENT_SERVICE);

    look_for_signal(m);
    poller_dispatch(m->poller);
    pc_service(m->pc);
    clock_run_due(&m->clock);
    arm(m);
    spent_back(m->vcpu->spent, before);
}

/* --- Held up ------------------------------------------------------------------------ */

#define HELD_TELL 90 /* looks; the first one is after a second */

static void tell_held(struct machine *m)
{
    if (++m->held_looks != HELD_TELL)
        return;
    fprintf(stderr,
            "%snovt: the host has not run the guest's process for 10 s (stopped? frozen? ptrace?); "
            "waiting for it%s\n",
            terminal_is_raw() ? "\r" : "", terminal_is_raw() ? "\r" : "");
}

/* The CPU's state is on its way, so that little can be done. A command that waits for that process
 * itself is not interrupted by another one. */
bool run_held_up(void *arg)
{
    struct machine *m = arg;

    tell_held(m);
    look_for_signal(m);
    if (m->timeout.clock && clock_now_ns(&m->clock) >= m->timeout.due_ns)
        m->timeout.fire(m->timeout.arg);
    if (m->engine_runs && !m->held_up) {
        m->held_up = true;
        control_held_up(m->control);
        poller_urgent(m->poller);
        m->held_up = false;
    }
    return !is_running(m);
}

/* --- Sleeping ----------------------------------------------------------------------- */

static void block_signals(sigset_t *old)
{
    sigset_t ours;

    sigemptyset(&ours);
    sigaddset(&ours, KICK_SIGNAL);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGHUP);
    sigaddset(&ours, SIGQUIT);
    pthread_sigmask(SIG_BLOCK, &ours, old);
}

static bool is_needed(const struct machine *m)
{
    return !is_running(m) || m->paused || vcpu_can_interrupt(m->vcpu) || m->vcpu->nmi_pending;
}

static void sleep_until_needed(struct machine *m)
{
    enum spent_on before;
    sigset_t old;

    m->stats.sleeps++;
    event_tell(m->vcpu, EVENT_halt, 0, 0, 0);
    if (!(m->vcpu->eflags & EFLAGS_IF) && !m->vcpu->nmi_pending) {
        vm_stop(&m->stop, VM_HALTED, 0, "HLT with interrupts off");
        return;
    }
    before = spent_begin(m->vcpu->spent, SPENT_ASLEEP);
    pc_idle(m->pc);
    block_signals(&old);
    for (;;) {
        m->vcpu->exit_request = m->vcpu->sample_soon = false;
        service(m);
        if (is_needed(m))
            break;
        if (!m->vcpu->exit_request && !waited(m))
            poller_wait(m->poller, &old);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    spent_back(m->vcpu->spent, before);
    event_tell(m->vcpu, EVENT_wake, 0, 0, 0);
}

/* --- Paused ------------------------------------------------------------------------- */

static void stay_paused(struct machine *m)
{
    enum spent_on before = spent_begin(m->vcpu->spent, SPENT_ASLEEP);
    sigset_t old;

    debugger_paused(m->debugger);
    block_signals(&old);
    for (;;) {
        look_for_signal(m);
        pause_look(m);
        poller_dispatch(m->poller);
        if (!m->paused || !is_running(m))
            break;
        poller_wait(m->poller, &old);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    spent_back(m->vcpu->spent, before);
    service(m);
}

/* --- Starting again ------------------------------------------------------------------- */

static bool is_reboot(const struct machine *m)
{
    return !m->config->no_reboot && !m->enters &&
           (m->stop.end == VM_RESET || m->stop.end == VM_TRIPLE_FAULT);
}

/* A PC reboots after a triple fault. Told once, since a kernel that dies so may do it for ever. */
static void tell_triple_fault(struct machine *m, bool *told)
{
    if (*told || m->stop.end != VM_TRIPLE_FAULT)
        return;
    *told = true;
    pc_idle(m->pc);
    fputs(terminal_is_raw() ? "\r" : "", stderr);
    fprintf(stderr,
            "novt: triple fault at %04x:%08llx; the guest reboots (-no-reboot says more)%s\n",
            m->vcpu->seg[SEG_CS].selector, (unsigned long long)m->vcpu->first_fault_rip,
            terminal_is_raw() ? "\r" : "");
}

static void reboot(struct machine *m)
{
    struct error error = { 0 };

    m->stats.resets++;
    profiling_restart(m->profiling);
    event_tell(m->vcpu, EVENT_reset, 0, 0, 0);
    if (machine_restart(m, &error))
        vm_stop(&m->stop, VM_HOST_ERROR, 0, "the guest rebooted, and then: %.200s", error.text);
    look_for_signal(m);
}

/* What firmware was run for. */
static void enter(struct machine *m)
{
    struct error error = { 0 };

    if (machine_enter(m, &error))
        vm_stop(&m->stop, VM_HOST_ERROR, 0, "%.200s", error.text);
    look_for_signal(m);
}

/* --- The loop --------------------------------------------------------------------------- */

static enum exit_reason run_cpu(struct machine *m)
{
    enum exit_reason why;

    m->stats.engine_exits++;
    m->held_looks = 0;
    m->engine_runs = true;
    why = stops_stepping(m->vcpu) ? stops_step(m->vcpu) : m->engine->run(m->vcpu);
    m->engine_runs = false;
    profiling_look(m->profiling);
    return why;
}

static void run_once(struct machine *m)
{
    if (m->paused) {
        stay_paused(m);
        return;
    }
    switch (run_cpu(m)) {
    case EXIT_REQUEST: service(m); break;
    case EXIT_HALT: sleep_until_needed(m); break;
    case EXIT_MODE:
        vm_stop(&m->stop, VM_UNSUPPORTED, 0,
                "engine %s does not run the mode the guest is in; use -engine interp",
                m->engine->name);
        break;
    case EXIT_DEBUG:
        if (!pause_is_awake(m))
            debugger_stopped(m->debugger);
        break;
    case EXIT_STOP: break;
    }
}

/* The end is put off until the debugger, or who has the monitor, has seen it. */
static void show_crash(struct machine *m)
{
    struct vm_stop end = m->stop;

    if (!debugger_crashed(m->debugger, &end) && !debugger_crashed_alone(m, &end))
        return;
    m->stop = (struct vm_stop){ 0 };
    while (m->paused && is_running(m))
        stay_paused(m);
    if (is_running(m))
        m->stop = end;
}

void run_machine(struct machine *m)
{
    bool told = false;

    spent_begin(m->vcpu->spent, SPENT_MONITOR);
    if (m->config->debug.stopped)
        pause_begin(m);
    else
        service(m);
    for (;;) {
        while (is_running(m))
            run_once(m);
        if (m->enters && m->stop.end == VM_RESET) {
            enter(m);
            continue;
        }
        show_crash(m);
        if (!is_reboot(m))
            return;
        tell_triple_fault(m, &told);
        reboot(m);
    }
}
