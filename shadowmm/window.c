/*
 * Windows: the host's MMU as the guest's. See shadowmm.h for the invariants.
 *
 * The areas of a window are an array sorted by page; the reverse map, from a frame to where it is
 * mapped, is a search of the areas of at most WINDOWS_MAX windows, since areas are few (a run
 * each).
 */
#include <stddef.h>
#include <sys/mman.h>

#include "base/bug.h"
#include "base/spent.h"
#include "cpu/fault.h"
#include "shadowmm/view.h"

#define WINDOW_SIZE (1ull << 32)
#define WINDOW_PAGES (WINDOW_SIZE >> PAGE_SHIFT)
#define GUARD (1ull << 16)
#define STEPS_MAX 64       /* guest pages (of any size) looked at on each side of a fault */
#define POPULATE_MAX 64    /* longer runs are left to the host's own faults */
#define AREAS_RESERVE 4    /* a fault finds room for so many */
#define EVENTS_BAD 70      /* since the view's last sample: more costs more than the other form */

/*
 * --- The host's side ---------------------------------------------------------------
 *
 * Three primitives, all of one window and in pages; nothing below them maps memory. They know no
 * areas and count nothing. The host may refuse each (vm.max_map_count, no memory): the caller
 * then empties the window, which the host cannot refuse.
 */

