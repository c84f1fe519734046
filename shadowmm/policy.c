/*
 * Which form of shadow memory an address space gets: the software TLB while it is new or traps all
 * the time, a window when it computes, direct execution when it computes without the kernel.
 *
 * All is decided at samples (shadowmm_sample), from what the last stretch of the view's run time
 * held and from what faults and hand-offs cost on this host (struct shadowmm_costs): a form is left
 * when its traps cost more than the next lower form would.
 */
#include <stddef.h>

#include "base/bug.h"
#include "direct/sandbox.h"
#include "shadowmm/view.h"

/* A window is lost when its faults take more than this part of the view's time, ... */
#define WINDOW_PART 8
/* ... direct execution when its exits do. It is given when they would take less than this part: */
#define DIRECT_LEAVE_PART 8
#define DIRECT_ENTER_PART 24
/* Samples (2 ms of run time each) before a view gets the first window of each kind. */
static const unsigned first_samples[SLOT_COUNT] = { 4, 4, 8 };

#define PATIENCE_FACTOR 4 /* after a loss it takes this many times the samples */
#define PATIENCE_MAX 4096

/* --- How long each view has run, and in which tier ------------------------------------------- */

static enum shadowmm_tier tier_of(const struct view *view)
{
    return view->window[SLOT_DIRECT] ? TIER_DIRECT
           : view->window[SLOT_USER] ? TIER_WINDOW
                                     : TIER_TLB;
}

/* How often user code has been left for the kernel. */
static uint64_t traps(const struct vcpu *vcpu)
{
    return vcpu->stats.soft_interrupts + vcpu->stats.faults[VEC_PF] + vcpu->stats.interrupts;
}

void policy_account(struct shadowmm *sm)
{
    struct view *view = &sm->view[sm->current];
    uint64_t now = sm->clock(), count = traps(sm->vcpu);

    if (sm->paused)
        return;
    view->ran += now - sm->account_at;
    view->tenure.ran[tier_of(view)] += now - sm->account_at;
    view->traps += count - sm->account_traps;
    sm->account_at = now;
    sm->account_traps = count;
}

void shadowmm_pause(struct shadowmm *sm)
{
    policy_account(sm);
    sm->paused = true;
}

void shadowmm_resume(struct shadowmm *sm)
{
    sm->account_at = sm->clock();
    sm->paused = false;
}

static uint64_t tenure_total(const struct tenure *t)
{
    return t->ran[TIER_TLB] + t->ran[TIER_WINDOW] + t->ran[TIER_DIRECT];
}

/* The address spaces that have been in another tier than the first, the longest-lived ones. */
static void remember(struct shadowmm *sm, const struct tenure *ended)
{
    struct tenure *least = &sm->ended[0];

    for (unsigned i = 0; i < TENURES; i++) {
        if (sm->ended[i].moves == 0) {
            least = &sm->ended[i];
            break;
        }
        if (tenure_total(&sm->ended[i]) < tenure_total(least))
            least = &sm->ended[i];
    }
    if (!least->moves || tenure_total(ended) > tenure_total(least))
        *least = *ended;
}

void policy_begin(struct shadowmm *sm, struct view *view)
{
    if (view->tenure.moves)
        remember(sm, &view->tenure);
    else
        sm->stats.short_lived++;
    view->tenure = (struct tenure){ .cr3 = view->cr3 };
    view->ran = view->traps = 0;
}

static void moved(struct view *view, const char *why)
{
    view->tenure.moves++;
    view->tenure.why = why;
}

/* --- Giving and taking ----------------------------------------------------------------------- */

static struct view *owner(const struct shadowmm *sm, const struct window *w, enum slot *slot)
{
    for (unsigned i = 0; i < sm->view_count; i++)
        for (*slot = 0; *slot < SLOT_COUNT; ++*slot)
            if (sm->view[i].window[*slot] == w)
                return &sm->view[i];
    return NULL;
}

static bool is_free(const struct shadowmm *sm, const struct window *w)
{
    enum slot slot;

    return w != sm->share.window && !owner(sm, w, &slot);
}

/* The part of the pool that serves a slot. */
static void pool_of(enum slot slot, unsigned *first, unsigned *end)
{
    *first = slot == SLOT_DIRECT ? WINDOWS_MAX : 0;
    *end = slot == SLOT_DIRECT ? POOL_SIZE : WINDOWS_MAX;
}

