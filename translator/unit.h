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
 *  U7. An instruction across a page end is a unit of its own (gpa2), reached by the jump table
 *      only, which forgets it when either page's mapping changes.
 *  U8. Code of one base has one limit in a set of jump tables: when another is met they are emptied
 *      (segments_code). So what a table holds is inside CS's limit, and a transfer that finds its
 *      target there needs no check but the one that its own instruction makes.
 *  U6. The cache is written through one mapping and executed through another.
 *  U9. FPU and vector code that runs natively needs the guest's state in the host's registers
 *      (bt.fpu_loaded), where it never is while CR0.TS is set. A unit that has some (native) looks
 *      before the first one, and loads the state by SITE_LOAD, or has the interpreter raise #NM; C
 *      that resumes it has loaded it again. Others do not care, so that what calls the board from a
 *      kernel has nothing to save, and TS is in no key.
 */
#ifndef TRANSLATOR_UNIT_H
#define TRANSLATOR_UNIT_H

#include <sched.h>
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

/* The mode a unit is translated for. */
enum {
    KEY_USER = 1,      /* CPL 3 */
    KEY_FPU = 2,       /* CR0.EM and TS clear, CR4.OSFXSR set: FPU and SSE code runs natively */
    /* user code: FS is a 4 GiB data segment with some base. A kernel changes FS and */
    KEY_FS = 4,
    KEY_GS = 8,        /* GS all the time: its code checks them by bt.seg_tlb */
    KEY_WINDOW = 0x10, /* memory through the view's window */
    KEY_TSC = 0x20,    /* RDTSC is allowed (CPL 0, or CR4.TSD clear) */
    KEY_AVX = 0x40,    /* with KEY_FPU; CR4.OSXSAVE and XCR0 allow VEX-encoded vector code */
    KEY_AVX512 = 0x100, /* with KEY_AVX: XCR0 allows mask registers and ZMM */
    KEY_DIRECT = 0x4000, /* no units: user code that runs in a sandbox */
    KEY_OK = 0x80,     /* nothing that only the interpreter does; flat and 32 bits, or */
    KEY_SEG = 0x200,   /* segmented code: of the following, what is not set is as in flat code */
    KEY_CODE16 = 0x400, /* CS.D is clear */
    KEY_STACK16 = 0x800, /* SS.B is clear */
    KEY_REAL = 0x1000, /* real mode; with KEY_USER virtual-8086 mode */
    KEY_DS = 0x2000,   /* DS is not flat ... */
    KEY_ES = 0x8000,
    KEY_SS = 0x10000,
    KEY_ODD = 0x20000, /* KEY_REAL, but a limit, CS, the IDT or EFLAGS.AC is unusual; else NT is */
    KEY_RING = 0x40000, /* CPL 1 or 2 */
    KEY_X87 = 0x100000, /* KEY_FPU but for CR4.OSFXSR: x87 code runs natively */
    /* KEY_SEG at CPL 0 as INT from virtual-8086 mode leaves it: CS and SS are flat, the others
     * null. Nothing goes by bt_seg, which stays as it was. */
    KEY_NULLED = 0x200000,
    KEY_MOVED = 0x400000, /* KEY_ODD by no more than CS's selector, which is not its base's */
    KEY_IOPL = 0x80000, /* virtual-8086 mode with IOPL 3: PUSHF, IRET, ... are as in real mode */
};

#define KEY_BENT (KEY_CODE16 | KEY_STACK16 | KEY_DS | KEY_ES | KEY_SS) /* flat code has none */
#define KEY_NATIVE (KEY_FPU | KEY_X87) /* FPU code runs on the host's FPU */
#define KEY_VECTORS (KEY_NATIVE | KEY_AVX | KEY_AVX512) /* what does not depend on the privilege */

/* Which of a view's jump tables has the code of a mode. What a program goes through on its way from
 * real mode to flat code and back has different ones, so that none is emptied each time. */
static inline unsigned key_kind(uint32_t key)
{
    unsigned stack = !!(key & KEY_STACK16), ds = !!(key & KEY_DS), es = !!(key & KEY_ES);

    if (!(key & KEY_SEG))
        return 0;
    if (key & KEY_NULLED)
        return ds & es ? 2 : 16 + ds;
    if (key & KEY_REAL)
        return key & KEY_ODD ? 3 : 1;
    return key & KEY_CODE16 ? 4 | stack << 1 | ds : 8 | stack << 2 | ds << 1 | es;
}

static inline unsigned key_set(uint32_t key)
{
    return key_kind(key) << 1 | (key & KEY_USER);
}

