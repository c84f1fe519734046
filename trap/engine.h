/* The state of the trap engine: private to trap/. */
#ifndef TRAP_ENGINE_H
#define TRAP_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/decode.h"
#include "cpu/engine.h"
#include "trap/space.h"
#include "trap/trap.h"

struct audit;

enum { SPACE_KERNEL, SPACE_USER, SPACES };

struct trap {
    struct vcpu *vcpu;
    const struct mmu_ops *plain;
    struct sandbox_host *host;
    struct space space[SPACES];
    struct sandbox *volatile running; /* what a kick must reach */
    struct audit *audit;              /* NULL: none is asked for */
    uint64_t runs, traps, page_faults, refused, kicks, lost;
    uint64_t trapped[M_COUNT]; /* instructions emulated, by what they are */
};

/* As opcodes.def writes it: what several instructions' mnemonics do not tell apart. */
const char *trap_insn_name(unsigned id);

/* --- audit.c ------------------------------------------------------------------------- */

struct audit *audit_create(struct trap *t, const struct engine_request *request);
void audit_destroy(struct audit *audit);

/* One instruction, interpreted; where it is sensitive and the kernel's, executed deprivileged, too,
 * and compared. */
void audit_step(struct trap *t);

void audit_stats(const struct audit *audit,
                 void (*put)(void *arg, const char *name, uint64_t value), void *arg);

#endif
