/* Pausing: see pause.h. Reference: SDM 3, 18.17 (the time stamp counter). */
#include "frontend/pause.h"

#include <errno.h>

#include "base/clock.h"
#include "cpu/event.h"
#include "cpu/stops.h"
#include "cpu/vcpu.h"
#include "frontend/kick.h"
#include "frontend/machine.h"

static uint64_t deadline_ns(const struct machine *m)
{
    return m->stats.start_ns + m->config->timeout_ns;
}

void pause_begin(struct machine *m)
{
    if (m->paused)
        return;
    m->paused_ns = machine_host_ns();
    m->paused_tsc = __builtin_ia32_rdtsc();
    m->paused = true;
    if (m->waking)
        m->vcpu->stops->stepping = m->waking = false;
    pc_idle(m->pc);
    if (m->config->timeout_ns)
        kick_at(m->kick, deadline_ns(m));
}

/* The timeout is a host's time: it comes nearer by what the guest has not seen. */
void pause_end(struct machine *m)
{
    uint64_t cycles = __builtin_ia32_rdtsc() - m->paused_tsc;

    if (!m->paused)
        return;
    m->paused = false;
    m->base_ns += machine_host_ns() - m->paused_ns;
    if (m->stats.engine_exits) { /* else it has not begun, and its counter may begin anywhere */
        m->vcpu->tsc_offset -= cycles;
        m->vcpu->tsc_paused += cycles;
    }
    if (m->vcpu->events)
        events_paused(m->vcpu->events, cycles);
    event_tell(m->vcpu, EVENT_pause, 0, 0, 0);
    if (m->config->timeout_ns)
        timer_arm(&m->timeout, &m->clock,
                  deadline_ns(m) > m->base_ns ? deadline_ns(m) - m->base_ns : 0);
}

int pause_until_awake(struct machine *m)
{
    if (!m->vcpu->stops && stops_create(m->vcpu))
        return -ENOMEM;
    m->vcpu->stops->stepping = m->waking = true;
    pause_end(m);
    return 0;
}

bool pause_is_awake(struct machine *m)
{
    bool waking = m->waking;

    if (waking)
        pause_begin(m);
    return waking;
}

void pause_look(struct machine *m)
{
    if (!m->config->timeout_ns)
        return;
    if (machine_host_ns() >= deadline_ns(m))
        m->timeout.fire(m->timeout.arg);
    else
        kick_at(m->kick, deadline_ns(m));
}
