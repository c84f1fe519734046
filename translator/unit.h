/*
 * Translation units and the translator's state; private to translator/.
 *
 * A unit is straight-line guest code of one page: from its entry to an unconditional transfer, with
 * side exits on the way. The life of a unit, and the function for each arrow:
 *
 *   translate_unit()     lookup_insert()         chain_link()
 *        (made) ------------> (findable) <----------------> (chained to)
 *                                  |        chain_unlink()
 *            smc_written(), cache_make_room(): unit_drop()
 *                                  v
 *                            (graveyard) -- unit_bury() --> freed
 *
 *  U1. A unit holds for (gpa, eip, key): the same bytes at the same linear address in the same
 *      mode. In segmented code (KEY_SEG) it holds for one base and limit of CS, and eip is the
 *      offset in CS; jump tables know it by unit_place(), which tells bases apart.
 *  U2. Units are chained directly only within a page and a key: a page's mapping cannot change
 *      between two of its own instructions. All other transfers look the address up in the view's
 *      jump table, which the shadow memory empties when a mapping changes.
 *  U3. Between two guest instructions of a unit the guest's registers and flags are in the host's,
 *      exactly. Within one, nothing of the guest's state has changed before the last host
 *      instruction that can fault. So a host fault means: interpret that guest instruction. (REP
 *      MOVS and REP STOS in a window have come as far as RCX says, as on a CPU; what RSI and RDI
 *      have of the window, precise.c takes away.)
 *  U4. Every cycle of transfers passes a poll: a load through r14, which an interrupt poisons.
 *  U5. Every frame a unit was made from is watched (WATCH_CODE).
 *  U6. The cache is written through one mapping and executed through another.
 *  U7. An instruction across a page end is a unit of its own (gpa2), reached by the jump table
 *      only, which forgets it when either page's mapping changes.
 *  U8. Code of one base has one limit in a set of jump tables: when another is met they are emptied
 *      (segments_code). So what a table holds is inside CS's limit, and a transfer that finds its
 *      target there needs no check but the one that its own instruction makes.
 *  U9. FPU and vector code that runs natively needs the guest's state in the host's registers
 *      (bt.fpu_loaded), where it never is while CR0.TS is set. A unit that has some (native) looks
 *      before the first one, and loads the state by SITE_LOAD, or has the interpreter raise #NM; C
 *      that resumes it has loaded it again. Others do not care, so that what calls the board from a
 *      kernel has nothing to save, and TS is in no key.
 */
#ifndef TRANSLATOR_UNIT_H
#define TRANSLATOR_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/decode.h"
#include "cpu/engine.h"
#include "cpu/mem.h"
#include "cpu/stops.h"
#include "cpu/vcpu.h"
#include "direct/sandbox.h"
#include "shadowmm/shadowmm.h"
#include "translator/adapt.h"
#include "translator/key.h"

/* The address that jump tables know eip in a code segment with this base by: the linear one, and
 * the base above it. Flat code's is eip itself. */
static inline uint64_t unit_place(uint32_t base, uint32_t eip)
{
    return eip + base * 0x100000001ull;
}

struct unit;
struct soft;

/* A direct transfer out of a unit, to the same page. */
struct unit_exit {
    struct unit *from, *to;     /* to: NULL while not chained */
    uint32_t number;            /* in translator.exits */
    uint32_t field;             /* offset in the unit's code of the rel32 */
    uint32_t stub;              /* offset of the stub it points to while not chained */
    uint32_t eip;               /* where it leads */
    struct unit_exit *next_in;  /* next in to->incoming */
};

/* A place in a unit where C is called. */
struct unit_site {
    struct insn in;
    struct unit *unit;
    uint32_t eip;
    uint32_t resume;  /* offset of the code after it; 0: never resumed */
    uint8_t kind;     /* enum site_kind */
    int8_t excess;    /* count.c's, where it is called */
    uint32_t calls;   /* in a unit that counts */
};

enum site_kind {
    SITE_EXECUTE,     /* interp_execute of the decoded instruction */
    SITE_FPU,         /* the same, with the FPU state in struct vcpu */
    SITE_OUTSIDE,     /* the same: may leave for the board's C, which uses vector registers */
    SITE_FETCH,       /* interp_one: fetch it anew each time */
    SITE_LOAD,        /* only loads the FPU state into the host's registers */
};

/* What a guest instruction has become. */
enum unit_how {
    HOW_TRANSLATED,   /* host instructions; rare cases may leave for the interpreter */
    HOW_CALLED,       /* a light call: C of its own, which may leave it to the interpreter */
    HOW_INTERPRETED,  /* the interpreter executes it */
};

