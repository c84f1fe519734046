/*
 * MC146818 real-time clock and CMOS RAM.
 *
 * Reference: Motorola MC146818A data sheet; register names are the sheet's.
 * Modelled:  time of day in all formats, setting it, alarm, periodic and update-ended interrupts,
 *            UIP, the divider's reset, RAM, IBM's century byte.
 * Not:       daylight saving (a guest that sets DSE keeps it, nothing happens); square wave output.
 *
 * The time is the host's plus offset_ns. While SET is on or the divider is held in reset the clock
 * stands, and frozen_ns is the time. Flags are worked out when somebody looks, or by the timer when
 * somebody wants an interrupt of them: seen_ns is up to when they have been.
 */
#include "devices/mc146818.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/snap.h"
#include "devices/bus.h"

/* --- Registers ---------------------------------------------------------- */

enum { PORT_INDEX, PORT_DATA, PORT_COUNT };

enum {
    REG_SECONDS = 0x00,
    REG_SECONDS_ALARM = 0x01,
    REG_MINUTES = 0x02,
    REG_MINUTES_ALARM = 0x03,
    REG_HOURS = 0x04,
    REG_HOURS_ALARM = 0x05,
    REG_WEEKDAY = 0x06,
    REG_DAY = 0x07,
    REG_MONTH = 0x08,
    REG_YEAR = 0x09,
    REG_A = 0x0a,
    REG_B = 0x0b,
    REG_C = 0x0c,
    REG_D = 0x0d,
    REG_COUNT = 0x80,
};

#define A_RATE     0x0f /* periodic rate, 0 = off */
#define A_32KHZ    0x20 /* the only time base a PC has */
#define A_RESET    0x60 /* both bits: the divider is held in reset */
#define A_UIP      0x80
#define B_24H      0x02
#define B_BINARY   0x04
#define B_UIE      0x10 /* the enable bits are where C has the flags */
#define B_AIE      0x20
#define B_PIE      0x40
#define B_ENABLES  0x70
#define B_SET      0x80
#define C_UF       0x10
#define C_AF       0x20
#define C_PF       0x40
#define C_IRQF     0x80
#define D_VRT      0x80 /* battery good */
#define HOURS_PM   0x80
#define ALARM_ANY  0xc0 /* both bits: matches every value */

#define UPDATE_NS     (244000 + 1984000) /* UIP comes 244 us before the update cycle of 1984 us */
#define DIVIDER_NS    (NS_PER_SEC / 2)   /* the first update after the divider's reset */
#define SECS_PER_DAY  86400
#define MOST_SECONDS  4000000000ll /* from 1970: the years 1843 to 2096, so that nanoseconds fit */

/* --- State -------------------------------------------------------------- */

struct mc146818 {
    struct mc146818_config config;
    struct timer timer;
    int64_t offset_ns;  /* of our time to the host's */
    int64_t frozen_ns;
    int64_t seen_ns;    /* our time: UF and AF are right up to here */
    uint64_t seen_tick; /* 32768 Hz since power-on: PF is right up to here */
    uint8_t weekday;    /* guest's weekday minus the calendar's, modulo 7 */
    uint8_t index;
    uint8_t reg[REG_COUNT];
    int64_t second;     /* the calendar's: a guest reads all of it */
    struct tm calendar; /* that second, UTC */
};

/* --- Behaviour: the time ------------------------------------------------ */

static bool stands(const struct mc146818 *rtc)
{
    return rtc->reg[REG_B] & B_SET || (rtc->reg[REG_A] & A_RESET) == A_RESET;
}

static int64_t host_ns(struct mc146818 *rtc)
{
    struct clock *clock = rtc->config.clock;

    return (int64_t)(clock->boot_epoch_s * NS_PER_SEC + clock_now_ns(clock));
}

