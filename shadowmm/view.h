/* Private to shadowmm/: views and traced tables. */
#ifndef SHADOWMM_VIEW_H
#define SHADOWMM_VIEW_H

#include "cpu/paging.h"
#include "cpu/tlb.h"
#include "direct/sandbox.h"
#include "shadowmm/shadowmm.h"

#define VIEWS_MAX 31
#define VIEW_SHARED (1u << 31) /* in place.views: what all views share (share.c) */
#define WINDOWS_MAX 20
#define JUMP_LOG 32768
#define JUMP_PAGES (1u << 20)
#define POOL_SIZE (WINDOWS_MAX + SANDBOXES_MAX)

/* Pages that may have entries in a jump table: bit n of has is page n's, bit n of some is set where
 * has[n] is not 0. */
struct jump_pages {
    uint64_t some[JUMP_PAGES / 64 / 64];
    uint64_t has[JUMP_PAGES / 64];
};

/* One jump table and what was put into it. */
struct jumps {
    struct jump_table *table;
    unsigned shift;          /* of jump_slot() */
    unsigned used;           /* entries in log; more than JUMP_LOG: empty all of it */
    uint64_t low, high;      /* bounds of the addresses in it (while used is not 0) */
    struct jump_pages *pages;
    uint32_t *log;           /* slots filled: JUMP_LOG of them */
};

/* What a page or a run of them may be used for. exec: in a direct window only. */
struct rights {
    bool write, exec;
};

/* A run of pages mapped in a window: contiguous in the guest's tables and in guest RAM. */
struct area {
    uint32_t page, count; /* first page number, pages */
    uint32_t gfn;         /* of the first */
    struct rights rights;
};

#define WRITTEN_BITS 4096

struct window {
    uint8_t *base;        /* NULL: no reservation */
    struct sandbox *sandbox; /* a direct window: instead of base */
    bool is_direct;       /* this place in the pool is for one with a sandbox */
    bool filled;          /* something has been mapped since it was last emptied */
    bool crowded;         /* all of it has been given up for want of room */
    struct area *area;    /* sorted by page */
    unsigned areas, room;
    /* how far pages are from their frames in most of it, as a kernel maps all memory in one run;
     * of other areas, bit n: frames whose number is n modulo WRITTEN_BITS may be written there */
    bool is_straight;
    uint32_t straight;
    uint64_t written[WRITTEN_BITS / 64];
    unsigned events;      /* faults and unmaps since the last sample */
};

/* What a view's windows are for: translated kernel code, translated user code, direct execution. */
enum slot { SLOT_KERNEL, SLOT_USER, SLOT_DIRECT, SLOT_COUNT };

/* TSC cycles: the time a view has run, and what it lost of it to the faults of its windows. */
struct book {
    uint64_t ran, lost;
};

struct view {
    struct tlb tlb[2] __attribute__((aligned(64)));
    bool valid;
    bool paging;
    uint64_t cr3, pdpte[4];
    uint64_t used_at;        /* the switch count when it was last selected */
    struct jumps jumps[JUMP_SETS];
    uint64_t jumping;        /* bit n: set n may have entries */
    struct window *window[SLOT_COUNT]; /* NULL: none */
    unsigned samples[SLOT_COUNT];  /* since it was made or lost its window */
    struct book book[SLOT_COUNT];  /* how its windows of each kind do (policy.c) */
    /* since its last sample: TSC cycles, how often user code was left for the kernel, #PFs, cycles
     * of user code that ran directly */
    uint64_t ran, traps, page_faults, computed, handed;
    uint64_t waste;          /* cycles that direct execution has cost by now, less its gain */
    unsigned looked;         /* samples since it began */
    uint64_t direct_at;      /* when it was given its sandbox */
    bool displaced;          /* others have needed its place, or its window's, before */
    bool crowded;            /* one of its windows was */
    uint32_t forgotten;      /* so often all that again.c knew of it */
    bool followed;           /* since then it has learnt of some pages */
    struct tenure tenure;
};

/* Where a paging structure serves: entry e maps the 1 << shift bytes from base + (e << shift). */
struct place {
    uint64_t base;
    unsigned shift;
    uint32_t views;          /* bit n: view n may hold translations made through it here */
    uint64_t filled;         /* the last fill (shadowmm.fill) that used it */
};

/* Page directories that map themselves serve at two or three places; shared tables at more. */
#define PLACES_MAX 4

/* A traced or unsynced paging structure. */
struct table {
    uint64_t gfn;
    unsigned entry_bytes;
    bool unsync;
    bool upper, listed;      /* some place has tables or large pages below it; in unsync_upper */
    unsigned places;
    struct place place[PLACES_MAX];
    uint64_t unsynced;       /* the fill before which it became unsync */
    unsigned fills;          /* since it was last compared */
    unsigned idle;           /* comparisons in a row without a fill before them */
    struct table *next_unsync, *next_upper;
    uint64_t copy[PAGE_SIZE / 8];
};

