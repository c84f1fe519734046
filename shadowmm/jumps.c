/* Jump tables: guest address to translated code, one for each view and set. */
#include <errno.h>
#include <sys/mman.h>

#include "shadowmm/view.h"

/* One mapping, of which only what is used takes memory. */
struct jump_memory {
    struct jump_table table;
    uint32_t log[JUMP_LOG];
    struct jump_pages pages;
};

int jumps_create(struct jumps *jumps, unsigned shift)
{
    struct jump_memory *memory = mmap(NULL, sizeof(*memory), PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED)
        return -errno;
    jumps->table = &memory->table;
    jumps->log = memory->log;
    jumps->pages = &memory->pages;
    jumps->shift = shift;
    return 0;
}

void jumps_destroy(struct jumps *jumps)
{
    if (jumps->table)
        munmap(jumps->table, sizeof(struct jump_memory));
}

static void clear_slot(struct jump_table *table, unsigned slot)
{
    table->tag[slot] = 0;
}

static void clear_all(struct jump_table *table)
{
    uint32_t key = table->key;

    madvise(table, sizeof(*table), MADV_DONTNEED);
    table->key = key;
}

static void pages_add(struct jump_pages *pages, uint32_t page)
{
    pages->has[page / 64] |= 1ull << page % 64;
    pages->some[page / 64 / 64] |= 1ull << page / 64 % 64;
}

static void pages_clear(struct jump_pages *pages)
{
    for (unsigned i = 0; i < JUMP_PAGES / 64 / 64; i++) {
        for (uint64_t some = pages->some[i]; some; some &= some - 1)
            pages->has[64 * i + (unsigned)__builtin_ctzll(some)] = 0;
        pages->some[i] = 0;
    }
}

void jumps_flush(struct jumps *jumps)
{
    if (!jumps->used)
        return;
    if (jumps->used > JUMP_LOG)
        clear_all(jumps->table);
    else
        for (unsigned i = 0; i < jumps->used; i++)
            clear_slot(jumps->table, jumps->log[i]);
    jumps->used = 0;
    pages_clear(jumps->pages);
}

/* Clears what lies in [gla, gla + size) by the log of what was put in. */
static void drop_logged(struct jumps *jumps, uint64_t gla, uint64_t size)
{
    if (jumps->used > JUMP_LOG) {
        jumps_flush(jumps);
        return;
    }
    for (unsigned i = 0; i < jumps->used; i++) {
        uint64_t tag = jumps->table->tag[jumps->log[i]];

        if (tag && (uint32_t)(-tag - 1) - gla < size)
            clear_slot(jumps->table, jumps->log[i]);
    }
}

/* Those of pages 64 * word to 64 * word + 63 that are in [first, end). */
static uint64_t word_mask(uint64_t word, uint64_t first, uint64_t end)
{
    uint64_t mask = UINT64_MAX;

    if (first > 64 * word)
        mask &= UINT64_MAX << first % 64;
    if (end < 64 * word + 64)
        mask &= ~(UINT64_MAX << end % 64);
    return mask;
}

/* Most pages that change hold no code. Pages [first, end), end at most JUMP_PAGES. */
static bool pages_any(const struct jump_pages *pages, uint64_t first, uint64_t end)
{
    for (uint64_t word = first / 64; 64 * word < end; word++)
        if (pages->has[word] & word_mask(word, first, end))
            return true;
    return false;
}

static void pages_remove(struct jump_pages *pages, uint64_t first, uint64_t end)
{
    for (uint64_t word = first / 64; 64 * word < end; word++)
        pages->has[word] &= ~word_mask(word, first, end);
}

/* An instruction may begin up to 14 bytes before the range and reach into it. */
void jumps_drop(struct jumps *jumps, uint64_t gla, uint64_t size)
{
    uint64_t start = gla < INSN_MAX ? 0 : gla - (INSN_MAX - 1), end = gla + size;

    if (!jumps->used || start > jumps->high || end <= jumps->low)
        return;
    if (end > jumps->high + 1)
        end = jumps->high + 1;
    if (!pages_any(jumps->pages, start >> PAGE_SHIFT, ((end - 1) >> PAGE_SHIFT) + 1))
        return;
    drop_logged(jumps, start, end - start);
    pages_remove(jumps->pages, (start + PAGE_MASK) >> PAGE_SHIFT, end >> PAGE_SHIFT);
}

