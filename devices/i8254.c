/*
 * 8254 programmable interval timer, with the PC's port B (61h).
 *
 * Reference: Intel 8254 data sheet (order 231164); IBM AT Technical Reference for port 61h.
 * Modelled:  six modes, binary and BCD, all read and write sequences, counter latch, read-back,
 *            null count, gate 2, OUT 2, refresh toggle.
 * Differs:   a look at OUT 2 that comes late in a poll (looked_at).
 * Not:       the speaker makes no sound; a new count in a running mode 3 waits for the end of the
 *            period, not of its half.
 *
 * No counter counts: a channel remembers the tick at which its counting element was loaded, and
 * whatever is asked follows from the ticks since then. Only channel 0 has a host timer, at its next
 * rising edge.
 *
 * Missed ticks. In the periodic modes, an edge that comes while the one before it still waits for
 * the guest is owed, not lost (owed.h).
 */
#include "devices/i8254.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/snap.h"
#include "devices/bus.h"
#include "devices/crystal.h"
#include "devices/owed.h"

/* --- Registers ---------------------------------------------------------- */

enum { PORT_CONTROL = 3, PORT_COUNT = 4, CHANNELS = 3 };

#define CTL_BCD          0x01
#define CTL_READ_BACK    3    /* in SC, bits 7-6 */
#define BACK_NO_COUNT    0x20
#define BACK_NO_STATUS   0x10
#define STATUS_OUT       0x80
#define STATUS_NULL      0x40
#define STATUS_CONTROL   0x3f

enum { RW_LATCH, RW_LOW, RW_HIGH, RW_BOTH };

#define PB_GATE2   0x01
#define PB_WRITABLE 0x0f
#define PB_REFRESH 0x10
#define PB_OUT2    0x20

#define REFRESH_TICKS   18                  /* channel 1's count, 15 us */
#define SHORTEST_NS     50000               /* a shorter period costs the host too much to follow */
#define POLL_TICKS      24                  /* 20 us: who polls port B looks again by then */
#define POLLS           256                 /* so many looks, and nothing else, are a poll */
#define STOP_TICKS      120                 /* 100 us between two of them: the host's doing */

/* --- State -------------------------------------------------------------- */

struct channel {
    uint8_t control;     /* "exactly as written" (data sheet, read-back): what status shows */
    uint8_t mode, rw, bcd;
    bool gate;
    bool loaded;         /* the counting element holds a count (modes 1, 5: has been triggered) */
    bool written;        /* the count register holds one */
    bool switching;      /* modes 2, 3: next replaces count at tick switch_at */
    bool write_high, read_high; /* RW_BOTH: the second byte is next */
    uint8_t low;         /* RW_BOTH: the first byte written */
    uint8_t latched;     /* bytes of latch not read yet */
    bool status_latched;
    uint8_t status;
    uint16_t latch;
    uint32_t count;      /* 1 to 65536, or 10000 */
    uint32_t next;
    uint64_t start;      /* tick at which the counting element was loaded */
    uint64_t switch_at;
    uint64_t held;       /* modes 0, 4: ticks counted before the gate closed */
    uint64_t edges;      /* channel 0: rising edges since start that were delivered or owed */
};

struct i8254 {
    struct i8254_config config;
    struct channel channel[CHANNELS];
    struct timer edge;
    struct owed owed;
    uint8_t port_b;
    uint32_t polls;      /* looks at port B one after the other, each soon after the last, */
    uint64_t polled;     /* which was at this tick */
};

/* --- Behaviour: a channel ----------------------------------------------- */

static bool is_periodic(const struct channel *ch)
{
    return ch->mode == 2 || ch->mode == 3;
}

static bool is_triggered(const struct channel *ch)
{
    return ch->mode == 1 || ch->mode == 5;
}

static uint64_t now_tick(struct i8254 *pit)
{
    return crystal_pit_ticks(clock_now_ns(pit->config.clock));
}

static uint64_t elapsed(const struct channel *ch, uint64_t now)
{
    if (!ch->gate && !is_triggered(ch))
        return ch->held;
    return now > ch->start ? now - ch->start : 0;
}