/* Where guest instruction i begins: offsets from the unit's entry. counts: see count.c; how: enum
 * unit_how. */
struct unit_insn {
    uint16_t guest : 13, counts : 1, how : 2;
    uint16_t host;
    uint16_t fop : 11, live : 1; /* of an x87 instruction; live.c's L1 */
};

struct unit {
    uint64_t gpa;
    uint64_t gpa2;              /* U7: of the page that it reaches into; else NO_GPA */
    uint32_t eip, key;
    uint32_t base, limit;       /* of CS */
    uint16_t guest_len, insn_count, exit_count, site_count;
    uint32_t host_len;
    uint8_t *host;              /* executable address */
    bool dead;
    bool native;                /* U9 */
    bool counts;                /* how often it is entered: */
    uint64_t executions;
    uint64_t made;              /* TSC */
    struct unit *next_hash, *next_dead;
    struct unit *next_frame[2]; /* in the list of gpa's frame, of gpa2's */
    struct unit **held_frame[2]; /* what points to it there: such a list can have thousands */
    struct unit_exit *exits, *incoming;
    struct unit_site *sites;
    struct unit_insn insn[];    /* insn_count + 1: the last is the end */
};

#define NO_GPA UINT64_MAX

/* Where a list of a frame's units goes on behind unit. */
static inline struct unit **unit_next_in(struct unit *unit, uint64_t gfn)
{
    return &unit->next_frame[unit->gpa >> PAGE_SHIFT != gfn];
}

static inline struct unit ***unit_held_in(struct unit *unit, uint64_t gfn)
{
    return &unit->held_frame[unit->gpa >> PAGE_SHIFT != gfn];
}

#define CACHE_REGIONS 8
#define HASH_SIZE 131072

/* Of the hash table, with what most lookups want of its first unit: each unit is one more cache
 * miss. */
struct unit_bucket {
    struct unit *first;
    const uint8_t *host; /* where its code is, if that is flat and in one page; else NULL */
    uint64_t gpa;
    uint32_t eip, key;
};

struct cached {
    const uint8_t *host; /* where its code begins */
    struct unit *unit;   /* NULL: it is no more */
};

struct cache_region {
    size_t start, used;         /* offsets into the cache */
    struct cached *units;       /* in the order of their code */
    size_t unit_count, unit_room;
};

/* An instruction whose memory access was not done by translated code (callouts.c). */
#define SLOW_SITES 64
struct slow_site {
    const void *resume;  /* of its probe; NULL: none */
    struct unit *unit;
    unsigned insn;
    bool decoded;
    struct insn in;
};

struct translator_stats {
    uint64_t units, bytes_guest, bytes_host, units_dropped, insns_translated;
    uint64_t enters, lookups, lookup_found, chains, callouts, slow_fills, slow_specials,
        slow_faults, trace_callouts, trace_faults, fpu_loads, described, crossings,
        modes;
    uint64_t host_faults, window_faults, sites_adapted, polls, interpreted, smc_writes, smc_drops,
        evictions, kicks;
    uint64_t direct_runs, direct_exits[SANDBOX_EXIT_KINDS], direct_violations, directs_refused;
};

#define CODE_LIMIT_BITS 8

/* rules_decimal.c's */
enum decimal_table { DECIMAL_DAA, DECIMAL_DAS, DECIMAL_AAA, DECIMAL_AAS, DECIMAL_AAM,
                     DECIMAL_TABLES };
#define DECIMAL_INDEX 0x11ffu

/* Where descriptors are, and whether that may have changed. */
struct descriptor_tables {
    uint64_t gdt, ldt, idt; /* gla */
    uint32_t gdt_limit, ldt_limit, idt_limit;
    const struct tlb *tlb;
    uint64_t drops;         /* the TLB's */
};

/* What else a crossing goes by that it does not compare. */
struct crossing_world {
    uint64_t tr, cr4, xcr0;
    uint32_t tr_limit, tr_attr;
    bool emulates;                  /* CR0.EM */
    const uint8_t *window[2];       /* of CPL 0, of CPL 3 */
    const struct jump_table *flat;  /* flat code's of CPL 0, which may be one that views share */
};

/* What a light call leaves of an instruction to the callout behind it. */
enum port_left {
    PORT_ASKED, /* all that is not done */
    PORT_DONE,  /* to look at what a device has changed */
    PORT_LATER, /* the same, before the rest of a repetition */
};

