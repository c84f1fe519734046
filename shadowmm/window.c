/* Windows: the host's MMU as the guest's. See shadowmm.h for the invariants. */
#include <stddef.h>

#include "base/bug.h"
#include "cpu/event.h"
#include "cpu/fault.h"
#include "cpu/stops.h"
#include "shadowmm/view.h"

#define STEPS_MAX 64       /* guest pages (of any size) looked at on each side of a fault */
#define PREFILL_LOOKS 16384 /* pages that are looked at when a direct window is new, ... */
#define PREFILL_MAPS 4096   /* and runs that it is given */
#define STRAIGHT_PAGES 64  /* a run so long says how a window is mapped */
#define AREAS_RESERVE 4    /* a fault finds room for so many */

static void count_unmap(struct shadowmm *sm, uint64_t page, uint64_t pages)
{
    sm->stats.window_unmaps++;
    event_tell(sm->vcpu, EVENT_unmap, page << PAGE_SHIFT, pages, 0);
}

void window_empty(struct shadowmm *sm, struct window *w)
{
    host_unmap_all(sm, w);
    area_clear(sm, w);
    count_unmap(sm, 0, 0);
    for (unsigned i = 0; i < WRITTEN_BITS / 64; i++)
        w->written[i] = 0;
    w->is_straight = false;
    w->filled = false;
}

/* The same for want of room. */
static void window_evict(struct shadowmm *sm, struct window *w)
{
    window_empty(sm, w);
    w->events++;
    w->crowded = true;
    sm->stats.window_evictions++;
}

void window_destroy(struct shadowmm *sm)
{
    for (unsigned i = 0; i < POOL_SIZE; i++) {
        host_destroy(&sm->pool[i]);
        area_destroy(&sm->pool[i]);
    }
}

/* --- Dropping and protecting ---------------------------------------------------------- */

void window_drop(struct shadowmm *sm, struct window *w, uint64_t gla, uint64_t size)
{
    uint64_t page = gla >> PAGE_SHIFT, end = (gla + size + PAGE_MASK) >> PAGE_SHIFT;

    if (!area_any(w, page, end))
        return;
    if (!area_room(sm, w) || !host_unmap(sm, w, page, end)) {
        window_evict(sm, w);
        return;
    }
    area_remove(sm, w, page, end);
    w->events++;
    count_unmap(sm, page, end - page);
}

void window_release(struct shadowmm *sm, struct view *view, enum slot slot)
{
    window_empty(sm, view->window[slot]);
    view->crowded |= view->window[slot]->crowded;
    view->window[slot]->crowded = false;
    view->window[slot] = NULL;
    sm->vcpu->bt.leave = 1;
    if (slot == SLOT_DIRECT)
        sm->stats.directs_lost++;
    else
        sm->stats.windows_lost++;
}

/* The pages are of one area. */
static void protect_pages(struct shadowmm *sm, struct window *w, uint64_t page, uint64_t count)
{
    struct rights rights = w->area[area_find(w, page)].rights;

    rights.write = false;
    if (!area_room(sm, w) || !host_protect(sm, w, page, count, rights)) {
        window_evict(sm, w);
        return;
    }
    area_split(sm, w, page);
    area_split(sm, w, page + count);
    w->area[area_find(w, page)].rights = rights;
    w->events++;
    sm->stats.window_protects++;
    event_tell(sm->vcpu, EVENT_protect, page << PAGE_SHIFT, count, 0);
}

/* What of the frames the area has. */
static void protect_area(struct shadowmm *sm, struct window *w, const struct area *area,
                         uint64_t gfn, uint64_t count)
{
    uint64_t area_end = (uint64_t)area->gfn + area->count, end = gfn + count;

    if (!area->rights.write || gfn >= area_end || end <= area->gfn)
        return;
    if (gfn < area->gfn)
        gfn = area->gfn;
    if (end > area_end)
        end = area_end;
    protect_pages(sm, w, area->page + (gfn - area->gfn), end - gfn);
}

