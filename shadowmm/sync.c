/* Traced page tables: the state machine and the invariants are in shadowmm.h. */
#include <stddef.h>
#include <sys/mman.h>

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
    return true;
}

static struct table *table_take(struct shadowmm *sm)
{
    struct table *t;

    if (!sm->free_tables && !more_tables(sm))
        return NULL;
    t = sm->free_tables;
    sm->free_tables = t->next_unsync;
    return t;
}

static void table_give(struct shadowmm *sm, struct table *t)
{
    t->next_unsync = sm->free_tables;
    sm->free_tables = t;
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

static void drop(struct shadowmm *sm, struct table *t, uint64_t gla, uint64_t size)
{
    sm->stats.entries_dropped++;
    for (uint32_t left = t->views; left; left &= left - 1) {
        struct view *view = &sm->view[__builtin_ctz(left)];

        view_drop(sm, view, gla, size);
    }
}

static uint64_t coverage(const struct table *t)
{
    return (PAGE_SIZE / t->entry_bytes) << t->shift;
}

/* Does a translation made through the old entry contradict the new one? */
static bool contradicts(uint64_t old, uint64_t new)
{
    const uint64_t used = PTE_A | PTE_D;

    return old & PTE_P && ((old ^ new) & ~used || old & ~new & used);
}

/* Drops what was made through entries [first, end). */
static void drop_entries(struct shadowmm *sm, struct table *t, unsigned first, unsigned end)
{
    drop(sm, t, t->base + ((uint64_t)first << t->shift), (uint64_t)(end - first) << t->shift);
}

static uint64_t entry_at(const struct table *t, const uint64_t *words, unsigned i)
{
    return t->entry_bytes == 8 ? words[i] : ((const uint32_t *)words)[i];
}

/* Drops what changed since the copy was made, runs of entries at a time. */
static void compare(struct shadowmm *sm, struct table *t)
{
    const uint64_t *now = table_memory(sm, t);
    unsigned per_word = 8 / t->entry_bytes, entries = PAGE_SIZE / t->entry_bytes, run = 0;

    sm->stats.table_syncs++;
    for (unsigned i = 0; i < entries; i++) {
        if (t->copy[i / per_word] != now[i / per_word] &&
            contradicts(entry_at(t, t->copy, i), entry_at(t, now, i))) {
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
    drop(sm, t, t->base, coverage(t));
    physmem_unwatch(sm->vcpu->mem, t->gfn, WATCH_TABLE);
    sm->table_of[t->gfn] = NULL;
    sm->stats.tables_forgotten++;
    table_give(sm, t);
}

static void trace(struct shadowmm *sm, struct table *t)
{
    t->unsync = false;
    t->fills = 0;
    physmem_watch(sm->vcpu->mem, t->gfn, WATCH_TABLE);
    copy_page(t->copy, table_memory(sm, t));
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
    compare(sm, t);
    trace(sm, t);
}

void sync_all(struct shadowmm *sm)
{
    struct table *t = sm->unsync;

    sm->unsync = NULL;
    while (t) {
        struct table *next = t->next_unsync;

        sync_one(sm, t);
        t = next;
    }
}

void sync_forget_all(struct shadowmm *sm)
{
    sm->unsync = NULL;
    for (uint64_t gfn = 0; gfn < sm->vcpu->mem->frames; gfn++)
        if (sm->table_of[gfn])
            forget(sm, sm->table_of[gfn]);
}

/* Table i of the walk is t's frame: nothing has been cached through it yet. */
static void bind(struct shadowmm *sm, struct table *t, const struct walk *walk, unsigned i)
{
    t->base = walk->table_base[i];
    t->shift = walk->table_shift[i];
    t->entry_bytes = walk->entry_bytes;
    t->views = 0;
    t->fills = t->idle = 0;
    if (!t->unsync)
        physmem_watch(sm->vcpu->mem, t->gfn, WATCH_TABLE);
    copy_page(t->copy, table_memory(sm, t));
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
    t->unsync = false;
    sm->table_of[gfn] = t;
    sm->stats.tables_traced++;
    bind(sm, t, walk, i);
    return t;
}

/* A frame that serves at another place now (freed and used again, or mapped twice): what came from
 * the old place is dropped. */
static void rebind(struct shadowmm *sm, struct table *t, const struct walk *walk, unsigned i)
{
    drop(sm, t, t->base, coverage(t));
    sm->stats.tables_rebound++;
    bind(sm, t, walk, i);
}

/* S3: what is cached now is what memory holds now. What was cached through another value goes: the
 * next comparison would not see it. */
static void refresh_copy(struct shadowmm *sm, struct table *t, uint64_t gla)
{
    unsigned index = (gla >> t->shift) & (PAGE_SIZE / t->entry_bytes - 1);
    unsigned word = index * t->entry_bytes / 8;
    const uint64_t *now = table_memory(sm, t);

    if (contradicts(entry_at(t, t->copy, index), entry_at(t, now, index)))
        drop_entries(sm, t, index, index + 1);
    if (t->entry_bytes == 8)
        t->copy[word] = now[word];
    else
        ((uint32_t *)t->copy)[index] = ((const uint32_t *)now)[index];
}

bool sync_invlpg(struct shadowmm *sm, uint64_t gla)
{
    bool any = false;

    for (struct table *t = sm->unsync; t; t = t->next_unsync) {
        unsigned index = (unsigned)((gla - t->base) >> t->shift);
        const uint64_t large = PTE_P | PTE_PS;

        if (t->shift == PAGE_SHIFT || gla - t->base >= coverage(t) ||
            (entry_at(t, t->copy, index) & large) != large)
            continue;
        drop_entries(sm, t, index, index + 1);
        any = true;
    }
    return any;
}

void sync_filled(struct shadowmm *sm, uint64_t gla, const struct walk *walk)
{
    for (unsigned i = 0; i < walk->tables; i++) {
        struct table *t;

        if (walk->table_gfn[i] >= sm->vcpu->mem->frames)
            continue;
        t = table_for(sm, walk, i);
        if (!t)
            continue;
        if (t->base != walk->table_base[i] || t->shift != walk->table_shift[i])
            rebind(sm, t, walk, i);
        t->views |= 1u << sm->current;
        t->fills++;
        refresh_copy(sm, t, gla);
    }
}

void shadowmm_table_written(struct shadowmm *sm, uint64_t gpa, uint64_t size)
{
    struct table *t = sm->table_of[gpa >> PAGE_SHIFT];

    (void)size;
    sm->stats.table_writes++;
    if (!t || t->unsync)
        return;
    t->unsync = true;
    t->fills = 0;
    t->next_unsync = sm->unsync;
    sm->unsync = t;
    physmem_unwatch(sm->vcpu->mem, t->gfn, WATCH_TABLE);
}
