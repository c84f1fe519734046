/* Views: tagged shadow address spaces. See shadowmm.h. */
#include "shadowmm/view.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bug.h"
#include "base/spent.h"
#include "cpu/event.h"
#include "cpu/stops.h"

/* Breakpoints keep their pages out of the TLB (cpu/place.c), so arming one is a change. */
static uint64_t breakpoints(const struct vcpu *vcpu)
{
    uint64_t sum = vcpu->dr[7];

    if (!(vcpu->dr[7] & 0xff))
        return 0;
    for (unsigned i = 0; i < 4; i++)
        sum = sum * 31 + vcpu->dr[i];
    return sum << 8;
}

/* Control bits that change what a cached translation means. CR4.PGE does not: setting or clearing
 * it only invalidates. CR0.WP changes only what is in sm->unprotected. */
static uint64_t mode_bits(const struct vcpu *vcpu)
{
    return breakpoints(vcpu) ^ stops_sum(vcpu) ^
           ((vcpu->cr0 & CR0_PG) | (vcpu->cr4 & (CR4_PSE | CR4_PAE)) << 32 |
            (uint64_t)!!(vcpu->efer & EFER_NXE) << 1 | (uint64_t)vcpu->a20_masked << 2);
}

static void forget_all(struct view *view)
{
    for (unsigned user = 0; user < 2; user++)
        tlb_flush(&view->tlb[user]);
    again_forget(view);
    for (; view->jumping; view->jumping &= view->jumping - 1)
        jumps_flush(&view->jumps[__builtin_ctzll(view->jumping)]);
}

static void count_flush(struct shadowmm *sm, const struct view *view)
{
    sm->stats.flushes++;
    event_tell(sm->vcpu, EVENT_flush, view->cr3, 0, 0);
}

void view_flush(struct shadowmm *sm, struct view *view)
{
    count_flush(sm, view);
    forget_all(view);
    policy_reset(sm, view);
}

void view_empty_all(struct shadowmm *sm)
{
    share_empty(sm);
    for (unsigned i = 0; i < sm->view_count; i++) {
        struct view *view = &sm->view[i];

        count_flush(sm, view);
        forget_all(view);
        for (enum slot slot = 0; slot < SLOT_COUNT; slot++)
            if (view->window[slot])
                window_empty(sm, view->window[slot]);
    }
}

void view_drop(struct shadowmm *sm, struct view *view, uint64_t gla, uint64_t size)
{
    for (unsigned user = 0; user < 2; user++)
        tlb_drop(&view->tlb[user], gla, size);
    again_drop(sm, view, gla, size);
    for (uint64_t sets = view->jumping; sets; sets &= sets - 1)
        jumps_drop(&view->jumps[__builtin_ctzll(sets)], gla, size);
    for (enum slot slot = 0; slot < SLOT_COUNT; slot++)
        if (view->window[slot])
            window_drop(sm, view->window[slot], gla, size);
}

static bool matches(const struct view *view, const struct vcpu *vcpu)
{
    if (!view->valid || view->paging != paging_on(vcpu))
        return false;
    if (!view->paging)
        return true;
    if (view->cr3 != vcpu->cr3)
        return false;
    for (unsigned i = 0; i < 4 && vcpu->cr4 & CR4_PAE; i++)
        if (view->pdpte[i] != vcpu->pdpte[i])
            return false;
    return true;
}

/* Is this root's view one of those that were evicted last? */
static bool was_evicted(const struct shadowmm *sm, uint64_t cr3)
{
    for (unsigned i = 0; i < EVICTED && i < sm->evictions; i++)
        if (sm->evicted[i] == cr3)
            return true;
    return false;
}

/* The view to evict, or a free one. spare: not one that has been given a sandbox lately. */
static struct view *oldest(struct shadowmm *sm, bool spare)
{
    struct view *best = NULL;

    for (unsigned i = 0; i < sm->view_count; i++) {
        struct view *view = &sm->view[i];

        if (!view->valid)
            return view;
        if (!(spare && policy_holds(sm, view)) && (!best || view->used_at < best->used_at))
            best = view;
    }
    return best ? best : oldest(sm, false);
}

static void evict(struct shadowmm *sm, struct view *view)
{
    sm->stats.view_evictions++;
    sm->evicted[sm->evictions++ % EVICTED] = view->cr3;
    view_flush(sm, view);
}

