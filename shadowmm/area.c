/*
 * What a window has mapped: areas, in an array sorted by page. The reverse map, from a frame to
 * where it is mapped, is a search of the areas of at most WINDOWS_MAX windows (window.c), since
 * they are few (a run each).
 */
#include <sys/mman.h>

#include "shadowmm/view.h"

uint64_t area_used(const struct shadowmm *sm, const struct window *w)
{
    return w->sandbox ? w->areas : sm->stats.window_areas;
}

static void count(struct shadowmm *sm, const struct window *w, int change)
{
    if (w->sandbox)
        sm->stats.direct_areas += (uint64_t)(int64_t)change;
    else
        sm->stats.window_areas += (uint64_t)(int64_t)change;
}

unsigned area_find(const struct window *w, uint64_t page)
{
    unsigned low = 0, high = w->areas;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if ((uint64_t)w->area[middle].page + w->area[middle].count <= page)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* mmap instead of malloc: this runs while the guest's vector state is in the host's registers. */
bool area_room(const struct shadowmm *sm, struct window *w)
{
    unsigned room = w->room ? 2 * w->room : 2048;
    struct area *area;

    if (area_used(sm, w) + 2 > sm->area_limit)
        return false;
    if (w->areas + 2 <= w->room)
        return true;
    area = mmap(NULL, room * sizeof(*area), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0);
    if (area == MAP_FAILED)
        return false;
    for (unsigned i = 0; i < w->areas; i++)
        area[i] = w->area[i];
    if (w->area)
        munmap(w->area, w->room * sizeof(*area));
    w->area = area;
    w->room = room;
    return true;
}

void area_insert(struct shadowmm *sm, struct window *w, unsigned at, struct area area)
{
    for (unsigned i = w->areas; i > at; i--)
        w->area[i] = w->area[i - 1];
    w->area[at] = area;
    w->areas++;
    count(sm, w, 1);
}

static void delete(struct shadowmm *sm, struct window *w, unsigned at)
{
    for (unsigned i = at; i + 1 < w->areas; i++)
        w->area[i] = w->area[i + 1];
    w->areas--;
    count(sm, w, -1);
}

void area_split(struct shadowmm *sm, struct window *w, uint64_t page)
{
    unsigned at = area_find(w, page);
    struct area tail;
    uint32_t head;

    if (at == w->areas || w->area[at].page >= page)
        return;
    head = (uint32_t)page - w->area[at].page;
    tail = w->area[at];
    tail.page += head;
    tail.gfn += head;
    tail.count -= head;
    w->area[at].count = head;
    area_insert(sm, w, at + 1, tail);
}

bool area_any(const struct window *w, uint64_t page, uint64_t end)
{
    unsigned at = area_find(w, page);

    return at < w->areas && w->area[at].page < end;
}

void area_remove(struct shadowmm *sm, struct window *w, uint64_t page, uint64_t end)
{
    unsigned at;

    area_split(sm, w, page);
    area_split(sm, w, end);
    for (at = area_find(w, page); at < w->areas && w->area[at].page < end;)
        delete(sm, w, at);
}

void area_clear(struct shadowmm *sm, struct window *w)
{
    count(sm, w, -(int)w->areas);
    w->areas = 0;
}

void area_destroy(struct window *w)
{
    if (w->area)
        munmap(w->area, w->room * sizeof(struct area));
}