static int64_t time_ns(struct mc146818 *rtc)
{
    return stands(rtc) ? rtc->frozen_ns : host_ns(rtc) + rtc->offset_ns;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t seconds_of(int64_t ns)
{
    return floor_div(ns, NS_PER_SEC);
}

static uint8_t to_format(const struct mc146818 *rtc, unsigned n)
{
    return rtc->reg[REG_B] & B_BINARY ? n : n / 10 % 10 << 4 | n % 10;
}

static unsigned from_format(const struct mc146818 *rtc, uint8_t value)
{
    return rtc->reg[REG_B] & B_BINARY ? value : (value >> 4) * 10u + (value & 15);
}

static uint8_t pack_hours(const struct mc146818 *rtc, unsigned hours)
{
    if (rtc->reg[REG_B] & B_24H)
        return to_format(rtc, hours);
    return to_format(rtc, (hours + 11) % 12 + 1) | (hours >= 12 ? HOURS_PM : 0);
}

static unsigned unpack_hours(const struct mc146818 *rtc, uint8_t value)
{
    if (rtc->reg[REG_B] & B_24H)
        return from_format(rtc, value);
    return from_format(rtc, value & ~HOURS_PM) % 12 + (value & HOURS_PM ? 12 : 0);
}

static const struct tm *calendar(struct mc146818 *rtc, int64_t ns)
{
    time_t seconds = seconds_of(ns);

    if (seconds != rtc->second || !rtc->calendar.tm_mday)
        gmtime_r(&seconds, &rtc->calendar);
    rtc->second = seconds;
    return &rtc->calendar;
}

static uint8_t time_read(struct mc146818 *rtc, uint8_t index)
{
    const struct tm *tm = calendar(rtc, time_ns(rtc));

    switch (index) {
    case REG_SECONDS: return to_format(rtc, tm->tm_sec);
    case REG_MINUTES: return to_format(rtc, tm->tm_min);
    case REG_HOURS: return pack_hours(rtc, tm->tm_hour);
    case REG_WEEKDAY: return to_format(rtc, (tm->tm_wday + rtc->weekday) % 7 + 1);
    case REG_DAY: return to_format(rtc, tm->tm_mday);
    case REG_MONTH: return to_format(rtc, tm->tm_mon + 1);
    case REG_YEAR: return to_format(rtc, (tm->tm_year + 1900) % 100);
    default: return to_format(rtc, (tm->tm_year + 1900) / 100);
    }
}

/* A day that the new month does not have moves into the next month: set the day last, or SET. */
static void time_set(struct mc146818 *rtc, struct tm *tm)
{
    int64_t old = time_ns(rtc), in_second = old - seconds_of(old) * (int64_t)NS_PER_SEC;
    int64_t seconds = timegm(tm), new;

    if (seconds > MOST_SECONDS || seconds < -MOST_SECONDS)
        seconds = seconds < 0 ? -MOST_SECONDS : MOST_SECONDS;
    new = seconds * (int64_t)NS_PER_SEC + in_second;
    if (stands(rtc))
        rtc->frozen_ns = new;
    else
        rtc->offset_ns += new - old;
    rtc->seen_ns = new;
}

static void time_write(struct mc146818 *rtc, uint8_t index, uint8_t value)
{
    unsigned n = from_format(rtc, value);
    struct tm tm = *calendar(rtc, time_ns(rtc));

    switch (index) {
    case REG_SECONDS: tm.tm_sec = n; break;
    case REG_MINUTES: tm.tm_min = n; break;
    case REG_HOURS: tm.tm_hour = unpack_hours(rtc, value); break;
    case REG_WEEKDAY: rtc->weekday = (n + 6 + 7 - tm.tm_wday) % 7; return;
    case REG_DAY: tm.tm_mday = n; break;
    case REG_MONTH: tm.tm_mon = (int)n - 1; break;
    case REG_YEAR: tm.tm_year = (tm.tm_year + 1900) / 100 * 100 + (int)n - 1900; break;
    default: tm.tm_year = (tm.tm_year + 1900) % 100 + (int)n * 100 - 1900; break;
    }
    time_set(rtc, &tm);
}

/* --- Behaviour: flags --------------------------------------------------- */

static bool alarm_matches(const struct mc146818 *rtc, uint8_t index, unsigned now)
{
    uint8_t value = rtc->reg[index];

    if ((value & ALARM_ANY) == ALARM_ANY)
        return true;
    return now == (index == REG_HOURS_ALARM ? unpack_hours(rtc, value) : from_format(rtc, value));
}

/* The first second after seconds at which the alarm goes off, or -1: it never does. */
static int64_t next_alarm(const struct mc146818 *rtc, int64_t seconds)
{
    int64_t at = seconds + 1, end = at + SECS_PER_DAY;

    while (at < end) {
        unsigned of_day = (unsigned)(at - floor_div(at, SECS_PER_DAY) * SECS_PER_DAY);

        if (!alarm_matches(rtc, REG_HOURS_ALARM, of_day / 3600))
            at += 3600 - of_day % 3600;
        else if (!alarm_matches(rtc, REG_MINUTES_ALARM, of_day / 60 % 60))
            at += 60 - of_day % 60;
        else if (!alarm_matches(rtc, REG_SECONDS_ALARM, of_day % 60))
            at++;
        else
            return at;
    }
    return -1;
}

/* Periodic ticks are those of the 32768 Hz divider, so 2 to the shift of them; 0: off. */
static unsigned period_shift(const struct mc146818 *rtc)
{
    unsigned rate = rtc->reg[REG_A] & A_RATE;

    if ((rtc->reg[REG_A] & A_RESET) == A_RESET || !rate)
        return 0;
    return rate <= 2 ? rate + 6 : rate - 1; /* the sheet's table starts over at 256 Hz */
}

static uint64_t divider_tick(uint64_t ns)
{
    return ns / NS_PER_SEC * 32768 + ns % NS_PER_SEC * 32768 / NS_PER_SEC;
}

static uint64_t divider_ns(uint64_t tick)
{
    return tick / 32768 * NS_PER_SEC + (tick % 32768 * NS_PER_SEC + 32767) / 32768;
}

static void update_irq(struct mc146818 *rtc)
{
    bool on = rtc->reg[REG_B] & rtc->reg[REG_C] & B_ENABLES;

    rtc->reg[REG_C] = (rtc->reg[REG_C] & ~C_IRQF) | (on ? C_IRQF : 0);
    irq_set(&rtc->config.irq, on);
}

/* Brings UF, AF and PF up to now. */
static void look(struct mc146818 *rtc)
{
    uint64_t tick = divider_tick(clock_now_ns(rtc->config.clock));
    unsigned shift = period_shift(rtc);
    int64_t now = time_ns(rtc), alarm;

    if (shift && tick >> shift != rtc->seen_tick >> shift)
        rtc->reg[REG_C] |= C_PF;
    rtc->seen_tick = tick;
    if (!stands(rtc) && seconds_of(now) > seconds_of(rtc->seen_ns)) {
        alarm = next_alarm(rtc, seconds_of(rtc->seen_ns));
        rtc->reg[REG_C] |= C_UF | (alarm >= 0 && alarm <= seconds_of(now) ? C_AF : 0);
    }
    rtc->seen_ns = now;
}

/* The host's timer at the next event whose interrupt is enabled and not pending yet. */
static void arm(struct mc146818 *rtc)
{
    uint8_t wanted = rtc->reg[REG_B] & ~rtc->reg[REG_C];
    uint64_t now = clock_now_ns(rtc->config.clock), due = CLOCK_NEVER;
    unsigned shift = period_shift(rtc);
    int64_t ours = time_ns(rtc), second = -1;

    if (wanted & C_UF)
        second = seconds_of(ours) + 1;
    else if (wanted & C_AF)
        second = next_alarm(rtc, seconds_of(ours));
    if (second >= 0 && !stands(rtc))
        due = now + (second * (int64_t)NS_PER_SEC - ours);
    if (wanted & C_PF && shift) {
        uint64_t next = divider_ns(((rtc->seen_tick >> shift) + 1) << shift);

        due = next < due ? next : due;
    }
    if (due == CLOCK_NEVER)
        timer_cancel(&rtc->timer);
    else
        timer_arm(&rtc->timer, rtc->config.clock, due);
}

static void update(struct mc146818 *rtc)
{
    look(rtc);
    update_irq(rtc);
    arm(rtc);
}

static void timer_fire(void *dev)
{
    update(dev);
}

/* --- Registers' reads and writes ---------------------------------------- */

static bool is_time(uint8_t index)
{
    return (index < REG_A && (index >= REG_WEEKDAY || !(index & 1))) || index == MC146818_CENTURY;
}

static uint8_t a_read(struct mc146818 *rtc)
{
    int64_t now = time_ns(rtc), left = (seconds_of(now) + 1) * (int64_t)NS_PER_SEC - now;

    return (rtc->reg[REG_A] & ~A_UIP) | (!stands(rtc) && left <= UPDATE_NS ? A_UIP : 0);
}

/* Reading acknowledges. */
static uint8_t c_read(struct mc146818 *rtc)
{
    uint8_t value;

    look(rtc);
    update_irq(rtc);
    value = rtc->reg[REG_C];
    rtc->reg[REG_C] = 0;
    update_irq(rtc);
    arm(rtc);
    return value;
}

static uint8_t reg_read(struct mc146818 *rtc, uint8_t index)
{
    if (is_time(index))
        return time_read(rtc, index);
    switch (index) {
    case REG_A: return a_read(rtc);
    case REG_C: return c_read(rtc);
    default: return rtc->reg[index];
    }
}

/* SET freezes the time and lets it run on from there; out of the divider's reset it does so half a
 * second before the next update, so that a guest can set the time exactly. */
static void control_write(struct mc146818 *rtc, uint8_t index, uint8_t value)
{
    bool stood = stands(rtc), was_reset = (rtc->reg[REG_A] & A_RESET) == A_RESET;
    int64_t now = time_ns(rtc);

    rtc->reg[index] = index == REG_A ? value & ~A_UIP : value;
    if (index == REG_B && value & B_SET)
        rtc->reg[REG_B] &= ~B_UIE; /* the sheet: SET clears UIE */
    if (was_reset && (rtc->reg[REG_A] & A_RESET) != A_RESET)
        now = seconds_of(now) * (int64_t)NS_PER_SEC + (int64_t)DIVIDER_NS;
    if (stands(rtc))
        rtc->frozen_ns = now;
    else if (stood)
        rtc->offset_ns = now - host_ns(rtc);
    if (stood)
        rtc->seen_ns = now;
}

static void reg_write(struct mc146818 *rtc, uint8_t index, uint8_t value)
{
    if (index == REG_C || index == REG_D)
        return; /* read-only */
    if (index <= REG_B || index == MC146818_CENTURY)
        look(rtc); /* under the old settings */
    if (is_time(index))
        time_write(rtc, index, value);
    else if (index == REG_A || index == REG_B)
        control_write(rtc, index, value);
    else
        rtc->reg[index] = value;
    if (index <= REG_B || index == MC146818_CENTURY)
        update(rtc);
}

/* --- Ports -------------------------------------------------------------- */

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
    struct mc146818 *rtc = dev;

    (void)size;
    return offset == PORT_DATA ? reg_read(rtc, rtc->index) : 0xff;
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct mc146818 *rtc = dev;

    (void)size;
    if (offset == PORT_INDEX)
        rtc->index = value % REG_COUNT; /* bit 7 masks NMI: nothing here raises one */
    else
        reg_write(rtc, rtc->index, value);
}

