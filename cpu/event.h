/*
 * Telling a trace what happens to the CPU (base/events.h). For slow paths: while there is no trace
 * it costs the test of a pointer.
 */
#ifndef CPU_EVENT_H
#define CPU_EVENT_H

#include "base/events.h"
#include "cpu/vcpu.h"

/* The mode that the CPU is in. */
enum event_mode event_mode(const struct vcpu *vcpu);

/* Of what is about to change it; not worked out while there is no trace. */
static inline enum event_mode event_mode_before(const struct vcpu *vcpu)
{
    return __builtin_expect(vcpu->events != NULL, 0) ? event_mode(vcpu) : EVENT_MODE_REAL;
}

/* There is a trace. */
void event_put(struct vcpu *vcpu, enum event_kind kind, enum event_mode mode, uint32_t eip,
               uint64_t a, uint64_t b, uint64_t c);

/* What has happened in this mode at eip, and has led to the mode that the CPU is in now. */
static inline void event_in(struct vcpu *vcpu, enum event_kind kind, enum event_mode mode,
                            uint64_t eip, uint64_t a, uint64_t b, uint64_t c)
{
    if (__builtin_expect(vcpu->events != NULL, 0))
        event_put(vcpu, kind, mode, (uint32_t)eip, a, b, c);
}

/* What changes no mode; at rip, where that is up to date. */
static inline void event_at(struct vcpu *vcpu, enum event_kind kind, uint64_t eip, uint64_t a,
                            uint64_t b, uint64_t c)
{
    if (__builtin_expect(vcpu->events != NULL, 0))
        event_put(vcpu, kind, event_mode(vcpu), (uint32_t)eip, a, b, c);
}

static inline void event_tell(struct vcpu *vcpu, enum event_kind kind, uint64_t a, uint64_t b,
                              uint64_t c)
{
    event_at(vcpu, kind, vcpu->rip, a, b, c);
}

#endif