/* The kinds that have what a transfer to another code segment may lead to: U8 holds for all of
 * them. */
static inline unsigned key_kinds_from(uint32_t key)
{
    unsigned kind = key_kind(key);

    return key & KEY_NULLED ? 2 : kind < 4 ? kind : kind < 8 ? 4 : 8;
}

static inline unsigned key_kinds_end(uint32_t key)
{
    unsigned from = key_kinds_from(key);

    return from < 4 ? from + 1 : 2 * from;
}

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
#define HASH_SIZE 262144

/* What a site has met. */
enum adapt_cause {
    ADAPT_OWN,     /* a page fault that is the guest's */
    ADAPT_HIDDEN,  /* a page that only the window lacked */
    ADAPT_TABLE,   /* a page table that is traced */
    ADAPT_CODE,    /* code that has been translated */
    ADAPT_DEVICE,  /* no memory */
    ADAPT_TRAP,    /* an exception that is no page fault */
    ADAPT_WRITTEN, /* a write to its own bytes */
    ADAPT_CAUSES
};

/* A guest instruction that faulted in a window. */
struct adapt_site {
    uint64_t gpa;
    uint16_t specials, fills, traps;
    bool tlb;  /* use the TLB form */
    bool call; /* its own exceptions are frequent: interpret */
    bool fetch; /* its bytes are written often: what they are is looked at each time (versions.c) */
    bool spots; /* it often writes to watched frames (cpu/tlb.h, T6) */
    uint8_t live; /* LIVE_ bits: only this of it is written often */
    uint16_t writes;
    uint8_t youths; /* units that began here and were written soon after they were made */
    uint16_t patience; /* so often it is interpreted before another is made */
    uint16_t patches, fetches;
    uint16_t met[ADAPT_CAUSES]; /* in all, for people; as many as fit */
};

/* Operands that are read when their instruction runs. */
enum { LIVE_IMMEDIATE = 1, LIVE_DISPLACEMENT = 2 };

/* What an instruction that is written often has been (versions.c). */
#define VERSIONS 4
#define VERSION_SITES 256
struct versions {
    uint64_t gpa;
    uint32_t left;   /* uses in translated code */
    uint32_t wanted; /* by another instruction */
    uint8_t count, len[VERSIONS], bytes[VERSIONS][INSN_MAX];
};

#define ADAPT_SIZE 16384
#define ADAPT_FILTER 65536

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
    struct unit **hash;
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

/* --- adapt.c --- */
void adapt_faulted(struct translator *t, struct unit *unit, unsigned insn, enum adapt_cause cause);
void adapt_trapped(struct translator *t, struct unit *unit, unsigned insn);
void adapt_forget(struct translator *t, uint64_t gpa); /* for tests */
/* What is known of the instruction at gpa; NULL: nothing. */
const struct adapt_site *adapt_site(const struct translator *t, uint64_t gpa);
bool adapt_calls(const struct translator *t, uint64_t gpa);
/* The size bytes at gpa of a unit's code (up to 4) have been written by themselves. */
void adapt_patched(struct translator *t, const struct unit *unit, uint64_t gpa, uint64_t size);
/* An instruction has written to a frame that is watched for code alone, by the slow way. */
void adapt_wrote(struct translator *t, struct unit *unit, unsigned insn);
/* A unit is dropped as its code has been written. */
void adapt_died(struct translator *t, const struct unit *unit);
/* Is the code at gpa not worth a unit yet, as it does not last? Asked each time it is come to. */
bool adapt_passing(struct translator *t, uint64_t gpa);
/* The unit of an instruction that is fetched has had the interpreter do it. */
void adapt_fetched(struct translator *t, struct unit *unit);

/* --- versions.c --- */
/* The same: will another unit of it know what is there now? */
bool versions_missed(struct translator *t, const struct unit *unit);
/* V2: it is to be tried as any other. */
bool versions_worn(struct translator *t, const struct unit *unit);
void versions_forget(struct translator *t, uint64_t gpa);

/* --- count.c: instructions by tier, for -stats --- */
void count_left(struct vcpu *vcpu, const struct unit *unit, unsigned insn);
void count_left_site(struct vcpu *vcpu, const struct unit_site *site);
void count_resumed(struct vcpu *vcpu, const struct unit *unit, unsigned insn);
void count_resumed_site(struct vcpu *vcpu, const struct unit_site *site);
void count_repeated(struct vcpu *vcpu, const struct unit *unit, unsigned insn);
void count_faulted(struct vcpu *vcpu, const struct unit *unit);

