/* An engine runs the guest's CPU until somebody else is needed. */
#ifndef CPU_ENGINE_H
#define CPU_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

struct tenure;
struct vcpu;

/*
 * Why run() returned. Engines deliver exceptions and external interrupts themselves: an interrupt
 * that becomes deliverable (vcpu_can_interrupt) is taken at the next instruction (interpreter) or
 * unit boundary (translator) by env->intr_ack() and fault_interrupt().
 */
enum exit_reason {
    EXIT_REQUEST, /* vcpu->exit_request was set (the engine clears it): timers, input, stop */
    EXIT_HALT,    /* vcpu->halted: wait for an interrupt */
    EXIT_MODE,    /* the guest is in a mode that this engine does not run */
    EXIT_STOP,    /* vcpu->stop says why: triple fault, poweroff, ... */
};

/* How guest user code runs: -user. */
enum user_tier { USER_AUTO, USER_TLB, USER_WINDOW, USER_DIRECT };

struct engine {
    const char *name;
    /* Called once, after vcpu_reset. NULL or an engine's state for vcpu->engine_state; *error is a
     * sentence for the user on failure. user: for engines that have several tiers. */
    void *(*create)(struct vcpu *vcpu, enum user_tier user, const char **error);
    void (*destroy)(struct vcpu *vcpu);
    enum exit_reason (*run)(struct vcpu *vcpu);
    /* Called by the kick signal's handler after vcpu_kick(), on the vcpu's thread, with the
     * handler's ucontext_t: make a running engine notice. Async-signal-safe; may be NULL. */
    void (*on_kick)(struct vcpu *vcpu, void *ucontext);
    /* Prints what the engine counted, for -stats: name and value pairs. */
    void (*stats)(const struct vcpu *vcpu, void (*put)(void *arg, const char *name, uint64_t value),
                  void *arg);
    /* How long each address space that changed its tier was in which (shadowmm/shadowmm.h). May be
     * NULL. */
    void (*tenures)(const struct vcpu *vcpu,
                    void (*put)(void *arg, const struct tenure *tenure), void *arg);
};

extern const struct engine engine_interp;     /* cpu/interp.c */
extern const struct engine engine_translator; /* translator/, the bt engine */

#endif
