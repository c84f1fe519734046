/*
 * Shadow memory: what the host uses instead of the guest's page tables.
 *
 * A view is a shadow address space: everything cached about one guest root (CR3 and what gives it
 * its meaning). Views are tagged, as TLB entries with an address-space number would be: a CR3 write
 * selects a view, it does not empty one. That is sound because the paging structures that a view
 * was filled from are traced:
 *
 *          filled from                     guest writes it
 *   (plain) ------------> TRACED -------------------------> UNSYNC
 *      ^                    ^   CR3 write: compare with the     |
 *      |                    |   copy, drop what changed         |
 *      +--------------------+-----------------------------------+
 *        nothing was filled from it since the last comparison
 *
 *  S1. A TRACED frame is watched (WATCH_TABLE): no TLB holds a write right to it.
 *  S2. For a TRACED table, every translation cached through entry e agrees with copy[e], and
 *      copy[e] with memory (A and D bits excepted).
 *  S3. For an UNSYNC table, every translation cached through e agrees with copy[e]. Memory may
 *      differ: the architecture lets a CPU use the old entry until the guest invalidates.
 *  S4. After a CR3 write no table is UNSYNC.
 *  S5. A table knows every place at which it serves (level and addresses: a directory that maps
 *      itself is its own page table). What was cached through a place that is forgotten is dropped.
 *
 * Reference: SDM 3, 4.10 (what software must invalidate); Adams and Agesen, ASPLOS 2006, section 4.
 */
#ifndef SHADOWMM_SHADOWMM_H
#define SHADOWMM_SHADOWMM_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/mem.h"
#include "cpu/vcpu.h"

/*
 * Guest instruction address to translated code, for one view and set; probed inline by translated
 * code (translator/offsets.h). tag = -(address + 1), so that zeroes are empty. The low 32 bits of
 * an address are linear; what the others tell apart is the translator's business.
 *
 * Slot: 16 of the address's low bits, those above vcpu->bt.jump_shift: where the host can shift
 * without changing flags (RORX) it is 2, as code that is jumped to is rarely in one and the same
 * doubleword. What another address drives from its slot goes to its second one, a hash, if there
 * is a shift; there translator/switch.S looks.
 *
 * A view has a table for each set of code that is never run in the same mode: bit 0 of a set says
 * user code, the others the translator's kind of mode. Kind 0 may be shared (share.c).
 */
#define JUMP_SLOT_COUNT 65536
#define JUMP_SETS 36
struct jump_table {
    uint64_t tag[2 * JUMP_SLOT_COUNT];
    uint64_t host[2 * JUMP_SLOT_COUNT];
    uint32_t key; /* the mode its code was translated for */
};

static inline unsigned jump_slot(uint64_t address, unsigned shift)
{
    return (uint32_t)address >> shift & (JUMP_SLOT_COUNT - 1);
}

static inline unsigned jump_second_slot(uint64_t address)
{
    uint32_t mixed = (uint32_t)address * 9;

    return JUMP_SLOT_COUNT + ((mixed + (mixed >> 13 | mixed << 19)) & (JUMP_SLOT_COUNT - 1));
}

/* Where the code at address is, or NULL. */
static inline const void *jump_find(const struct jump_table *jumps, uint64_t address,
                                    unsigned shift)
{
    unsigned slot = jump_slot(address, shift);

    if (jumps->tag[slot] + address + 1 && shift)
        slot = jump_second_slot(address);
    return jumps->tag[slot] + address + 1 ? NULL : (const void *)(uintptr_t)jumps->host[slot];
}

struct shadowmm;

struct shadowmm_stats {
    uint64_t view_switches, view_misses, view_evictions;
    uint64_t tables_traced, table_writes, table_syncs, entries_dropped, tables_forgotten,
        tables_rebound;
    uint64_t invlpgs, flushes;
    uint64_t share_breaks;
    uint64_t windows_made, windows_lost, window_faults, window_maps, window_pages, window_unmaps;
    uint64_t window_protects, window_evictions, window_areas;
    uint64_t directs_made, directs_lost, direct_faults, direct_areas;
    uint64_t avoid_looks, avoid_pages; /* pages that avoid.c looked through, and refused */
    uint64_t short_lived; /* address spaces that never left the first tier */
};

/* Takes over vcpu->tlb and vcpu->mmu. 0 or -errno. views: how many are kept (2 to 31). */
int shadowmm_create(struct shadowmm **sm, struct vcpu *vcpu, unsigned views);
void shadowmm_destroy(struct shadowmm *sm);

/* The jump table of the current view for this set; emptied first when it holds code that was
 * translated for another mode (key). */
struct jump_table *shadowmm_jump_table(struct shadowmm *sm, unsigned set, uint32_t key);

/* The same table as it is, whatever mode its code is for (its key). */
const struct jump_table *shadowmm_jumps(const struct shadowmm *sm, unsigned set);

/* Remembers that the code at guest address eip is translated at host. last: of its first
 * instruction's bytes, if that is in the next page, or eip. False: no table may hold it. */