static struct view *take(struct shadowmm *sm)
{
    const struct vcpu *vcpu = sm->vcpu;
    bool returns = was_evicted(sm, vcpu->cr3);
    struct view *view = oldest(sm, returns);

    sm->stats.view_misses++;
    if (view->valid)
        evict(sm, view);
    else
        policy_reset(sm, view);
    view->valid = true;
    view->paging = paging_on(vcpu);
    view->cr3 = vcpu->cr3;
    for (unsigned i = 0; i < 4; i++)
        view->pdpte[i] = vcpu->pdpte[i];
    policy_begin(sm, view);
    view->displaced = returns;
    return view;
}

static struct view *find(struct shadowmm *sm)
{
    if (matches(&sm->view[sm->current], sm->vcpu))
        return &sm->view[sm->current];
    for (unsigned i = 0; i < sm->view_count; i++)
        if (matches(&sm->view[i], sm->vcpu))
            return &sm->view[i];
    return take(sm);
}

void view_select(struct shadowmm *sm)
{
    uint64_t misses = sm->stats.view_misses;
    struct view *view;

    policy_account(sm);
    view = find(sm);
    event_tell(sm->vcpu, EVENT_view, view->cr3,
               event_word(sm->stats.view_misses == misses ? "kept" : "new"), 0);
    view->used_at = ++sm->stats.view_switches;
    sm->current = (unsigned)(view - sm->view);
    sm->vcpu->tlb[0] = &view->tlb[0];
    sm->vcpu->tlb[1] = &view->tlb[1];
    policy_select(sm, view);
}

/* --- mmu_ops --------------------------------------------------------------- */

static struct shadowmm *of(struct vcpu *vcpu)
{
    return vcpu->mmu_arg;
}

static void root_changed(struct vcpu *vcpu)
{
    enum spent_on was_on = spent_begin(vcpu->spent, SPENT_VIEW);
    struct shadowmm *sm = of(vcpu);
    uint64_t dropped = sm->stats.entries_dropped;
    unsigned before = sm->current;

    sync_all(sm);
    share_check(sm);
    view_select(sm);
    vcpu->bt.leave |= sm->current != before || sm->stats.entries_dropped != dropped;
    spent_back(vcpu->spent, was_on);
}

static void flush_all(struct shadowmm *sm)
{
    sm->unprotected_count = 0;
    share_end(sm);
    sm->share.refused = false;
    for (unsigned i = 0; i < sm->view_count; i++) {
        view_flush(sm, &sm->view[i]);
        sm->view[i].valid = false;
    }
    sync_forget_all(sm);
    sm->vcpu->bt.leave = 1;
}

static void layout_changed(struct vcpu *vcpu)
{
    flush_all(of(vcpu));
    root_changed(vcpu);
}

static bool is_running(const struct vcpu *vcpu, uint64_t gla)
{
    return gla >> PAGE_SHIFT == (vcpu->seg[SEG_CS].base + vcpu->rip) >> PAGE_SHIFT;
}

/* Gla's page, in all views. */
static void drop_page(struct shadowmm *sm, uint64_t gla)
{
    uint32_t views = holders_of(sm, gla) & (uint32_t)((1ull << sm->view_count) - 1);

    for (; views; views &= views - 1) {
        struct view *view = &sm->view[__builtin_ctzll(views)];

        if (view->valid)
            view_drop(sm, view, gla & ~PAGE_MASK, PAGE_SIZE);
    }
    holders_begin(sm, gla);
}

static void invlpg(struct vcpu *vcpu, uint64_t gla)
{
    struct shadowmm *sm = of(vcpu);

    sm->stats.invlpgs++;
    event_tell(vcpu, EVENT_invlpg, gla, 0, 0);
    vcpu->bt.leave |= is_running(vcpu, gla);
    vcpu->bt.leave |= sync_invlpg(sm, gla);
    vcpu->bt.leave |= share_invlpg(sm, gla);
    drop_page(sm, gla);
}

bool shadowmm_invlpg_page(struct shadowmm *sm, uint64_t gla)
{
    if (is_running(sm->vcpu, gla) || sync_is_large(sm, gla) || !share_agrees(sm, gla))
        return false;
    share_drop(sm, gla & ~PAGE_MASK, PAGE_SIZE);
    sm->stats.invlpgs++;
    drop_page(sm, gla);
    return true;
}

