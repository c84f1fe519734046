/*
 * A sandbox as the deprivileged guest's memory: private to trap/.
 *
 *  A1. What is mapped is what a TLB could hold: it goes when the guest's kernel tells a CPU that
 *      its tables have changed. All that does so traps.
 */
#ifndef TRAP_SPACE_H
#define TRAP_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/mem.h"
#include "direct/sandbox.h"

struct space {
    struct sandbox *sandbox;
    uint64_t min_gva, max_gva; /* what can be mapped */
    bool tsc_fault;            /* RDTSC can be made to trap */
    unsigned pages, pages_max;
    uint32_t *page;            /* those that have been mapped: gla >> PAGE_SHIFT */
    uint8_t *rights;           /* of each page below 4 GiB: SANDBOX_ bits */
    bool stale;                /* to be emptied before it runs */
};

/* NULL, or what is missing. */
const char *space_create(struct space *space, struct sandbox_host *host);
void space_destroy(struct space *space);

/* After its process has ended: another. False: there is none to be had. */
bool space_revive(struct space *space, struct sandbox_host *host);

/* Maps the page of gla to that of gpa. False: it cannot be had there. */
bool space_map(struct space *space, uint64_t gla, uint64_t gpa, unsigned rights);

/* Unmaps everything; what a large page around gla may have held. */
void space_empty(struct space *space);
void space_drop(struct space *space, uint64_t gla);

/* The guest's rights to gla for this access, at its CPL: maps them. MEM_FAULTED: vcpu->fault is
 * filled in. MEM_SPECIAL, MEM_DEVICE: interpret. */
enum mem_fill space_fill(struct space *space, struct vcpu *vcpu, uint64_t gla,
                         enum mem_access access);

/* --- The guest's state, in the sandbox's registers ----------------------------------- */

/* What deprivileged code changes of EFLAGS by itself. */
#define SPACE_FLAGS                                                                                \
    (EFLAGS_ARITH | EFLAGS_DF | EFLAGS_NT | EFLAGS_AC | EFLAGS_ID)

/* May it run deprivileged as it is now: 32-bit code in flat segments? */
bool space_allowed(const struct space *space, const struct vcpu *vcpu);

/* To the sandbox, before it runs; its FPU state back, after. */
void space_put(struct space *space, struct vcpu *vcpu, struct sandbox_regs *regs);
void space_get_fpu(struct space *space, struct vcpu *vcpu);

#endif
