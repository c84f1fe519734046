/*
 * What windows are made of on the host: a reservation in this process, or a sandbox's address
 * space.
 *
 * Primitives of one window, in pages; nothing else maps guest memory. They know no areas and count
 * nothing. The host may refuse each (vm.max_map_count, no memory): the caller then empties the
 * window, which the host cannot refuse. A sandbox is told, and does it before it next runs; one
 * that cannot is lost, with everything in it.
 */
#include <stddef.h>
#include <sys/mman.h>

#include "base/bug.h"
#include "base/spent.h"
#include "direct/sandbox.h"
#include "shadowmm/view.h"

#define GUARD (1ull << 16)
#define POPULATE_MAX 64 /* longer runs are left to the host's own faults */

static void *reserve(void *at, uint64_t size, int flags)
{
    return mmap(at, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
}

/* Fit for another address space: nothing is mapped in it, and it sleeps. Else it goes. */
static bool sandbox_ready(struct window *w)
{
    if (!w->sandbox)
        return false;
    if (sandbox_reset(w->sandbox))
        return true;
    sandbox_destroy(w->sandbox);
    w->sandbox = NULL;
    return false;
}

bool host_ready(struct window *w)
{
    uint8_t *all;

    if (w->is_direct)
        return sandbox_ready(w);
    if (w->base)
        return true;
    all = reserve(NULL, WINDOW_SIZE + 2 * GUARD, 0);
    if (all == MAP_FAILED)
        return false;
    w->base = all + GUARD;
    return true;
}

void host_destroy(struct window *w)
{
    if (w->sandbox)
        sandbox_destroy(w->sandbox);
    if (w->base)
        munmap(w->base - GUARD, WINDOW_SIZE + 2 * GUARD);
}

void host_bounds(const struct shadowmm *sm, const struct window *w, uint64_t *low, uint64_t *end)
{
    *low = w->sandbox ? sm->direct_caps.min_gva >> PAGE_SHIFT : 0;
    *end = w->sandbox ? sm->direct_caps.max_gva >> PAGE_SHIFT : WINDOW_PAGES;
}

static uint8_t *page_host(const struct window *w, uint64_t page)
{
    return w->base + (page << PAGE_SHIFT);
}

static int protection(struct rights rights)
{
    return PROT_READ | (rights.write ? PROT_WRITE : 0);
}

static unsigned sandbox_rights(struct rights rights)
{
    return SANDBOX_READ | (rights.write ? SANDBOX_WRITE : 0u) | (rights.exec ? SANDBOX_EXEC : 0u);
}

/*
 * A right is taken back when the sandbox next runs, if it sleeps; else now (sandbox.h, D3). False:
 * the sandbox failed, and the window is to be emptied.
 */
static bool taken_back(struct sandbox *sandbox)
{
    return sandbox_parked(sandbox) || !sandbox_flush(sandbox);
}

static bool map_there(const struct window *w, const struct area *run, bool fresh)
{
    return !sandbox_map(w->sandbox, (uint64_t)run->page << PAGE_SHIFT,
                        (uint64_t)run->gfn << PAGE_SHIFT, run->count,
                        sandbox_rights(run->rights) | (fresh ? SANDBOX_FRESH : 0u),
                        run->count <= POPULATE_MAX);
}

static bool unmap_there(const struct window *w, uint64_t page, uint64_t count)
{
    return !sandbox_unmap(w->sandbox, page << PAGE_SHIFT, count) && taken_back(w->sandbox);
}

static bool protect_there(const struct window *w, uint64_t page, uint64_t count,
                          struct rights rights)
{
    return !sandbox_protect(w->sandbox, page << PAGE_SHIFT, count, sandbox_rights(rights)) &&
           taken_back(w->sandbox);
}

static bool map_here(const struct shadowmm *sm, const struct window *w, const struct area *run)
{
    int populate = run->count <= POPULATE_MAX ? MAP_POPULATE : 0;

    return mmap(page_host(w, run->page), (uint64_t)run->count << PAGE_SHIFT,
                protection(run->rights), MAP_SHARED | MAP_FIXED | populate, sm->vcpu->mem->fd,
                (off_t)((uint64_t)run->gfn << PAGE_SHIFT)) != MAP_FAILED;
}

bool host_map(const struct shadowmm *sm, const struct window *w, const struct area *run,
              bool fresh)
{
    enum spent_on before = spent_begin(sm->vcpu->spent, SPENT_MAP);
    bool done = w->sandbox ? map_there(w, run, fresh) : map_here(sm, w, run);

    spent_back(sm->vcpu->spent, before);
    return done;
}

bool host_unmap(const struct shadowmm *sm, const struct window *w, uint64_t page, uint64_t end)
{
    enum spent_on before = spent_begin(sm->vcpu->spent, SPENT_MAP);
    bool done = w->sandbox ? unmap_there(w, page, end - page)
                           : reserve(page_host(w, page), (end - page) << PAGE_SHIFT, MAP_FIXED) !=
                                 MAP_FAILED;

    spent_back(sm->vcpu->spent, before);
    return done;
}

bool host_protect(const struct shadowmm *sm, const struct window *w, uint64_t page, uint64_t count,
                  struct rights rights)
{
    enum spent_on before = spent_begin(sm->vcpu->spent, SPENT_MAP);
    bool done = w->sandbox ? protect_there(w, page, count, rights)
                           : !mprotect(page_host(w, page), count << PAGE_SHIFT, protection(rights));

    spent_back(sm->vcpu->spent, before);
    return done;
}

/*
 * One mapping in place of all of them: the host has no reason to refuse it, since it takes the
 * place of at least as many. Should it refuse, the old ones lose their rights, which splits none.
 */
void host_unmap_all(const struct shadowmm *sm, const struct window *w)
{
    uint64_t low, end;

    host_bounds(sm, w, &low, &end);
    if (!host_unmap(sm, w, low, end) && !w->sandbox) {
        bool refused = mprotect(w->base, WINDOW_SIZE, PROT_NONE);

        BUG_ON(refused);
    }
}