static void note_written(struct window *w, const struct area *area)
{
    uint64_t count = area->count < WRITTEN_BITS ? area->count : WRITTEN_BITS;

    if (!area->rights.write)
        return;
    if (!w->is_straight && area->count >= STRAIGHT_PAGES) {
        w->is_straight = true;
        w->straight = area->page - area->gfn;
    }
    if (w->is_straight && area->page - area->gfn == w->straight)
        return;
    for (uint64_t gfn = area->gfn; gfn < area->gfn + count; gfn++)
        w->written[gfn % WRITTEN_BITS / 64] |= 1ull << gfn % 64;
}

static bool noted(const struct window *w, uint64_t gfn, uint64_t count)
{
    if (count >= WRITTEN_BITS)
        return true;
    for (uint64_t i = gfn; i < gfn + count; i++)
        if (w->written[i % WRITTEN_BITS / 64] >> i % 64 & 1)
            return true;
    return false;
}

/* Most frames are where straight says, if at all: the areas need not be looked through. */
static void protect_window(struct shadowmm *sm, struct window *w, uint64_t gfn, uint64_t count)
{
    uint32_t page = (uint32_t)gfn + w->straight;
    unsigned i;

    if (w->is_straight)
        for (i = area_find(w, page); i < w->areas && w->area[i].page < page + count; i++)
            protect_area(sm, w, &w->area[i], gfn, count);
    if (!noted(w, gfn, count))
        return;
    for (i = 0; i < w->areas; i++)
        protect_area(sm, w, &w->area[i], gfn, count);
}

void window_protect(struct shadowmm *sm, uint64_t gfn, uint64_t count)
{
    for (unsigned k = 0; k < POOL_SIZE; k++)
        if (sm->pool[k].areas)
            protect_window(sm, &sm->pool[k], gfn, count);
}

/* --- Filling --------------------------------------------------------------------------- */

static bool may_write(const struct shadowmm *sm, const struct walk *walk, enum slot slot)
{
    return walk->dirty &&
           (walk->writable || (slot == SLOT_KERNEL && !(sm->vcpu->cr0 & CR0_WP))) &&
           physmem_is_writable(sm->vcpu->mem, walk->gpa) &&
           !physmem_watched(sm->vcpu->mem, walk->gpa >> PAGE_SHIFT);
}

static struct rights rights_of(struct shadowmm *sm, const struct walk *walk, enum slot slot)
{
    bool write = may_write(sm, walk, slot);

    return (struct rights){ write, slot == SLOT_DIRECT && !walk->nx &&
                                       avoid_allows(sm, walk->gpa, write) };
}

static bool same_rights(struct rights a, struct rights b)
{
    return a.write == b.write && a.exec == b.exec;
}

/*
 * How many pages from gla on (up to the end of the guest's page it is in) would continue the run
 * with frame gfn and these rights, without setting A or D? Going down, gla is the page below the
 * run.
 */
static uint64_t continues(struct shadowmm *sm, uint64_t gla, uint64_t gfn, enum slot slot,
                          struct rights rights, bool down)
{
    struct walk walk;
    uint64_t inside;

