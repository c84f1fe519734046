/*
 * Interrupts and the clocks: each clock's rate against the others, HLT's wake-ups, the PICs' masks,
 * priorities and spurious interrupts, the serial line's interrupt. "strict" on the command line
 * wants the rates within 0.1 %, which takes an idle host; otherwise 5 %: a wrong divisor shows,
 * load does not. "quick" measures for a shorter time. "ticks=SECONDS" only compares the ticks that
 * came with those that were due by the PM timer, which holds on a busy host too.
 *
 * Reference: Intel 8254, 8259A and National PC16550D data sheets; Motorola MC146818A data sheet;
 *            ACPI 6.3, section 4.8.3.3 (the PM timer).
 */
#include "guests/lib/boot.h"
#include "guests/lib/check.h"
#include "guests/lib/console.h"
#include "guests/lib/time.h"
#include "guests/lib/trap.h"

enum { PIT_DIVISOR = 11932, PM_HZ = 3579545 };
enum { RTC_INDEX = 0x70, RTC_DATA = 0x71, RTC_A = 10, RTC_B = 11, RTC_C = 12, RTC_PIE = 0x40 };
enum { RTC_RATE_64 = 10, RTC_HZ = 32768, RTC_PERIOD = 512 }; /* 64 interrupts a second */

static volatile uint32_t pit_ticks, rtc_ticks, serial_interrupts, spurious;
static volatile uint64_t pit_at, rtc_at;

static uint8_t rtc_read(uint8_t index)
{
    outb(RTC_INDEX, index);
    return inb(RTC_DATA);
}

static void rtc_write(uint8_t index, uint8_t value)
{
    outb(RTC_INDEX, index);
    outb(RTC_DATA, value);
}

/* --- Handlers ----------------------------------------------------------- */

static void on_pit(struct frame *f)
{
    (void)f;
    pit_ticks++;
    pit_at = rdtsc();
    trap_irq_end(0);
}

static void on_rtc(struct frame *f)
{
    (void)f;
    rtc_ticks++;
    rtc_at = rdtsc();
    rtc_read(RTC_C);
    trap_irq_end(8);
}

static void on_serial(struct frame *f)
{
    (void)f;
    serial_interrupts++;
    inb(CONSOLE_PORT + 2); /* reading the cause ends "transmitter empty" */
    trap_irq_end(CONSOLE_IRQ);
}

/* IRQ 7 without a request: no end of interrupt is sent. */
static void on_irq7(struct frame *f)
{
    (void)f;
    outb(0x20, 0x0b); /* OCW3: read the in-service register */
    if (!(inb(0x20) & 0x80))
        spurious++;
    else
        trap_irq_end(7);
}

/* --- Rates -------------------------------------------------------------- */

/* a * scale / b, about */
static uint64_t ratio(uint64_t a, uint32_t scale, uint64_t b)
{
    while (b >> 31) {
        a >>= 1;
        b >>= 1;
    }
    while (a > ~0ull / scale) {
        a >>= 1;
        b >>= 1;
    }
    a *= scale;
    if (b)
        divide(&a, b);
    return a;
}

/* Parts per million that a is above or below b. */
static uint32_t ppm(uint64_t a, uint64_t b)
{
    return ratio(a > b ? a - b : b - a, 1000000, b);
}

static uint32_t pm_read(uint16_t port)
{
    return inl(port) & 0xffffff;
}

/* TSC frequency by the PM timer, which has 24 bits and so is read often. */
static uint64_t measure_pm(uint16_t port, uint32_t ticks)
{
    uint64_t start = rdtsc(); /* before, so that a busy host can only make it more */
    uint32_t last = pm_read(port), passed = 0;

    while (passed < ticks) {
        uint32_t now = pm_read(port);

        passed += (now - last) & 0xffffff;
        last = now;
    }
    return ratio(rdtsc() - start, PM_HZ, passed);
}

/* Has the host kept the guest from running for so long that the PM timer may have wrapped? It has
 * 24 bits, 4.7 s. By the TSC before and behind all that was read of it. */
static bool stood_still(uint64_t since, uint64_t now)
{
    static uint64_t hz;

    for (unsigned i = 0; i < 8 && (i || !hz); i++) {
        uint64_t measured = measure_pm(boot_pm_timer(), PM_HZ / 100);

        hz = hz && hz < measured ? hz : measured;
    }
    return now - since > 4 * hz;
}

/* TSC ticks between two interrupts n apart, sleeping. */
static uint64_t measure_interrupts(volatile uint32_t *count, volatile uint64_t *at, uint32_t n)
{
    uint32_t first;
    uint64_t start;

    for (first = *count; *count == first;)
        sti_hlt();
    cli();
    start = *at;
    first = *count;
    while (*count - first < n)
        sti_hlt();
    cli();
    return *at - start;
}