void view_unprotected(struct shadowmm *sm, uint64_t gla, const struct walk *walk)
{
    unsigned n = sm->unprotected_count;

    if (walk->writable || !walk->dirty || sm->vcpu->cr0 & CR0_WP)
        return;
    if (n && n <= UNPROTECTED_MAX && sm->unprotected[n - 1] == gla >> PAGE_SHIFT)
        return;
    if (n < UNPROTECTED_MAX)
        sm->unprotected[n] = (uint32_t)(gla >> PAGE_SHIFT);
    if (n <= UNPROTECTED_MAX)
        sm->unprotected_count++;
}

/* CR0.WP is set: what could be written without it goes. */
static void protect_again(struct shadowmm *sm)
{
    if (sm->unprotected_count > UNPROTECTED_MAX)
        flush_all(sm);
    for (unsigned i = 0; i < sm->unprotected_count; i++) {
        uint64_t gla = (uint64_t)sm->unprotected[i] << PAGE_SHIFT;

        sm->vcpu->bt.leave |= is_running(sm->vcpu, gla);
        share_drop(sm, gla, PAGE_SIZE);
        drop_page(sm, gla);
    }
    sm->unprotected_count = 0;
}

static void mode_changed(struct vcpu *vcpu)
{
    struct shadowmm *sm = of(vcpu);

    if (sm->mode != mode_bits(vcpu)) {
        flush_all(sm);
        sm->mode = mode_bits(vcpu);
    } else if (vcpu->cr0 & CR0_WP) {
        protect_again(sm);
    }
    root_changed(vcpu);
}

static void note_writer(struct shadowmm *sm, uint64_t gfn)
{
    uint8_t self = (uint8_t)(sm->current + 1);

    if (sm->writer[gfn] != self)
        sm->writer[gfn] = sm->writer[gfn] ? WRITER_MANY : self;
}

static void filled(struct vcpu *vcpu, uint64_t gla, const struct walk *walk, bool user)
{
    struct shadowmm *sm = of(vcpu);

    bool done;

    if (!user)
        view_unprotected(sm, gla, walk);
    sync_begin(sm);
    done = sync_filled(sm, gla, walk);
    BUG_ON(!done);
    if (walk->dirty && physmem_is_ram(vcpu->mem, walk->gpa))
        note_writer(sm, walk->gpa >> PAGE_SHIFT);
}

static const struct mmu_ops ops = {
    .root_changed = root_changed,
    .mode_changed = mode_changed,
    .layout_changed = layout_changed,
    .invlpg = invlpg,
    .filled = filled,
};

/* Who may hold write rights to any of the frames; nobody does any more. */
static uint8_t take_writers(struct shadowmm *sm, uint64_t gfn, uint64_t count)
{
    uint8_t writer = 0;

    for (uint64_t i = gfn; i < gfn + count; i++) {
        if (sm->writer[i] && sm->writer[i] != writer)
            writer = writer ? WRITER_MANY : sm->writer[i];
        sm->writer[i] = 0;
    }
    return writer;
}

void shadowmm_protect(struct shadowmm *sm, uint64_t gfn, uint64_t count)
{
    const uint8_t *host = physmem_ptr(sm->vcpu->mem, gfn << PAGE_SHIFT);
    uint8_t writer = take_writers(sm, gfn, count);

    for (unsigned i = 0; writer && i < sm->view_count; i++) {
        if (writer != WRITER_MANY && writer != i + 1)
            continue;
        tlb_protect(&sm->view[i].tlb[0], host, count);
        tlb_protect(&sm->view[i].tlb[1], host, count);
    }
    window_protect(sm, gfn, count);
}

bool shadowmm_line(struct shadowmm *sm, uint64_t gla, uint64_t gpa)
{
    const struct physmem *mem = sm->vcpu->mem;

    if (paging_on(sm->vcpu) || !physmem_is_writable(mem, gpa) ||
        physmem_watched(mem, gpa >> PAGE_SHIFT) != WATCH_CODE)
        return false;
    note_writer(sm, gpa >> PAGE_SHIFT);
    tlb_fill_line(&sm->view[sm->current].tlb[0], gla, physmem_ptr(mem, gpa));
    return true;
}