/* The view other than the current one with such a window that was selected longest ago. */
static struct view *oldest_owner(struct shadowmm *sm, enum slot slot, enum slot *held)
{
    struct view *oldest = NULL;
    unsigned first, end;
    enum slot its;

    pool_of(slot, &first, &end);
    for (unsigned i = first; i < end; i++) {
        struct view *view = owner(sm, &sm->pool[i], &its);

        if (view && view != &sm->view[sm->current] &&
            (!oldest || view->used_at < oldest->used_at)) {
            oldest = view;
            *held = its;
        }
    }
    return oldest;
}

/* A window that nobody has, or the one that was not used for longest. */
struct window *policy_take(struct shadowmm *sm, enum slot slot)
{
    struct view *view;
    struct window *w;
    unsigned first, end;
    enum slot held;

    pool_of(slot, &first, &end);
    for (unsigned i = first; i < end; i++)
        if (is_free(sm, &sm->pool[i]) && host_ready(&sm->pool[i])) {
            sm->pool[i].events = 0;
            return &sm->pool[i];
        }
    view = oldest_owner(sm, slot, &held);
    if (!view)
        return NULL;
    w = view->window[held];
    w->events = 0;
    window_release(sm, view, held);
    moved(view, "another address space needed its place");
    return host_ready(w) ? w : NULL;
}

static bool promote(struct shadowmm *sm, struct view *view, enum slot slot, const char *why)
{
    struct window *w = policy_take(sm, slot);

    if (!w)
        return false;
    view->window[slot] = w;
    view->samples[slot] = 0;
    sm->vcpu->bt.leave = 1;
    if (slot == SLOT_DIRECT)
        sm->stats.directs_made++;
    else
        sm->stats.windows_made++;
    if (slot != SLOT_KERNEL)
        moved(view, why);
    return true;
}

static void demote(struct shadowmm *sm, struct view *view, enum slot slot, const char *why)
{
    window_release(sm, view, slot);
    view->samples[slot] = 0;
    if (view->patience[slot] < PATIENCE_MAX)
        view->patience[slot] *= PATIENCE_FACTOR;
    if (slot != SLOT_KERNEL)
        moved(view, why);
}

/* --- Samples --------------------------------------------------------------------------------- */

static bool more_than(uint64_t events, uint64_t cost, uint64_t ran, unsigned part)
{
    return events * cost * part > ran;
}

/* The window of a slot, kept or lost. True: it was lost. */
static bool weigh_window(struct shadowmm *sm, struct view *view, enum slot slot, uint64_t ran)
{
    struct window *w = view->window[slot];
    unsigned events = w->events;

    w->events = 0;
    if (!more_than(events, sm->costs.fault, ran, WINDOW_PART))
        return false;
    demote(sm, view, slot, "its window faulted too often");
    return true;
}

/* Has this view waited long enough for such a window? */
static bool waited(struct view *view, enum slot slot)
{
    return ++view->samples[slot] >= view->patience[slot];
}

static void weigh_direct(struct shadowmm *sm, struct view *view, uint64_t ran, uint64_t count)
{
    struct window *w = view->window[SLOT_DIRECT];

    if (!w) {
        if (more_than(count, sm->costs.handoff, ran, DIRECT_ENTER_PART))
            view->samples[SLOT_DIRECT] = 0;
        else if (waited(view, SLOT_DIRECT))
            promote(sm, view, SLOT_DIRECT, "it computes with few traps");
        return;
    }
    count += w->events;
    w->events = 0;
    if (more_than(count, sm->costs.handoff, ran, DIRECT_LEAVE_PART))
        demote(sm, view, SLOT_DIRECT, "its traps cost more than translation");
}

void shadowmm_sample(struct shadowmm *sm, bool user)
{
    struct view *view = &sm->view[sm->current];
    enum slot slot = user ? SLOT_USER : SLOT_KERNEL;
    uint64_t ran, count;

    if ((user ? sm->user_policy : sm->kernel_policy) != TIERS_AUTO)
        return;
    if (!user && sm->share.on && !view->window[SLOT_KERNEL]) {
        share_sample(sm);
        return;
    }
    policy_account(sm);
    ran = view->ran;
    count = view->traps;
    view->ran = view->traps = 0;
    if (!view->window[slot]) {
        if (waited(view, slot) && (user || !share_begin(sm)))
            promote(sm, view, slot, "it has run for a while");
    } else if (weigh_window(sm, view, slot, ran)) {
        return;
    }
    if (user && view->paging && view->window[SLOT_USER])
        weigh_direct(sm, view, ran, count);
}