bool shadowmm_jump_insert(struct shadowmm *sm, unsigned set, uint64_t eip, uint64_t last,
                          const void *host);

/* Forgets every translated address of a set (not one that is shared), in all views. */
void shadowmm_jump_flush(struct shadowmm *sm, unsigned set);

/* Forgets this address in all views. */
void shadowmm_jump_drop(struct shadowmm *sm, uint64_t eip);

/* INVLPG, where it takes no more than gla's page, and not the one at rip: nothing is to be left for
 * it (bt.leave). False: nothing was done, it is mem_invlpg()'s. */
bool shadowmm_invlpg_page(struct shadowmm *sm, uint64_t gla);

/* For physmem's on_write: a frame with WATCH_TABLE has been written. */
void shadowmm_table_written(struct shadowmm *sm, uint64_t gpa, uint64_t size);

/* For physmem's on_watch: take back every cached write right to the frames. */
void shadowmm_protect(struct shadowmm *sm, uint64_t gfn, uint64_t count);

/*
 * A write right of CPL 0 to the line (T4) that begins at gla, which is gpa, in the current view,
 * when there is no paging; the caller knows of no code in it, and calls shadowmm_drop_lines()
 * before there is some. False: it cannot be had.
 */
bool shadowmm_line(struct shadowmm *sm, uint64_t gla, uint64_t gpa);

/*
 * The same of the 1 << log2_size bytes at gla (T6), for the privilege user, whose page the walk has
 * just found to be writable; paging may be on.
 */
bool shadowmm_spot(struct shadowmm *sm, bool user, uint64_t gla, uint64_t gpa, unsigned log2_size);

/* Takes back the lines and spots that [gpa, gpa + size) overlaps. False: none are left anywhere. */
bool shadowmm_drop_lines(struct shadowmm *sm, uint64_t gpa, uint64_t size);

/*
 * Windows: a view's second form, for address spaces that compute. A window is 4 GiB of the
 * monitor's own address space in which the guest's page g is mapped at base + (g << 12), so that
 * the host's MMU does the guest's translation; a page not yet mapped, or mapped read-only because
 * its D bit is clear or its frame watched, faults.
 *
 *  W1. What a window maps is what a TLB entry could hold (T1, T2, S2, S3): it is dropped with the
 *      view's TLB entries, and loses write rights with them.
 *  W2. Both sides of a window are guarded by unmapped pages.
 *  W3. Dropping and protecting cannot fail: without the host's help (vm.max_map_count, no memory)
 *      the window is emptied, which the host cannot refuse.
 */

/* The forms of an address space's user part, and the code that runs it. */
enum shadowmm_tier { TIER_TLB, TIER_WINDOW, TIER_DIRECT, TIER_END };

/* Which views get which: as shadowmm_sample() finds, or one form at once and for good. A kernel's
 * windows: one for each view, or one that all share (share.c). */
enum tier_policy { TIERS_AUTO, TIERS_TLB, TIERS_WINDOW, TIERS_SHARED, TIERS_DIRECT };
void shadowmm_policy(struct shadowmm *sm, enum tier_policy kernel, enum tier_policy user);

/* What traps cost on this host, in TSC cycles. fault: a signal and a mapping for it; handoff: out
 * of a sandbox and back in. */
struct shadowmm_costs {
    uint64_t fault, handoff;
};
void shadowmm_set_costs(struct shadowmm *sm, struct shadowmm_costs costs);

/* Why an address space moves from one tier to another. */
#define MOVES(X)                                             \
    X(MOVE_ASKED, "asked for")                               \
    X(MOVE_RAN, "it has run for a while")                    \
    X(MOVE_COMPUTES, "it computes with few traps")           \
    X(MOVE_FAULTS, "its window faulted too often")           \
    X(MOVE_TRAPS, "its traps cost more than translation")    \
    X(MOVE_PLACE, "another address space needed its place")  \
    X(MOVE_LOST, "its sandbox was lost")
#define MOVE_ID(id, words) id,
enum move { MOVES(MOVE_ID) MOVE_END };
extern const char *const move_words[MOVE_END];

/*
 * How long one address space ran (TSC cycles, its time in the kernel included) while its user part
 * was in each tier, and how often it moved for each reason.
 */
struct tenure {
    uint64_t cr3, ran[TIER_END];
    unsigned moves[MOVE_END];
};
unsigned tenure_moves(const struct tenure *tenure); /* for any reason */

/* Calls put for the longest-lived address spaces that have moved, ended ones and current ones. */
void shadowmm_tenures(struct shadowmm *sm, void (*put)(void *arg, const struct tenure *tenure),
                      void *arg);
#define TENURES 32

/*
 * Direct execution: a view's third form. A direct window is a sandbox (direct/sandbox.h), in which
 * the guest's page g is mapped at g << 12 itself, with the rights of CPL 3. The shadow memory owns
 * the sandboxes it is given; what it maps takes effect before a sandbox next runs.
 */
