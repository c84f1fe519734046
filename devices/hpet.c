/*
 * High precision event timers.
 *
 * Reference: IA-PC HPET Specification 1.0a, 2.3 (registers), 2.4 (what is done with them).
 * Modelled:  the counter, three comparators with one-shot and periodic mode in 32 and 64 bits,
 *            edge and level interrupts, legacy replacement.
 * Not:       FSB (MSI) delivery.
 *
 * Where comparator 0 stands in for the PIT the ticks that a busy host misses are owed (owed.h);
 * elsewhere several matches that come late are one.
 *
 * A comparator that matches every few counts would leave the host no time for anything else: such
 * interrupts come MIN_PERIOD_NS apart.
 */
#include "devices/hpet.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/snap.h"
#include "devices/bus.h"
#include "devices/owed.h"

/* --- Registers ---------------------------------------------------------- */

enum {
    REG_ID = 0x000,
    REG_CONFIG = 0x010,
    REG_STATUS = 0x020,
    REG_COUNTER = 0x0f0,
    REG_TIMER = 0x100, /* three of TIMER_SIZE bytes */
    REG_SIZE = 0x400,
    TIMER_SIZE = 0x20,
    TIMER_CONFIG = 0x00,
    TIMER_COMPARATOR = 0x08,
};

#define TIMERS 3
#define TICK_NS 10ull
#define TICK_FS 10000000ull /* femtoseconds */
#define CONFIG_ON 1u
#define CONFIG_LEGACY 2u
#define T_LEVEL 0x0002ull
#define T_ENABLED 0x0004ull
#define T_PERIODIC 0x0008ull
#define T_CAN_PERIODIC 0x0010ull
#define T_CAN_64 0x0020ull
#define T_SET_VALUE 0x0040ull /* the next write of the comparator sets it, not the period alone */
#define T_32 0x0100ull
#define T_ROUTE 9 /* 5 bits */
#define T_WRITABLE 0x3f4eull
#define T_PINS (0x00ff0000ull << 32) /* 16 to 23 */
#define MIN_PERIOD_NS 20000ull

/* --- State -------------------------------------------------------------- */

struct comparator {
    struct hpet *hpet;
    struct timer timer;
    uint64_t config, at, period;
};

struct hpet {
    struct hpet_config config;
    uint64_t control, status;
    uint64_t counter;    /* while it stands still, */
    uint64_t started_ns; /* and when it was 0, otherwise */
    struct comparator comparator[TIMERS];
    struct owed owed; /* of comparator 0 as IRQ 0 */
};

static unsigned number_of(const struct comparator *c)
{
    return (unsigned)(c - c->hpet->comparator);
}

static uint64_t counter_now(const struct hpet *h)
{
    if (!(h->control & CONFIG_ON))
        return h->counter;
    return (clock_now_ns(h->config.clock) - h->started_ns) / TICK_NS;
}

/* --- Interrupts --------------------------------------------------------- */

/* Does it stand in for the PIT or the RTC? */
static bool is_legacy(const struct comparator *c)
{
    return c->hpet->control & CONFIG_LEGACY && number_of(c) < 2;
}

static const struct irq *wire(const struct comparator *c)
{
    const struct hpet *h = c->hpet;
    unsigned n = number_of(c), pin = c->config >> T_ROUTE & 31;

    if (is_legacy(c))
        return n ? &h->config.irq8 : &h->config.irq0;
    return T_PINS >> 32 >> pin & 1 ? &h->config.pin[pin] : NULL;
}

static bool is_level(const struct comparator *c)
{
    return c->config & T_LEVEL && !is_legacy(c);
}

/* IRQs 0 and 8 stay up until the next match, as the PIT's does: an 8259 forgets an edge whose line
 * has gone down. */
static void match(struct comparator *c)
{
    const struct irq *irq = wire(c);

    if (is_level(c))
        c->hpet->status |= 1u << number_of(c);
    if (!(c->config & T_ENABLED) || !irq)
        return;
    if (is_legacy(c))
        irq_set(irq, false);
    irq_set(irq, true);
    if (!is_level(c) && !is_legacy(c))
        irq_set(irq, false);
}

/* A level goes down with its status bit, or when it is not wanted. */
static void lower(struct comparator *c)
{
    const struct irq *irq = wire(c);

    if (irq)
        irq_set(irq, false);
}

/* --- Matching ----------------------------------------------------------- */

static uint64_t mask_of(const struct comparator *c)
{
    return c->config & T_32 ? UINT32_MAX : UINT64_MAX;
}

static bool is_periodic(const struct comparator *c)
{
    return c->config & T_PERIODIC && c->period;
}

/*
 * When the counter next equals the comparator. A 32-bit one comes round again. A periodic one that
 * is behind the counter was in front of it when the guest, or timer_fire(), looked: the host has
 * kept us waiting since, and without that match none would ever come.
 */
