/*
 * How a running engine is interrupted: one signal to the vcpu's thread, sent by an absolute host
 * timer, by other threads, or by hand; and the signals that end novt.
 *
 * The handler calls vcpu_kick(), which every engine notices at its own pace, and then the engine's
 * on_kick. It runs on an alternate stack with a guard page, since translated code keeps the guest's
 * ESP in rsp.
 */
#ifndef FRONTEND_KICK_H
#define FRONTEND_KICK_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct kick;
struct vcpu;

#define KICK_SIGNAL SIGUSR1
#define KICK_GRACE_NS 10000000000ull /* from being asked to end to being ended */

/* For the calling thread, the vcpu's; there is one per process. 0 or -errno. */
int kick_create(struct kick **kick, struct vcpu *vcpu,
                void (*on_kick)(struct vcpu *vcpu, void *ucontext));
void kick_destroy(struct kick *kick);

/* Kicks when CLOCK_MONOTONIC reaches ns; on the vcpu's thread only, not in the guest's code. A kick
 * that is due earlier already is left alone: it comes too early then, once. When ns is nearer than
 * a timer of the host's takes (measured), it may return at ns and have kicked. */
void kick_at(struct kick *kick, uint64_t ns);

/* True, at ns and not before, when a timer of the host's would take longer: for a guest that has
 * nothing else to do. */
bool kick_waited(struct kick *kick, uint64_t ns);

/* From any thread. */
void kick_now(struct kick *kick);

/* Ends the process with this status at ns: for a monitor that hangs, after everything better has
 * failed. CLOCK_NEVER: never mind. A signal that asks novt to end sets one, too. */
void kick_deadline(struct kick *kick, uint64_t ns, int status);

/* The number of the signal that asked novt to end (SIGTERM, SIGINT, SIGHUP, SIGQUIT), or 0. */
int kick_signal(const struct kick *kick);

#endif
