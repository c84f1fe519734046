/* Jump tables: guest address to translated code, one for each view and privilege. */
#include <sys/mman.h>

#include "shadowmm/view.h"

static void clear_slot(struct jump_table *table, unsigned slot)
{
    table->tag[slot] = 0;
}

void jumps_flush(struct jumps *jumps)
{
    if (jumps->used > JUMP_LOG)
        madvise(jumps->table, sizeof(*jumps->table), MADV_DONTNEED);
    else
        for (unsigned i = 0; i < jumps->used; i++)
            clear_slot(jumps->table, jumps->log[i]);
    jumps->used = 0;
    jumps->pages = 0;
}

/* A page's addresses fill one sixteenth of the slots. */
static void drop_page(struct jumps *jumps, uint64_t page)
{
    unsigned first = (page & 15) << PAGE_SHIFT;

    for (unsigned slot = first; slot < first + PAGE_SIZE; slot++)
        clear_slot(jumps->table, slot);
    jumps->pages &= ~(1u << (page & 15));
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

        if (tag && -tag - 1 - gla < size)
            clear_slot(jumps->table, jumps->log[i]);
    }
}

/* An instruction may begin up to 14 bytes before the range and reach into it. */
void jumps_drop(struct jumps *jumps, uint64_t gla, uint64_t size)
{
    uint64_t start = gla < INSN_MAX ? 0 : gla - (INSN_MAX - 1), end = gla + size;

    if (!jumps->pages || start > jumps->high || end <= jumps->low)
        return;
    if (end - start > 8 * PAGE_SIZE) {
        drop_logged(jumps, start, end - start);
        return;
    }
    for (uint64_t page = start >> PAGE_SHIFT; page <= (end - 1) >> PAGE_SHIFT; page++)
        if (jumps->pages >> (page & 15) & 1)
            drop_page(jumps, page);
}

static void insert(struct jumps *jumps, uint64_t eip, const void *host)
{
    unsigned slot = eip & (JUMP_SLOT_COUNT - 1);

    if (!jumps->table->tag[slot]) {
        if (jumps->used < JUMP_LOG)
            jumps->log[jumps->used] = (uint16_t)slot;
        if (jumps->used <= JUMP_LOG)
            jumps->used++;
    }
    if (!jumps->pages || eip < jumps->low)
        jumps->low = eip;
    if (!jumps->pages || eip > jumps->high)
        jumps->high = eip;
    jumps->table->tag[slot] = -(eip + 1);
    jumps->table->host[slot] = (uint64_t)(uintptr_t)host;
    jumps->pages |= 1u << (eip >> PAGE_SHIFT & 15);
}

struct jump_table *shadowmm_jump_table(struct shadowmm *sm, bool user, uint32_t key)
{
    struct jumps *jumps = &sm->view[sm->current].jumps[user];

    if (jumps->key != key) {
        jumps_flush(jumps);
        jumps->key = key;
    }
    return jumps->table;
}

void shadowmm_jump_insert(struct shadowmm *sm, bool user, uint64_t eip, const void *host)
{
    insert(&sm->view[sm->current].jumps[user], eip, host);
}

void shadowmm_jump_flush(struct shadowmm *sm)
{
    for (unsigned i = 0; i < sm->view_count; i++)
        for (unsigned user = 0; user < 2; user++)
            jumps_flush(&sm->view[i].jumps[user]);
}

void shadowmm_jump_drop(struct shadowmm *sm, uint64_t eip)
{
    unsigned slot = eip & (JUMP_SLOT_COUNT - 1);

    for (unsigned i = 0; i < sm->view_count; i++)
        for (unsigned user = 0; user < 2; user++) {
            struct jumps *jumps = &sm->view[i].jumps[user];

            if (jumps->pages >> (eip >> PAGE_SHIFT & 15) & 1 &&
                jumps->table->tag[slot] == -(eip + 1))
                clear_slot(jumps->table, slot);
        }
}