/* --- beside.c --- */
/* An access with this info (ACCESS_LINES or ACCESS_SPOTS) missed, as its frame is watched: may it
 * be done in line from now on? */
bool beside_fill(struct translator *t, uint64_t gla, uint32_t info);
/* Instruction insn of the unit has made such an access by the slow way: perhaps it is to have the
 * form that can be done in line. */
void beside_wrote(struct translator *t, struct unit *unit, unsigned insn, uint64_t gla,
                  uint32_t info);

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
/* User code in this state could run on the bare CPU; ... and has a sandbox for it. */
bool direct_allowed(const struct vcpu *vcpu, uint32_t key);
bool direct_wanted(const struct translator *t, uint32_t key);
/* Until something needs the monitor, which is then done. */
void direct_run(struct translator *t);
void direct_kick(struct translator *t);   /* async-signal-safe */
bool direct_runs(const struct translator *t); /* the same; user code is on the bare CPU now */
/* Makes the next sandbox, if the shadow memory has use for it. */
void direct_supply(struct translator *t);

/* --- tiers.c --- */
const char *tiers_setup(struct translator *t, enum user_tier user); /* NULL, or why not */

/* --- affinity.c: the core that the vcpu's thread and the sandboxes share --- */
struct affinity {
    cpu_set_t all;      /* where the thread may run otherwise; valid when known */
    bool known, pinned;
    unsigned cpu;       /* while pinned */
    uint64_t until;     /* ns, CLOCK_MONOTONIC: when the decision ends */
    uint64_t wanted, got;          /* time in sandboxes since, and their CPU time of it */
    uint64_t entered, entered_cpu;
    unsigned runs;
    bool measured;      /* this one */
};
void affinity_enter(struct affinity *p, struct sandbox *sandbox); /* before it runs */
void affinity_left(struct affinity *p, const struct sandbox *sandbox);
/* Now and then: nothing may have run directly for a while. */
void affinity_idle(struct affinity *p);

/* --- entry.c --- */
/* In a light call: EFLAGS; and CPL 0's stack, from the TSS, if it is flat. */
uint32_t entry_eflags(const struct vcpu *vcpu);
bool entry_kernel_stack(const struct vcpu *vcpu, struct segment *ss, uint32_t *esp);

/* --- descriptors.c --- */
/* What a descriptor is wanted for: a kind, the privilege (KEY_RING has no entries), and as what. */
enum descriptor_use {
    USE_KIND = 7,
    USE_DATA = 1,      /* DS, ES; flat or not */
    USE_DATA_ANY = 2,  /* FS, GS */
    USE_STACK = 3,     /* SS; flat or not, of 16 or 32 bits */
    USE_CODE = 4,      /* of 16 or 32 bits */
    USE_GATE = 5,      /* of the IDT, by the vector instead of a selector, and as USE_CODE */
    USE_USER = 8,      /* CPL 3 */
    USE_FLAT = 0x10,
    USE_32 = 0x20,
    USE_TRAP = 0x40,   /* a trap gate */
    USE_GATE_32 = 0x80,
    USE_CHANGES = 0x100, /* as whatever it is: the mode may become another one */
};

/* The entry of vcpu.bt_descriptors that has it, if there is one. */
unsigned descriptors_slot(uint32_t use, uint16_t selector);
/* USE_GATE and more for a vector that INT may use now, at one privilege; 0: it may not. */
unsigned descriptors_gate_use(struct vcpu *vcpu, unsigned vector);
/* Is what selector names in the GDT now 32-bit code? If it is no code: otherwise. */
bool descriptors_wide(struct vcpu *vcpu, uint16_t selector, bool otherwise);
/* D2 */
void descriptors_forget(struct vcpu *vcpu);
/* D1 */
void descriptors_changed(struct vcpu *vcpu);
/* Before something is known: that descriptors are where they are now. */
void descriptors_begin(struct vcpu *vcpu);
static inline void descriptors_check(struct vcpu *vcpu)
{
    if (translator_of(vcpu)->described)
        descriptors_changed(vcpu);
}
/* 8 bytes at gla, the descriptor that selector names: host memory, if CPL 0's TLB has the page and
 * they are in it and in the table; else NULL. */
const void *descriptors_system(const struct vcpu *vcpu, uint64_t gla);
const void *descriptors_at(const struct vcpu *vcpu, uint16_t selector);
/* The descriptor itself, or 0. */
uint64_t descriptors_read(const struct vcpu *vcpu, uint16_t selector);
/* May d be loaded into DS, ES, FS or GS, s (which may be) into SS, and CS at privilege dpl be what
 * selector names? (*cs) */
