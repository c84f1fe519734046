/*
 * Local APIC of one processor (xAPIC).
 *
 * Reference: Intel SDM volume 3, chapter 10 (registers: table 10-1; timer: 10.5.4; priorities:
 *            10.8.3; LVT: 10.5.1; ICR: 10.6.1; logical destinations: 10.6.2.2).
 * Modelled:  all registers of table 10-1 but for those of more processors, one-shot and periodic
 *            timer, NMI and ExtINT by LVT, messages to itself.
 * Not:       x2APIC, TSC deadline, thermal and performance counter events (their LVT entries are
 *            kept), INIT and SIPI (nobody is there to send them to).
 *
 * A divider or an initial count that makes ticks shorter than MIN_PERIOD_NS apart would leave the
 * host no time for anything else: such a timer is late. Where ticks are at least OWED_PERIOD_NS
 * apart a system may count its time by them: those that a busy host misses are owed (owed.h).
 */
#include "devices/lapic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/snap.h"
#include "devices/bus.h"
#include "devices/owed.h"

/* --- Registers ---------------------------------------------------------- */

enum {
    REG_ID = 0x20,
    REG_VERSION = 0x30,
    REG_TPR = 0x80,
    REG_APR = 0x90,
    REG_PPR = 0xa0,
    REG_EOI = 0xb0,
    REG_LDR = 0xd0,
    REG_DFR = 0xe0,
    REG_SVR = 0xf0,
    REG_ISR = 0x100, /* eight of 32 bits each, 16 bytes apart */
    REG_TMR = 0x180,
    REG_IRR = 0x200,
    REG_ESR = 0x280,
    REG_ICR = 0x300,
    REG_ICR_HIGH = 0x310,
    REG_LVT = 0x320, /* six: timer, thermal, performance, LINT0, LINT1, error */
    REG_INITIAL = 0x380,
    REG_CURRENT = 0x390,
    REG_DIVIDE = 0x3e0,
    REG_SIZE = 0x1000,
};

enum { LVT_TIMER, LVT_THERMAL, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR,
       LVT_COUNT = LAPIC_LVT_COUNT };

#define VERSION (0x14u | (LVT_COUNT - 1) << 16)
#define SVR_ENABLED 0x100u
#define SVR_WRITABLE 0x3ffu /* with the focus bit */
#define LVT_MASKED 0x10000u
#define LVT_PERIODIC 0x20000u
#define LVT_VECTOR 0xffu
#define ICR_LOGICAL 0x800u
#define ICR_LEVEL_ASSERT 0x4000u
#define ICR_WRITABLE 0xccfffu
#define ESR_SEND_ILLEGAL 0x20u
#define ESR_RECEIVE_ILLEGAL 0x40u
#define ESR_REGISTER 0x80u
#define FIRST_VECTOR 16 /* lower ones are not interrupts' */
#define MIN_PERIOD_NS 20000ull
#define OWED_PERIOD_NS 100000ull

