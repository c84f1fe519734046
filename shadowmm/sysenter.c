/*
 * Which pages user code may execute directly, as far as SYSENTER and SYSCALL are concerned.
 *
 * Executed directly SYSENTER loses EAX where the word at EBP is not mapped in the sandbox
 * (direct/sandbox.h, sysenter_lost_eax). Linux wants ESP in EBP, and the page of ESP is kept
 * mapped. User code of other systems has anything in EBP. So while user code has not been seen to
 * execute SYSENTER with ESP in EBP, and for good once it was seen to do it otherwise, no page is
 * executed directly that may be written or has the bytes of SYSENTER: it is translated. A guest
 * without a SYSENTER entry point gets #GP for it, which loses nothing.
 *
 * On AMD's CPUs SYSENTER is #UD there and loses nothing; it is SYSCALL that enters the host's
 * kernel, and loses EIP and ECX (caps.syscall32). The same then, in a guest that has switched it on
 * (EFER.SCE), and for good once one was lost: in any other guest it is #UD, and nobody executes it.
 */
#include "shadowmm/view.h"

enum { CALL_FIRST = 0x0f, SYSENTER_SECOND = 0x34, SYSCALL_SECOND = 0x05 };

static bool is_careful(const struct vcpu *vcpu, bool syscall32)
{
    if (syscall32)
        return vcpu->efer & EFER_SCE || vcpu->syscall_lost;
    return vcpu->sysenter_cs & 0xfffc && vcpu->sysenter_ways != SYSENTER_AT_ESP;
}

/* Or the first half of one at its end. */
static bool has_call(const uint8_t *page, uint8_t second)
{
    for (unsigned i = 0; i < PAGE_SIZE - 1; i++)
        if (page[i] == CALL_FIRST && page[i + 1] == second)
            return true;
    return page[PAGE_SIZE - 1] == CALL_FIRST;
}

bool sysenter_allows(const struct shadowmm *sm, uint64_t gpa, bool write)
{
    return !sm->careful ||
           (!write && !has_call(physmem_ptr(sm->vcpu->mem, gpa & ~(uint64_t)PAGE_MASK),
                                sm->direct_caps.syscall32 ? SYSCALL_SECOND : SYSENTER_SECOND));
}

void sysenter_look(struct shadowmm *sm)
{
    bool careful = is_careful(sm->vcpu, sm->direct_caps.syscall32);

    if (careful == sm->careful)
        return;
    sm->careful = careful;
    for (unsigned i = WINDOWS_MAX; i < POOL_SIZE; i++) /* they get other rights now */
        if (sm->pool[i].sandbox && sm->pool[i].areas)
            window_empty(sm, &sm->pool[i]);
}