    if (!paging_on(sm->vcpu) || !paging_peek(sm->vcpu, gla, &walk) || !walk.accessed)
        return 0;
    if (walk.gpa >> PAGE_SHIFT != gfn || !physmem_is_ram(sm->vcpu->mem, walk.gpa) ||
        (slot != SLOT_KERNEL && !walk.user) || (sm->sharing && walk.user) ||
        (rights.write && !walk.writable) || /* CR0.WP is 0: one page at a time */
        !same_rights(rights_of(sm, &walk, slot), rights) || !sync_filled(sm, gla, &walk))
        return 0;
    inside = (gla & (walk.size - 1)) >> PAGE_SHIFT;
    if (walk.size == PAGE_SIZE ||
        (slot == SLOT_DIRECT && sm->avoid && !walk.nx && !rights.write) ||
        !physmem_is_uniform(sm->vcpu->mem, walk.gpa - (inside << PAGE_SHIFT), walk.size))
        return 1;
    return down ? inside + 1 : (walk.size >> PAGE_SHIFT) - inside;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Grows the run at page in both directions over pages that are not mapped yet. */
static struct area run_around(struct shadowmm *sm, const struct window *w, uint64_t page,
                              uint64_t gfn, enum slot slot, struct rights rights)
{
    unsigned at = area_find(w, page);
    uint64_t low, high, first = page, end = page + 1, more;

    host_bounds(sm, w, &low, &high);
    if (at)
        low = w->area[at - 1].page + w->area[at - 1].count;
    if (at < w->areas)
        high = w->area[at].page;
    for (unsigned steps = 0; end < high && steps < STEPS_MAX; steps++, end += more) {
        more = least(high - end,
                     continues(sm, end << PAGE_SHIFT, gfn + (end - page), slot, rights, false));
        if (!more)
            break;
    }
    for (unsigned steps = 0; first > low && steps < STEPS_MAX && gfn > page - first;
         steps++, first -= more) {
        more = least(first - low, continues(sm, (first - 1) << PAGE_SHIFT, gfn - (page - first) - 1,
                                            slot, rights, true));
        if (!more)
            break;
    }
    return (struct area){ (uint32_t)first, (uint32_t)(end - first),
                          (uint32_t)(gfn - (page - first)), rights };
}

/* Tracing the tables of a run's pages may have made one of its own frames a watched one: keep what
 * lies around the page and may still be written. */
static struct area run_unwatched(struct shadowmm *sm, struct area run, uint64_t page)
{
    const uint8_t *watch = &sm->vcpu->mem->watch[run.gfn];
    uint32_t at = (uint32_t)page - run.page, first = at, end = at + 1;

    if (!run.rights.write)
        return run;
    while (first && !watch[first - 1])
        first--;
    while (end < run.count && !watch[end])
        end++;
    return (struct area){ run.page + first, end - first, run.gfn + first, run.rights };
}

/* The window that has the most areas gives them up; of equals, one that is not in use. */
static void evict(struct shadowmm *sm, struct window *in_use)
{
    struct window *most = &sm->pool[0];

    if (in_use->sandbox)
        most = in_use;
    for (unsigned i = 1; !in_use->sandbox && i < WINDOWS_MAX; i++)
        if (sm->pool[i].areas > most->areas ||
            (sm->pool[i].areas == most->areas && most == in_use))
            most = &sm->pool[i];
    window_evict(sm, most);
}

/* Page had an area, which make_room() has taken: what the host has there goes after it. */
static enum mem_fill not_filled(struct shadowmm *sm, struct window *w, uint64_t page)
{
    if (!host_unmap(sm, w, page, page + 1))
        window_evict(sm, w);
    return MEM_SPECIAL;
}

/* Maps the run that page is in; w has no area there, and had none before if it is fresh. */
static enum mem_fill fill_run(struct shadowmm *sm, struct window *w, uint64_t page, uint64_t gfn,
                              enum slot slot, struct rights rights, bool fresh)
{
    struct area run = run_around(sm, w, page, gfn, slot, rights);

    run = run_unwatched(sm, run, page);
    if (run.rights.write && sm->vcpu->mem->watch[gfn])
        return not_filled(sm, w, page);
    if (!area_room(sm, w) || !host_map(sm, w, &run, fresh)) {
        window_evict(sm, w);
        return MEM_SPECIAL;
    }
    area_insert(sm, w, area_find(w, run.page), run);
    note_written(w, &run);
    w->filled = true;
    w->crowded |= w->areas > sm->area_limit / 2;
    sm->stats.window_maps++;
    sm->stats.window_pages += run.count;
    event_tell(sm->vcpu, EVENT_map, (uint64_t)run.page << PAGE_SHIFT, run.count,
               (uint64_t)run.gfn << PAGE_SHIFT);
    return MEM_FILLED;
}

/* Makes room for a run around page, where no area will be then; what it had mapped still is. */
static void make_room(struct shadowmm *sm, struct window *w, uint64_t page)
{
    while (area_used(sm, w) + AREAS_RESERVE > sm->area_limit)
        evict(sm, w);
    if (!area_any(w, page, page + 1))
        return;
    if (area_room(sm, w))
        area_remove(sm, w, page, page + 1);
    else
        window_evict(sm, w);
}

static bool mappable(const struct shadowmm *sm, const struct window *w, uint64_t page)
{
    uint64_t low, end;

    host_bounds(sm, w, &low, &end);
    return page >= low && page < end;
}

static struct window *current_window(const struct shadowmm *sm, enum slot slot)
{
    struct window *w = sm->view[sm->current].window[slot];