/* --- Changes of view ------------------------------------------------------------------------- */

void policy_reset(struct shadowmm *sm, struct view *view)
{
    for (enum slot slot = 0; slot < SLOT_COUNT; slot++) {
        if (view->window[slot])
            window_release(sm, view, slot);
        view->samples[slot] = 0;
        view->patience[slot] = first_samples[slot];
    }
}

/* The same CR3, another address space: everything that was mapped has been taken away. */
static bool is_empty(const struct window *w)
{
    return w && w->filled && !w->areas;
}

static enum slot forced_slot(const struct shadowmm *sm)
{
    return sm->user_policy == TIERS_DIRECT ? SLOT_DIRECT : SLOT_USER;
}

void policy_select(struct shadowmm *sm, struct view *view)
{
    if (sm->kernel_policy == TIERS_SHARED && share_begin(sm))
        ;
    else if (sm->kernel_policy > TIERS_TLB && !view->window[SLOT_KERNEL])
        promote(sm, view, SLOT_KERNEL, NULL);
    if (sm->user_policy > TIERS_TLB && !view->window[forced_slot(sm)]) {
        if (view->paging || forced_slot(sm) == SLOT_USER)
            promote(sm, view, forced_slot(sm), "asked for");
    } else if (sm->user_policy == TIERS_AUTO &&
               (is_empty(view->window[SLOT_USER]) || is_empty(view->window[SLOT_DIRECT]))) {
        policy_begin(sm, view);
        policy_reset(sm, view);
    }
}

void shadowmm_policy(struct shadowmm *sm, enum tier_policy kernel, enum tier_policy user)
{
    sm->kernel_policy = kernel;
    sm->user_policy = user;
    policy_select(sm, &sm->view[sm->current]);
}

void shadowmm_set_costs(struct shadowmm *sm, struct shadowmm_costs costs)
{
    sm->costs = costs;
}

void shadowmm_limit_areas(struct shadowmm *sm, unsigned areas)
{
    sm->area_limit = areas < AREAS_MIN ? AREAS_MIN : areas;
}

void shadowmm_tenures(struct shadowmm *sm, void (*put)(void *arg, const struct tenure *tenure),
                      void *arg)
{
    policy_account(sm);
    for (unsigned i = 0; i < sm->view_count; i++)
        if (sm->view[i].tenure.moves)
            remember(sm, &sm->view[i].tenure);
    for (unsigned i = 0; i < TENURES; i++)
        if (sm->ended[i].moves)
            put(arg, &sm->ended[i]);
}

/* --- Sandboxes ------------------------------------------------------------------------------- */

unsigned shadowmm_wants_sandbox(const struct shadowmm *sm)
{
    unsigned empty = 0;
    enum slot slot;

    for (unsigned i = WINDOWS_MAX; i < POOL_SIZE; i++) {
        if (!sm->pool[i].sandbox)
            empty++;
        else if (!owner(sm, &sm->pool[i], &slot))
            return 0;
    }
    return empty;
}

void shadowmm_give_sandbox(struct shadowmm *sm, struct sandbox *sandbox,
                           const struct sandbox_caps *caps)
{
    sm->direct_caps = *caps;
    for (unsigned i = WINDOWS_MAX; i < POOL_SIZE; i++) {
        if (sm->pool[i].sandbox)
            continue;
        sm->pool[i].sandbox = sandbox;
        policy_select(sm, &sm->view[sm->current]);
        return;
    }
    BUG_ON(true);
}

struct sandbox *shadowmm_sandbox(const struct shadowmm *sm)
{
    const struct window *w = sm->view[sm->current].window[SLOT_DIRECT];

    return w ? w->sandbox : NULL;
}

void shadowmm_lost_sandbox(struct shadowmm *sm)
{
    struct view *view = &sm->view[sm->current];
    struct window *w = view->window[SLOT_DIRECT];

    demote(sm, view, SLOT_DIRECT, "its sandbox was lost");
    sandbox_destroy(w->sandbox);
    w->sandbox = NULL;
}