/* A new count of a periodic mode comes into force at the end of the period. */
static void settle(struct channel *ch, uint64_t now)
{
    if (!ch->switching || now < ch->switch_at)
        return;
    ch->start = ch->switch_at;
    ch->count = ch->next;
    ch->edges = 0;
    ch->switching = false;
}

static bool output(const struct channel *ch, uint64_t now)
{
    uint64_t t = elapsed(ch, now);

    if (!ch->loaded)
        return ch->mode != 0;
    switch (ch->mode) {
    case 0: return t >= ch->count;
    case 1: return t >= ch->count;
    case 2: return !ch->gate || ch->count == 1 || t % ch->count != ch->count - 1;
    case 3: return !ch->gate || t % ch->count < (ch->count + 1) / 2;
    default: return t != ch->count;
    }
}

/* Mode 3 counts by twos, through the even part of the count, twice a period. */
static uint64_t square_counter(const struct channel *ch, uint64_t t)
{
    uint64_t high = (ch->count + 1) / 2, even = ch->count & ~1u;

    t %= ch->count;
    if (t >= high)
        t -= high;
    return 2 * t < even ? even - 2 * t : 0;
}

static uint16_t to_bcd(uint64_t n)
{
    return n % 10 | n / 10 % 10 << 4 | n / 100 % 10 << 8 | n / 1000 % 10 << 12;
}

static uint32_t from_bcd(uint16_t n)
{
    return (n & 15) + (n >> 4 & 15) * 10 + (n >> 8 & 15) * 100 + (n >> 12) * 1000;
}

/* What the counting element holds. */
static uint16_t counter(const struct channel *ch, uint64_t now)
{
    uint64_t modulus = ch->bcd ? 10000 : 0x10000, t = elapsed(ch, now), value;

    if (!ch->loaded)
        value = ch->count;
    else if (ch->mode == 2)
        value = ch->count - t % ch->count;
    else if (ch->mode == 3)
        value = square_counter(ch, t);
    else
        value = ch->count + modulus - t % modulus;
    value %= modulus;
    return ch->bcd ? to_bcd(value) : value;
}

static bool null_count(const struct channel *ch, uint64_t now)
{
    return !ch->written || !ch->loaded || ch->switching || now < ch->start;
}

/* The clock pulse after a write or a trigger loads the counting element. */
static void load(struct channel *ch, uint64_t now)
{
    ch->count = ch->next;
    ch->start = now + 1;
    ch->held = 0;
    ch->edges = 0;
    ch->loaded = true;
    ch->switching = false;
}

static void count_written(struct channel *ch, uint16_t value, uint64_t now)
{
    uint32_t count = ch->bcd ? from_bcd(value) : value;

    settle(ch, now);
    ch->next = count ? count : ch->bcd ? 10000 : 0x10000;
    ch->written = true;
    if (is_triggered(ch))
        return;
    if (is_periodic(ch) && ch->loaded && ch->gate && now >= ch->start) {
        ch->switch_at = ch->start + ((now - ch->start) / ch->count + 1) * ch->count;
        ch->switching = true;
        return;
    }
    load(ch, now);
}

static void set_gate(struct channel *ch, bool gate, uint64_t now)
{
    if (gate == ch->gate)
        return;
    settle(ch, now);
    if (!gate)
        ch->held = elapsed(ch, now);
    ch->gate = gate;
    if (!gate || !ch->written)
        return;
    if (is_triggered(ch) || is_periodic(ch))
        load(ch, now);
    else
        ch->start = now - ch->held;
}

/* --- Behaviour: channel 0's interrupt ----------------------------------- */

static uint64_t period_ns(const struct channel *ch)
{
    return crystal_pit_ns(ch->count);
}

/* Rising edges from start to now. */
static uint64_t edges_until(const struct channel *ch, uint64_t now)
{
    uint64_t t = elapsed(ch, now);

    if (!ch->loaded)
        return 0;
    switch (ch->mode) {
    case 0: return t >= ch->count;
    case 2:
    case 3: return t / ch->count;
    case 4: return t > ch->count;
    default: return 0;
    }
}