static uint64_t measure_pit(uint32_t interrupts)
{
    uint64_t ticks;

    trap_irq_mask(0xffff & ~1);
    time_start_ticks(PIT_DIVISOR);
    ticks = measure_interrupts(&pit_ticks, &pit_at, interrupts);
    trap_irq_mask(0xffff);
    return ratio(ticks, TIME_PIT_HZ, interrupts * PIT_DIVISOR);
}

static uint64_t measure_rtc(uint32_t interrupts)
{
    uint64_t ticks;

    trap_irq_mask(0xffff & ~(1 << 2 | 1 << 8));
    rtc_write(RTC_A, (rtc_read(RTC_A) & 0xf0) | RTC_RATE_64);
    rtc_write(RTC_B, rtc_read(RTC_B) | RTC_PIE);
    rtc_read(RTC_C);
    ticks = measure_interrupts(&rtc_ticks, &rtc_at, interrupts);
    rtc_write(RTC_B, rtc_read(RTC_B) & ~RTC_PIE);
    trap_irq_mask(0xffff);
    return ratio(ticks, RTC_HZ, interrupts * RTC_PERIOD);
}

enum { ATTEMPTS = 40, LONG_ATTEMPTS = 10 };

/* The TSC's frequency by each clock, measured for tenths of a second. The host may be busy at the
 * wrong moment, and the RTC loses interrupts then: the best of some attempts counts, and where they
 * need not be exact the later ones are short. */
static void check_rates(uint32_t tenths, uint32_t allowed_ppm)
{
    uint16_t port = boot_pm_timer();
    uint32_t off = ~0u, pm_off = 0;

    check_begin("rates");
    for (unsigned i = 0; i < ATTEMPTS && (off > allowed_ppm || pm_off > allowed_ppm); i++) {
        bool brief = i >= LONG_ATTEMPTS && allowed_ppm > 10000;
        uint32_t part = brief ? 1 : tenths;
        uint64_t pit = measure_pit(part * 10), rtc = measure_rtc(part * 6);
        uint64_t pm = port ? measure_pm(port, PM_HZ / 10 * part) : pit;

        print("  TSC Hz by PIT %llu, by RTC %llu, by PM timer %llu\n", pit, rtc, pm);
        off = ppm(pit, rtc);
        pm_off = ppm(pit, pm);
    }
    check_that(off <= allowed_ppm, "PIT and RTC: %u ppm", off);
    check_that(pm_off <= allowed_ppm, "PIT and PM timer: %u ppm", pm_off);
    check_end();
}

enum { PM_PER_TICK = 3 * PIT_DIVISOR, CATCH_UP = 20 * PM_HZ }; /* the PM timer is 3 times as fast */

struct ticks {
    uint32_t came, due, most; /* most: ever behind */
};

/* Starts the ticks, with interrupts off; the PM timer then, as exactly as that is no matter. */
static uint32_t start_ticks(uint16_t port)
{
    uint32_t before, after;

    cli();
    do {
        before = pm_read(port);
        time_start_ticks(PIT_DIVISOR);
        after = pm_read(port);
    } while (((after - before) & 0xffffff) > PM_PER_TICK / 4);
    return after;
}

/* False: the guest has stood still too long for anything to be said. */
static bool count_ticks(uint16_t port, uint32_t seconds, struct ticks *t)
{
    uint64_t passed = 0, end = (uint64_t)seconds * PM_HZ, seen = rdtsc();
    uint32_t last = start_ticks(port), first = pit_ticks;

    *t = (struct ticks){ 0 };
    sti();
    while (passed < end || (t->came < t->due && passed < end + CATCH_UP)) {
        uint64_t ticks, last_seen = seen;
        uint32_t now;

        t->came = pit_ticks - first; /* before the time is read: what comes meanwhile was due */
        now = pm_read(port);
        seen = rdtsc();
        if (stood_still(last_seen, seen))
            return false;
        passed += (now - last) & 0xffffff;
        last = now;
        ticks = passed;
        divide(&ticks, PM_PER_TICK);
        t->due = ticks;
        if (t->due > t->came && t->due - t->came > t->most)
            t->most = t->due - t->came;
    }
    return true;
}

/* Every tick is delivered, if late: at some time as many have come as were due. */
static void check_ticks(uint32_t seconds)
{
    struct ticks t;

    check_begin("ticks");
    trap_irq_mask(0xfffe);
    for (unsigned i = 0; i < ATTEMPTS && !count_ticks(boot_pm_timer(), seconds, &t); i++)
        ;
    cli();
    trap_irq_mask(0xffff);
    print("  %u ticks came, %u were due; at most %u behind\n", t.came, t.due, t.most);
    check_that(t.came + 1 >= t.due && t.came <= t.due + 1, "%u ticks came, %u were due", t.came,
               t.due);
    check_end();
}