/* What all views share: share.c has the invariants. */
struct share {
    bool on, refused;
    struct window *window;
    struct jumps jumps;
    uint64_t entry[1024];    /* the top-level entries it was filled through; 0: not used */
    uint16_t index[1024];    /* those used */
    unsigned used;
    unsigned breaks;         /* roots that disagreed, lately */
};

#define TABLES_PER_CHUNK 60 /* about 256 KiB */
#define TABLES_RESERVE 4    /* more than one walk has */

struct table_chunk;

#define HOLDERS 64

struct holders {
    uint32_t page, views;    /* bit n: view n may hold it */
    bool known;
};

#define UNPROTECTED_MAX 16

#define EVICTED 64

#define AGAIN_BITS 12
#define AGAIN_PLACES (1u << AGAIN_BITS)

struct shadowmm {
    struct vcpu *vcpu;
    struct tlb *plain_tlb[2]; /* what was there before, given back at the end */
    const struct mmu_ops *plain_ops;
    struct view *view;       /* all of them */
    unsigned view_count, current;
    uint64_t evicted[EVICTED]; /* the roots of the views that were evicted last */
    unsigned evictions;
    uint64_t mode;           /* the control bits all views were filled under */
    /* read-only pages that supervisor code may write in some view, as CR0.WP was 0 when they were
     * filled; a count above UNPROTECTED_MAX: any */
    uint32_t unprotected[UNPROTECTED_MAX];
    unsigned unprotected_count;
    struct table **table_of; /* by gfn */
    uint64_t tables_end;     /* none at this gfn or above */
    bool touched;            /* see shadowmm_touched() */
    uint8_t *writer;         /* by gfn: 0, view number + 1 or WRITER_MANY may hold a write right */
    struct holders holders[HOLDERS]; /* by page (holders.c) */
    uint64_t holders_regions[1024 / 64]; /* bit n: there may be some of the 4 MiB at n << 22 */
    uint64_t again[AGAIN_PLACES]; /* pages that missed in a view (again.c); 0: none */
    unsigned again_asked;
    struct table *unsync, *free_tables;
    struct table *unsync_upper; /* of unsync: those that an INVLPG may take more than a page of */
    unsigned free_count;
    uint64_t fill;           /* counts page faults, so to speak: one fills a run at most */
    struct table_chunk *chunks;
    struct share share;
    uint8_t avoid;           /* bit n: no page of a direct window may execute AVOID_ n */
    bool avoided;            /* some page has been refused for it */
    bool sharing;            /* a fill of what is shared: sync_filled() marks its tables */
    struct window pool[POOL_SIZE]; /* windows, then those with a sandbox */
    unsigned area_limit;
    enum tier_policy kernel_policy, user_policy;
    struct shadowmm_costs costs;
    struct sandbox_caps direct_caps;
    /* what the current view's time, traps and #PFs were last added up to */
    uint64_t account_at, account_traps, account_faults;
    struct tenure ended[TENURES];
    uint64_t (*clock)(void); /* the TSC; a test has its own */
    bool paused;             /* what passes is nobody's time */
    struct shadowmm_stats stats;
};

#define WRITER_MANY 255

/* --- view.c --- */
void view_select(struct shadowmm *sm);
void view_flush(struct shadowmm *sm, struct view *view);
void view_empty_all(struct shadowmm *sm); /* they stay selected and keep their windows */
void view_drop(struct shadowmm *sm, struct view *view, uint64_t gla, uint64_t size);
/* Supervisor code's right to write gla's page, if the walk found it so, is CR0.WP's doing. */
void view_unprotected(struct shadowmm *sm, uint64_t gla, const struct walk *walk);

/* --- holders.c --- */
uint32_t holders_of(struct shadowmm *sm, uint64_t gla); /* bit n: view n may hold gla's page */
void holders_begin(struct shadowmm *sm, uint64_t gla);  /* no view does */
void holders_filled(struct shadowmm *sm, uint64_t gla, uint64_t size); /* the current view does */

/* --- again.c --- */
void again_forget(struct view *view);
void again_drop(struct shadowmm *sm, struct view *view, uint64_t gla, uint64_t size);

/* --- jumps.c --- */
int jumps_create(struct jumps *jumps, unsigned shift); /* 0 or -errno */
void jumps_destroy(struct jumps *jumps);
void jumps_flush(struct jumps *jumps);
void jumps_drop(struct jumps *jumps, uint64_t gla, uint64_t size);

/* --- host.c --- */
#define WINDOW_SIZE (1ull << 32)
#define WINDOW_PAGES (WINDOW_SIZE >> PAGE_SHIFT)
bool host_ready(struct window *w); /* it can be used: it has an address range or a sandbox */
void host_destroy(struct window *w);
/* The pages that can be mapped: [low, end). */
void host_bounds(const struct shadowmm *sm, const struct window *w, uint64_t *low, uint64_t *end);
/* Maps the run; fresh: nothing was there. False: what is there now is undefined. */
bool host_map(const struct shadowmm *sm, const struct window *w, const struct area *run,
              bool fresh);
/* Nothing is mapped at [page, end) afterwards: accesses fault. False: what is there is
 * undefined. */