/* Edges that nobody has been told of yet; they are told now. */
static uint64_t new_edges(struct channel *ch, uint64_t now)
{
    uint64_t count = 0, until;

    if (ch->switching && now >= ch->switch_at) {
        count = edges_until(ch, ch->switch_at) - ch->edges;
        settle(ch, now);
    }
    until = edges_until(ch, now);
    count += until - ch->edges;
    ch->edges = until;
    return count;
}

static void arm_edge(struct i8254 *pit)
{
    struct channel *ch = &pit->channel[0];
    uint64_t due, soonest = clock_now_ns(pit->config.clock) + SHORTEST_NS;

    timer_cancel(&pit->edge);
    if (!ch->loaded || is_triggered(ch) || (!is_periodic(ch) && ch->edges))
        return;
    due = crystal_pit_ns(ch->start + (ch->edges + 1) * ch->count + (ch->mode == 4));
    if (is_periodic(ch) && ch->count < crystal_pit_ticks(SHORTEST_NS) && due < soonest)
        due = soonest;
    timer_arm(&pit->edge, pit->config.clock, due);
}

static void pulse(void *dev)
{
    struct i8254 *pit = dev;

    irq_set(&pit->config.irq, false);
    irq_set(&pit->config.irq, true);
}

/* Tells the guest of edges that have come since the last call. */
static void deliver(struct i8254 *pit, uint64_t now)
{
    struct channel *ch = &pit->channel[0];
    uint64_t ticks = new_edges(ch, now);

    if (ticks && is_periodic(ch))
        owed_deliver(&pit->owed, ticks, period_ns(ch));
    else if (ticks)
        pulse(pit);
}

static void edge_fire(void *dev)
{
    struct i8254 *pit = dev;

    deliver(pit, now_tick(pit));
    arm_edge(pit);
}

void i8254_taken(struct i8254 *pit)
{
    owed_taken(&pit->owed);
}

/* Brings a channel up to now before the guest looks at it or changes it. */
static uint64_t bring_up(struct i8254 *pit, unsigned n)
{
    uint64_t now = now_tick(pit);

    if (n == 0)
        deliver(pit, now);
    settle(&pit->channel[n], now);
    return now;
}

/* --- Commands ----------------------------------------------------------- */

static void latch_count(struct channel *ch, uint64_t now)
{
    if (ch->latched)
        return;
    ch->latch = counter(ch, now);
    ch->latched = ch->rw == RW_BOTH ? 2 : 1;
    ch->read_high = false;
}

static void latch_status(struct channel *ch, uint64_t now)
{
    if (ch->status_latched)
        return;
    ch->status = (output(ch, now) ? STATUS_OUT : 0) | (null_count(ch, now) ? STATUS_NULL : 0) |
                 ch->control;
    ch->status_latched = true;
}

static void read_back(struct i8254 *pit, uint8_t value)
{
    for (unsigned i = 0; i < CHANNELS; i++) {
        uint64_t now = bring_up(pit, i);

        if (!(value >> (i + 1) & 1))
            continue;
        if (!(value & BACK_NO_COUNT))
            latch_count(&pit->channel[i], now);
        if (!(value & BACK_NO_STATUS))
            latch_status(&pit->channel[i], now);
    }
}

static void program(struct channel *ch, uint8_t value)
{
    ch->control = value & STATUS_CONTROL;
    ch->rw = value >> 4 & 3;
    ch->mode = value >> 1 & 7;
    if (ch->mode > 5)
        ch->mode -= 4;
    ch->bcd = value & CTL_BCD;
    ch->loaded = ch->written = ch->switching = false;
    ch->write_high = ch->read_high = false;
    ch->latched = 0;
    ch->status_latched = false;
    ch->edges = 0;
    ch->held = 0;
}