static const uint32_t lvt_writable[LVT_COUNT] = {
    [LVT_TIMER] = 0x300ff,   [LVT_THERMAL] = 0x107ff, [LVT_PERFORMANCE] = 0x107ff,
    [LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff,   [LVT_ERROR] = 0x100ff,
};

/* --- State -------------------------------------------------------------- */

typedef uint32_t vectors[8]; /* a bit each */

struct lapic {
    struct lapic_config config;
    struct timer timer;
    bool enabled;          /* by IA32_APIC_BASE */
    uint64_t base;         /* gpa, by it */
    bool placed;           /* the registers are there */
    bool lint0;            /* the 8259s want something */
    uint8_t id, tpr, ldr;
    uint32_t dfr, svr, icr, icr_high;
    uint32_t esr, esr_next; /* as read, and what a write to it will show */
    uint32_t lvt[LVT_COUNT];
    uint32_t initial, divide;
    uint64_t loaded_ns;    /* when the timer began to count */
    uint64_t periods;      /* since then that have had their tick, or wanted none */
    bool ended;            /* the timer counts no more until it is loaded */
    struct owed owed;      /* of the periodic timer */
    vectors isr, tmr, irr;
};

static bool get_bit(const vectors v, uint8_t n)
{
    return v[n / 32] >> n % 32 & 1;
}

static void set_bit(vectors v, uint8_t n, bool value)
{
    v[n / 32] = (v[n / 32] & ~(1u << n % 32)) | (uint32_t)value << n % 32;
}

/* The highest, or -1. */
static int highest(const vectors v)
{
    for (int i = 7; i >= 0; i--)
        if (v[i])
            return i * 32 + 31 - __builtin_clz(v[i]);
    return -1;
}

/* --- Which interrupt comes next ----------------------------------------- */

static uint8_t processor_priority(const struct lapic *l)
{
    int serving = highest(l->isr);

    if (serving >= 0 && (serving & 0xf0) > (l->tpr & 0xf0))
        return serving & 0xf0;
    return l->tpr;
}

/* The vector to be served next, or -1. */
static int next_vector(const struct lapic *l)
{
    int vector = l->enabled && l->svr & SVR_ENABLED ? highest(l->irr) : -1;

    return vector >= 0 && (vector & 0xf0) > (processor_priority(l) & 0xf0) ? vector : -1;
}

/* LINT0 passes them on also while software has the APIC disabled: so firmware expects it. */
static bool wants_8259(const struct lapic *l)
{
    uint32_t lvt = l->lvt[LVT_LINT0];

    if (!l->lint0)
        return false;
    return !l->enabled || (!(lvt & LVT_MASKED) && (lvt >> 8 & 7) == LAPIC_EXTINT);
}

static void update(struct lapic *l)
{
    irq_set(&l->config.intr, next_vector(l) >= 0 || wants_8259(l));
}

static void error(struct lapic *l, uint32_t bit)
{
    uint32_t lvt = l->lvt[LVT_ERROR];

    if (l->esr_next & bit)
        return;
    l->esr_next |= bit;
    if (!(lvt & LVT_MASKED) && (lvt & LVT_VECTOR) >= FIRST_VECTOR)
        set_bit(l->irr, lvt & LVT_VECTOR, true);
}

static bool request(struct lapic *l, uint8_t vector, bool level)
{
    if (!(l->svr & SVR_ENABLED) || !l->enabled)
        return false;
    if (vector < FIRST_VECTOR) {
        error(l, ESR_RECEIVE_ILLEGAL);
    } else {
        set_bit(l->irr, vector, true);
        set_bit(l->tmr, vector, level);
    }
    update(l);
    return vector >= FIRST_VECTOR;
}

static bool deliver(struct lapic *l, unsigned mode, uint8_t vector, bool level)
{
    switch (mode) {
    case LAPIC_FIXED:
    case LAPIC_LOWEST: return request(l, vector, level);
    case LAPIC_NMI: l->config.nmi(l->config.arg); return true;
    default: return false;
    }
}

static bool is_meant(const struct lapic *l, uint8_t destination, bool logical)
{
    if (!logical)
        return destination == 0xff || destination == l->id;
    if (l->dfr >> 28 == 0xf) /* flat */
        return destination & l->ldr;
    return (destination >> 4 == 0xf || destination >> 4 == l->ldr >> 4) &&
           destination & l->ldr & 0xf;
}

bool lapic_message(struct lapic *l, uint8_t destination, bool logical, unsigned mode,
                   uint8_t vector, bool level)
{
    return is_meant(l, destination, logical) && deliver(l, mode, vector, level);
}

static void lint0_set(void *sink, unsigned pin, bool level)
{
    struct lapic *l = sink;
    uint32_t lvt = l->lvt[LVT_LINT0];
    bool rose = level && !l->lint0;

    (void)pin;
    l->lint0 = level;
    if (rose && l->enabled && !(lvt & LVT_MASKED) && (lvt >> 8 & 7) != LAPIC_EXTINT)
        deliver(l, lvt >> 8 & 7, lvt & LVT_VECTOR, false);
    update(l);
}

struct irq lapic_lint0(struct lapic *l)
{
    return (struct irq){ lint0_set, l, 0 };
}

int lapic_ack(struct lapic *l)
{
    int vector = next_vector(l);

    if (vector < 0)
        return wants_8259(l) ? LAPIC_8259 : LAPIC_NOTHING;
    set_bit(l->irr, (uint8_t)vector, false);
    set_bit(l->isr, (uint8_t)vector, true);
    update(l);
    l->config.taken(l->config.arg, (uint8_t)vector);
    if ((uint32_t)vector == (l->lvt[LVT_TIMER] & LVT_VECTOR))
        owed_taken(&l->owed);
    return vector;
}

uint8_t lapic_spurious(const struct lapic *l)
{
    return l->svr & 0xff;
}

bool lapic_requested(const struct lapic *l, uint8_t vector)
{
    return get_bit(l->irr, vector);
}

static void end_of_interrupt(struct lapic *l)
{
    int vector = highest(l->isr);

    if (vector < 0)
        return;
    set_bit(l->isr, (uint8_t)vector, false);
    update(l);
    if (get_bit(l->tmr, (uint8_t)vector))
        l->config.eoi(l->config.arg, (uint8_t)vector);
}

/* --- Timer -------------------------------------------------------------- */

/* Ticks of LAPIC_TIMER_HZ for one of the counter. */
static uint64_t divider(const struct lapic *l)
{
    unsigned code = (l->divide & 3) | (l->divide >> 1 & 4);

    return code == 7 ? 1 : 2ull << code;
}

static uint64_t period_ns(const struct lapic *l)
{
    return l->initial * divider(l) * (NS_PER_SEC / LAPIC_TIMER_HZ);
}

static bool is_periodic(const struct lapic *l)
{
    return l->lvt[LVT_TIMER] & LVT_PERIODIC;
}

static uint32_t current_count(const struct lapic *l, uint64_t now)
{
    uint64_t passed = now - l->loaded_ns, period = period_ns(l);

    if (!period || l->ended)
        return 0;
    if (is_periodic(l))
        passed %= period;
    return passed >= period ? 0 : (uint32_t)((period - passed) / divider(l));
}

/*
 * Armed only when somebody wants to know. now: when the register was written. The clock is read
 * once for each write: the host may keep us waiting between two readings for longer than the timer
 * runs.
 */
static void arm(struct lapic *l, uint64_t now)
{
    uint64_t period = period_ns(l), due;

    timer_cancel(&l->timer);
    if (!period || l->ended || l->lvt[LVT_TIMER] & LVT_MASKED)
        return;
    l->periods = is_periodic(l) ? (now - l->loaded_ns) / period : 0;
    due = l->loaded_ns + (l->periods + 1) * period;
    if (due <= now)
        return; /* it has passed */
    if (is_periodic(l) && due < now + MIN_PERIOD_NS && period < MIN_PERIOD_NS)
        due = now + MIN_PERIOD_NS;
    timer_arm(&l->timer, l->config.clock, due);
}

static void tick(void *dev)
{
    struct lapic *l = dev;

    request(l, l->lvt[LVT_TIMER] & LVT_VECTOR, false);
}

static bool tick_waits(void *dev)
{
    const struct lapic *l = dev;

    return get_bit(l->irr, l->lvt[LVT_TIMER] & LVT_VECTOR);
}

static void expire(struct lapic *l, uint64_t now)
{
    uint64_t period = period_ns(l);

    if (is_periodic(l) && period >= OWED_PERIOD_NS)
        owed_deliver(&l->owed, (now - l->loaded_ns) / period - l->periods, period);
    else
        tick(l);
    if (is_periodic(l))
        arm(l, now);
}

static void timer_fire(void *arg)
{
    struct lapic *l = arg;

    expire(l, clock_now_ns(l->config.clock));
}

/* What is due already happens before a register changes. Returns the time of the change. */
static uint64_t settle(struct lapic *l)
{
    uint64_t now = clock_now_ns(l->config.clock);

    if (l->timer.clock && l->timer.due_ns <= now) {
        timer_cancel(&l->timer);
        expire(l, now);
    }
    return now;
}

static void timer_load(struct lapic *l, uint32_t initial)
{
    l->loaded_ns = settle(l);
    l->initial = initial;
    l->ended = false;
    owed_forget(&l->owed);
    arm(l, l->loaded_ns);
}

/* The count goes on from where it is with another divider. */
static void timer_divide(struct lapic *l, uint32_t divide)
{
    uint64_t now = settle(l), left = current_count(l, now), old = divider(l);

    l->divide = divide & 0xb;
    owed_forget(&l->owed);
    if (divider(l) != old && l->initial)
        l->loaded_ns = now - (l->initial - left) * divider(l);
    arm(l, now);
}

/* Before another mode is set: the count goes on from where it is; one that has ended stays at 0. */
static void timer_keep_count(struct lapic *l, uint64_t now)
{
    uint64_t period = period_ns(l);

    if (!period)
        return;
    if (is_periodic(l))
        l->loaded_ns = now - (now - l->loaded_ns) % period;
    else if (now - l->loaded_ns >= period)
        l->ended = true;
}

/* --- Commands ----------------------------------------------------------- */

static void send(struct lapic *l, uint32_t command)
{
    enum { DESTINATION, SELF, ALL, OTHERS } shorthand = command >> 18 & 3;
    unsigned mode = command >> 8 & 7;
    uint8_t vector = command & 0xff;

    l->icr = command & ICR_WRITABLE;
    if ((mode == LAPIC_FIXED || mode == LAPIC_LOWEST) && vector < FIRST_VECTOR) {
        error(l, ESR_SEND_ILLEGAL);
        update(l);
    } else if (shorthand == SELF || shorthand == ALL) {
        deliver(l, mode, vector, false);
    } else if (shorthand == DESTINATION) {
        lapic_message(l, l->icr_high >> 24, command & ICR_LOGICAL, mode, vector, false);
    }
}

static void lvt_write(struct lapic *l, unsigned n, uint32_t value)
{
    uint64_t now = settle(l);

    value &= lvt_writable[n];
    if (!(l->svr & SVR_ENABLED))
        value |= LVT_MASKED;
    if (n == LVT_TIMER && (value ^ l->lvt[n]) & LVT_PERIODIC)
        timer_keep_count(l, now);
    l->lvt[n] = value;
    if (n == LVT_TIMER) {
        owed_forget(&l->owed);
        arm(l, now);
    }
    update(l);
}

static void svr_write(struct lapic *l, uint32_t value)
{
    uint64_t now = settle(l);

    l->svr = value & SVR_WRITABLE;
    for (unsigned i = 0; !(value & SVR_ENABLED) && i < LVT_COUNT; i++)
        l->lvt[i] |= LVT_MASKED;
    if (!(value & SVR_ENABLED))
        owed_forget(&l->owed);
    arm(l, now);
    update(l);
}

/* --- Memory ------------------------------------------------------------- */

static uint32_t reg_read(struct lapic *l, unsigned reg)
{
    if (reg >= REG_ISR && reg < REG_ESR)
        return (reg < REG_TMR ? l->isr : reg < REG_IRR ? l->tmr : l->irr)[reg >> 4 & 7];
    if (reg >= REG_LVT && reg < REG_LVT + LVT_COUNT * 16)
        return l->lvt[(reg - REG_LVT) / 16];
    switch (reg) {
    case REG_ID: return (uint32_t)l->id << 24;
    case REG_VERSION: return VERSION;
    case REG_TPR: return l->tpr;
    case REG_APR: return 0;
    case REG_PPR: return processor_priority(l);
    case REG_EOI: return 0;
    case REG_LDR: return (uint32_t)l->ldr << 24;
    case REG_DFR: return l->dfr;
    case REG_SVR: return l->svr;
    case REG_ESR: return l->esr;
    case REG_ICR: return l->icr;
    case REG_ICR_HIGH: return l->icr_high;
    case REG_INITIAL: return l->initial;
    case REG_CURRENT: return current_count(l, clock_now_ns(l->config.clock));
    case REG_DIVIDE: return l->divide;
    default: error(l, ESR_REGISTER); return 0;
    }
}

static void reg_write(struct lapic *l, unsigned reg, uint32_t value)
{
    if (reg >= REG_LVT && reg < REG_LVT + LVT_COUNT * 16) {
        lvt_write(l, (reg - REG_LVT) / 16, value);
        return;
    }
    switch (reg) {
    case REG_ID: l->id = value >> 24; break;
    case REG_TPR: l->tpr = value & 0xff; update(l); break;
    case REG_EOI: end_of_interrupt(l); break;
    case REG_LDR: l->ldr = value >> 24; break;
    case REG_DFR: l->dfr = value | 0x0fffffff; break;
    case REG_SVR: svr_write(l, value); break;
    case REG_ESR: l->esr = l->esr_next; l->esr_next = 0; break;
    case REG_ICR: send(l, value); break;
    case REG_ICR_HIGH: l->icr_high = value & 0xff000000; break;
    case REG_INITIAL: timer_load(l, value); break;
    case REG_DIVIDE: timer_divide(l, value); break;
    default: error(l, ESR_REGISTER); update(l); break;
    }
}

/* Registers are 32 bits wide, at multiples of 16; parts of them read as such. */
static uint64_t memory_read(void *dev, uint64_t offset, unsigned size)
{
    struct lapic *l = dev;
    unsigned shift = 8 * (offset & 3);

    (void)size;
    if (!l->enabled)
        return ~0ull;
    if (offset & 0xc)
        return 0;
    return reg_read(l, offset & ~3u) >> shift;
}

static void memory_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct lapic *l = dev;

    if (l->enabled && !(offset & 0xf) && size == 4)
        reg_write(l, (unsigned)offset, (uint32_t)value);
}

