/*
 * Stops: where a debugger wants the CPU to stand still. They are not the guest's breakpoints
 * (cpu/debug.h): the guest sees nothing of them, in memory, in registers or in time.
 *
 *  X1. A code stop is a linear address; the engine returns EXIT_DEBUG before the instruction that
 *      begins there is executed. Engines ask stops_look() where they would fetch; no unit of
 *      translated code holds such an instruction, and no sandbox runs code that could reach one.
 *  X2. A data stop is a range of linear addresses; the engine returns EXIT_DEBUG after the
 *      instruction that touched it. Its pages are in no TLB for data, in no window and in no
 *      sandbox (cpu/mem.c, shadowmm/, translator/direct.c): all accesses to them come to
 *      stops_data_access().
 *  X3. While a step is taken, repeated string instructions do one iteration, as under TF.
 *
 * Changes are made while no engine runs, and stops_apply() is called before one does again.
 */
#ifndef CPU_STOPS_H
#define CPU_STOPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/engine.h"
#include "cpu/vcpu.h"

enum stop_kind {
    STOP_CODE,
    STOP_CODE_HARD, /* the same; who asked for it calls it a hardware breakpoint */
    STOP_WRITE,
    STOP_READ,
    STOP_ACCESS, /* either */
};

enum { STOPS_CODE_MAX = 4096, STOPS_DATA_MAX = 64 };

struct stop_code {
    uint32_t gla;
    uint8_t kinds; /* bit n: enum stop_kind n */
};

struct stop_data {
    enum stop_kind kind;
    uint32_t gla, size;
};

/* Open because engines look at it between instructions. */
struct stops {
    bool stepping;             /* X3 */
    bool hit;                  /* a data stop was touched: */
    struct stop_data touched;  /* which, and */
    uint32_t touched_gla;      /* where */
    uint64_t passing;          /* the code stop here is passed once; STOPS_NOWHERE */
    bool repeating;            /* the last step was an iteration, not the last, of REP */
    uint32_t version;          /* of the code stops: changes with them */
    uint64_t applied;          /* stops_sum() of what TLBs were last told */
    unsigned code_count, data_count;
    struct stop_code code[STOPS_CODE_MAX]; /* sorted */
    struct stop_data data[STOPS_DATA_MAX];
};

#define STOPS_NOWHERE UINT64_MAX

/* Gives the vcpu a set of stops, empty; vcpu_destroy() frees it. 0 or -ENOMEM. */
int stops_create(struct vcpu *vcpu);
void stops_destroy(struct vcpu *vcpu);

/* Adding what is there already, and removing what is not, change nothing. 0, -ENOSPC, or -EINVAL:
 * no bytes, or across the end of the address space. size is ignored for code. */
int stops_add(struct vcpu *vcpu, enum stop_kind kind, uint32_t gla, uint32_t size);
int stops_remove(struct vcpu *vcpu, enum stop_kind kind, uint32_t gla, uint32_t size);
void stops_clear(struct vcpu *vcpu);

/* Before an engine runs again: forgets what an earlier run has left, and what TLBs must not hold
 * now. */
void stops_apply(struct vcpu *vcpu);

/* Which kinds of code stop are at this address: a bit for each, 0 for none. */
unsigned stops_code_at(const struct stops *stops, uint32_t gla);

/* Is there one in [gla, gla + size)? */
bool stops_code_in(const struct stops *stops, uint32_t gla, uint32_t size);

/* --- For engines -------------------------------------------------------------------- */

enum stops_found {
    STOPS_NONE,   /* go on */
    STOPS_DUE,    /* return EXIT_DEBUG */
    STOPS_PASSED, /* an instruction with a code stop has been executed: look again */
};

/* Between two instructions; vcpu->stops is not NULL. */
enum stops_found stops_look(struct vcpu *vcpu);

static inline enum stops_found stops_now(struct vcpu *vcpu)
{
    return __builtin_expect(vcpu->stops != NULL, 0) ? stops_look(vcpu) : STOPS_NONE;
}

/* One instruction, or a wait for the interrupt that ends a HLT; external interrupts are taken only
 * there. EXIT_DEBUG, EXIT_HALT or EXIT_STOP. */
enum exit_reason stops_step(struct vcpu *vcpu);

static inline bool stops_stepping(const struct vcpu *vcpu)
{
    return __builtin_expect(vcpu->stops != NULL, 0) && vcpu->stops->stepping;
}

/* The last instruction has touched a data stop. */
static inline bool stops_hit(const struct vcpu *vcpu)
{
    return __builtin_expect(vcpu->stops != NULL, 0) && vcpu->stops->hit;
}

/* There are data stops. */
static inline bool stops_data(const struct vcpu *vcpu)
{
    return __builtin_expect(vcpu->stops != NULL, 0) && vcpu->stops->data_count;
}

/* A data stop is in gla's page. */
bool stops_data_page(const struct vcpu *vcpu, uint64_t gla);

/* An access has been made in such a page. */
void stops_data_access(struct vcpu *vcpu, uint64_t gla, unsigned size, bool write);

/* The instruction faulted: what it has touched, it will touch again. */
void stops_faulted(struct vcpu *vcpu);

/* Code of CPL 3 in the current address space could come to a stop. */
bool stops_in_user(struct vcpu *vcpu);

/* A number for the set of data stops; 0: none. */
uint64_t stops_sum(const struct vcpu *vcpu);

#endif