struct translator {
    struct vcpu *vcpu;
    struct shadowmm *sm;
    uint8_t *write, *exec;      /* the cache's two mappings */
    size_t cache_size;
    struct cache_region region[CACHE_REGIONS];
    unsigned current_region;
    struct unit_bucket *hash;
    struct unit **by_frame;     /* by gfn: units made from it */
    struct code_map **code_map; /* by gfn: which of its bytes may be in units (smc.c) */
    struct unit *graveyard;
    struct unit_exit **exits;   /* by number */
    uint32_t exit_count, exit_room, exit_free;
    uint32_t pending_exit;      /* to be chained when its target has been translated, or NO_EXIT */
    uint32_t pending_eip;
    uint64_t thunks;            /* offset of the jumps to switch.S at the start of the cache */
    struct adapt_site *adapt;   /* hashed by gpa */
    /* bit n: addresses whose adapt_bit() is n may have sites */
    uint64_t adapt_filter[ADAPT_FILTER / 64];
    struct versions versions[VERSION_SITES];
    struct slow_site slow[SLOW_SITES]; /* by resume; units that are gone are not in it */
    uint64_t sampled_at;        /* TSC */
    struct direct *direct;      /* direct.c; NULL: not asked for */
    bool bmi, bmi2, fsgsbase; /* bmi: BMI1 and BMI2 */
    bool counting;              /* count.c */
    bool counting_units;        /* the same: units made now count how often they are entered */
    const struct code_listener *listener; /* NULL: nobody wants to know */
    uint8_t port;               /* enum port_left */
    bool lines;                 /* some TLB had a line beside code (cpu/tlb.h, T4) */
    uint32_t stops_version;     /* the code stops that no unit holds (cpu/stops.h, X1) */
    struct steps *steps;        /* steps.c; NULL: nobody steps */
    struct translator_stats stats;
    struct {
        uint32_t base, limit;
    } code_limit[JUMP_SETS][1 << CODE_LIMIT_BITS]; /* U8, by a hash of the base */
    struct descriptor_tables tables; /* descriptors.c: those that entries were made from */
    bool described;             /* there are entries */
    bool by_idt;                /* ... or crossings that depend on the IDT */
    struct crossing_world world; /* crossing.c: in which the crossings were seen */
    bool crossed;               /* there are some */
    uint32_t *decimal[DECIMAL_TABLES]; /* NULL: not used yet */
    uint64_t called[M_COUNT];   /* callouts by instruction */
    const char *called_name[M_COUNT];
};

#define NO_EXIT UINT32_MAX

static inline struct translator *translator_of(struct vcpu *vcpu)
{
    return vcpu->engine_state;
}

/* --- engine.c --- */
uint32_t engine_key(const struct vcpu *vcpu);
/* The current view's window that code of the mode key goes by; NULL: none. In real and
 * virtual-8086 mode no segment is flat, so that nothing would use one. */
static inline const uint8_t *engine_window(const struct translator *t, uint32_t key)
{
    return key & KEY_REAL ? NULL : shadowmm_window(t->sm, key & KEY_USER);
}
/* The unit at rip, made if need be. NULL: something else has been done instead. */
struct unit *engine_unit_here(struct translator *t, uint32_t key);

/* --- host.c: what this host's CPU and kernel offer --- */
bool host_has_bmi(void); /* BMI1 and BMI2 */
bool host_has_bmi2(void);
bool host_has_fsgsbase(void); /* wrgsbase in user mode */
unsigned host_max_areas(void); /* vm.max_map_count */

/* --- translate.c --- */
struct unit *translate_unit(struct translator *t, uint32_t eip, uint64_t gpa, const uint8_t *code,
                            uint32_t key);
/* The instruction across a page end (U7): code[INSN_MAX]. */
struct unit *translate_crossing(struct translator *t, uint32_t eip, uint64_t gpa, uint64_t gpa2,
                                const uint8_t *code, uint32_t key);

/* --- cache.c --- */
int cache_create(struct translator *t, size_t size);
void cache_destroy(struct translator *t);
/* Where the jumps of an enum thunk (emit.h) lead from now on. */
void cache_aim_thunk(struct translator *t, unsigned thunk, const char *target);
uint8_t *cache_reserve(struct translator *t, size_t size);
bool cache_room(struct translator *t);
void cache_commit(struct translator *t, struct unit *unit, size_t size);
struct unit *cache_find(struct translator *t, const void *host);
void cache_forget(struct translator *t, const struct unit *unit);
static inline uint8_t *cache_writable(const struct translator *t, const uint8_t *exec)
{
    return t->write + (exec - t->exec);
}
static inline bool cache_holds(const struct translator *t, uint64_t rip)
{
    return rip - (uint64_t)(uintptr_t)t->exec < t->cache_size;
}