static void control_write(struct i8254 *pit, uint8_t value)
{
    unsigned select = value >> 6;
    struct channel *ch;
    uint64_t now;

    if (select == CTL_READ_BACK) {
        read_back(pit, value);
        return;
    }
    ch = &pit->channel[select];
    now = bring_up(pit, select);
    if ((value >> 4 & 3) == RW_LATCH) {
        latch_count(ch, now);
        return;
    }
    program(ch, value);
    if (select == 0) {
        owed_forget(&pit->owed);
        timer_cancel(&pit->edge);
        irq_set(&pit->config.irq, ch->mode != 0);
    }
}

static void count_byte(struct channel *ch, uint8_t value, uint64_t now)
{
    switch (ch->rw) {
    case RW_LOW: count_written(ch, value, now); break;
    case RW_HIGH: count_written(ch, value << 8, now); break;
    case RW_BOTH:
        ch->write_high = !ch->write_high;
        if (!ch->write_high)
            count_written(ch, value << 8 | ch->low, now);
        else if (ch->mode == 0)
            ch->loaded = false; /* the first byte stops the count */
        ch->low = value;
        break;
    }
}

static void channel_write(struct i8254 *pit, unsigned n, uint8_t value)
{
    struct channel *ch = &pit->channel[n];

    count_byte(ch, value, bring_up(pit, n));
    if (n != 0)
        return;
    if (ch->mode == 0)
        irq_set(&pit->config.irq, false);
    arm_edge(pit);
}

static uint8_t latched_byte(struct channel *ch)
{
    bool high = ch->rw == RW_HIGH || (ch->rw == RW_BOTH && ch->latched == 1);

    ch->latched--;
    return high ? ch->latch >> 8 : ch->latch;
}

static uint8_t channel_read(struct i8254 *pit, unsigned n)
{
    struct channel *ch = &pit->channel[n];
    bool high = ch->rw == RW_HIGH || (ch->rw == RW_BOTH && ch->read_high);
    uint16_t value;

    if (ch->status_latched) {
        ch->status_latched = false;
        return ch->status;
    }
    if (ch->latched)
        return latched_byte(ch);
    value = counter(ch, bring_up(pit, n));
    ch->read_high = ch->rw == RW_BOTH && !ch->read_high;
    return high ? value >> 8 : value;
}

/* --- Ports -------------------------------------------------------------- */

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
    struct i8254 *pit = dev;

    (void)size;
    pit->polls = 0;
    if (offset >= CHANNELS)
        return 0xff; /* the control word cannot be read */
    return channel_read(pit, offset);
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8254 *pit = dev;

    (void)size;
    pit->polls = 0;
    if (offset == PORT_CONTROL)
        control_write(pit, value);
    else if (offset < CHANNELS)
        channel_write(pit, offset, value);
}

static const struct bus_ops port_ops = {
    .read = port_read,
    .write = port_write,
    .max_size = 1,
    .name = "i8254",
};

/*
 * Who measures the TSC by this chip polls OUT 2, reads the TSC between two looks, and takes the
 * last reading for the end (Linux, pit_calibrate_tsc). When the host stops us behind that reading,
 * and the count runs out meanwhile, the rate is too low by as much as was left, and nothing shows
 * it: other stops make one step long, and the guest begins anew. So a look that comes late in a
 * poll is answered as of when it was due, before the stop; the next one, right behind it, tells.
 */
static uint64_t looked_at(struct i8254 *pit, uint64_t now)
{
    uint64_t last = pit->polled, gap = now - last;
    bool late = pit->polls >= POLLS && gap > STOP_TICKS && pit->channel[2].mode == 0;

    pit->polls = gap <= POLL_TICKS ? pit->polls + 1 : 0;
    pit->polled = now;
    return late && !output(&pit->channel[2], last) ? last : now;
}

static uint64_t port_b_read(void *dev, uint64_t offset, unsigned size)
{
    struct i8254 *pit = dev;
    uint64_t now = bring_up(pit, 2);

    (void)offset;
    (void)size;
    return pit->port_b | (now / REFRESH_TICKS & 1 ? PB_REFRESH : 0) |
           (output(&pit->channel[2], looked_at(pit, now)) ? PB_OUT2 : 0);
}

