/*
 * Which form of shadow memory an address space gets: the software TLB while it is new or traps all
 * the time, a window when it computes, direct execution when it computes without the kernel.
 *
 * All is decided at samples (shadowmm_sample), from what the view's run time held and from what
 * faults and hand-offs cost on this host (struct shadowmm_costs). Each form has a book of what its
 * traps cost, lost time against run time. A window is left when its traps have cost more than a
 * part of all the time the view has run, and tried again when time has made up for that: to fill a
 * window is an investment, which a view may make that has run for long, but lost time is never
 * more than that part. Direct execution is left when hand-offs have cost more than what user code
 * computed between them has gained, by more than a burst of them may; its book has what they cost
 * too much. What was long ago counts half.
 */
#include <stddef.h>
#include <string.h>

#include "base/bug.h"
#include "cpu/event.h"
#include "direct/sandbox.h"
#include "shadowmm/view.h"

struct part {
    uint64_t count, of;
};
/* A window is lost when its faults take more than this part of the view's time, and tried again
 * when that has become this one. */
static const struct part window_leave = { 1, 8 }, window_again = { 1, 16 };
/* Direct execution is given when exits would take less than this part of what translated code
 * takes, ... */
static const struct part direct_enter = { 1, 6 };
/* ... again, when what those of before have wasted is less than this part of all the time. */
static const struct part direct_again = { 1, 16 };
/* Translated code takes three times as long and more: each cycle of user code gains so many. */
#define GAIN 2
/* One that waits for a CPU that others have, too, counts for so many; longer waits may have come
 * anyway. */
#define HANDOFF_MOST 8
/* Hand-offs that may be too many, as when a program begins by touching all its memory. */
#define BURST 2048
/* Samples that found the view's own code (of its kernel's: fewer) before it gets a window. */
static const unsigned first_samples[SLOT_COUNT] = { 4, 3, 3 };
/* The first samples of an address space are taken one after the other, then those that come. */
#define YOUNG 24
/* TSC cycles of run time in a book before it counts half. */
#define BOOK_FULL (1ull << 32)
/* TSC cycles for which a sandbox stays where it is, if it is wanted by who had one before. */
#define HOLD (1ull << 32)

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
    view->page_faults += sm->vcpu->stats.faults[VEC_PF] - sm->account_faults;
    sm->account_at = now;
    sm->account_traps = count;
    sm->account_faults = sm->vcpu->stats.faults[VEC_PF];
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

#define MOVE_WORDS(id, words) words,
const char *const move_words[MOVE_END] = { MOVES(MOVE_WORDS) };

unsigned tenure_moves(const struct tenure *t)
{
    unsigned moves = 0;

    for (unsigned why = 0; why < MOVE_END; why++)
        moves += t->moves[why];
    return moves;
}

/* Into the address spaces that have been in another tier than the first, the longest-lived ones. */
static void remember(struct tenure list[TENURES], const struct tenure *tenure)
{
    struct tenure *least = list;

    for (unsigned i = 0; i < TENURES && tenure_moves(least); i++)
        if (!tenure_moves(&list[i]) || tenure_total(&list[i]) < tenure_total(least))
            least = &list[i];
    if (!tenure_moves(least) || tenure_total(tenure) > tenure_total(least))
        *least = *tenure;
}

/* The stretch since the last sample ends. */
static void forget_stretch(struct view *view)
{
    view->ran = view->traps = view->page_faults = view->computed = view->handed = 0;
}

void policy_begin(struct shadowmm *sm, struct view *view)
{
    if (tenure_moves(&view->tenure))
        remember(sm->ended, &view->tenure);
    else
        sm->stats.short_lived++;
    view->tenure = (struct tenure){ .cr3 = view->cr3 };
    forget_stretch(view);
    view->looked = 0;
    view->displaced = false;
}