bool host_unmap(const struct shadowmm *sm, const struct window *w, uint64_t page, uint64_t end);
/* Mapped pages have these rights afterwards. False: what has changed is undefined. */
bool host_protect(const struct shadowmm *sm, const struct window *w, uint64_t page, uint64_t count,
                  struct rights rights);
void host_unmap_all(const struct shadowmm *sm, const struct window *w);

/* --- area.c --- */
unsigned area_find(const struct window *w, uint64_t page); /* the first that ends behind page */
bool area_any(const struct window *w, uint64_t page, uint64_t end); /* some in [page, end)? */
/* Of area_limit: the windows share this process's, a sandbox has its own. */
uint64_t area_used(const struct shadowmm *sm, const struct window *w);
/* Room for two more areas, which is what a change of one can make of it: in the array and within
 * the limit. Without it, the caller empties a window. */
bool area_room(const struct shadowmm *sm, struct window *w);
/* For which area_room() has been asked: */
void area_insert(struct shadowmm *sm, struct window *w, unsigned at, struct area area);
/* Makes page begin an area, if it lies inside one. */
void area_split(struct shadowmm *sm, struct window *w, uint64_t page);
void area_remove(struct shadowmm *sm, struct window *w, uint64_t page, uint64_t end);
/* ... and for which it need not be. */
void area_clear(struct shadowmm *sm, struct window *w);
void area_destroy(struct window *w);

/* --- window.c --- */
/* Drops and protects always succeed; the window is emptied if there is no other way. */
void window_drop(struct shadowmm *sm, struct window *w, uint64_t gla, uint64_t size);
void window_empty(struct shadowmm *sm, struct window *w);
void window_release(struct shadowmm *sm, struct view *view, enum slot slot);
void window_protect(struct shadowmm *sm, uint64_t gfn, uint64_t count);
void window_prefill(struct shadowmm *sm, const struct view *view); /* the current one */
void window_destroy(struct shadowmm *sm);

/* --- avoid.c --- */
enum { AVOID_SYSENTER, AVOID_SYSCALL, AVOID_CPUID, AVOID_CS, AVOID_END };
/* May user code execute the page at gpa (of RAM) directly, which it may write? (Where it may, what
 * the page has does not matter.) */
bool avoid_allows(struct shadowmm *sm, uint64_t gpa, bool write);
/* Before user code runs directly: what has it done since? Empties direct windows where that allows
 * more or less than before. */
void avoid_look(struct shadowmm *sm);

/* --- share.c --- */
int share_create(struct shadowmm *sm);
void share_destroy(struct shadowmm *sm);
/* The current kernel gets the shared window; false: it cannot. */
bool share_begin(struct shadowmm *sm);
void share_end(struct shadowmm *sm);
void share_empty(struct shadowmm *sm);
void share_drop(struct shadowmm *sm, uint64_t gla, uint64_t size);
void share_check(struct shadowmm *sm);  /* another root, or the same anew */
bool share_invlpg(struct shadowmm *sm, uint64_t gla); /* true: more than the page went */
bool share_agrees(const struct shadowmm *sm, uint64_t gla); /* false: more than the page would go */
void share_filled(struct shadowmm *sm, uint64_t gla); /* is about to be, through the current root */
/* May code that begins at gla, with an instruction that ends at last, be in the jump table? */
bool share_admit(struct shadowmm *sm, uint64_t gla, uint64_t last);
void share_sample(struct shadowmm *sm);

/* --- policy.c --- */
/* A free window for this slot, taken from another view if need be; or NULL. */
struct window *policy_take(struct shadowmm *sm, enum slot slot);
/* It was given a sandbox lately, and uses it: not to be taken for one that was displaced. */
bool policy_holds(const struct shadowmm *sm, const struct view *view);
void policy_account(struct shadowmm *sm);                   /* before the current view changes */
void policy_begin(struct shadowmm *sm, struct view *view);  /* it is another address space now */
void policy_reset(struct shadowmm *sm, struct view *view);  /* to the first tier */
void policy_select(struct shadowmm *sm, struct view *view); /* it is the current one now */

/* --- sync.c --- */
/* Does a translation made through the old entry contradict the new one? */
bool entry_contradicts(uint64_t old, uint64_t now);
/* A fill begins: its first sync_filled() will succeed, for which everything cached may go. */
void sync_begin(struct shadowmm *sm);
/* The walk is about to be cached in the current view. False: it must not be, for want of room. */
bool sync_filled(struct shadowmm *sm, uint64_t gla, const struct walk *walk);
/* Is the walk what would be cached of it already, had it been? Not for an entry that was edited and
 * may be used with its old value. */
bool sync_agrees(const struct shadowmm *sm, uint64_t gla, const struct walk *walk);
int sync_create(struct shadowmm *sm);
void sync_all(struct shadowmm *sm);
/* INVLPG takes all of a large page: drops it if gla's is one that has been written. True then. */
bool sync_invlpg(struct shadowmm *sm, uint64_t gla);
bool sync_is_large(const struct shadowmm *sm, uint64_t gla); /* would it be true? */
void sync_forget_all(struct shadowmm *sm);
void sync_destroy(struct shadowmm *sm);

#endif