static void arm(struct comparator *c)
{
    struct hpet *h = c->hpet;
    uint64_t now = counter_now(h), left = (c->at - now) & mask_of(c), ns;

    timer_cancel(&c->timer);
    if (!(h->control & CONFIG_ON) || !(c->config & (T_ENABLED | T_LEVEL)))
        return;
    if (is_periodic(c) && left > mask_of(c) / 2 && c->period <= mask_of(c) / 2)
        left = 0; /* a longer period's next match is that far ahead */
    if (left > UINT64_MAX / 2 / TICK_NS)
        return; /* later than anybody will live to see */
    ns = left * TICK_NS;
    if (ns < MIN_PERIOD_NS && is_periodic(c) && c->period * TICK_NS < MIN_PERIOD_NS)
        ns = MIN_PERIOD_NS;
    timer_arm(&c->timer, h->config.clock, clock_now_ns(h->config.clock) + ns);
}

static bool is_irq0(const struct comparator *c)
{
    return is_legacy(c) && number_of(c) == 0;
}

static void tick(void *comparator)
{
    match(comparator);
}

/* Matches that have come: at least one. */
static void match_all(struct comparator *c, uint64_t matches)
{
    uint64_t period_ns = c->period < UINT64_MAX / TICK_NS ? c->period * TICK_NS : UINT64_MAX;

    if (is_irq0(c))
        owed_deliver(&c->hpet->owed, matches, period_ns);
    else
        match(c);
}

static void timer_fire(void *arg)
{
    struct comparator *c = arg;
    uint64_t passed = (counter_now(c->hpet) - c->at) & mask_of(c);

    if (is_periodic(c)) {
        uint64_t matches = passed / c->period + 1;

        c->at = (c->at + matches * c->period) & mask_of(c);
        match_all(c, matches);
        arm(c);
        return;
    }
    match(c);
    if (c->config & T_32) /* once round */
        timer_arm(&c->timer, c->hpet->config.clock,
                  clock_now_ns(c->hpet->config.clock) + (1ull << 32) * TICK_NS);
}

void hpet_taken(struct hpet *h)
{
    owed_taken(&h->owed);
}

static void forget(struct comparator *c)
{
    if (number_of(c) == 0)
        owed_forget(&c->hpet->owed);
}

static void arm_all(struct hpet *h)
{
    for (unsigned i = 0; i < TIMERS; i++)
        arm(&h->comparator[i]);
}

/* --- Writing ------------------------------------------------------------ */

static void config_write(struct hpet *h, uint64_t value)
{
    uint64_t now = counter_now(h), old = h->control;

    for (unsigned i = 0; i < TIMERS; i++) {
        struct comparator *c = &h->comparator[i];

        if (is_level(c) || (is_legacy(c) && !(value & CONFIG_LEGACY)))
            lower(c);
    }
    h->control = value & (CONFIG_ON | CONFIG_LEGACY);
    h->counter = now;
    h->started_ns = clock_now_ns(h->config.clock) - now * TICK_NS;
    if ((old ^ h->control) & CONFIG_LEGACY)
        h->config.replaces(h->config.arg, h->control & CONFIG_LEGACY);
    owed_forget(&h->owed);
    arm_all(h);
}

static void status_write(struct hpet *h, uint64_t value)
{
    for (unsigned i = 0; i < TIMERS; i++)
        if (h->status & value & 1u << i)
            lower(&h->comparator[i]);
    h->status &= ~value;
}

static void counter_write(struct hpet *h, uint64_t value)
{
    if (h->control & CONFIG_ON)
        return; /* only while it stands still (2.3.7) */
    h->counter = value;
}

static void timer_config_write(struct comparator *c, uint64_t value)
{
    if (is_level(c))
        lower(c);
    c->config = (c->config & ~T_WRITABLE) | (value & T_WRITABLE);
    if (c->config & T_32) {
        c->at &= UINT32_MAX;
        c->period &= UINT32_MAX;
    }
    forget(c);
    arm(c);
}

/* 2.3.9.2.2: a periodic comparator's write sets the period, and the comparator too after
 * T_SET_VALUE. */
static void comparator_write(struct comparator *c, uint64_t value)
{
    value &= mask_of(c);
    if (!(c->config & T_PERIODIC) || c->config & T_SET_VALUE)
        c->at = value;
    if (c->config & T_PERIODIC)
        c->period = value;
    c->config &= ~T_SET_VALUE;
    forget(c);
    arm(c);
}

/* --- Memory ------------------------------------------------------------- */

static struct comparator *comparator_at(struct hpet *h, uint64_t offset)
{
    unsigned n = (unsigned)(offset - REG_TIMER) / TIMER_SIZE;

    return offset >= REG_TIMER && n < TIMERS ? &h->comparator[n] : NULL;
}

