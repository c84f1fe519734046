/* Private to shadowmm/: views and traced tables. */
#ifndef SHADOWMM_VIEW_H
#define SHADOWMM_VIEW_H

#include "cpu/paging.h"
#include "cpu/tlb.h"
#include "shadowmm/shadowmm.h"

#define VIEWS_MAX 31
#define VIEW_SHARED (1u << 31) /* in place.views: what all views share (share.c) */
#define WINDOWS_MAX 20
#define JUMP_LOG 8192
#define JUMP_PAGES 4096

/* One jump table and what was put into it. */
struct jumps {
    struct jump_table *table;
    uint32_t key;            /* the mode its code was translated for */
    unsigned used;           /* entries in log; more than JUMP_LOG: empty all of it */
    uint64_t low, high;      /* bounds of the addresses in it (while used is not 0) */
    /* bit n: pages whose number is n modulo JUMP_PAGES may have entries */
    uint64_t pages[JUMP_PAGES / 64];
    uint16_t log[JUMP_LOG];  /* slots filled */
};

/* A run of pages mapped in a window: contiguous in the guest's tables and in guest RAM. */
struct area {
    uint32_t page, count; /* first page number, pages */
    uint32_t gfn;         /* of the first */
    bool writable;
};

struct window {
    uint8_t *base;        /* NULL: no reservation */
    struct area *area;    /* sorted by page */
    unsigned areas, room;
    unsigned events;      /* faults and unmaps since the last sample */
};

struct view {
    struct tlb tlb[2] __attribute__((aligned(64)));
    bool valid;
    bool paging;
    uint64_t cr3, pdpte[4];
    uint64_t used_at;        /* the switch count when it was last selected */
    struct jumps jumps[2];
    struct window *window[2]; /* NULL: none */
    unsigned samples[2];      /* since it was made or lost its window */
    unsigned patience[2];     /* samples that it takes to get one */
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
    unsigned places;
    struct place place[PLACES_MAX];
    uint64_t unsynced;       /* the fill before which it became unsync */
    unsigned fills;          /* since it was last compared */
    unsigned idle;           /* comparisons in a row without a fill before them */
    struct table *next_unsync;
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

struct shadowmm {
    struct vcpu *vcpu;
    struct tlb *plain_tlb[2]; /* what was there before, given back at the end */
    const struct mmu_ops *plain_ops;
    struct view *view;       /* all of them */
    unsigned view_count, current;
    uint64_t mode;           /* the control bits all views were filled under */
    struct table **table_of; /* by gfn */
    uint8_t *writer;         /* by gfn: 0, view number + 1 or WRITER_MANY may hold a write right */
    struct table *unsync, *free_tables;
    unsigned free_count;
    uint64_t fill;           /* counts page faults, so to speak: one fills a run at most */
    struct table_chunk *chunks;
    struct window pool[WINDOWS_MAX];
    struct share share;
    bool sharing;            /* a fill of what is shared: sync_filled() marks its tables */
    unsigned area_limit;
    enum window_policy policy;
    struct shadowmm_stats stats;
};

#define WRITER_MANY 255
#define WINDOW_SAMPLES 4 /* of run time before a view gets its first window */

/* --- view.c --- */
void view_select(struct shadowmm *sm);
void view_flush(struct shadowmm *sm, struct view *view);
void view_empty_all(struct shadowmm *sm); /* they stay selected and keep their windows */
void view_drop(struct shadowmm *sm, struct view *view, uint64_t gla, uint64_t size);

/* --- jumps.c --- */
void jumps_flush(struct jumps *jumps);
void jumps_drop(struct jumps *jumps, uint64_t gla, uint64_t size);

/* --- window.c --- */
/* Drops and protects always succeed; the window is emptied if there is no other way. */
void window_drop(struct shadowmm *sm, struct window *w, uint64_t gla, uint64_t size);
void window_empty(struct shadowmm *sm, struct window *w);
void window_select(struct shadowmm *sm, struct view *view);
void window_release(struct shadowmm *sm, struct view *view, unsigned user);
void window_protect(struct shadowmm *sm, uint64_t gfn);
void window_destroy(struct shadowmm *sm);

struct window *window_take(struct shadowmm *sm); /* a free one, or NULL */

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
void share_filled(struct shadowmm *sm, uint64_t gla); /* is about to be, through the current root */
bool share_admit(struct shadowmm *sm, uint64_t gla);  /* code at gla may be in the jump table */
void share_sample(struct shadowmm *sm);

/* --- sync.c --- */
/* Does a translation made through the old entry contradict the new one? */
bool entry_contradicts(uint64_t old, uint64_t now);
/* A fill begins: its first sync_filled() will succeed, for which everything cached may go. */
void sync_begin(struct shadowmm *sm);
/* The walk is about to be cached in the current view. False: it must not be, for want of room. */
bool sync_filled(struct shadowmm *sm, uint64_t gla, const struct walk *walk);
int sync_create(struct shadowmm *sm);
void sync_all(struct shadowmm *sm);
/* INVLPG takes all of a large page: drops it if gla's is one that has been written. True then. */
bool sync_invlpg(struct shadowmm *sm, uint64_t gla);
void sync_forget_all(struct shadowmm *sm);
void sync_destroy(struct shadowmm *sm);

#endif