    return w || slot != SLOT_KERNEL ? w : sm->share.window;
}

/* Caches the walk in the window, as part of a run if it can be. */
static enum mem_fill fill_page(struct shadowmm *sm, struct window *w, enum slot slot, uint64_t gla,
                               const struct walk *walk, bool write)
{
    uint64_t page = gla >> PAGE_SHIFT;
    bool done = sync_filled(sm, gla, walk);
    struct rights rights = rights_of(sm, walk, slot);
    bool fresh = !area_any(w, page, page + 1);

    BUG_ON(!done);
    if (write && !rights.write)
        return MEM_SPECIAL;
    if (slot == SLOT_KERNEL)
        view_unprotected(sm, gla, walk);
    make_room(sm, w, page);
    return fill_run(sm, w, page, walk->gpa >> PAGE_SHIFT, slot, rights, fresh);
}

/* A write to what is shown. The frames that may be written with this one get areas together, if
 * the guest has them in one run, as it has. */
static void touch(struct shadowmm *sm, struct window *w, uint64_t gla, uint64_t gpa)
{
    uint64_t gfn = gpa >> PAGE_SHIFT, page = gla >> PAGE_SHIFT, first, count, low, end;

    if (!(physmem_watched(sm->vcpu->mem, gfn) & WATCH_DISPLAY))
        return;
    sm->touched = true;
    count = physmem_touch(sm->vcpu->mem, gfn, &first);
    host_bounds(sm, w, &low, &end);
    if (page >= low + (gfn - first) && page - (gfn - first) + count <= end)
        window_drop(sm, w, (page - (gfn - first)) << PAGE_SHIFT, count << PAGE_SHIFT);
}

/* An access to the current view's window in this slot faulted. */
static enum mem_fill fill(struct shadowmm *sm, enum slot slot, uint64_t gla, enum mem_access access)
{
    struct vcpu *vcpu = sm->vcpu;
    struct window *w = current_window(sm, slot);
    bool shared = w == sm->share.window;
    struct walk walk;
    uint32_t error;
    enum mem_fill result;