/* The PIT's counter, and the PM timer before and after it was read; began and ended: the TSC. */
struct reading {
    uint64_t began, ended;
    uint32_t before, after, count;
};

static struct reading read_counter(uint16_t port)
{
    struct reading r = { .began = rdtsc(), .before = pm_read(port) };

    outb(0x43, 0); /* latch channel 0 */
    r.count = inb(0x40);
    r.count |= inb(0x40) << 8;
    r.after = pm_read(port);
    r.ended = rdtsc();
    return r;
}

/* PIT ticks from one reading of the PM timer to another; as exact as the readings. */
static uint32_t pit_passed(uint32_t from, uint32_t to)
{
    return ((to - from) & 0xffffff) / 3;
}

/* Has the counter moved as the PM timer has? *exact: both were read in a small part of a period. */
static bool moved_well(struct reading a, struct reading b, bool *exact)
{
    uint32_t least = pit_passed(a.after, b.before), most = pit_passed(a.before, b.after) + 2;
    uint32_t moved = (a.count + PIT_DIVISOR - b.count) % PIT_DIVISOR;

    *exact = most - least < PIT_DIVISOR / 4 && !stood_still(a.began, b.ended);
    return (moved + 1 + PIT_DIVISOR - least % PIT_DIVISOR) % PIT_DIVISOR <= most - least + 2;
}

/* It counts down within one period, again and again, and as fast as the PM timer says; readings
 * between which a busy host left the guest alone tell nothing. */
static void counter_reads(void)
{
    uint16_t port = boot_pm_timer();
    uint32_t wraps = 0, above = 0, wrong = 0, good = 0;
    struct reading last;

    check_begin("counter");
    time_start_ticks(PIT_DIVISOR);
    last = read_counter(port);
    for (uint32_t passed = 0; (wraps < 10 || good < 100) && passed < CATCH_UP;) {
        struct reading now = read_counter(port);
        bool exact, well = moved_well(last, now, &exact);

        above += now.count > PIT_DIVISOR;
        wraps += now.count > last.count;
        good += exact && well;
        wrong += exact && !well;
        passed += (now.after - last.after) & 0xffffff;
        last = now;
    }
    check_equal("values above the divisor", above, 0);
    check_equal("not where the PM timer is", wrong, 0);
    check_that(wraps >= 10 && good >= 100, "%u periods, %u good readings", wraps, good);
    check_end();
}

/* --- Controllers -------------------------------------------------------- */

static void hlt_wakes(void)
{
    uint32_t before = pit_ticks;

    check_begin("hlt");
    trap_irq_mask(0xfffe);
    time_start_ticks(PIT_DIVISOR);
    for (unsigned i = 0; i < 20; i++)
        sti_hlt();
    cli();
    trap_irq_mask(0xffff);
    check_that(pit_ticks - before >= 20, "%u ticks in 20 sleeps", pit_ticks - before);
    check_end();
}

/* Until *count has got so far, for some seconds at most. */
static bool wait_until(volatile uint32_t *count, uint32_t wanted)
{
    for (unsigned i = 0; i < 10000 && *count < wanted; i++)
        time_wait_us(1000);
    return *count >= wanted;
}

/* While a mask or IF kept them off ticks were due, and a busy host may add some: never more come
 * than the PM timer has seen. */
static void masks(void)
{
    uint16_t port = boot_pm_timer();
    uint32_t before, start, came, due;
    uint64_t began;

    check_begin("masks");
    time_start_ticks(PIT_DIVISOR);
    began = rdtsc();
    start = pm_read(port);
    trap_irq_mask(0xffff);
    sti();
    before = pit_ticks;
    time_wait_us(50000);
    check_equal("masked", pit_ticks - before, 0);
    cli();
    trap_irq_mask(0xfffe);
    time_wait_us(50000);
    check_equal("IF clear", pit_ticks - before, 0);
    sti();
    check_that(wait_until(&pit_ticks, before + 1), "none after sti");
    came = pit_ticks - before;
    due = pit_passed(start, pm_read(port)) / PIT_DIVISOR + 1;
    check_that(came <= due || stood_still(began, rdtsc()), "%u after sti, %u were due", came, due);
    check_that(wait_until(&pit_ticks, before + 9), "%u in all", pit_ticks - before);
    cli();
    trap_irq_mask(0xffff);
    check_equal("mask as read", inb(0x21), 0xff);
    check_end();
}

/* A request that is taken back before it is acknowledged is IRQ 7: raise the serial line's
 * transmitter interrupt and switch it off again, with interrupts off. */