static void moved(struct shadowmm *sm, struct view *view, enum move why)
{
    static const char *const names[] = { "tlb", "window", "direct" };

    view->tenure.moves[why]++;
    event_tell(sm->vcpu, EVENT_tier, view->cr3, event_word(names[tier_of(view)]),
               event_word(move_words[why]));
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

bool policy_holds(const struct shadowmm *sm, const struct view *view)
{
    const struct window *w = view->window[SLOT_DIRECT];

    return w && w->areas && sm->clock() - view->direct_at < HOLD;
}

/* Where more programs compute than there are sandboxes, some keep theirs for a while: if each took
 * the oldest one, all would lose theirs before they run again. */
static bool spares(const struct shadowmm *sm, enum slot slot)
{
    return slot == SLOT_DIRECT && sm->user_policy == TIERS_AUTO && sm->view[sm->current].displaced;
}

/* The view other than the current one with such a window that was selected longest ago. */
static struct view *oldest_owner(struct shadowmm *sm, enum slot slot, enum slot *held)
{
    bool spare = spares(sm, slot);
    struct view *oldest = NULL;
    unsigned first, end;
    enum slot its;

    pool_of(slot, &first, &end);
    for (unsigned i = first; i < end; i++) {
        struct view *view = owner(sm, &sm->pool[i], &its);

        if (view && view != &sm->view[sm->current] && !(spare && policy_holds(sm, view)) &&
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
    view->displaced = true;
    moved(sm, view, MOVE_PLACE);
    return host_ready(w) ? w : NULL;
}

static bool promote(struct shadowmm *sm, struct view *view, enum slot slot, enum move why)
{
    struct window *w = policy_take(sm, slot);

    if (!w)
        return false;
    view->window[slot] = w;
    view->samples[slot] = 0;
    sm->vcpu->bt.leave = 1;
    if (slot == SLOT_DIRECT) {
        view->direct_at = sm->clock();
        sm->stats.directs_made++;
    } else {
        sm->stats.windows_made++;
    }
    if (slot != SLOT_KERNEL)
        moved(sm, view, why);
    return true;
}

static void demote(struct shadowmm *sm, struct view *view, enum slot slot, enum move why)
{
    window_release(sm, view, slot);
    view->samples[slot] = 0;
    if (slot != SLOT_KERNEL)
        moved(sm, view, why);
}

/* --- Samples --------------------------------------------------------------------------------- */

static bool more_than(uint64_t lost, uint64_t ran, struct part part)
{
    return lost * part.of > ran * part.count;
}

/* What a stretch of run time was, and what traps cost in it. */
static void enter(struct book *book, uint64_t ran, uint64_t lost)
{
    book->ran += ran;
    book->lost += lost;
    if (book->ran < BOOK_FULL)
        return;
    book->ran /= 2;
    book->lost /= 2;
}

static bool too_much(const struct book *book, struct part part)
{
    return more_than(book->lost, book->ran, part);
}

/* Has this view waited long enough for such a window, and made up for the last one? */
static bool waited(struct view *view, enum slot slot, struct part again)
{
    return ++view->samples[slot] >= first_samples[slot] && !too_much(&view->book[slot], again);
}

static uint64_t take_events(struct window *w)
{
    uint64_t events = w ? w->events : 0;

    if (w)
        w->events = 0;
    return events;
}

/* User code that touches new memory all the time would fill a window page by page. */
static bool is_growing(const struct shadowmm *sm, uint64_t faults, uint64_t ran)
{
    return more_than(faults * sm->costs.fault, ran, window_leave);
}

/* The window of a slot, given, kept or lost. */
static void weigh_window(struct shadowmm *sm, struct view *view, enum slot slot, uint64_t ran,
                         uint64_t faults)
{
    struct book *book = &view->book[slot];
    bool user = slot == SLOT_USER;

    enter(book, ran, take_events(view->window[slot]) * sm->costs.fault);
    if (view->window[slot]) {
        if (too_much(book, window_leave))
            demote(sm, view, slot, MOVE_FAULTS);
    } else if (user && is_growing(sm, faults, ran)) {
        view->samples[slot] = 0;
    } else if (waited(view, slot, window_again) && (user || !share_begin(sm))) {
        promote(sm, view, slot, MOVE_RAN);
    }
}

/* How much more than user code has gained have its hand-offs cost by now? */
static bool wastes(const struct shadowmm *sm, struct view *view, uint64_t hand_offs)
{
    uint64_t least = hand_offs * sm->costs.handoff, gain = GAIN * view->computed;
    uint64_t cost = view->waste + (view->handed > least ? view->handed : least);

    view->waste = cost > gain ? cost - gain : 0;
    return view->waste > BURST * sm->costs.handoff;
}

static void weigh_direct(struct shadowmm *sm, struct view *view, uint64_t ran, uint64_t count)
{
    struct window *w = view->window[SLOT_DIRECT];
    struct book *book = &view->book[SLOT_DIRECT];

    enter(book, ran, 0);
    if (w) {
        if (!wastes(sm, view, count + take_events(w)))
            return;
        enter(book, 0, view->waste);
        demote(sm, view, SLOT_DIRECT, MOVE_TRAPS);
    } else if (more_than(count * sm->costs.handoff, ran, direct_enter)) {
        view->samples[SLOT_DIRECT] = 0;
    } else if (waited(view, SLOT_DIRECT, direct_again)) {
        if (!promote(sm, view, SLOT_DIRECT, MOVE_COMPUTES))
            return;
        view->waste = 0;
        window_prefill(sm, view);
    }
}

/* The kernel was found at work for the user's view: that code needs none of the user's forms. */
static void weigh_kernel_time(struct view *view)
{
    for (enum slot slot = SLOT_USER; slot < SLOT_COUNT; slot++)
        if (view->samples[slot] && !view->window[slot])
            view->samples[slot]--;
}

static void weigh_user(struct shadowmm *sm, struct view *view)
{
    policy_account(sm);
    if (view->paging)
        weigh_direct(sm, view, view->ran, view->traps);
    if (!view->window[SLOT_DIRECT])
        weigh_window(sm, view, SLOT_USER, view->ran, view->page_faults);
    forget_stretch(view);
}

static void weigh_kernel(struct shadowmm *sm, struct view *view)
{
    weigh_kernel_time(view);
    if (sm->share.on && !view->window[SLOT_KERNEL]) {
        share_sample(sm);
        return;
    }
    policy_account(sm);
    weigh_window(sm, view, SLOT_KERNEL, view->ran, 0);
    forget_stretch(view);
}

bool shadowmm_sample(struct shadowmm *sm, bool user)
{
    struct view *view = &sm->view[sm->current];

    if ((user ? sm->user_policy : sm->kernel_policy) != TIERS_AUTO)
        return false;
    if (user)
        weigh_user(sm, view);
    else
        weigh_kernel(sm, view);
    return ++view->looked < YOUNG && !view->window[SLOT_DIRECT];
}

/* --- Changes of view ------------------------------------------------------------------------- */

void policy_reset(struct shadowmm *sm, struct view *view)
{
    for (enum slot slot = 0; slot < SLOT_COUNT; slot++) {
        if (view->window[slot])
            window_release(sm, view, slot);
        view->samples[slot] = 0;
        view->book[slot] = (struct book){ 0 };
    }
    view->waste = 0;
    view->crowded = false;
}

/* The same CR3, another address space: everything that was mapped has been taken away. */
static bool has_died(const struct view *view)
{
    bool filled = false;

    for (enum slot slot = SLOT_USER; slot < SLOT_COUNT; slot++) {
        const struct window *w = view->window[slot];

        if (w && w->areas)
            return false;
        filled |= w && w->filled;
    }
    return filled;
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
        promote(sm, view, SLOT_KERNEL, MOVE_RAN);
    if (sm->user_policy > TIERS_TLB && !view->window[forced_slot(sm)]) {
        if (view->paging || forced_slot(sm) == SLOT_USER)
            promote(sm, view, forced_slot(sm), MOVE_ASKED);
    } else if (sm->user_policy == TIERS_AUTO && has_died(view)) {
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
    struct tenure list[TENURES];

    policy_account(sm);
    memcpy(list, sm->ended, sizeof(list));
    for (unsigned i = 0; i < sm->view_count; i++)
        if (tenure_moves(&sm->view[i].tenure))
            remember(list, &sm->view[i].tenure);
    for (unsigned i = 0; i < TENURES; i++)
        if (tenure_moves(&list[i]))
            put(arg, &list[i]);
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
    avoid_look(sm);
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

void shadowmm_direct_ran(struct shadowmm *sm, uint64_t cycles, uint64_t own)
{
    struct view *view = &sm->view[sm->current];
    uint64_t most = HANDOFF_MOST * sm->costs.handoff;

    if (own == UINT64_MAX)
        own = cycles > sm->costs.handoff ? cycles - sm->costs.handoff : 0;
    own = own < cycles ? own : cycles;
    view->computed += own;
    view->handed += cycles - own < most ? cycles - own : most;
}

void shadowmm_lost_sandbox(struct shadowmm *sm)
{
    struct view *view = &sm->view[sm->current];
    struct window *w = view->window[SLOT_DIRECT];

    demote(sm, view, SLOT_DIRECT, MOVE_LOST);
    sandbox_destroy(w->sandbox);
    w->sandbox = NULL;
}