    w->events++;
    sm->touched = false;
    if (!paging_on(vcpu))
        paging_peek(vcpu, gla, &walk);
    else if (!paging_walk(vcpu, gla, access, slot != SLOT_KERNEL, &walk, &error))
        return fault_page(vcpu, gla, error), MEM_FAULTED;
    if (!physmem_is_ram(vcpu->mem, walk.gpa))
        return MEM_DEVICE;
    if (!mappable(sm, w, gla >> PAGE_SHIFT) || (shared && walk.user)) /* H1 */
        return MEM_SPECIAL;
    if (access == MEM_WRITE)
        touch(sm, w, gla, walk.gpa);
    sync_begin(sm);
    sm->sharing = shared;
    result = fill_page(sm, w, slot, gla, &walk, access == MEM_WRITE);
    sm->sharing = false;
    return result;
}

/* Maps what lies around page in a direct window, if the guest has it; where to look next. */
static uint64_t fill_expected(struct shadowmm *sm, struct window *w, uint64_t page)
{
    uint64_t gla = page << PAGE_SHIFT;
    unsigned at = area_find(w, page);
    struct walk walk;

    if (at < w->areas && w->area[at].page <= page)
        return (uint64_t)w->area[at].page + w->area[at].count;
    if (mappable(sm, w, page) && paging_peek(sm->vcpu, gla, &walk) && walk.accessed && walk.user &&
        physmem_is_ram(sm->vcpu->mem, walk.gpa)) {
        sync_begin(sm);
        fill_page(sm, w, SLOT_DIRECT, gla, &walk, false);
    }
    return page + 1;
}

/* The first page behind the one that the walk found, or behind what it read as absent. */
static uint64_t behind(uint64_t page, const struct walk *walk, bool present)
{
    unsigned shift = walk->tables ? walk->table_shift[walk->tables - 1] : 30; /* a PDPTE */
    uint64_t pages = present ? walk->size >> PAGE_SHIFT : 1ull << (shift - PAGE_SHIFT);

    return (page & ~(pages - 1)) + pages;
}

/* A direct window gets at once what its program has used already: that costs no faults. */
void window_prefill(struct shadowmm *sm, const struct view *view)
{
    struct window *w = view->window[SLOT_DIRECT];
    uint64_t page, end, maps = sm->stats.window_maps;
    struct walk walk;
    bool present;

    host_bounds(sm, w, &page, &end);
    for (unsigned looks = 0; page < end && looks < PREFILL_LOOKS &&
                             sm->stats.window_maps - maps < PREFILL_MAPS; looks++) {
        present = paging_peek(sm->vcpu, page << PAGE_SHIFT, &walk);
        page = present && walk.user ? fill_expected(sm, w, page) : behind(page, &walk, present);
    }
}

void shadowmm_direct_expect(struct shadowmm *sm, uint64_t gla)
{
    fill_expected(sm, sm->view[sm->current].window[SLOT_DIRECT], gla >> PAGE_SHIFT);
}

enum mem_fill shadowmm_window_fault(struct shadowmm *sm, bool user, uint64_t gla, bool write)
{
    sm->stats.window_faults++;
    return fill(sm, user ? SLOT_USER : SLOT_KERNEL, gla, write ? MEM_WRITE : MEM_READ);
}

bool shadowmm_direct_mapped(const struct shadowmm *sm, uint64_t gla)
{
    uint64_t page = gla >> PAGE_SHIFT;

    return area_any(sm->view[sm->current].window[SLOT_DIRECT], page, page + 1);
}

void shadowmm_direct_trapped(struct shadowmm *sm)
{
    struct window *w = sm->view[sm->current].window[SLOT_DIRECT];

    if (w)
        w->events++;
}

enum mem_fill shadowmm_direct_fault(struct shadowmm *sm, uint64_t gla, enum mem_access access)
{
    enum mem_fill result;

    sm->stats.direct_faults++;
    if (access == MEM_EXEC && shadowmm_direct_refuses(sm, gla)) /* as it is mapped already */
        return MEM_SPECIAL;
    result = fill(sm, SLOT_DIRECT, gla, access);
    return access == MEM_EXEC && result == MEM_FILLED && shadowmm_direct_refuses(sm, gla)
               ? MEM_SPECIAL : result;
}

bool shadowmm_direct_refuses(struct shadowmm *sm, uint64_t gla)
{
    const struct window *w = sm->view[sm->current].window[SLOT_DIRECT];
    unsigned at;

    avoid_look(sm);
    if (!sm->avoided || !w)
        return false;
    at = area_find(w, gla >> PAGE_SHIFT);
    return at < w->areas && w->area[at].page <= gla >> PAGE_SHIFT && !w->area[at].rights.exec;
}

bool shadowmm_touched(const struct shadowmm *sm)
{
    return sm->touched;
}

uint8_t *shadowmm_window(const struct shadowmm *sm, bool user)
{
    const struct window *w = current_window(sm, user ? SLOT_USER : SLOT_KERNEL);

    return w && !stops_data(sm->vcpu) ? w->base : NULL; /* cpu/stops.h, X2 */
}