/* The address in the cache that has this lower half, if one has. */
static inline uint64_t cache_whole(const struct translator *t, uint32_t low)
{
    uint64_t base = (uintptr_t)t->exec;

    return base + (uint32_t)(low - (uint32_t)base);
}

/* --- lookup.c --- */
struct unit *lookup_find(struct translator *t, uint64_t gpa, uint32_t eip, uint32_t key);
/* The quick way to one's code, which it publishes; NULL: ask lookup_find(). */
const void *lookup_host(struct translator *t, uint64_t gpa, uint32_t eip, uint32_t key);
void lookup_insert(struct translator *t, struct unit *unit);
/* Is unit what is at its address now, as far as its second page goes? */
bool lookup_current(struct translator *t, const struct unit *unit);
/* Puts it into the current view's jump table. False: none may hold it. */
bool lookup_publish(struct translator *t, const struct unit *unit);
void unit_drop(struct translator *t, struct unit *unit);
void unit_bury(struct translator *t);
void unit_drop_all(struct translator *t);
void unit_drop_stopped(struct translator *t); /* those with a debugger's code stop */
unsigned unit_insn_at(const struct unit *unit, const void *host);

/* --- chain.c --- */
/* Room for so many more numbers. False: no memory. */
bool chain_reserve(struct translator *t, unsigned count);
uint32_t chain_exit_number(struct translator *t, struct unit_exit *exit);
/* U2. The same address may have got another frame, or be another process's, since from was left. */
static inline bool chain_allowed(const struct unit *from, const struct unit *to)
{
    return from->key == to->key && from->base == to->base && from->limit == to->limit &&
           from->gpa >> PAGE_SHIFT == to->gpa >> PAGE_SHIFT && to->gpa2 == NO_GPA;
}
void chain_link(struct translator *t, struct unit_exit *exit, struct unit *to);
void chain_unlink(struct translator *t, struct unit_exit *exit);
void chain_free(struct translator *t, struct unit *unit);

/* --- count.c: instructions by tier, for -stats --- */
void count_left(struct vcpu *vcpu, const struct unit *unit, unsigned insn);
void count_left_site(struct vcpu *vcpu, const struct unit_site *site);
void count_resumed(struct vcpu *vcpu, const struct unit *unit, unsigned insn);
void count_resumed_site(struct vcpu *vcpu, const struct unit_site *site);
void count_repeated(struct vcpu *vcpu, const struct unit *unit, unsigned insn);
void count_faulted(struct vcpu *vcpu, const struct unit *unit);

/* --- smc.c --- */
void smc_written(struct translator *t, uint64_t gpa, uint64_t size);
/* Before it can be found; soft[softs]: bytes that it does not depend on, in order. */
void smc_made(struct translator *t, const struct unit *unit, const struct soft *soft,
              unsigned softs);
/* May units depend on any of [gpa, gpa + size)? In one page. */
bool smc_marked(const struct translator *t, uint64_t gpa, uint64_t size);
/* Drops all units made from the frame. */
void smc_drop_frame(struct translator *t, uint64_t gfn);
/* The frame's last unit is gone. */
void smc_forget(struct translator *t, uint64_t gfn);
void smc_destroy(struct translator *t);
/* Is there a unit in [gpa, gpa + size)? Not across a page end. */
bool smc_has_code(struct translator *t, uint64_t gpa, uint64_t size);

/* --- precise.c --- */
int precise_install(struct translator *t);
void precise_kick(struct vcpu *vcpu, void *ucontext);
enum interrupted precise_point(struct vcpu *vcpu, const void *ucontext, struct guest_point *point);

/* --- steps.c --- */
struct steps;
/* The host's trap flag did it; ucontext: the signal handler's. False: it was not ours. */
bool steps_trapped(struct vcpu *vcpu, void *ucontext);

/* --- direct.c --- */
/* NULL, with *handoff: TSC cycles of a run that ends at once; or why this host cannot. */
const char *direct_create(struct translator *t, uint64_t *handoff);
void direct_destroy(struct translator *t); /* after the shadow memory */
/* User code in this state can run on the bare CPU, and has a sandbox for it. */
bool direct_wanted(const struct translator *t, uint32_t key);
/* Until something needs the monitor, which is then done. */
void direct_run(struct translator *t);
void direct_kick(struct translator *t);   /* async-signal-safe */
bool direct_runs(const struct translator *t); /* the same; user code is on the bare CPU now */
/* Makes the next sandbox, if the shadow memory has use for it. */
void direct_supply(struct translator *t);

/* --- tiers.c --- */
const char *tiers_setup(struct translator *t, enum user_tier user); /* NULL, or why not */

#endif
