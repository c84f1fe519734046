/* An engine runs the guest's CPU until somebody else is needed. */
#ifndef CPU_ENGINE_H
#define CPU_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

struct audit_find;
struct code_listener;
struct tenure;
struct vcpu;

/*
 * Why run() returned. Engines deliver exceptions and external interrupts themselves: an interrupt
 * that becomes deliverable (vcpu_can_interrupt) is taken at the next instruction (interpreter),
 * unit boundary (translator) or interrupt window (KVM) by env->intr_ack() and fault_interrupt().
 */
enum exit_reason {
    EXIT_REQUEST, /* vcpu->exit_request was set (the engine clears it): timers, input, stop */
    EXIT_HALT,    /* vcpu->halted: wait for an interrupt */
    EXIT_MODE,    /* the guest is in a mode that this engine does not run */
    EXIT_STOP,    /* vcpu->stop says why: triple fault, poweroff, ... */
    EXIT_DEBUG,   /* a debugger's stop (cpu/stops.h), or its step is done */
};

/* How guest user code runs: -user. */
enum user_tier { USER_AUTO, USER_TLB, USER_WINDOW, USER_DIRECT };

/* What the trap engine looks for: -audit. */
enum audit_mode { AUDIT_OFF, AUDIT_FIRST, AUDIT_ALL };

/*
 * Who hears of the host code that is made of the guest's (-perf). The guest's FPU and vector state
 * is in struct vcpu, and the CPU in the code's address space, when either is called.
 */
struct code_listener {
    /* size bytes at host do what the guest's code from gla on does; user: at CPL 3. */
    void (*made)(void *arg, const void *host, uint32_t size, uint32_t gla, bool user);
    void (*reused)(void *arg, const void *host, uint64_t size); /* other code will be there */
    void *arg;
};

/* What create() is asked for, and what it says when that cannot be had. */
struct engine_request {
    enum user_tier user; /* for engines that have several tiers */
    enum audit_mode audit; /* for the trap engine, and who hears of what it finds (trap/trap.h) */
    void (*audit_found)(void *arg, const struct audit_find *find);
    void *audit_arg;
    const struct code_listener *listener; /* NULL, or for as long as the engine lives */
    const char *error;   /* a sentence for the user */
    int err;             /* the errno that belongs to it, or 0 */
};

/* Where a CPU is, or was a moment ago. */
struct guest_point {
    uint32_t eip, esp, ebp; /* linear addresses */
    bool user;              /* CPL 3 */
    bool flat;              /* 32-bit code and stack, with bases of 0 */
};

/* What a signal interrupted. */
enum interrupted {
    INTERRUPTED_CODE,    /* guest code: the point is where */
    INTERRUPTED_RUN,     /* guest code: where, run() returns with soon */
    INTERRUPTED_MONITOR, /* the engine's own C on the guest's behalf; run() returns soon */
};

struct engine {
    const char *name;
    const char *help; /* a line for -engine help */
    bool uncounted;   /* nobody counts the instructions it executes */
    bool undebugged;  /* it does not look at cpu/stops.h */
    /* Called once, after vcpu_reset. The engine's state for vcpu->engine_state, or NULL with
     * request->error. */
    void *(*create)(struct vcpu *vcpu, struct engine_request *request);
    void (*destroy)(struct vcpu *vcpu);
    enum exit_reason (*run)(struct vcpu *vcpu);
    /* Called by the kick signal's handler after vcpu_kick(), on the vcpu's thread, with the
     * handler's ucontext_t: make a running engine notice. Async-signal-safe; may be NULL. */
    void (*on_kick)(struct vcpu *vcpu, void *ucontext);
    /* Called by a signal's handler, on the vcpu's thread: changes nothing. NULL: as if it were
     * INTERRUPTED_RUN each time. */
    enum interrupted (*interrupted)(struct vcpu *vcpu, const void *ucontext,
                                    struct guest_point *point);
    /* Prints what the engine counted, for -stats: name and value pairs. */
    void (*stats)(const struct vcpu *vcpu, void (*put)(void *arg, const char *name, uint64_t value),
                  void *arg);
    /* How long each address space that changed its tier was in which (shadowmm/shadowmm.h). May be
     * NULL. */
    void (*tenures)(const struct vcpu *vcpu,
                    void (*put)(void *arg, const struct tenure *tenure), void *arg);
    /* What of the host it runs on, in a few words, for -stats. May be NULL. */
    const char *(*about)(const struct vcpu *vcpu);
};

extern const struct engine engine_translator; /* translator/: bt */
extern const struct engine engine_interp;     /* cpu/interp.c */
extern const struct engine engine_kvm;        /* kvm/ */
extern const struct engine engine_trap;       /* trap/ */

#endif
