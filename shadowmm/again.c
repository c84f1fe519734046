/*
 * Which pages the software TLB misses again though nothing has been dropped meanwhile: a window
 * would still have them, if there has been room in it so far. One page in eight is followed, chosen
 * by its number. A place that another page has is left to it most of the time, so that more pages
 * than there are places do not all look new.
 */
#include "shadowmm/view.h"

#define FOLLOWED_BITS 3
#define DROPS_MANY 64   /* pages: to look for each is more than to forget them all */
#define KEPT 8          /* a place changes hands each so many times that another page wants it */

static bool is_followed(uint64_t page, unsigned *place)
{
    uint32_t hash = (uint32_t)page * 0x9e3779b1u;

    *place = hash >> (32 - FOLLOWED_BITS - AGAIN_BITS) & (AGAIN_PLACES - 1);
    return hash >> (32 - FOLLOWED_BITS) == 0;
}

/* Not 0. */
static uint64_t name_of(const struct shadowmm *sm, const struct view *view, uint64_t page)
{
    return page | (uint64_t)(view - sm->view + 1) << 20 | (uint64_t)view->forgotten << 32;
}

static bool is_current(const struct shadowmm *sm, uint64_t name)
{
    unsigned view = name >> 20 & 0xfff;

    return view && sm->view[view - 1].forgotten == name >> 32;
}

enum shadowmm_again shadowmm_missed(struct shadowmm *sm, uint64_t gla)
{
    struct view *view = &sm->view[sm->current];
    const struct window *w = view->window[SLOT_USER];
    uint64_t page = gla >> PAGE_SHIFT, name;
    unsigned place;
    bool taken;

    if (!is_followed(page, &place) || !w || w->crowded || view->crowded)
        return AGAIN_UNKNOWN;
    name = name_of(sm, view, page);
    if (sm->again[place] == name)
        return AGAIN_YES;
    taken = is_current(sm, sm->again[place]);
    if (taken && ++sm->again_asked % KEPT != 0)
        return AGAIN_UNKNOWN;
    sm->again[place] = name;
    view->followed = true;
    return taken ? AGAIN_UNKNOWN : AGAIN_FIRST;
}

void again_forget(struct view *view)
{
    view->forgotten++;
    view->followed = false;
}

void again_drop(struct shadowmm *sm, struct view *view, uint64_t gla, uint64_t size)
{
    uint64_t page = gla >> PAGE_SHIFT, end = (gla + size + PAGE_MASK) >> PAGE_SHIFT;
    unsigned place;

    if (!view->followed)
        return;
    if (end - page > DROPS_MANY) {
        again_forget(view);
        return;
    }
    for (; page < end; page++)
        if (is_followed(page, &place) && sm->again[place] == name_of(sm, view, page))
            sm->again[place] = 0;
}