bool shadowmm_spot(struct shadowmm *sm, bool user, uint64_t gla, uint64_t gpa, unsigned log2_size)
{
    const struct physmem *mem = sm->vcpu->mem;

    if (!physmem_is_writable(mem, gpa) || physmem_watched(mem, gpa >> PAGE_SHIFT) != WATCH_CODE)
        return false;
    note_writer(sm, gpa >> PAGE_SHIFT);
    tlb_fill_spot(&sm->view[sm->current].tlb[user], gla, log2_size, physmem_ptr(mem, gpa));
    return true;
}

bool shadowmm_drop_lines(struct shadowmm *sm, uint64_t gpa, uint64_t size)
{
    const uint8_t *host = physmem_ptr(sm->vcpu->mem, gpa);
    bool left = false;

    for (unsigned i = 0; i < 2 * sm->view_count; i++) {
        struct tlb *tlb = &sm->view[i / 2].tlb[i % 2];

        if (tlb->has_lines)
            tlb_drop_lines(tlb, host, size);
        left |= tlb->has_lines;
    }
    return left;
}

/* --- Life ------------------------------------------------------------------- */

static int view_init(struct view *view, unsigned jump_shift)
{
    tlb_init(&view->tlb[0]);
    tlb_init(&view->tlb[1]);
    for (unsigned set = 0; set < JUMP_SETS; set++)
        if (jumps_create(&view->jumps[set], jump_shift))
            return -ENOMEM;
    return 0;
}

static uint64_t read_tsc(void)
{
    return __builtin_ia32_rdtsc();
}

int shadowmm_create(struct shadowmm **out, struct vcpu *vcpu, unsigned views)
{
    struct shadowmm *sm = calloc(1, sizeof(*sm));

    if (!sm)
        return -ENOMEM;
    sm->vcpu = vcpu;
    sm->view_count = views < 2 ? 2 : views > VIEWS_MAX ? VIEWS_MAX : views;
    sm->view = aligned_alloc(64, sm->view_count * sizeof(*sm->view));
    sm->table_of = calloc(vcpu->mem->frames, sizeof(struct table *));
    sm->writer = calloc(vcpu->mem->frames, 1);
    if (!sm->view || !sm->table_of || !sm->writer)
        goto fail;
    __builtin_memset(sm->view, 0, sm->view_count * sizeof(*sm->view));
    for (unsigned i = 0; i < sm->view_count; i++)
        if (view_init(&sm->view[i], vcpu->bt.jump_shift))
            goto fail;
    if (sync_create(sm) || share_create(sm))
        goto fail;
    sm->mode = mode_bits(vcpu);
    sm->area_limit = 4096;
    for (unsigned i = WINDOWS_MAX; i < POOL_SIZE; i++)
        sm->pool[i].is_direct = true;
    sm->costs = (struct shadowmm_costs){ 10000, 40000 };
    sm->clock = read_tsc;
    sm->account_at = sm->clock();
    sm->plain_tlb[0] = vcpu->tlb[0];
    sm->plain_tlb[1] = vcpu->tlb[1];
    sm->plain_ops = vcpu->mmu;
    vcpu->mmu_arg = sm;
    vcpu->mmu = &ops;
    view_select(sm);
    *out = sm;
    return 0;
fail:
    shadowmm_destroy(sm);
    return -ENOMEM;
}

/* The vcpu's own TLBs again; they know nothing of what has happened since. */
static void give_back(struct shadowmm *sm)
{
    struct vcpu *vcpu = sm->vcpu;

    if (vcpu->mmu != &ops)
        return;
    vcpu->mmu = sm->plain_ops;
    vcpu->tlb[0] = sm->plain_tlb[0];
    vcpu->tlb[1] = sm->plain_tlb[1];
    vcpu->mmu->root_changed(vcpu);
}

void shadowmm_destroy(struct shadowmm *sm)
{
    give_back(sm);
    for (unsigned i = 0; sm->view && i < sm->view_count; i++)
        for (unsigned set = 0; set < JUMP_SETS; set++)
            jumps_destroy(&sm->view[i].jumps[set]);
    window_destroy(sm);
    sync_destroy(sm);
    share_destroy(sm);
    free(sm->view);
    free(sm->table_of);
    free(sm->writer);
    free(sm);
}

const struct shadowmm_stats *shadowmm_stats(const struct shadowmm *sm)
{
    return &sm->stats;
}
