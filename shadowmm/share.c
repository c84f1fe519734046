/*
 * What all views have in common: a kernel maps itself alike in every address space, and runs in
 * each for a moment only. One window and one jump table for CPL 0 serve them all.
 *
 *  H1. Only supervisor pages are shared: what user code could reach differs between views.
 *  H2. What is shared was reached through top-level entries (of the page directory, or with PAE the
 *      PDPTEs) that are recorded here. At every CR3 write, and for its address at INVLPG, each
 *      must agree with the current root's (A and D as contradicted by entry_contradicts()); what
 *      was reached through one that does not is dropped. Between the two a CPU may use the old.
 *  H3. The tables below the top level are traced as for a view (shadowmm.h), their drops reach this
 *      as they reach a view (VIEW_SHARED).
 *
 * A root whose entry has A clear where the recorded one has it set disagrees too: a CPU that has
 * come through the other root may know a translation without having set A here only if the page is
 * global (SDM 3, 4.8, 4.10.2.4). What was reached goes, the next walk sets A, and both agree then.
 *
 * A kernel whose roots disagree all the time (page-table isolation) shares nothing after a while.
 */
#include <stddef.h>

#include "cpu/event.h"
#include "shadowmm/view.h"

#define BREAKS_MANY 256

static unsigned top_shift(const struct shadowmm *sm)
{
    return sm->vcpu->cr4 & CR4_PAE ? 30 : 22;
}

static uint64_t top_entry(const struct shadowmm *sm, unsigned index)
{
    const struct vcpu *vcpu = sm->vcpu;
    uint64_t table = vcpu->cr3 & 0xfffff000;

    if (vcpu->cr4 & CR4_PAE)
        return vcpu->pdpte[index];
    if (!physmem_is_ram(vcpu->mem, table))
        return 0;
    return ((const uint32_t *)(const void *)physmem_ptr(vcpu->mem, table))[index];
}

void share_drop(struct shadowmm *sm, uint64_t gla, uint64_t size)
{
    if (!sm->share.on)
        return;
    jumps_drop(&sm->share.jumps, gla, size);
    window_drop(sm, sm->share.window, gla, size);
}

void share_empty(struct shadowmm *sm)
{
    if (!sm->share.on)
        return;
    jumps_flush(&sm->share.jumps);
    window_empty(sm, sm->share.window);
    for (unsigned i = 0; i < sm->share.used; i++)
        sm->share.entry[sm->share.index[i]] = 0;
    sm->share.used = 0;
}

void share_end(struct shadowmm *sm)
{
    if (!sm->share.on)
        return;
    share_empty(sm);
    sm->share.on = false;
    sm->share.window = NULL;
    sm->vcpu->bt.leave = 1;
    sm->stats.windows_lost++;
}

/* Does the kernel run in pages of its own? Then most of what it uses is such. */
static bool kernel_apart(const struct shadowmm *sm)
{
    struct vcpu *vcpu = sm->vcpu;
    struct walk walk;

    return sm->kernel_policy == TIERS_SHARED ||
           (paging_peek(vcpu, (uint32_t)(vcpu->seg[SEG_CS].base + vcpu->rip), &walk) && !walk.user);
}

bool share_begin(struct shadowmm *sm)
{
    struct vcpu *vcpu = sm->vcpu;

    if (sm->share.on)
        return true;
    if (sm->share.refused || !paging_on(vcpu) || vcpu->efer & EFER_LMA || vcpu->a20_masked ||
        !kernel_apart(sm))
        return false;
    sm->share.window = policy_take(sm, SLOT_KERNEL);
    if (!sm->share.window)
        return false;
    sm->share.on = true;
    sm->share.breaks = 0;
    vcpu->bt.leave = 1;
    sm->stats.windows_made++;
    return true;
}

/* Entry i of the current root is not what was shared through it. */
static void entry_broken(struct shadowmm *sm, unsigned i)
{
    unsigned index = sm->share.index[i];

    share_drop(sm, (uint64_t)index << top_shift(sm), 1ull << top_shift(sm));
    sm->share.entry[index] = 0;
    sm->share.index[i] = sm->share.index[--sm->share.used];
    sm->stats.entries_dropped++;
    event_tell(sm->vcpu, EVENT_drop, (uint64_t)index << top_shift(sm), 1ull << top_shift(sm), 0);
    sm->stats.share_breaks++;
    sm->share.breaks++;
}

void share_check(struct shadowmm *sm)
{
    for (unsigned i = sm->share.used; i--;) {
        unsigned index = sm->share.index[i];

        if (entry_contradicts(sm->share.entry[index], top_entry(sm, index)))
            entry_broken(sm, i);
    }
    if (sm->share.breaks > BREAKS_MANY && sm->kernel_policy == TIERS_AUTO) {
        sm->share.refused = true;
        share_end(sm);
    }
}

bool share_agrees(const struct shadowmm *sm, uint64_t gla)
{
    unsigned index = (unsigned)((uint32_t)gla >> top_shift(sm));

    return !sm->share.on || !entry_contradicts(sm->share.entry[index], top_entry(sm, index));
}

bool share_invlpg(struct shadowmm *sm, uint64_t gla)
{
    unsigned index = (unsigned)((uint32_t)gla >> top_shift(sm));

    if (!sm->share.on)
        return false;
    share_drop(sm, gla & ~PAGE_MASK, PAGE_SIZE);
    if (share_agrees(sm, gla))
        return false;
    for (unsigned i = 0; i < sm->share.used; i++)
        if (sm->share.index[i] == index) {
            entry_broken(sm, i);
            break;
        }
    return true;
}

void share_filled(struct shadowmm *sm, uint64_t gla)
{
    unsigned index = (unsigned)((uint32_t)gla >> top_shift(sm));
    /* present a moment ago: a disk may be writing there since, and 0 stands for none */
    uint64_t now = top_entry(sm, index) | PTE_P, old = sm->share.entry[index];

    if (entry_contradicts(old, now)) {
        share_drop(sm, (uint64_t)index << top_shift(sm), 1ull << top_shift(sm));
        sm->share.breaks++;
    }
    if (!old)
        sm->share.index[sm->share.used++] = (uint16_t)index;
    sm->share.entry[index] = now;
}

static bool admit_page(struct shadowmm *sm, uint64_t gla)
{
    struct walk walk;

    return paging_peek(sm->vcpu, gla, &walk) && walk.accessed && !walk.user && !walk.nx &&
           physmem_is_ram(sm->vcpu->mem, walk.gpa) &&
           sync_agrees(sm, gla, &walk) && /* else it was fetched through the old entry, perhaps */
           sync_filled(sm, gla, &walk);
}

bool share_admit(struct shadowmm *sm, uint64_t gla, uint64_t last)
{
    bool done;

    sync_begin(sm); /* one for both, which may forget everything */
    sm->sharing = true;
    done = admit_page(sm, gla) &&
           (last >> PAGE_SHIFT == gla >> PAGE_SHIFT || admit_page(sm, last));
    sm->sharing = false;
    return done;
}

void share_sample(struct shadowmm *sm)
{
    sm->share.breaks -= sm->share.breaks / 4;
}

int share_create(struct shadowmm *sm)
{
    return jumps_create(&sm->share.jumps, sm->vcpu->bt.jump_shift);
}

void share_destroy(struct shadowmm *sm)
{
    jumps_destroy(&sm->share.jumps);
}
