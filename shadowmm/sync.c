/* Traced page tables: the state machine and the invariants are in shadowmm.h. */
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#include "cpu/event.h"
#include "shadowmm/view.h"

/*
 * Tables come from chunks by mmap, not from malloc: a table is traced while the guest's vector
 * state is in the host's registers, which malloc may use.
 */
struct table_chunk {
    struct table_chunk *next;
    struct table table[TABLES_PER_CHUNK];
};

static bool more_tables(struct shadowmm *sm)
{
    struct table_chunk *chunk = mmap(NULL, sizeof(*chunk), PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (chunk == MAP_FAILED)
        return false;
    chunk->next = sm->chunks;
    sm->chunks = chunk;
    for (unsigned i = 0; i < TABLES_PER_CHUNK; i++) {
        chunk->table[i].next_unsync = sm->free_tables;
        sm->free_tables = &chunk->table[i];
    }
    sm->free_count += TABLES_PER_CHUNK;
    return true;
}

static struct table *table_take(struct shadowmm *sm)
{
    struct table *t;

    if (!sm->free_tables && !more_tables(sm))
        return NULL;
    t = sm->free_tables;
    sm->free_tables = t->next_unsync;
    sm->free_count--;
    return t;
}

static void table_give(struct shadowmm *sm, struct table *t)
{
    t->next_unsync = sm->free_tables;
    sm->free_tables = t;
    sm->free_count++;
}

int sync_create(struct shadowmm *sm)
{
    return more_tables(sm) ? 0 : -ENOMEM;
}

void sync_destroy(struct shadowmm *sm)
{
    while (sm->chunks) {
        struct table_chunk *chunk = sm->chunks;

        sm->chunks = chunk->next;
        munmap(chunk, sizeof(*chunk));
    }
}

#define IDLE_MANY 4

static void copy_page(void *to, const void *from)
{
    uint64_t count = PAGE_SIZE / 8;

    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static const uint64_t *table_memory(const struct shadowmm *sm, const struct table *t)
{
    return (const uint64_t *)(const void *)physmem_ptr(sm->vcpu->mem, t->gfn << PAGE_SHIFT);
}

static unsigned table_entries(const struct table *t)
{
    return PAGE_SIZE / t->entry_bytes;
}

/* Drops what was made through entries [first, end) at a place. */
static void drop_at(struct shadowmm *sm, const struct place *p, unsigned first, unsigned end)
{
    uint64_t gla = p->base + ((uint64_t)first << p->shift);
    uint64_t size = (uint64_t)(end - first) << p->shift;
    uint32_t views = p->views & ~VIEW_SHARED;

    if (!p->views)
        return;
    sm->stats.entries_dropped++;
    event_tell(sm->vcpu, EVENT_drop, gla, size, 0);
    if (p->views & VIEW_SHARED)
        share_drop(sm, gla, size);
    if (size == PAGE_SIZE)
        views &= holders_of(sm, gla);
    for (; views; views &= views - 1)
        view_drop(sm, &sm->view[__builtin_ctz(views)], gla, size);
}

/* The same at all places. */
static void drop_entries(struct shadowmm *sm, const struct table *t, unsigned first, unsigned end)
{
    for (unsigned i = 0; i < t->places; i++)
        drop_at(sm, &t->place[i], first, end);
}

bool entry_contradicts(uint64_t old, uint64_t now)
{
    const uint64_t used = PTE_A | PTE_D;

    return old & PTE_P && ((old ^ now) & ~used || old & ~now & used);
}

static uint64_t entry_at(const struct table *t, const uint64_t *words, unsigned i)
{
    return t->entry_bytes == 8 ? words[i] : ((const uint32_t *)words)[i];
}

/* Drops what changed since the copy was made, runs of entries at a time. */
static void compare(struct shadowmm *sm, struct table *t)
{
    const uint64_t *now = table_memory(sm, t);
    unsigned per_word = 8 / t->entry_bytes, entries = table_entries(t), run = 0;

    sm->stats.table_syncs++;
    for (unsigned i = 0; i < entries; i++) {
        if (t->copy[i / per_word] != now[i / per_word] &&
            entry_contradicts(entry_at(t, t->copy, i), entry_at(t, now, i))) {
            run++;
        } else if (run) {
            drop_entries(sm, t, i - run, i);
            run = 0;
        }
    }
    if (run)
        drop_entries(sm, t, entries - run, entries);
}

static void forget(struct shadowmm *sm, struct table *t)
{
    drop_entries(sm, t, 0, table_entries(t));
    physmem_unwatch(sm->vcpu->mem, t->gfn, WATCH_TABLE);
    sm->table_of[t->gfn] = NULL;
    sm->stats.tables_forgotten++;
    event_tell(sm->vcpu, EVENT_table_forget, t->gfn << PAGE_SHIFT, 0, 0);
    table_give(sm, t);
}

static void trace(struct shadowmm *sm, struct table *t)
{
    t->unsync = t->listed = false;
    t->fills = 0;
    physmem_watch(sm->vcpu->mem, t->gfn, WATCH_TABLE);
    copy_page(t->copy, table_memory(sm, t));
}

/* Forgets where a frame served before it was written, if it has served elsewhere since: it was
 * freed and used again, most often, and each change of it would be looked for there too. */
static void prune_places(struct shadowmm *sm, struct table *t)
{
    for (unsigned i = t->places; i-- > 0 && t->places > 1;)
        if (t->place[i].filled <= t->unsynced) {
            drop_at(sm, &t->place[i], 0, table_entries(t));
            t->place[i] = t->place[--t->places];
            sm->stats.tables_rebound++;
        }
}

/* A frame through which nothing has been cached for a while is forgotten: it may be plain memory
 * now. */
static void sync_one(struct shadowmm *sm, struct table *t)
{
    t->idle = t->fills ? 0 : t->idle + 1;
    if (t->idle > IDLE_MANY) {
        forget(sm, t);
        return;
    }
    prune_places(sm, t);
    compare(sm, t);
    trace(sm, t);
}

void sync_all(struct shadowmm *sm)
{
    struct table *t = sm->unsync;

    sm->unsync = sm->unsync_upper = NULL;
    while (t) {
        struct table *next = t->next_unsync;

        sync_one(sm, t);
        t = next;
    }
}

void sync_forget_all(struct shadowmm *sm)
{
    sm->unsync = sm->unsync_upper = NULL;
    for (uint64_t gfn = 0; gfn < sm->tables_end; gfn++)
        if (sm->table_of[gfn])
            forget(sm, sm->table_of[gfn]);
    sm->tables_end = 0;
}

static struct table *table_for(struct shadowmm *sm, const struct walk *walk, unsigned i)
{
    uint64_t gfn = walk->table_gfn[i];
    struct table *t = sm->table_of[gfn];

    if (t)
        return t;
    t = table_take(sm);
    if (!t)
        return NULL;
    t->gfn = gfn;
    t->entry_bytes = walk->entry_bytes;
    t->places = 0;
    t->upper = false;
    t->idle = 0;
    sm->table_of[gfn] = t;
    if (gfn >= sm->tables_end)
        sm->tables_end = gfn + 1;
    sm->stats.tables_traced++;
    event_tell(sm->vcpu, EVENT_table_trace, gfn << PAGE_SHIFT, 0, 0);
    trace(sm, t);
    return t;
}

/*
 * A place to be used anew: one that has not been used since the frame was written, since the frame
 * may have been freed and serve elsewhere now; a new one; or the one not used for longest. What
 * this very fill has used stays: it is about to be cached. NULL: all are such.
 */
static struct place *place_take(struct table *t, uint64_t fill)
{
    struct place *oldest = NULL;

    for (unsigned i = 0; i < t->places; i++)
        if (t->place[i].filled != fill && (!oldest || t->place[i].filled < oldest->filled))
            oldest = &t->place[i];
    if (oldest && t->unsync && oldest->filled <= t->unsynced)
        return oldest;
    return t->places < PLACES_MAX ? &t->place[t->places] : oldest;
}

static void list_upper(struct shadowmm *sm, struct table *t)
{
    if (!t->unsync || !t->upper || t->listed)
        return;
    t->listed = true;
    t->next_upper = sm->unsync_upper;
    sm->unsync_upper = t;
}

/* Table i of the walk is t: S5. */
static struct place *place_for(struct shadowmm *sm, struct table *t, const struct walk *walk,
                               unsigned i)
{
    struct place *p;

    for (p = t->place; p < t->place + t->places; p++)
        if (p->base == walk->table_base[i] && p->shift == walk->table_shift[i])
            return p;
    p = place_take(t, sm->fill);
    if (!p)
        return NULL;
    if (p == &t->place[t->places]) {
        t->places++;
    } else {
        drop_at(sm, p, 0, table_entries(t));
        sm->stats.tables_rebound++;
    }
    *p = (struct place){ .base = walk->table_base[i], .shift = walk->table_shift[i] };
    t->upper |= p->shift != PAGE_SHIFT;
    list_upper(sm, t);
    return p;
}

/* S3: what is cached now is what memory holds now. What was cached through another value goes: the
 * next comparison would not see it. */
static void refresh_copy(struct shadowmm *sm, struct table *t, unsigned index)
{
    unsigned word = index * t->entry_bytes / 8;
    const uint64_t *now = table_memory(sm, t);

    if (entry_contradicts(entry_at(t, t->copy, index), entry_at(t, now, index)))
        drop_entries(sm, t, index, index + 1);
    if (t->entry_bytes == 8)
        t->copy[word] = now[word];
    else
        ((uint32_t *)t->copy)[index] = ((const uint32_t *)now)[index];
}

bool sync_agrees(const struct shadowmm *sm, uint64_t gla, const struct walk *walk)
{
    for (unsigned i = 0; i < walk->tables; i++) {
        const struct table *t = walk->table_gfn[i] < sm->vcpu->mem->frames
                                    ? sm->table_of[walk->table_gfn[i]] : NULL;
        unsigned index = (unsigned)(gla >> walk->table_shift[i]);

        if (!t || entry_contradicts(entry_at(t, t->copy, index & (table_entries(t) - 1)),
                                    entry_at(t, table_memory(sm, t),
                                             index & (table_entries(t) - 1))))
            return false;
    }
    return true;
}

/* Is there a large page at gla, made through an entry of t there? */
static bool is_large_at(const struct table *t, const struct place *p, uint64_t gla)
{
    const uint64_t index = (gla - p->base) >> p->shift, large = PTE_P | PTE_PS;

    return p->shift != PAGE_SHIFT && gla >= p->base && index < table_entries(t) &&
           (entry_at(t, t->copy, (unsigned)index) & large) == large;
}

bool sync_is_large(const struct shadowmm *sm, uint64_t gla)
{
    for (const struct table *t = sm->unsync_upper; t; t = t->next_upper)
        for (unsigned i = 0; i < t->places; i++)
            if (is_large_at(t, &t->place[i], gla))
                return true;
    return false;
}

bool sync_invlpg(struct shadowmm *sm, uint64_t gla)
{
    bool any = false;

    for (const struct table *t = sm->unsync_upper; t; t = t->next_upper)
        for (unsigned i = 0; i < t->places; i++) {
            const struct place *p = &t->place[i];
            unsigned index = (unsigned)((gla - p->base) >> p->shift);

            if (!is_large_at(t, p, gla))
                continue;
            drop_at(sm, p, index, index + 1);
            any = true;
        }
    return any;
}

/* Without room to trace what it will be filled from, nothing may be cached; with nothing cached,
 * nothing needs to be traced. */
void sync_begin(struct shadowmm *sm)
{
    sm->fill++;
    if (sm->free_count >= TABLES_RESERVE || more_tables(sm))
        return;
    view_empty_all(sm);
    sync_forget_all(sm);
}

bool sync_filled(struct shadowmm *sm, uint64_t gla, const struct walk *walk)
{
    holders_filled(sm, gla, walk->size);
    if (sm->sharing)
        share_filled(sm, gla);
    for (unsigned i = 0; i < walk->tables; i++) {
        struct table *t;
        struct place *p;

        if (walk->table_gfn[i] >= sm->vcpu->mem->frames)
            continue;
        t = table_for(sm, walk, i);
        p = t ? place_for(sm, t, walk, i) : NULL;
        if (!p)
            return false;
        p->views |= 1u << sm->current;
        if (sm->sharing && (i || walk->entry_bytes == 8)) /* H2 has the top level */
            p->views |= VIEW_SHARED;
        p->filled = sm->fill;
        t->fills++;
        refresh_copy(sm, t, (unsigned)(gla >> p->shift) & (table_entries(t) - 1));
    }
    return true;
}

void shadowmm_table_written(struct shadowmm *sm, uint64_t gpa, uint64_t size)
{
    struct table *t = sm->table_of[gpa >> PAGE_SHIFT];

    sm->stats.table_writes++;
    event_tell(sm->vcpu, EVENT_table_write, gpa, size, 0);
    if (!t || t->unsync)
        return;
    t->unsync = true;
    t->unsynced = sm->fill;
    t->fills = 0;
    t->next_unsync = sm->unsync;
    sm->unsync = t;
    list_upper(sm, t);
    physmem_unwatch(sm->vcpu->mem, t->gfn, WATCH_TABLE);
}