static const struct bus_ops memory_ops = {
    .read = memory_read,
    .write = memory_write,
    .max_size = 4,
    .name = "lapic",
};

/* --- Life --------------------------------------------------------------- */

/* 0, or bus_claim()'s. */
static int place(struct lapic *l, uint64_t base)
{
    int err;

    if (l->placed && base == l->base)
        return 0;
    if (l->placed)
        bus_release(l->config.memory, l->base);
    err = bus_claim(l->config.memory, base, REG_SIZE, &memory_ops, l);
    l->placed = !err;
    l->base = base;
    return err;
}

static void clear(struct lapic *l)
{
    timer_cancel(&l->timer);
    owed_forget(&l->owed);
    l->enabled = true;
    l->id = l->tpr = l->ldr = 0;
    l->dfr = 0xffffffff;
    l->svr = 0xff;
    l->icr = l->icr_high = l->esr = l->esr_next = l->initial = l->divide = 0;
    l->loaded_ns = l->periods = 0;
    l->ended = false;
    for (unsigned i = 0; i < LVT_COUNT; i++)
        l->lvt[i] = LVT_MASKED;
    l->lvt[LVT_LINT0] = LAPIC_EXTINT << 8;
    memset(l->isr, 0, sizeof(l->isr));
    memset(l->tmr, 0, sizeof(l->tmr));
    memset(l->irr, 0, sizeof(l->irr));
    update(l);
}