static const struct bus_ops port_ops = {
    .read = port_read,
    .write = port_write,
    .max_size = 1,
    .name = "mc146818",
};

/* --- Life --------------------------------------------------------------- */

/* The battery keeps time and RAM: reset only silences interrupts. */
void mc146818_reset(struct mc146818 *rtc)
{
    look(rtc);
    rtc->reg[REG_B] &= ~B_ENABLES;
    rtc->reg[REG_C] = 0;
    rtc->index = 0;
    update(rtc);
}

void mc146818_snapshot(struct mc146818 *rtc, struct snap *snap)
{
    snap_bytes(snap, &rtc->offset_ns, sizeof(rtc->offset_ns));
    snap_bytes(snap, &rtc->frozen_ns, sizeof(rtc->frozen_ns));
    snap_bytes(snap, &rtc->seen_ns, sizeof(rtc->seen_ns));
    snap_bytes(snap, &rtc->seen_tick, sizeof(rtc->seen_tick));
    snap_u8(snap, &rtc->weekday);
    snap_u8(snap, &rtc->index);
    snap_bytes(snap, rtc->reg, sizeof(rtc->reg));
    rtc->index %= REG_COUNT;
    if (snap->loading)
        update(rtc);
}

void mc146818_set_ram(struct mc146818 *rtc, uint8_t index, uint8_t value)
{
    rtc->reg[index % REG_COUNT] = value;
}

uint8_t mc146818_ram(const struct mc146818 *rtc, uint8_t index)
{
    return rtc->reg[index % REG_COUNT];
}

struct mc146818 *mc146818_create(const struct mc146818_config *config)
{
    struct mc146818 *rtc = calloc(1, sizeof(*rtc));
    int err;

    if (!rtc)
        return NULL;
    rtc->config = *config;
    rtc->timer.fire = timer_fire;
    rtc->timer.arg = rtc;
    rtc->reg[REG_A] = A_32KHZ | 6;
    rtc->reg[REG_B] = B_24H;
    rtc->reg[REG_D] = D_VRT;
    rtc->seen_ns = time_ns(rtc);
    rtc->seen_tick = divider_tick(clock_now_ns(config->clock));
    err = bus_claim(config->ports, config->base, PORT_COUNT, &port_ops, rtc);
    if (err) {
        free(rtc);
        errno = -err;
        return NULL;
    }
    return rtc;
}

void mc146818_destroy(struct mc146818 *rtc)
{
    timer_cancel(&rtc->timer);
    free(rtc);
}
