/*
 * Which pages user code may execute directly, as far as SYSENTER is concerned.
 *
 * Executed directly it loses EAX where the word at EBP is not mapped in the sandbox
 * (direct/sandbox.h, sysenter_lost_eax). Linux wants ESP in EBP, and the page of ESP is kept
 * mapped. User code of other systems has anything in EBP. So while user code has not been seen to
 * execute SYSENTER with ESP in EBP, and for good once it was seen to do it otherwise, no page is
 * executed directly that may be written or has the bytes of SYSENTER: it is translated. A guest
 * without a SYSENTER entry point gets #GP for it, which loses nothing.
 */
#include "shadowmm/view.h"

enum { SYSENTER_FIRST = 0x0f, SYSENTER_SECOND = 0x34 };

static bool is_careful(const struct vcpu *vcpu)
{
    return vcpu->sysenter_cs & 0xfffc && vcpu->sysenter_ways != SYSENTER_AT_ESP;
}

/* Or the first half of one at its end. */
static bool has_sysenter(const uint8_t *page)
{
    for (unsigned i = 0; i < PAGE_SIZE - 1; i++)
        if (page[i] == SYSENTER_FIRST && page[i + 1] == SYSENTER_SECOND)
            return true;
    return page[PAGE_SIZE - 1] == SYSENTER_FIRST;
}

bool sysenter_allows(const struct shadowmm *sm, uint64_t gpa, bool write)
{
    return !sm->careful ||
           (!write && !has_sysenter(physmem_ptr(sm->vcpu->mem, gpa & ~(uint64_t)PAGE_MASK)));
}

void sysenter_look(struct shadowmm *sm)
{
    bool careful = is_careful(sm->vcpu);

    if (careful == sm->careful)
        return;
    sm->careful = careful;
    for (unsigned i = WINDOWS_MAX; i < POOL_SIZE; i++) /* they get other rights now */
        if (sm->pool[i].sandbox && sm->pool[i].areas)
            window_empty(sm, &sm->pool[i]);
}