#define SANDBOXES_MAX 24
struct sandbox;
struct sandbox_caps;
/* How many more sandboxes could be used: nonzero when all it has are taken. */
unsigned shadowmm_wants_sandbox(const struct shadowmm *sm);
void shadowmm_give_sandbox(struct shadowmm *sm, struct sandbox *sandbox,
                           const struct sandbox_caps *caps);
/* The current view's sandbox, or NULL while it has none. */
struct sandbox *shadowmm_sandbox(const struct shadowmm *sm);
/* The current view's sandbox is no more: forgets and destroys it. */
void shadowmm_lost_sandbox(struct shadowmm *sm);
/* The current view's sandbox has something mapped at gla. */
bool shadowmm_direct_mapped(const struct shadowmm *sm, uint64_t gla);
/* An access of CPL 3 in the current view's sandbox faulted: as shadowmm_window_fault(). */
enum mem_fill shadowmm_direct_fault(struct shadowmm *sm, uint64_t gla, enum mem_access access);

/* The guest was told that gla is missing in the sandbox: maps it, if it has done something about
 * it. Sets no A or D bit, raises nothing. */
void shadowmm_direct_expect(struct shadowmm *sm, uint64_t gla);
/* User code at gla must not run in the current view's sandbox: its page may have what does
 * something else there than in the guest (avoid.c). Asked each time before it runs there. */
bool shadowmm_direct_refuses(struct shadowmm *sm, uint64_t gla);
/* The current view's sandbox came back with an instruction that only the monitor can execute, and
 * that is no system call: for the policy. */
void shadowmm_direct_trapped(struct shadowmm *sm);
/* A run in the current view's sandbox took so many TSC cycles, the hand-off's included; own of them
 * were its program's (UINT64_MAX: that is not known). For the policy. */
void shadowmm_direct_ran(struct shadowmm *sm, uint64_t cycles, uint64_t own);

/* The base of the current view's window for this privilege, or NULL while it has none. */
uint8_t *shadowmm_window(const struct shadowmm *sm, bool user);

/* Called some hundred times a second of guest run time, with the privilege that was running: gives
 * windows to views that compute and takes them from views whose windows fault too much. True: the
 * address space is a new one, the next sample should be a millisecond later. */
bool shadowmm_sample(struct shadowmm *sm, bool user);

/* The guest halts, or waits for the board; it goes on: what passed between is no address space's
 * run time. */
void shadowmm_pause(struct shadowmm *sm);
void shadowmm_resume(struct shadowmm *sm);

/* An access of translated code to the current view's window faulted at gla: maps what the guest's
 * tables grant there. MEM_SPECIAL: a watched frame, interpret; MEM_DEVICE; MEM_FAULTED: deliver
 * vcpu->fault. */
enum mem_fill shadowmm_window_fault(struct shadowmm *sm, bool user, uint64_t gla, bool write);

/* The software TLB of CPL 3's code has missed at gla, and been filled: was it so before, with
 * nothing dropped meanwhile, so that a window would still have it? Known of some pages. */
enum shadowmm_again { AGAIN_UNKNOWN, AGAIN_FIRST, AGAIN_YES };
enum shadowmm_again shadowmm_missed(struct shadowmm *sm, uint64_t gla);

/* The last fault was the first write, in a while, to what is shown: no reason to take another form
 * of access. */
bool shadowmm_touched(const struct shadowmm *sm);

/* At most this many areas in all windows (vm.max_map_count less what the process needs besides),
 * AREAS_MIN at least. */
#define AREAS_MIN 8
void shadowmm_limit_areas(struct shadowmm *sm, unsigned areas);

const struct shadowmm_stats *shadowmm_stats(const struct shadowmm *sm);

/*
 * For people who look at a machine that stands still (novt view): what the current view has of the
 * page at gla, in each form that it may be cached in. Nothing changes by looking.
 */
enum shadowmm_look_form { LOOK_KERNEL_TLB, LOOK_KERNEL_WINDOW, LOOK_USER_TLB, LOOK_USER_WINDOW,
                          LOOK_DIRECT, LOOK_FORMS };
struct shadowmm_form {
    bool exists;           /* the view has this form */
    bool mapped, writable; /* of the page */
};
struct shadowmm_look {
    struct shadowmm_form form[LOOK_FORMS];
    bool shared;           /* the kernel's window is the one that all views share */
    unsigned view;         /* its number */
};
void shadowmm_look(const struct shadowmm *sm, uint64_t gla, struct shadowmm_look *out);

/* Is the frame that holds the page-table entry at gpa traced? *copy: the entry as it was when the
 * shadow was last made true to it; not set for TABLE_PLAIN. */
enum shadowmm_table { TABLE_PLAIN, TABLE_TRACED, TABLE_UNSYNC };
enum shadowmm_table shadowmm_table_state(const struct shadowmm *sm, uint64_t gpa, uint64_t *copy);

#endif
