/*
 * Which views may hold a page: known for pages that the guest has invalidated lately (INVLPG), as a
 * kernel does that maps a page for a moment, uses it and takes it away again. A record begins when
 * no view holds the page, and every fill of it (sync_filled()) adds the current view; so what is
 * not in it need not be asked to forget the page. There is no record where a page could be filled
 * as part of a larger one.
 */
#include "shadowmm/view.h"

/* Of 4 MiB: no page is larger. */
static unsigned region_of(uint64_t gla)
{
    return (uint32_t)gla >> 22;
}

static struct holders *record_of(struct shadowmm *sm, uint32_t page)
{
    return &sm->holders[page % HOLDERS];
}

uint32_t holders_of(struct shadowmm *sm, uint64_t gla)
{
    uint32_t page = (uint32_t)gla >> PAGE_SHIFT;
    const struct holders *record = record_of(sm, page);

    return record->known && record->page == page ? record->views : UINT32_MAX;
}

void holders_begin(struct shadowmm *sm, uint64_t gla)
{
    uint32_t page = (uint32_t)gla >> PAGE_SHIFT;

    sm->holders_regions[region_of(gla) / 64] |= 1ull << region_of(gla) % 64;
    *record_of(sm, page) = (struct holders){ page, 0, true };
}

/* Records within [gla, gla + size), which is filled as one, end. */
static void forget_range(struct shadowmm *sm, uint64_t gla, uint64_t size)
{
    uint32_t first = (uint32_t)(gla & ~(size - 1)) >> PAGE_SHIFT;

    if (!(sm->holders_regions[region_of(gla) / 64] >> region_of(gla) % 64 & 1))
        return;
    for (unsigned i = 0; i < HOLDERS; i++)
        if (sm->holders[i].page - first < size >> PAGE_SHIFT)
            sm->holders[i].known = false;
}

void holders_filled(struct shadowmm *sm, uint64_t gla, uint64_t size)
{
    uint32_t page = (uint32_t)gla >> PAGE_SHIFT;
    struct holders *record = record_of(sm, page);

    if (size != PAGE_SIZE)
        forget_range(sm, gla, size);
    else if (record->page == page)
        record->views |= 1u << sm->current;
}