bool descriptors_data(const struct vcpu *vcpu, uint16_t selector, uint64_t d);
bool descriptors_stack(const struct vcpu *vcpu, const struct segment *s);
bool descriptors_code(const struct vcpu *vcpu, uint16_t selector, unsigned dpl, struct segment *cs);

/* --- modes.c --- */
/* Flat code has loaded s into seg (not CS), which makes the mode another one: on at rip. */
void modes_leave_flat(struct vcpu *vcpu, unsigned seg, const struct segment *s);

/* --- far.c --- */
/* In a light call that has changed the mode: goes on at rip in it. */
void far_go_to(struct vcpu *vcpu, uint32_t rip);

/* --- crossing.c: what is remembered of INT from virtual-8086 mode to flat code of CPL 0 --- */
/* The vector's gate leads to cs, the TSS to ss; the frame has not been pushed. NULL: nothing is to
 * be remembered. */
struct bt_crossing *crossing_begin(struct vcpu *vcpu, uint8_t vector, const struct segment *cs,
                                   const struct segment *ss);
/* All of it is done; frame: where it has been pushed. c may be NULL. */
void crossing_in(struct vcpu *vcpu, struct bt_crossing *c, uint8_t vector, uint8_t *frame,
                 bool interrupt);
/* IRET has gone back to virtual-8086 mode. */
void crossing_out(struct vcpu *vcpu);
/* CPL 0's mode is one that bt_change_mode may lead to. */
void crossing_mode(struct vcpu *vcpu);
/* The jump table of the mode key, if that is remembered and needs no other window: the vcpu has
 * what else it goes by. NULL: it is to be looked for. */
const struct jump_table *crossing_known(struct vcpu *vcpu, uint32_t key);
void crossing_forget(struct vcpu *vcpu);
void crossing_forget_tables(struct vcpu *vcpu); /* but modes, which do not depend on tables */
void crossing_check(struct vcpu *vcpu); /* D3 */

/* --- segments.c --- */
extern const struct tlb bt_never; /* hits nothing */
#define DATA_MASK (SEG_S | SEG_CODE | SEG_P | SEG_EXPDOWN | SEG_WRITABLE | SEG_UNUSABLE)
#define DATA_WHOLE (SEG_S | SEG_P | SEG_WRITABLE)

/* A present, writable, expand-up data segment of 4 GiB. */
static inline bool segment_whole(const struct segment *s)
{
    return (s->attr & DATA_MASK) == DATA_WHOLE && s->limit == UINT32_MAX;
}

static inline bool segments_flat(const struct segment *s)
{
    return segment_whole(s) && !s->base;
}

/* bt.seg_tlb for FS and GS as they are now; for segmented code, bt_seg. */
void segments_refresh(struct vcpu *vcpu, uint32_t key);
void segments_refresh_one(struct vcpu *vcpu, unsigned seg);
/* What probes are to know of s; checked: in protected mode. */
struct bt_segment segments_reach(const struct segment *s, bool checked);
/* CS has been loaded with this or will be: U8. For segmented code. */
void segments_code(struct translator *t, const struct segment *cs, uint32_t key);
/* The mode key of code that is not flat, or in real or virtual-8086 mode; engine_key() has looked
 * at what only the interpreter does. 0: that again. */
uint32_t segments_key(const struct vcpu *vcpu);

/*
 * Light calls, from switch.S: what is in registers only (rax, rcx, rdx, rsi, rdi of the guest are
 * in gpr[] and are loaded again) and needs none of the rest. False: nothing was done, ask the
 * interpreter.
 */