static void *reserve(void *at, uint64_t size, int flags)
{
    return mmap(at, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
}

static uint8_t *page_host(const struct window *w, uint64_t page)
{
    return w->base + (page << PAGE_SHIFT);
}

/* Maps the run, over whatever was there. False: what is there now is undefined. */
static bool host_map(const struct shadowmm *sm, const struct window *w, const struct area *run)
{
    int prot = run->writable ? PROT_READ | PROT_WRITE : PROT_READ;
    int populate = run->count <= POPULATE_MAX ? MAP_POPULATE : 0;
    enum spent_on before = spent_begin(sm->vcpu->spent, SPENT_MAP);
    void *at = mmap(page_host(w, run->page), (uint64_t)run->count << PAGE_SHIFT, prot,
                    MAP_SHARED | MAP_FIXED | populate, sm->vcpu->mem->fd,
                    (off_t)((uint64_t)run->gfn << PAGE_SHIFT));

    spent_back(sm->vcpu->spent, before);
    return at != MAP_FAILED;
}

/* Nothing is mapped at [page, end) afterwards: accesses fault. False: what is there is
 * undefined. */
static bool host_unmap(const struct shadowmm *sm, const struct window *w, uint64_t page,
                       uint64_t end)
{
    enum spent_on before = spent_begin(sm->vcpu->spent, SPENT_MAP);
    void *at = reserve(page_host(w, page), (end - page) << PAGE_SHIFT, MAP_FIXED);

    spent_back(sm->vcpu->spent, before);
    return at != MAP_FAILED;
}

/* Writes to a mapped page fault afterwards. False: nothing has changed. */
static bool host_protect(const struct shadowmm *sm, const struct window *w, uint64_t page)
{
    enum spent_on before = spent_begin(sm->vcpu->spent, SPENT_MAP);
    int failed = mprotect(page_host(w, page), PAGE_SIZE, PROT_READ);

    spent_back(sm->vcpu->spent, before);
    return !failed;
}

/*
 * One mapping in place of all of them: the host has no reason to refuse it, since it takes the
 * place of at least as many. Should it refuse, the old ones lose their rights, which splits none.
 */
static void host_unmap_all(const struct shadowmm *sm, const struct window *w)
{
    if (!host_unmap(sm, w, 0, WINDOW_PAGES)) {
        bool refused = mprotect(w->base, WINDOW_SIZE, PROT_NONE);

        BUG_ON(refused);
    }
}

/* --- Reservation ----------------------------------------------------------------- */

static bool window_reserve(struct window *w)
{
    uint8_t *all;

    if (w->base)
        return true;
    all = reserve(NULL, WINDOW_SIZE + 2 * GUARD, 0);
    if (all == MAP_FAILED)
        return false;
    w->base = all + GUARD;
    return true;
}

void window_empty(struct shadowmm *sm, struct window *w)
{
    host_unmap_all(sm, w);
    sm->stats.window_areas -= w->areas;
    sm->stats.window_unmaps++;
    w->areas = 0;
}

/* The same for want of room. */
static void window_evict(struct shadowmm *sm, struct window *w)
{
    window_empty(sm, w);
    w->events++;
    sm->stats.window_evictions++;
}

void window_destroy(struct shadowmm *sm)
{
    for (unsigned i = 0; i < WINDOWS_MAX; i++) {
        if (sm->pool[i].base)
            munmap(sm->pool[i].base - GUARD, WINDOW_SIZE + 2 * GUARD);
        if (sm->pool[i].area)
            munmap(sm->pool[i].area, sm->pool[i].room * sizeof(struct area));
    }
}

/* --- The sorted array of areas ------------------------------------------------------ */

/* Index of the first area that ends behind page. */
static unsigned area_find(const struct window *w, uint64_t page)
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

/*
 * Room for two more areas, which is what a change of one can make of it: in the array and within
 * the limit. Without it, the caller empties a window. mmap instead of malloc: this runs while the
 * guest's vector state is in the host's registers.
 */
static bool area_room(const struct shadowmm *sm, struct window *w)
{
    unsigned room = w->room ? 2 * w->room : 2048;
    struct area *area;

    if (sm->stats.window_areas + 2 > sm->area_limit)
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

static void area_insert(struct shadowmm *sm, struct window *w, unsigned at, struct area area)
{
    for (unsigned i = w->areas; i > at; i--)
        w->area[i] = w->area[i - 1];
    w->area[at] = area;
    w->areas++;
    sm->stats.window_areas++;
}

static void area_delete(struct shadowmm *sm, struct window *w, unsigned at)
{
    for (unsigned i = at; i + 1 < w->areas; i++)
        w->area[i] = w->area[i + 1];
    w->areas--;
    sm->stats.window_areas--;
}

/* Makes page begin an area, if it lies inside one. */
static void area_split(struct shadowmm *sm, struct window *w, uint64_t page)
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

static bool area_any(const struct window *w, uint64_t page, uint64_t end)
{
    unsigned at = area_find(w, page);

    return at < w->areas && w->area[at].page < end;
}

/* Forgets the areas of [page, end); area_room() has been asked. */
static void area_remove(struct shadowmm *sm, struct window *w, uint64_t page, uint64_t end)
{
    unsigned at;

    area_split(sm, w, page);
    area_split(sm, w, end);
    for (at = area_find(w, page); at < w->areas && w->area[at].page < end;)
        area_delete(sm, w, at);
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
    sm->stats.window_unmaps++;
}

void window_release(struct shadowmm *sm, struct view *view, unsigned user)
{
    window_empty(sm, view->window[user]);
    view->window[user] = NULL;
    sm->vcpu->bt.leave = 1;
    sm->stats.windows_lost++;
}

static void protect_page(struct shadowmm *sm, struct window *w, uint64_t page)
{
    if (!area_room(sm, w) || !host_protect(sm, w, page)) {
        window_evict(sm, w);
        return;
    }
    area_split(sm, w, page);
    area_split(sm, w, page + 1);
    w->area[area_find(w, page)].writable = false;
    w->events++;
    sm->stats.window_protects++;
}

void window_protect(struct shadowmm *sm, uint64_t gfn)
{
    for (unsigned k = 0; k < WINDOWS_MAX; k++) {
        struct window *w = &sm->pool[k];

        for (unsigned i = 0; i < w->areas; i++)
            if (w->area[i].writable && gfn - w->area[i].gfn < w->area[i].count)
                protect_page(sm, w, w->area[i].page + (gfn - w->area[i].gfn));
    }
}

/* --- Filling --------------------------------------------------------------------------- */

static bool may_write(const struct shadowmm *sm, const struct walk *walk, bool user)
{
    return walk->dirty && (walk->writable || (!user && !(sm->vcpu->cr0 & CR0_WP))) &&
           !physmem_watched(sm->vcpu->mem, walk->gpa >> PAGE_SHIFT);
}

/* Is all of it RAM? */
static bool ram_range(const struct shadowmm *sm, uint64_t gpa, uint64_t size)
{
    const struct physmem *mem = sm->vcpu->mem;

    return gpa + size <= mem->size && (gpa >= mem->hole_end || gpa + size <= mem->hole_start);
}

/*
 * How many pages from gla on (up to the end of the guest's page it is in) would continue the run
 * with frame gfn and these rights, without setting A or D? Going down, gla is the page below the
 * run.
 */
static uint64_t continues(struct shadowmm *sm, uint64_t gla, uint64_t gfn, bool user, bool writable,
                          bool down)
{
    struct walk walk;
    uint64_t inside;

    if (!paging_on(sm->vcpu) || !paging_peek(sm->vcpu, gla, &walk) || !walk.accessed)
        return 0;
    if (walk.gpa >> PAGE_SHIFT != gfn || !physmem_is_ram(sm->vcpu->mem, walk.gpa) ||
        (user && !walk.user) || (sm->sharing && walk.user) ||
        may_write(sm, &walk, user) != writable ||
        !sync_filled(sm, gla, &walk))
        return 0;
    inside = (gla & (walk.size - 1)) >> PAGE_SHIFT;
    if (walk.size == PAGE_SIZE || !ram_range(sm, walk.gpa - (inside << PAGE_SHIFT), walk.size))
        return 1;
    return down ? inside + 1 : (walk.size >> PAGE_SHIFT) - inside;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Grows the run at page in both directions over pages that are not mapped yet. */
static struct area run_around(struct shadowmm *sm, const struct window *w, uint64_t page,
                              uint64_t gfn, bool user, bool writable)
{
    unsigned at = area_find(w, page);
    uint64_t low = at ? w->area[at - 1].page + w->area[at - 1].count : 0;
    uint64_t high = at < w->areas ? w->area[at].page : WINDOW_PAGES;
    uint64_t first = page, end = page + 1, more;

    for (unsigned steps = 0; end < high && steps < STEPS_MAX; steps++, end += more) {
        more = least(high - end,
                     continues(sm, end << PAGE_SHIFT, gfn + (end - page), user, writable, false));
        if (!more)
            break;
    }
    for (unsigned steps = 0; first > low && steps < STEPS_MAX && gfn > page - first;
         steps++, first -= more) {
        more = least(first - low, continues(sm, (first - 1) << PAGE_SHIFT, gfn - (page - first) - 1,
                                            user, writable, true));
        if (!more)
            break;
    }
    return (struct area){ (uint32_t)first, (uint32_t)(end - first),
                          (uint32_t)(gfn - (page - first)), writable };
}

/* Tracing the tables of a run's pages may have made one of its own frames a watched one: keep what
 * lies around the page and may still be written. */
static struct area run_unwatched(struct shadowmm *sm, struct area run, uint64_t page)
{
    const uint8_t *watch = &sm->vcpu->mem->watch[run.gfn];
    uint32_t at = (uint32_t)page - run.page, first = at, end = at + 1;

    if (!run.writable)
        return run;
    while (first && !watch[first - 1])
        first--;
    while (end < run.count && !watch[end])
        end++;
    return (struct area){ run.page + first, end - first, run.gfn + first, true };
}

/* The window that has the most areas gives them up; of equals, one that is not in use. */
static void evict(struct shadowmm *sm, const struct window *in_use)
{
    struct window *most = &sm->pool[0];

    for (unsigned i = 1; i < WINDOWS_MAX; i++)
        if (sm->pool[i].areas > most->areas ||
            (sm->pool[i].areas == most->areas && most == in_use))
            most = &sm->pool[i];
    window_evict(sm, most);
}

/* Maps the run that page is in; w has nothing mapped there. */
static enum mem_fill fill_run(struct shadowmm *sm, struct window *w, uint64_t page, uint64_t gfn,
                              bool user, bool writable)
{
    struct area run = run_around(sm, w, page, gfn, user, writable);

    run = run_unwatched(sm, run, page);
    if (run.writable && sm->vcpu->mem->watch[gfn])
        return MEM_SPECIAL;
    if (!area_room(sm, w) || !host_map(sm, w, &run)) {
        window_evict(sm, w);
        return MEM_SPECIAL;
    }
    area_insert(sm, w, area_find(w, run.page), run);
    sm->stats.window_maps++;
    sm->stats.window_pages += run.count;
    return MEM_FILLED;
}

static struct window *current_window(const struct shadowmm *sm, bool user)
{
    struct window *w = sm->view[sm->current].window[user];

    return w || user ? w : sm->share.window;
}

enum mem_fill shadowmm_window_fault(struct shadowmm *sm, bool user, uint64_t gla, bool write)
{
    struct vcpu *vcpu = sm->vcpu;
    struct window *w = current_window(sm, user);
    uint64_t page = gla >> PAGE_SHIFT;
    struct walk walk;
    uint32_t error;
    enum mem_fill fill;
    bool writable, done;

    w->events++;
    sm->stats.window_faults++;
    if (!paging_on(vcpu))
        paging_peek(vcpu, gla, &walk);
    else if (!paging_walk(vcpu, gla, write ? MEM_WRITE : MEM_READ, user, &walk, &error))
        return fault_page(vcpu, gla, error), MEM_FAULTED;
    if (!physmem_is_ram(vcpu->mem, walk.gpa))
        return MEM_DEVICE;
    sync_begin(sm);
    if (w == sm->share.window && walk.user) /* H1 */
        return MEM_SPECIAL;
    sm->sharing = w == sm->share.window;
    done = sync_filled(sm, gla, &walk);
    sm->sharing = false;
    BUG_ON(!done);
    writable = may_write(sm, &walk, user);
    if (write && !writable)
        return MEM_SPECIAL;
    while (sm->stats.window_areas + AREAS_RESERVE > sm->area_limit)
        evict(sm, w);
    if (area_any(w, page, page + 1)) {
        if (area_room(sm, w))
            area_remove(sm, w, page, page + 1);
        else
            window_evict(sm, w);
    }
    sm->sharing = w == sm->share.window;
    fill = fill_run(sm, w, page, walk.gpa >> PAGE_SHIFT, user, writable);
    sm->sharing = false;
    return fill;
}

/* --- Policy ----------------------------------------------------------------------------- */

uint8_t *shadowmm_window(const struct shadowmm *sm, bool user)
{
    const struct window *w = current_window(sm, user);

    return w ? w->base : NULL;
}

void shadowmm_limit_areas(struct shadowmm *sm, unsigned areas)
{
    sm->area_limit = areas < AREAS_MIN ? AREAS_MIN : areas;
}

static struct view *owner(struct shadowmm *sm, const struct window *w, unsigned *user)
{
    for (unsigned i = 0; i < sm->view_count; i++)
        for (*user = 0; *user < 2; ++*user)
            if (sm->view[i].window[*user] == w)
                return &sm->view[i];
    return NULL;
}

/* The view other than the current one with a window that was selected longest ago, or NULL. */
static struct view *oldest_owner(struct shadowmm *sm, unsigned *user)
{
    struct view *oldest = NULL;
    unsigned u;

    for (unsigned i = 0; i < WINDOWS_MAX; i++) {
        struct view *view = owner(sm, &sm->pool[i], &u);

        if (view && view != &sm->view[sm->current] &&
            (!oldest || view->used_at < oldest->used_at)) {
            oldest = view;
            *user = u;
        }
    }
    return oldest;
}

/* A window that nobody has, or the one that was not used for longest. */
struct window *window_take(struct shadowmm *sm)
{
    struct view *view;
    struct window *w;
    unsigned user;

    for (unsigned i = 0; i < WINDOWS_MAX; i++)
        if (&sm->pool[i] != sm->share.window && !owner(sm, &sm->pool[i], &user) &&
            window_reserve(&sm->pool[i])) {
            sm->pool[i].events = 0;
            return &sm->pool[i];
        }
    view = oldest_owner(sm, &user);
    if (!view)
        return NULL;
    w = view->window[user];
    w->events = 0;
    window_release(sm, view, user);
    return w;
}

static void promote(struct shadowmm *sm, struct view *view, unsigned user)
{
    struct window *w = window_take(sm);

    if (!w)
        return;
    view->window[user] = w;
    sm->vcpu->bt.leave = 1;
    sm->stats.windows_made++;
}

void window_select(struct shadowmm *sm, struct view *view)
{
    bool shared = sm->policy == WINDOWS_SHARED;

    if (shared)
        share_begin(sm);
    for (unsigned user = shared; user < 2 && (shared || sm->policy == WINDOWS_ALWAYS); user++)
        if (!view->window[user])
            promote(sm, view, user);
}

void shadowmm_window_policy(struct shadowmm *sm, enum window_policy policy)
{
    sm->policy = policy;
    window_select(sm, &sm->view[sm->current]);
}

void shadowmm_sample(struct shadowmm *sm, bool user)
{
    struct view *view = &sm->view[sm->current];
    struct window *w = view->window[user];

    if (sm->policy != WINDOWS_SAMPLED)
        return;
    if (!w && !user && sm->share.on) {
        share_sample(sm);
        return;
    }
    if (!w) {
        if (++view->samples[user] >= view->patience[user] && (user || !share_begin(sm)))
            promote(sm, view, user);
        return;
    }
    if (w->events > EVENTS_BAD) {
        window_release(sm, view, user);
        view->samples[user] = 0;
        view->patience[user] *= 4;
    }
    w->events = 0;
}