static uint64_t reg_read(struct hpet *h, uint64_t offset)
{
    struct comparator *c = comparator_at(h, offset);

    if (c && offset % TIMER_SIZE == TIMER_CONFIG)
        return c->config;
    if (c)
        return offset % TIMER_SIZE == TIMER_COMPARATOR ? c->at : 0;
    switch (offset) {
    case REG_ID: return HPET_ID | TICK_FS << 32;
    case REG_CONFIG: return h->control;
    case REG_STATUS: return h->status;
    case REG_COUNTER: return counter_now(h);
    default: return 0;
    }
}

static void reg_write(struct hpet *h, uint64_t offset, uint64_t value)
{
    struct comparator *c = comparator_at(h, offset);

    if (c && offset % TIMER_SIZE == TIMER_CONFIG)
        timer_config_write(c, value);
    else if (c && offset % TIMER_SIZE == TIMER_COMPARATOR)
        comparator_write(c, value);
    else if (offset == REG_CONFIG)
        config_write(h, value);
    else if (offset == REG_STATUS)
        status_write(h, value);
    else if (offset == REG_COUNTER)
        counter_write(h, value);
}

static uint64_t memory_read(void *dev, uint64_t offset, unsigned size)
{
    uint64_t value = reg_read(dev, offset & ~7ull) >> 8 * (offset & 7);

    return size == 8 ? value : value & ((1ull << 8 * size) - 1);
}

/* Half a register keeps the other half; but of a periodic comparator's that is a period, and
 * 32-bit systems write the low one alone. */
static void memory_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct hpet *h = dev;
    uint64_t reg = offset & ~7ull, mask = size == 8 ? UINT64_MAX : (1ull << 8 * size) - 1;
    unsigned shift = 8 * (offset & 7);
    struct comparator *c = comparator_at(h, reg);

    if (size < 4)
        return;
    if (reg == REG_STATUS)
        reg_write(h, reg, value << shift);
    else if (c && reg % TIMER_SIZE == TIMER_COMPARATOR && c->config & T_PERIODIC && shift)
        return;
    else if (c && reg % TIMER_SIZE == TIMER_COMPARATOR && c->config & T_PERIODIC)
        reg_write(h, reg, value & mask);
    else
        reg_write(h, reg, (reg_read(h, reg) & ~(mask << shift)) | (value & mask) << shift);
}

static const struct bus_ops memory_ops = {
    .read = memory_read,
    .write = memory_write,
    .max_size = 8,
    .name = "hpet",
};

/* --- Life --------------------------------------------------------------- */

void hpet_reset(struct hpet *h)
{
    bool replaced = h->control & CONFIG_LEGACY;

    owed_forget(&h->owed);
    for (unsigned i = 0; i < TIMERS; i++) {
        struct comparator *c = &h->comparator[i];

        timer_cancel(&c->timer);
        if (is_level(c) || is_legacy(c))
            lower(c);
        c->config = T_CAN_64 | T_CAN_PERIODIC | T_PINS;
        c->at = UINT64_MAX;
        c->period = 0;
    }
    h->control = h->status = h->counter = h->started_ns = 0;
    if (replaced)
        h->config.replaces(h->config.arg, false);
}

void hpet_snapshot(struct hpet *h, struct snap *snap)
{
    snap_bytes(snap, &h->control, sizeof(h->control));
    snap_bytes(snap, &h->status, sizeof(h->status));
    snap_bytes(snap, &h->counter, sizeof(h->counter));
    snap_bytes(snap, &h->started_ns, sizeof(h->started_ns));
    for (unsigned i = 0; i < TIMERS; i++) {
        snap_bytes(snap, &h->comparator[i].config, sizeof(h->comparator[i].config));
        snap_bytes(snap, &h->comparator[i].at, sizeof(h->comparator[i].at));
        snap_bytes(snap, &h->comparator[i].period, sizeof(h->comparator[i].period));
    }
    owed_snapshot(&h->owed, snap);
    if (!snap->loading)
        return;
    h->config.replaces(h->config.arg, h->control & CONFIG_LEGACY);
    arm_all(h);
}

struct hpet *hpet_create(const struct hpet_config *config)
{
    struct hpet *h = calloc(1, sizeof(*h));
    int err;

    if (!h)
        return NULL;
    h->config = *config;
    for (unsigned i = 0; i < TIMERS; i++) {
        h->comparator[i].hpet = h;
        h->comparator[i].timer.fire = timer_fire;
        h->comparator[i].timer.arg = &h->comparator[i];
    }
    owed_init(&h->owed, &(struct owed_config){ config->clock, tick, &h->comparator[0],
                                               config->waiting, config->arg });
    err = bus_claim(config->memory, HPET_BASE, REG_SIZE, &memory_ops, h);
    if (err) {
        free(h);
        errno = -err;
        return NULL;
    }
    hpet_reset(h);
    return h;
}

void hpet_destroy(struct hpet *h)
{
    for (unsigned i = 0; i < TIMERS; i++)
        timer_cancel(&h->comparator[i].timer);
    owed_forget(&h->owed);
    free(h);
}