static void spurious_interrupt(void)
{
    check_begin("spurious");
    trap_set(TRAP_IRQ + 7, on_irq7);
    trap_irq_mask(0xffff & ~(1 << CONSOLE_IRQ | 1 << 7));
    outb(CONSOLE_PORT + 1, 2);
    outb(CONSOLE_PORT + 1, 0);
    sti();
    time_wait_us(1000);
    cli();
    trap_irq_mask(0xffff);
    check_that(spurious + serial_interrupts <= 1, "%u spurious, %u serial", spurious,
               serial_interrupts);
    check_end();
}

static void serial_interrupt(void)
{
    uint32_t before = serial_interrupts;

    check_begin("serial");
    trap_irq_mask(0xffff & ~(1 << CONSOLE_IRQ));
    sti();
    outb(CONSOLE_PORT + 1, 2); /* the transmitter is empty: interrupts at once */
    for (unsigned i = 1; i <= 8; i++) {
        check_that(wait_until(&serial_interrupts, before + i), "none for character %u", i);
        outb(CONSOLE_PORT, '.');
    }
    wait_until(&serial_interrupts, before + 9);
    time_wait_us(5000);
    outb(CONSOLE_PORT + 1, 0);
    cli();
    trap_irq_mask(0xffff);
    print("\n");
    check_equal("one for each character", serial_interrupts - before, 9);
    check_end();
}

/* Both at once: IRQ 0 goes first, and IRQ 8 waits until IRQ 0's end of interrupt; ticks that are
 * owed may come before it. */
static volatile uint32_t order[64], ordered, rtc_noted;

static void note_pit(struct frame *f)
{
    if (ordered < ARRAY_SIZE(order))
        order[ordered++] = 0;
    on_pit(f);
}

static void note_rtc(struct frame *f)
{
    if (ordered < ARRAY_SIZE(order))
        order[ordered++] = 8;
    rtc_noted++;
    on_rtc(f);
}

/* Both requests are at the PICs; else some seconds have passed. */
static bool wait_for_both(void)
{
    for (unsigned i = 0; i < 10000; i++) {
        outb(0x20, 0x0a); /* OCW3: read the request registers */
        outb(0xa0, 0x0a);
        if (inb(0x20) & inb(0xa0) & 1)
            return true;
        time_wait_us(1000);
    }
    return false;
}

static void priorities(void)
{
    check_begin("priorities");
    trap_set(TRAP_IRQ, note_pit);
    trap_set(TRAP_IRQ_SLAVE, note_rtc);
    trap_irq_mask(0xffff & ~(1 | 1 << 2 | 1 << 8));
    rtc_write(RTC_B, rtc_read(RTC_B) | RTC_PIE);
    rtc_read(RTC_C);
    time_start_ticks(PIT_DIVISOR);
    check_that(wait_for_both(), "no requests");
    sti();
    check_that(wait_until(&rtc_noted, 1), "IRQ 8 did not come");
    cli();
    rtc_write(RTC_B, rtc_read(RTC_B) & ~RTC_PIE);
    rtc_read(RTC_C);
    trap_irq_mask(0xffff);
    check_that(ordered >= 2, "%u interrupts", ordered);
    check_equal("first", order[0], 0);
    trap_set(TRAP_IRQ, on_pit);
    trap_set(TRAP_IRQ_SLAVE, on_rtc);
    check_end();
}

/* The end of PIT's mode 0 is one interrupt, not more. */
static void one_shot(void)
{
    uint32_t before = pit_ticks;

    check_begin("one-shot");
    outb(0x43, 0x30); /* channel 0, both bytes, mode 0 */
    outb(0x40, 0x00);
    outb(0x40, 0x10);
    trap_irq_mask(0xfffe);
    sti();
    wait_until(&pit_ticks, before + 1); /* the host's timer may be late */
    time_wait_us(50000);
    cli();
    trap_irq_mask(0xffff);
    check_equal("interrupts", pit_ticks - before, 1);
    check_end();
}

unsigned guest_main(void)
{
    bool quick = boot_option("quick", NULL);
    uint32_t seconds = 0;

    trap_set(TRAP_IRQ, on_pit);
    trap_set(TRAP_IRQ_SLAVE, on_rtc);
    trap_set(TRAP_IRQ + CONSOLE_IRQ, on_serial);
    if (boot_option("ticks", &seconds)) {
        check_ticks(seconds);
        return check_done();
    }
    hlt_wakes();
    masks();
    counter_reads();
    spurious_interrupt();
    serial_interrupt();
    priorities();
    one_shot();
    check_rates(quick ? 5 : 40, boot_option("strict", NULL) ? 1000 : 50000);
    return check_done();
}