static void port_b_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8254 *pit = dev;

    (void)offset;
    (void)size;
    pit->polls = 0;
    pit->port_b = value & PB_WRITABLE;
    set_gate(&pit->channel[2], value & PB_GATE2, now_tick(pit));
}

static const struct bus_ops port_b_ops = {
    .read = port_b_read,
    .write = port_b_write,
    .max_size = 1,
    .name = "port61",
};

/* --- Life --------------------------------------------------------------- */

/* As firmware leaves it: 18.2 Hz, memory refresh, speaker off. */
void i8254_reset(struct i8254 *pit)
{
    static const uint8_t control[CHANNELS] = { 0x36, 0x54, 0xb6 };
    uint64_t now = now_tick(pit);

    pit->port_b = 0;
    pit->polls = 0;
    owed_forget(&pit->owed);
    for (unsigned i = 0; i < CHANNELS; i++) {
        pit->channel[i] = (struct channel){ .gate = i != 2, .count = 0x10000, .next = 0x10000 };
        program(&pit->channel[i], control[i]);
    }
    count_written(&pit->channel[0], 0, now);
    count_written(&pit->channel[1], REFRESH_TICKS, now);
    irq_set(&pit->config.irq, true);
    arm_edge(pit);
}

static void snapshot_channel(struct channel *ch, struct snap *snap)
{
    uint8_t flags = ch->gate | ch->loaded << 1 | ch->written << 2 | ch->switching << 3 |
                    ch->write_high << 4 | ch->read_high << 5 | ch->status_latched << 6;

    snap_u8(snap, &flags);
    snap_u8(snap, &ch->control);
    snap_u8(snap, &ch->mode);
    snap_u8(snap, &ch->rw);
    snap_u8(snap, &ch->bcd);
    snap_u8(snap, &ch->low);
    snap_u8(snap, &ch->latched);
    snap_u8(snap, &ch->status);
    snap_bytes(snap, &ch->latch, sizeof(ch->latch));
    snap_bytes(snap, &ch->count, sizeof(ch->count));
    snap_bytes(snap, &ch->next, sizeof(ch->next));
    snap_bytes(snap, &ch->start, sizeof(ch->start));
    snap_bytes(snap, &ch->switch_at, sizeof(ch->switch_at));
    snap_bytes(snap, &ch->held, sizeof(ch->held));
    snap_bytes(snap, &ch->edges, sizeof(ch->edges));
    ch->gate = flags & 1;
    ch->loaded = flags & 2;
    ch->written = flags & 4;
    ch->switching = flags & 8;
    ch->write_high = flags & 16;
    ch->read_high = flags & 32;
    ch->status_latched = flags & 64;
}

void i8254_snapshot(struct i8254 *pit, struct snap *snap)
{
    for (unsigned i = 0; i < CHANNELS; i++)
        snapshot_channel(&pit->channel[i], snap);
    owed_snapshot(&pit->owed, snap);
    snap_u8(snap, &pit->port_b);
    if (snap->loading) {
        pit->polls = 0;
        arm_edge(pit);
    }
}

struct i8254 *i8254_create(const struct i8254_config *config)
{
    struct i8254 *pit = calloc(1, sizeof(*pit));
    int err;

    if (!pit)
        return NULL;
    pit->config = *config;
    pit->edge.fire = edge_fire;
    pit->edge.arg = pit;
    owed_init(&pit->owed, &(struct owed_config){ config->clock, pulse, pit, config->waiting,
                                                 config->waiting_arg });
    err = bus_claim(config->ports, config->base, PORT_COUNT, &port_ops, pit);
    if (!err)
        err = bus_claim(config->ports, config->port_b, 1, &port_b_ops, pit);
    if (err) {
        free(pit);
        errno = -err;
        return NULL;
    }
    i8254_reset(pit);
    return pit;
}

void i8254_destroy(struct i8254 *pit)
{
    timer_cancel(&pit->edge);
    owed_forget(&pit->owed);
    free(pit);
}
