/*
 * Shadow memory: what the host uses instead of the guest's page tables.
 *
 * A view is a shadow address space: everything cached about one guest root (CR3 and what gives it
 * its meaning). Views are tagged, as TLB entries with an address-space number would be: a CR3 write
 * selects a view, it does not empty one. That is sound because the paging structures that a view was filled
 * from are traced:
 *
 *          filled from                     guest writes it
 *   (plain) ------------> TRACED -------------------------> UNSYNC
 *      ^                    ^   CR3 write: compare with the     |
 *      |                    |   copy, drop what changed         |
 *      +--------------------+-----------------------------------+
 *        nothing was filled from it since the last comparison
 *
 *  S1. A TRACED frame is watched (WATCH_TABLE): no TLB holds a write right to it.
 *  S2. For a TRACED table, every translation cached through entry e agrees with copy[e], and copy[e]
 *      with memory (A and D bits excepted).
 *  S3. For an UNSYNC table, every translation cached through e agrees with copy[e]. Memory may differ: the
 *      architecture lets a CPU use the old entry until the guest invalidates.
 *  S4. After a CR3 write no table is UNSYNC.
 *
 * Reference: SDM 3, 4.10 (what software must invalidate); Adams and Agesen, ASPLOS 2006, section 4.
 */
#ifndef SHADOWMM_SHADOWMM_H
#define SHADOWMM_SHADOWMM_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/vcpu.h"

/*
 * Guest instruction address to translated code, for one view and privilege; probed inline by translated code
 * (translator/offsets.h). Slot: the address's low 16 bits. tag = -(address + 1), so that zeroes are empty.
 */
#define JUMP_SLOT_COUNT 65536
struct jump_table {
    uint64_t tag[JUMP_SLOT_COUNT];
    uint64_t host[JUMP_SLOT_COUNT];
};

struct shadowmm;

struct shadowmm_stats {
    uint64_t view_switches, view_misses, view_evictions;
    uint64_t tables_traced, table_writes, table_syncs, entries_dropped, tables_forgotten;
    uint64_t invlpgs, flushes;
};

/* Takes over vcpu->tlb and vcpu->mmu. 0 or -errno. views: how many are kept (2 to 32). */
int shadowmm_create(struct shadowmm **sm, struct vcpu *vcpu, unsigned views);
void shadowmm_destroy(struct shadowmm *sm);

/* The jump table of the current view for this privilege; emptied first when it holds code that was
 * translated for another mode (key). */
struct jump_table *shadowmm_jump_table(struct shadowmm *sm, bool user, uint32_t key);

/* Remembers that the code at guest address eip (linear) is translated at host. */
void shadowmm_jump_insert(struct shadowmm *sm, bool user, uint64_t eip, const void *host);

/* Forgets every translated address, in all views. */
void shadowmm_jump_flush(struct shadowmm *sm);

/* Forgets this address in all views. */
void shadowmm_jump_drop(struct shadowmm *sm, uint64_t eip);

/* For physmem's on_write: a frame with WATCH_TABLE has been written. */
void shadowmm_table_written(struct shadowmm *sm, uint64_t gpa, uint64_t size);

/* For physmem's on_watch: take back every cached write right to the frame. */
void shadowmm_protect(struct shadowmm *sm, uint64_t gfn);

const struct shadowmm_stats *shadowmm_stats(const struct shadowmm *sm);

#endif