/* Makes room in a full log: slots that were cleared, and those filled again since, leave it. */
static void log_compact(struct jumps *jumps)
{
    uint64_t seen[2 * JUMP_SLOT_COUNT / 64];
    unsigned kept = 0;

    for (unsigned i = 0; i < 2 * JUMP_SLOT_COUNT / 64; i++)
        seen[i] = 0;
    for (unsigned i = 0; i < JUMP_LOG; i++) {
        unsigned slot = jumps->log[i];

        if (!jumps->table->tag[slot] || seen[slot / 64] >> slot % 64 & 1)
            continue;
        seen[slot / 64] |= 1ull << slot % 64;
        jumps->log[kept++] = slot;
    }
    /* half full at least: not again at once */
    jumps->used = kept > JUMP_LOG / 2 ? JUMP_LOG + 1 : kept;
}

static void log_slot(struct jumps *jumps, unsigned slot)
{
    if (jumps->used == JUMP_LOG)
        log_compact(jumps);
    if (jumps->used < JUMP_LOG)
        jumps->log[jumps->used++] = slot;
}

static void fill_slot(struct jumps *jumps, unsigned slot, uint64_t tag, uint64_t host)
{
    if (!jumps->table->tag[slot])
        log_slot(jumps, slot);
    jumps->table->tag[slot] = tag;
    jumps->table->host[slot] = host;
}

static void insert(struct jumps *jumps, uint64_t eip, const void *host)
{
    unsigned slot = jump_slot(eip, jumps->shift);
    uint64_t tag = jumps->table->tag[slot];
    uint32_t gla = (uint32_t)eip;

    if (!jumps->used || gla < jumps->low)
        jumps->low = gla;
    if (!jumps->used || gla > jumps->high)
        jumps->high = gla;
    if (tag && tag != -(eip + 1) && jumps->shift)
        fill_slot(jumps, jump_second_slot(-tag - 1), tag, jumps->table->host[slot]);
    fill_slot(jumps, slot, -(eip + 1), (uint64_t)(uintptr_t)host);
    pages_add(jumps->pages, gla >> PAGE_SHIFT);
}

static struct jumps *current_jumps(struct shadowmm *sm, unsigned set)
{
    return sm->share.on && !set ? &sm->share.jumps : &sm->view[sm->current].jumps[set];
}

struct jump_table *shadowmm_jump_table(struct shadowmm *sm, unsigned set, uint32_t key)
{
    struct jumps *jumps = current_jumps(sm, set);

    if (jumps->table->key != key) {
        jumps_flush(jumps);
        jumps->table->key = key;
    }
    return jumps->table;
}

const struct jump_table *shadowmm_jumps(const struct shadowmm *sm, unsigned set)
{
    return current_jumps((struct shadowmm *)sm, set)->table;
}

bool shadowmm_jump_insert(struct shadowmm *sm, unsigned set, uint64_t eip, uint64_t last,
                          const void *host)
{
    if (sm->share.on && !set && !share_admit(sm, eip, last))
        return false;
    insert(current_jumps(sm, set), eip, host);
    sm->view[sm->current].jumping |= 1ull << set;
    return true;
}

void shadowmm_jump_flush(struct shadowmm *sm, unsigned set)
{
    for (unsigned i = 0; i < sm->view_count; i++)
        jumps_flush(&sm->view[i].jumps[set]);
}

static void forget_address(struct jumps *jumps, uint64_t eip)
{
    unsigned slots[2] = { jump_slot(eip, jumps->shift), jump_second_slot(eip) };

    for (unsigned i = 0; jumps->used && i < 2; i++)
        if (jumps->table->tag[slots[i]] == -(eip + 1))
            clear_slot(jumps->table, slots[i]);
}

void shadowmm_jump_drop(struct shadowmm *sm, uint64_t eip)
{
    forget_address(&sm->share.jumps, eip);
    for (unsigned i = 0; i < sm->view_count; i++)
        for (uint64_t sets = sm->view[i].jumping; sets; sets &= sets - 1)
            forget_address(&sm->view[i].jumps[__builtin_ctzll(sets)], eip);
}