void lapic_set_base(struct lapic *l, uint64_t value)
{
    bool enabled = value & LAPIC_ENABLED;

    place(l, value & ~(REG_SIZE - 1ull));
    if (enabled && !l->enabled)
        clear(l);
    l->enabled = enabled;
    update(l);
}

void lapic_reset(struct lapic *l)
{
    place(l, LAPIC_BASE);
    clear(l);
}

void lapic_look(const struct lapic *l, struct lapic_view *view)
{
    *view = (struct lapic_view){
        .enabled = l->enabled, .id = l->id, .tpr = l->tpr, .ldr = (uint32_t)l->ldr << 24,
        .dfr = l->dfr, .svr = l->svr, .esr = l->esr, .initial = l->initial,
        .current = current_count(l, clock_now_ns(l->config.clock)), .divide = l->divide,
    };
    memcpy(view->lvt, l->lvt, sizeof(view->lvt));
    memcpy(view->irr, l->irr, sizeof(view->irr));
    memcpy(view->isr, l->isr, sizeof(view->isr));
    memcpy(view->tmr, l->tmr, sizeof(view->tmr));
}

void lapic_snapshot(struct lapic *l, struct snap *snap)
{
    uint64_t base = l->base;

    snap_bytes(snap, &l->enabled, sizeof(l->enabled));
    snap_bytes(snap, &base, sizeof(base));
    snap_bytes(snap, &l->id, sizeof(l->id));
    snap_bytes(snap, &l->tpr, sizeof(l->tpr));
    snap_bytes(snap, &l->ldr, sizeof(l->ldr));
    snap_bytes(snap, &l->dfr, sizeof(l->dfr));
    snap_bytes(snap, &l->svr, sizeof(l->svr));
    snap_bytes(snap, &l->icr, sizeof(l->icr));
    snap_bytes(snap, &l->icr_high, sizeof(l->icr_high));
    snap_bytes(snap, &l->esr, sizeof(l->esr));
    snap_bytes(snap, &l->esr_next, sizeof(l->esr_next));
    snap_bytes(snap, l->lvt, sizeof(l->lvt));
    snap_bytes(snap, &l->initial, sizeof(l->initial));
    snap_bytes(snap, &l->divide, sizeof(l->divide));
    snap_bytes(snap, &l->loaded_ns, sizeof(l->loaded_ns));
    snap_bytes(snap, &l->ended, sizeof(l->ended));
    snap_bytes(snap, l->isr, sizeof(l->isr));
    snap_bytes(snap, l->tmr, sizeof(l->tmr));
    snap_bytes(snap, l->irr, sizeof(l->irr));
    owed_snapshot(&l->owed, snap);
    if (snap->loading) {
        place(l, base);
        arm(l, clock_now_ns(l->config.clock));
        update(l);
    }
}

struct lapic *lapic_create(const struct lapic_config *config)
{
    struct lapic *l = calloc(1, sizeof(*l));
    int err;

    if (!l)
        return NULL;
    l->config = *config;
    l->timer.fire = timer_fire;
    l->timer.arg = l;
    owed_init(&l->owed, &(struct owed_config){ config->clock, tick, l, tick_waits, l });
    err = place(l, LAPIC_BASE);
    if (err) {
        free(l);
        errno = -err;
        return NULL;
    }
    clear(l);
    return l;
}

void lapic_destroy(struct lapic *l)
{
    timer_cancel(&l->timer);
    owed_forget(&l->owed);
    free(l);
}