typedef bool light_fn(struct vcpu *vcpu, uint32_t argument);
light_fn bt_load_segment; /* segment register << 16 | selector; flat code's of CPL 0 */
#define LIGHT_LEAVES 0x100000 /* ... which goes on in another mode if need be; rip: as below */
light_fn bt_load_segment_any; /* the same in segmented code of any CPL */
light_fn bt_describe;     /* use << 16 | selector: makes the entry in vcpu.bt_descriptors */
/* Repeated string instructions: operand size; in segmented code segment << 8, address size << 16 */
#define LIGHT_SEGMENTED 0x1000000
#define LIGHT_UNTIL_EQUAL 0x2000000 /* REPNE */
light_fn bt_rep_stos, bt_rep_movs, bt_rep_lods, bt_rep_scas, bt_rep_cmps;
light_fn bt_invlpg;       /* gla; rip is its own */
light_fn bt_in, bt_out;   /* ports.c says what */
light_fn bt_rep_ins, bt_rep_outs; /* as those of strings */
light_fn bt_sysenter;     /* the unit's key */
light_fn bt_sysexit;
light_fn bt_int;          /* the vector and the unit's key << 8; rip: of the next instruction */
light_fn bt_iret;         /* the unit's key */
/* far.c's, of segmented code in protected mode; rip: of the next instruction */
light_fn bt_jmp_far, bt_call_far; /* the far pointer */
light_fn bt_ret_far;      /* bytes to drop */
light_fn bt_int_same, bt_int_v86; /* the vector; from virtual-8086 mode */
light_fn bt_iret_same;    /* operands of 16 bits */
light_fn bt_iret_v86;     /* to virtual-8086 mode */
/* modes.c's LGDT and LIDT at CPL 0: the operand's offset; bt.scratch: segment register and this */
light_fn bt_load_table;
#define LIGHT_BASE24 0x100
#define LIGHT_IDT 0x200
light_fn bt_write_cr0;    /* modes.c's, of segmented code: the value; rip: as above */

/* In bt_access's info, beside the access and its size: the instruction uses the FPU or vector
 * registers. */
#define ACCESS_FPU 0x10000
/* ... or it goes through a kernel's FS or GS (segment register << 20), whose TLB may be the one
 * that never hits; or through any segment that is not flat, perhaps with 16-bit addresses. */
#define ACCESS_SEG_SHIFT 20
#define ACCESS_SEGMENTED 0x20000
#define ACCESS_WRAPS 0x40000
#define ACCESS_SPOTS 0x400 /* ... or to what T6 says */
#define ACCESS_LINES 0x80000 /* a write that can go to a line beside code (cpu/tlb.h, T4) */

/* --- ports.c: what light calls to the board begin and end with --- */
/* False: it must not be called from here. */
bool ports_begin(struct vcpu *vcpu);
/* Has no device done anything that translated code has to be left for? */
bool ports_stay(const struct vcpu *vcpu);
/* What the light call returns: translated code goes on behind the instruction. */
bool ports_end(struct vcpu *vcpu, bool finished);

/* --- callouts.c: called from switch.S; each returns where to go on, or NULL to leave --- */
const void *bt_lookup(struct vcpu *vcpu);
const void *bt_lookup_mode(struct vcpu *vcpu); /* the same, and the mode is remembered */
const void *bt_chain(struct vcpu *vcpu, uint32_t exit_number);
const void *bt_access(struct vcpu *vcpu, uint64_t gla, uint32_t info, const void *resume);
const void *bt_call_site(struct vcpu *vcpu, struct unit_site *site);
const void *bt_fault(struct vcpu *vcpu);
const void *bt_window(struct vcpu *vcpu);
void translator_window(struct translator *t, bool user); /* gs base */
/* What translated code of this mode finds in struct vcpu; returns where it looks addresses up. */
struct jump_table *bt_prepare(struct vcpu *vcpu, uint32_t key);
void bt_fpu_in(struct vcpu *vcpu);
void bt_fpu_out(struct vcpu *vcpu);

/* --- switch.S --- */
uint64_t bt_enter(struct vcpu *vcpu, const void *host);
extern const char bt_exit_lookup[], bt_exit_second[], bt_exit_chain[], bt_slow_access[];
extern const char bt_callout[], bt_exit_fault[], bt_exit_window[], bt_light_call[];
extern const char bt_jump_1[], bt_jump_2[], bt_jump_3[], bt_jump_4[];

/* --- strings.S: for light_string(), by the logarithm of the element's size --- */
enum string_kind {
    STRING_STOS,
    STRING_LODS,
    STRING_SCAS,
    STRING_CMPS = 4,
    STRING_MOVS = 6,
    STRING_KINDS
};
#define STRING_UNTIL_EQUAL 1 /* of those that compare */
extern const void *const bt_strings[STRING_KINDS][3];
extern const char bt_jump_5[];

/* --- crossing.S --- */
extern const char bt_cross_in[], bt_cross_out[], bt_change_mode[], bt_jump_6[];

#define JUMP_POISON 0x8000000000000000ull

/* Translated code looks up its jumps there; a kick that comes later poisons it. */
static inline void unit_set_jumps(struct vcpu *vcpu, const struct jump_table *jumps)
{
    vcpu->bt.jumps = (uint64_t)(uintptr_t)jumps;
    *(volatile uint64_t *)&vcpu->bt.jump_table = vcpu->bt.jumps;
}

#endif
