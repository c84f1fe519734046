/* What a trace is told of the CPU: see event.h. Modes: SDM 3, 2.2 and 20.1. */
#include "cpu/event.h"

enum event_mode event_mode(const struct vcpu *vcpu)
{
    if (!vcpu_protected(vcpu))
        return EVENT_MODE_REAL;
    if (vcpu_v86(vcpu))
        return EVENT_MODE_V86;
    if (vcpu->cpl)
        return vcpu->cpl == 3 ? EVENT_MODE_USER : EVENT_MODE_RING;
    return vcpu->cr0 & CR0_PG ? EVENT_MODE_KERNEL : EVENT_MODE_UNPAGED;
}

void event_put(struct vcpu *vcpu, enum event_kind kind, enum event_mode mode, uint32_t eip,
               uint64_t a, uint64_t b, uint64_t c)
{
    struct event_modes modes = { (uint8_t)mode, (uint8_t)event_mode(vcpu) };

    events_put(vcpu->events, kind, modes, eip, a, b, c);
}
