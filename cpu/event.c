/* What a trace is told of the CPU: see event.h. Modes: SDM 3, 2.2 and 20.1. */
#include "cpu/event.h"

static const char *const mode_names[] = {
#define EVENT_MODE(constant, name) name,
#include "base/events.def"
};

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

static void put_mode(struct vcpu *vcpu, enum event_mode mode, uint32_t eip)
{
    enum event_mode before = events_mode(vcpu->events);

    if (mode != before)
        events_put(vcpu->events, EVENT_mode, mode, eip, event_word(mode_names[before]),
                   event_word(mode_names[mode]), 0);
}

void event_put(struct vcpu *vcpu, enum event_kind kind, enum event_mode mode, uint32_t eip,
               uint64_t a, uint64_t b, uint64_t c)
{
    put_mode(vcpu, mode, eip);
    events_put(vcpu->events, kind, mode, eip, a, b, c);
}

void event_mode_changed(struct vcpu *vcpu, uint32_t eip)
{
    put_mode(vcpu, event_mode(vcpu), eip);
}
