/*
 * What the translator makes of guest code, for people to read (novt explain): translations that it
 * makes of given bytes, in a machine that never runs, and those that a running machine has now.
 */
#ifndef TRANSLATOR_LISTING_H
#define TRANSLATOR_LISTING_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/decode.h"

struct listing;
struct shadowmm;
struct vcpu;

/* For which kernel or user code: how memory is reached decides most of what is emitted. */
enum listing_form {
    LISTING_KERNEL_TLB,
    LISTING_KERNEL_WINDOW,
    LISTING_USER_WINDOW,
    LISTING_FORMS
};

/* What has become of an instruction. */
enum listing_class {
    LISTING_IDENTICAL, /* the host executes the same bytes */
    LISTING_INLINE,    /* host instructions that do the same for the guest */
    LISTING_CALLOUT,   /* a function of the monitor's that is made for it */
    LISTING_CALLED,    /* the interpreter executes it, called from the unit */
    LISTING_TRANSFER,  /* a jump, call or return: its target is another unit */
    LISTING_CLASSES
};

struct listing_insn {
    struct insn in;
    uint32_t eip;
    enum listing_class class;
    const uint8_t *host; /* until the next listing_unit() */
    uint32_t host_len;
};

enum { LISTING_INSNS = 64 };

struct listing_unit {
    unsigned count;
    struct listing_insn insn[LISTING_INSNS];
    const uint8_t *tail; /* behind the last: slow paths, exits, the poll */
    uint32_t tail_len;
};

/* NULL: no host memory, with *why. */
struct listing *listing_create(const char **why);
void listing_destroy(struct listing *listing);

/*
 * The unit that begins at eip (flat 32-bit code), made of at most size bytes; it ends where the
 * translator ends it, at a page's end at the latest. False: the bytes there are no whole
 * instruction.
 */
bool listing_unit(struct listing *listing, enum listing_form form, uint32_t eip,
                  const uint8_t *code, uint32_t size, struct listing_unit *unit);

/* --- A machine that runs ---------------------------------------------------------------------
 *
 * All of it between two calls of the engine's run(), which has to be the translator.
 */

/* What an instruction has met since its site is known, and what it has become for that. */
struct listing_site {
    unsigned own, hidden, table, code, device; /* faults in a window: adapt_cause in unit.h */
    unsigned traps, writes;
    bool tlb, call, fetch; /* memory by the TLB; interpreted; fetched anew each time */
    bool calls_counted;
    uint64_t calls;        /* of C, where the unit counts */
};

/* A way out to another unit of the page. */
struct listing_exit {
    uint32_t eip;
    bool chained;
};

struct listing_live {
    struct listing_unit code;
    uint32_t base;         /* of CS; instructions' eip are offsets in it */
    uint64_t gpa;
    unsigned bits;         /* 16 or 32 */
    bool user, window, segmented;
    bool counted;
    uint64_t executions;   /* since it was made, if counted */
    unsigned incoming;     /* exits of units that are chained to it */
    const uint8_t *host;   /* its first byte; what is before insn[0].host counts */
    struct listing_site site[LISTING_INSNS];
    unsigned exit_count;
    struct listing_exit exit[LISTING_INSNS * 4];
};

/*
 * Calls hear for each unit with an instruction at the linear address gla, in the address space of
 * now; hear's pointer is valid during the call. How many; -1: nothing is mapped there.
 */
int listing_at(struct vcpu *vcpu, uint32_t gla,
               void (*hear)(void *arg, const struct listing_live *unit), void *arg);

/* How user code, and a kernel's, runs in the address space of now. */
enum listing_tier { LISTING_TIER_TLB, LISTING_TIER_WINDOW, LISTING_TIER_DIRECT };
enum listing_tier listing_tier(struct vcpu *vcpu, bool user);

/* From now on units count how often they are entered, or not any more: all are dropped and made
 * anew. */
void listing_count(struct vcpu *vcpu, bool on);
bool listing_counts(struct vcpu *vcpu);

/* The shadow memory, for shadowmm_look(). */
struct shadowmm *listing_shadow(struct vcpu *vcpu);

/* A host instruction of a translation that was executed, and what it found. */
struct listing_step {
    const uint8_t *host;
    uint64_t gpr[16];   /* before it, in the order of the encoding */
    uint32_t flags;
    unsigned monitor;   /* instructions of the monitor's that were executed behind it */
};

/*
 * Executes the guest instruction at rip by its translation, which is made if need be, and records
 * the host instructions of it, at most room. Returns how many; 0: it faulted, or something else was
 * done, before there was one. -1: no translation would be used here, and nothing was done.
 */
int listing_step(struct vcpu *vcpu, struct listing_step *step, unsigned room);

#endif
