/*
 * Which pages user code may execute directly, as far as SYSENTER, SYSCALL and CPUID are
 * concerned.
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
 *
 * CPUID tells user code of the host's CPU, where it cannot be made to fault (Linux does that on
 * Intel's CPUs). In a guest with another model it is kept from being executed directly likewise.
 */
#include "shadowmm/view.h"

enum { FIRST = 0x0f, SYSENTER_SECOND = 0x34, SYSCALL_SECOND = 0x05, CPUID_SECOND = 0xa2 };

static bool loses_calls(const struct vcpu *vcpu, bool syscall32)
{
    if (syscall32)
        return vcpu->efer & EFER_SCE || vcpu->syscall_lost;
    return vcpu->sysenter_cs & 0xfffc && vcpu->sysenter_ways != SYSENTER_AT_ESP;
}

static uint8_t what_to_avoid(const struct shadowmm *sm)
{
    const struct sandbox_caps *caps = &sm->direct_caps;

    return (loses_calls(sm->vcpu, caps->syscall32) ? AVOID_CALLS : 0) |
           (caps->shows_cpuid ? AVOID_CPUID : 0);
}

/* Or the first half of one at its end. */
static bool has_either(const uint8_t *page, uint8_t second, uint8_t other)
{
    for (unsigned i = 0; i < PAGE_SIZE - 1; i++)
        if (page[i] == FIRST && (page[i + 1] == second || page[i + 1] == other))
            return true;
    return page[PAGE_SIZE - 1] == FIRST;
}

bool sysenter_allows(const struct shadowmm *sm, uint64_t gpa, bool write)
{
    uint8_t call = sm->direct_caps.syscall32 ? SYSCALL_SECOND : SYSENTER_SECOND;

    return !sm->avoid ||
           (!write && !has_either(physmem_ptr(sm->vcpu->mem, gpa & ~(uint64_t)PAGE_MASK),
                                  sm->avoid & AVOID_CALLS ? call : CPUID_SECOND,
                                  sm->avoid & AVOID_CPUID ? CPUID_SECOND : call));
}

void sysenter_look(struct shadowmm *sm)
{
    uint8_t avoid = what_to_avoid(sm);

    if (avoid == sm->avoid)
        return;
    sm->avoid = avoid;
    for (unsigned i = WINDOWS_MAX; i < POOL_SIZE; i++) /* they get other rights now */
        if (sm->pool[i].sandbox && sm->pool[i].areas)
            window_empty(sm, &sm->pool[i]);
}
