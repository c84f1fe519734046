/* Local APIC, I/O APIC and HPET, wired as on the board. */
#include "devices/lapic.h"

#include <stdlib.h>

#include "base/clock.h"
#include "devices/hpet.h"
#include "devices/ioapic.h"
#include "tests/unit/chip.h"

enum {
    TPR = 0x80, PPR = 0xa0, EOI = 0xb0, LDR = 0xd0, DFR = 0xe0, SVR = 0xf0, ISR = 0x100,
    TMR = 0x180, IRR = 0x200, ESR = 0x280, ICR = 0x300, ICR_HIGH = 0x310, LVT_TIMER = 0x320,
    LINT0 = 0x350, LVT_ERROR = 0x370, INITIAL = 0x380, CURRENT = 0x390, DIVIDE = 0x3e0,
};

static struct bus *memory;
static struct clock the_clock;
static struct lapic *lapic;
static struct ioapic *ioapic;
static struct hpet *hpet;
static struct irq extint;
static struct pin intr, irq0, irq8;
static unsigned nmis, taken;
static bool replaced;

static void on_nmi(void *arg)
{
    (void)arg;
    nmis++;
}

static void on_eoi(void *arg, uint8_t vector)
{
    (void)arg;
    ioapic_eoi(ioapic, vector);
}

static void on_taken(void *arg, uint8_t vector)
{
    (void)arg;
    taken = vector;
}

static bool on_message(void *arg, uint8_t to, bool logical, unsigned mode, uint8_t vector,
                       bool level)
{
    (void)arg;
    return lapic_message(lapic, to, logical, mode, vector, level);
}

static void on_replaces(void *arg, bool on)
{
    (void)arg;
    replaced = on;
}

static uint32_t rd(unsigned reg)
{
    return (uint32_t)bus_read(memory, LAPIC_BASE + reg, 4);
}

static void wr(unsigned reg, uint32_t value)
{
    bus_write(memory, LAPIC_BASE + reg, 4, value);
}

static uint32_t io_rd(unsigned reg)
{
    bus_write(memory, IOAPIC_BASE, 4, reg);
    return (uint32_t)bus_read(memory, IOAPIC_BASE + 0x10, 4);
}

static void io_wr(unsigned reg, uint32_t value)
{
    bus_write(memory, IOAPIC_BASE, 4, reg);
    bus_write(memory, IOAPIC_BASE + 0x10, 4, value);
}

static void pin(unsigned n, bool level)
{
    struct irq irq = ioapic_irq(ioapic, n);

    irq_set(&irq, level);
}

static void begin(void)
{
    struct hpet_config config = { .clock = &the_clock, .irq0 = pin_irq(&irq0),
                                  .irq8 = pin_irq(&irq8), .replaces = on_replaces };

    the_clock = (struct clock){ 0 };
    intr = irq0 = irq8 = (struct pin){ 0 };
    nmis = taken = 0;
    config.memory = memory = bus_create();
    lapic = lapic_create(&(struct lapic_config){ memory, &the_clock, pin_irq(&intr), on_nmi,
                                                 on_eoi, on_taken, NULL });
    ioapic = ioapic_create(&(struct ioapic_config){ memory, on_message, NULL });
    for (unsigned i = 0; i < HPET_PINS; i++)
        config.pin[i] = ioapic_irq(ioapic, i);
    hpet = hpet_create(&config);
    extint = lapic_lint0(lapic);
}

static void end(void)
{
    hpet_destroy(hpet);
    ioapic_destroy(ioapic);
    lapic_destroy(lapic);
    bus_destroy(memory);
}

static void after_reset(void)
{
    begin();
    CHECK_EQ(rd(SVR), 0xff);
    CHECK_EQ(rd(0x30), 0x50014);
    CHECK_EQ(rd(LVT_TIMER), 0x10000);
    CHECK_EQ(rd(DFR), 0xffffffff);
    irq_set(&extint, true); /* the 8259s come through */
    CHECK_EQ(intr.level, 1);
    CHECK_EQ(lapic_ack(lapic), LAPIC_8259);
    irq_set(&extint, false);
    CHECK_EQ(intr.level, 0);
    CHECK_EQ(lapic_ack(lapic), LAPIC_NOTHING);
    lapic_message(lapic, 0, false, LAPIC_FIXED, 0x40, false); /* not while it is disabled */
    CHECK_EQ(intr.level, 0);
    wr(SVR, 0x1ff);
    wr(LINT0, 0x10700);
    irq_set(&extint, true);
    CHECK_EQ(intr.level, 0); /* masked */
    lapic_set_base(lapic, LAPIC_BASE);
    CHECK_EQ(intr.level, 1); /* as if there were none */
    CHECK_EQ(rd(SVR), 0xffffffff);
    wr(0x20, 0x03000000); /* nobody is there */
    lapic_set_base(lapic, LAPIC_BASE | LAPIC_ENABLED);
    CHECK_EQ(rd(SVR), 0xff); /* as after reset */
    CHECK_EQ(rd(LINT0), 0x700);
    wr(0x20, 0x03000000);
    lapic_set_base(lapic, LAPIC_BASE);
    lapic_set_base(lapic, LAPIC_BASE | LAPIC_ENABLED);
    CHECK_EQ(rd(0x20), 0);
    end();
}

/* SDM 3, 10.4.5. */
static void moved(void)
{
    const uint32_t elsewhere = 0xfed40000;

    begin();
    wr(SVR, 0x1ff);
    lapic_set_base(lapic, elsewhere | LAPIC_ENABLED);
    CHECK_EQ(rd(SVR), 0xffffffff);
    CHECK_EQ(bus_read(memory, elsewhere + SVR, 4), 0x1ff); /* it was enabled all the time */
    lapic_set_base(lapic, IOAPIC_BASE | LAPIC_ENABLED); /* the page is taken */;
    CHECK_EQ(bus_read(memory, elsewhere + SVR, 4), 0xffffffff);
    lapic_set_base(lapic, elsewhere | LAPIC_ENABLED);
    CHECK_EQ(bus_read(memory, elsewhere + SVR, 4), 0x1ff);
    lapic_reset(lapic);
    CHECK_EQ(rd(SVR), 0xff);
    end();
}

static void priorities(void)
{
    begin();
    wr(SVR, 0x1ff);
    lapic_message(lapic, 0, false, LAPIC_FIXED, 0x41, false);
    lapic_message(lapic, 0xff, false, LAPIC_FIXED, 0x52, false);
    lapic_message(lapic, 1, false, LAPIC_FIXED, 0x60, false); /* somebody else's */
    CHECK_EQ(rd(IRR + 0x20), 1u << 18 | 1u << 1);
    CHECK_EQ(lapic_ack(lapic), 0x52);
    CHECK_EQ(taken, 0x52);
    CHECK_EQ(rd(PPR), 0x50);
    CHECK_EQ(rd(ISR + 0x20), 1u << 18);
    CHECK_EQ(intr.level, 0);
    lapic_message(lapic, 0, false, LAPIC_FIXED, 0x5f, false); /* of the same class: waits */
    CHECK_EQ(intr.level, 0);
    lapic_message(lapic, 0, false, LAPIC_FIXED, 0x60, false);
    CHECK_EQ(lapic_ack(lapic), 0x60);
    wr(EOI, 0);
    CHECK_EQ(rd(PPR), 0x50);
    wr(EOI, 0);
    CHECK_EQ(lapic_ack(lapic), 0x5f);
    wr(EOI, 0);
    wr(TPR, 0x40);
    CHECK_EQ(intr.level, 0); /* 0x41 is not above it */
    wr(TPR, 0x3f);
    CHECK_EQ(lapic_ack(lapic), 0x41);
    end();
}

static void commands(void)
{
    begin();
    wr(SVR, 0x1ff);
    wr(ICR, 0x40000 | 0x45); /* self */
    CHECK_EQ(lapic_ack(lapic), 0x45);
    wr(EOI, 0);
    wr(ICR_HIGH, 0x02000000);
    wr(ICR, 0x46); /* nobody is number 2 */
    CHECK_EQ(intr.level, 0);
    wr(LDR, 0x02000000);
    wr(ICR, 0x800 | 0x46); /* logical, flat */
    CHECK_EQ(lapic_ack(lapic), 0x46);
    wr(EOI, 0);
    wr(DFR, 0x0fffffff); /* clusters: 0, member 2 */
    wr(ICR_HIGH, 0x12000000);
    wr(ICR, 0x800 | 0x46);
    CHECK_EQ(intr.level, 0);
    wr(ICR_HIGH, 0x06000000);
    wr(ICR, 0x800 | 0x46);
    CHECK_EQ(lapic_ack(lapic), 0x46);
    wr(EOI, 0);
    wr(ICR, 0x80000 | 0x400); /* NMI to all */
    CHECK_EQ(nmis, 1);
    wr(ICR, 0xc0000 | 0x47); /* all but self */
    CHECK_EQ(intr.level, 0);
    wr(LVT_ERROR, 0x77);
    wr(ICR, 0x40000 | 0x0f); /* an illegal vector */
    CHECK_EQ(lapic_ack(lapic), 0x77);
    CHECK_EQ(rd(ESR), 0);
    wr(ESR, 0);
    CHECK_EQ(rd(ESR), 0x20);
    wr(ESR, 0);
    CHECK_EQ(rd(ESR), 0);
    end();
}

static void timer(void)
{
    begin();
    wr(SVR, 0x1ff);
    wr(DIVIDE, 3); /* by 16 */
    wr(LVT_TIMER, 0x50);
    wr(INITIAL, 1000);
    clock_advance(&the_clock, 8000);
    CHECK_EQ(rd(CURRENT), 500);
    CHECK_EQ(intr.level, 0);
    clock_advance(&the_clock, 8000);
    CHECK_EQ(lapic_ack(lapic), 0x50);
    CHECK_EQ(rd(CURRENT), 0);
    wr(EOI, 0);
    clock_advance(&the_clock, 100000);
    CHECK_EQ(intr.level, 0); /* once */
    wr(LVT_TIMER, 0x20050);
    wr(DIVIDE, 0xb);
    wr(INITIAL, 50000);
    for (unsigned i = 0; i < 10; i++) {
        clock_advance(&the_clock, 50000);
        CHECK_EQ(lapic_ack(lapic), 0x50);
        wr(EOI, 0);
    }
    wr(LVT_TIMER, 0x30050); /* masked: it counts on */
    clock_advance(&the_clock, 125000);
    CHECK_EQ(intr.level, 0);
    CHECK_EQ(rd(CURRENT), 25000);
    wr(INITIAL, 0);
    CHECK_EQ(rd(CURRENT), 0);
    wr(LVT_TIMER, 0x20050);
    wr(INITIAL, 1); /* a period of a nanosecond: late, but alive */
    clock_advance(&the_clock, NS_PER_SEC / 100);
    CHECK_EQ(lapic_ack(lapic), 0x50);
    end();
}

/* The mode changes while the timer runs, or has ended. */
static void timer_modes(void)
{
    begin();
    wr(SVR, 0x1ff);
    wr(DIVIDE, 0xb);
    wr(LVT_TIMER, 0x20050);
    wr(INITIAL, 100000);
    clock_advance(&the_clock, 130000);
    CHECK_EQ(lapic_ack(lapic), 0x50);
    wr(EOI, 0);
    wr(LVT_TIMER, 0x50); /* to once: the period under way is the last */
    CHECK_EQ(rd(CURRENT), 70000);
    clock_advance(&the_clock, 70000);
    CHECK_EQ(lapic_ack(lapic), 0x50);
    wr(EOI, 0);
    wr(LVT_TIMER, 0x20050); /* an ended count does not begin again */
    clock_advance(&the_clock, 250000);
    CHECK_EQ(rd(CURRENT), 0);
    CHECK_EQ(rd(INITIAL), 100000);
    CHECK_EQ(intr.level, 0);
    wr(INITIAL, 100000);
    wr(LVT_TIMER, 0x50); /* and back while it runs: it goes on with the next period */
    clock_advance(&the_clock, 40000);
    wr(LVT_TIMER, 0x20050);
    CHECK_EQ(rd(CURRENT), 60000);
    clock_advance(&the_clock, 160000);
    CHECK_EQ(lapic_ack(lapic), 0x50);
    CHECK_EQ(rd(CURRENT), 100000);
    end();
}

/* A host so busy that much time passes between any two looks at the clock. */
static uint64_t slow_ns;

static uint64_t read_slowly(void *arg)
{
    (void)arg;
    return slow_ns += 5000000;
}

/* Each expiry is seen, also one that is overdue when a register changes. */
static void timer_on_busy_host(void)
{
    begin();
    slow_ns = the_clock.now_ns;
    the_clock.read_ns = read_slowly;
    wr(SVR, 0x1ff);
    wr(DIVIDE, 0xb);
    wr(LVT_TIMER, 0x50);
    wr(INITIAL, 3000000);
    clock_run_due(&the_clock);
    CHECK_EQ(lapic_ack(lapic), 0x50);
    wr(EOI, 0);
    wr(INITIAL, 3000000);
    wr(LVT_TIMER, 0x10050); /* masked, when it has come already */
    CHECK_EQ(lapic_ack(lapic), 0x50);
    wr(EOI, 0);
    wr(LVT_TIMER, 0x50); /* it came while it was masked */
    clock_run_due(&the_clock);
    CHECK_EQ(intr.level, 0);
    the_clock.read_ns = NULL;
    end();
}

/* A host that comes back after 10 periods: the guest gets them all, one after the other, and no
 * more; what it sets up anew forgets them. */
static unsigned ticks_until_quiet(uint64_t ns)
{
    unsigned ticks = 0;

    for (uint64_t end = the_clock.now_ns + ns; the_clock.now_ns < end;) {
        clock_advance(&the_clock, 10000);
        if (lapic_ack(lapic) == 0x50)
            ticks++;
        wr(EOI, 0);
    }
    return ticks;
}

static void timer_owes_ticks(void)
{
    begin();
    wr(SVR, 0x1ff);
    wr(DIVIDE, 0xb);
    wr(LVT_TIMER, 0x20050);
    wr(INITIAL, 4000000);
    the_clock.now_ns += 41000000; /* nothing runs meanwhile */
    clock_run_due(&the_clock);
    CHECK_EQ(ticks_until_quiet(59500000), 25); /* 100.5 ms have passed */
    the_clock.now_ns += 41000000;
    clock_run_due(&the_clock);
    wr(INITIAL, 4000000);
    CHECK_EQ(ticks_until_quiet(41000000), 1 + 10);
    wr(INITIAL, 50000); /* too fast to be a clock: what is missed is lost */
    the_clock.now_ns += 5000000;
    clock_run_due(&the_clock);
    CHECK_EQ(ticks_until_quiet(1000000), 1 + 20);
    end();
}

static void io_edges(void)
{
    begin();
    wr(SVR, 0x1ff);
    CHECK_EQ(io_rd(1), 0x170020);
    CHECK_EQ(io_rd(0x14), 0x10000);
    pin(2, true); /* masked: lost */
    pin(2, false);
    io_wr(0x14, 0x31);
    CHECK_EQ(intr.level, 0);
    CHECK_EQ(ioapic_vector(ioapic, 2), 0x31);
    pin(2, true);
    pin(2, true);
    CHECK_EQ(lapic_requested(lapic, 0x31), 1);
    CHECK_EQ(lapic_ack(lapic), 0x31);
    wr(EOI, 0);
    CHECK_EQ(intr.level, 0);
    pin(2, false);
    pin(2, true);
    CHECK_EQ(lapic_ack(lapic), 0x31);
    wr(EOI, 0);
    io_wr(0x15, 0x05000000); /* to somebody else */
    pin(2, false);
    pin(2, true);
    CHECK_EQ(intr.level, 0);
    end();
}

static void io_levels(void)
{
    begin();
    wr(SVR, 0x1ff);
    pin(10, true);
    io_wr(0x24, 0x8000 | 0x6a); /* unmasked while it is up */
    CHECK_EQ(io_rd(0x24), 0xc06a);
    CHECK_EQ(rd(TMR + 0x30), 1u << 10);
    CHECK_EQ(lapic_ack(lapic), 0x6a);
    CHECK_EQ(intr.level, 0);
    wr(EOI, 0); /* still up: again */
    CHECK_EQ(lapic_ack(lapic), 0x6a);
    pin(10, false);
    wr(EOI, 0);
    CHECK_EQ(intr.level, 0);
    CHECK_EQ(io_rd(0x24), 0x806a);
    pin(10, true);
    CHECK_EQ(lapic_ack(lapic), 0x6a);
    io_wr(0x24, 0x18000 | 0x6a); /* masked while it is served */
    wr(EOI, 0);
    CHECK_EQ(intr.level, 0);
    io_wr(0x24, 0x8000 | 0x6a);
    CHECK_EQ(intr.level, 1);
    CHECK_EQ(lapic_ack(lapic), 0x6a);
    bus_write(memory, IOAPIC_BASE + 0x40, 4, 0x6a); /* the EOI register */
    CHECK_EQ(lapic_requested(lapic, 0x6a), 1);
    end();
}

/* A level that nobody accepts is not in service: it is sent again. An edge is not. */
static void io_nobody(void)
{
    begin();
    pin(10, true);
    pin(3, true);
    io_wr(0x24, 0x8000 | 0x6a); /* the local APIC is disabled */
    io_wr(0x16, 0x33);
    CHECK_EQ(io_rd(0x24), 0x806a);
    wr(SVR, 0x1ff);
    CHECK_EQ(intr.level, 0);
    io_wr(0x25, 0x05000000); /* to somebody else */
    CHECK_EQ(io_rd(0x24), 0x806a);
    io_wr(0x25, 0);
    CHECK_EQ(io_rd(0x24), 0xc06a);
    CHECK_EQ(lapic_ack(lapic), 0x6a);
    pin(10, false);
    wr(EOI, 0);
    io_wr(0x17, 0);
    CHECK_EQ(intr.level, 0);
    io_wr(0x16, 0x8000 | 0x33); /* a level now, and still up */
    CHECK_EQ(lapic_ack(lapic), 0x33);
    io_wr(0x16, 0x33); /* edges have no remote IRR: so guests without an EOI register clear it */
    CHECK_EQ(io_rd(0x16), 0x33);
    io_wr(0x16, 0x8000 | 0x33);
    CHECK_EQ(io_rd(0x16), 0xc033);
    end();
}

static uint64_t hpet_rd(unsigned reg)
{
    return bus_read(memory, HPET_BASE + reg, 8);
}

static void hpet_wr(unsigned reg, uint64_t value, unsigned size)
{
    bus_write(memory, HPET_BASE + reg, size, value);
}

static void counter(void)
{
    begin();
    CHECK_EQ(hpet_rd(0), 0x009896808086a201ull);
    clock_advance(&the_clock, 1000);
    CHECK_EQ(hpet_rd(0xf0), 0);
    hpet_wr(0xf0, 0x100000000ull, 8);
    hpet_wr(0x10, 1, 8);
    clock_advance(&the_clock, 1000);
    CHECK_EQ(hpet_rd(0xf0), 0x100000064ull);
    CHECK_EQ(bus_read(memory, HPET_BASE + 0xf4, 4), 1);
    hpet_wr(0xf0, 7, 8); /* not while it runs */
    CHECK_EQ(hpet_rd(0xf0), 0x100000064ull);
    hpet_wr(0x10, 0, 8);
    clock_advance(&the_clock, 1000);
    CHECK_EQ(hpet_rd(0xf0), 0x100000064ull);
    end();
}

static void comparators(void)
{
    begin();
    wr(SVR, 0x1ff);
    io_wr(0x10 + 2 * 20, 0x55);
    hpet_wr(0x140, 0x0004 | 20 << 9, 4); /* the third: one-shot to pin 20 */
    hpet_wr(0x148, 1000, 8);
    hpet_wr(0x10, 1, 4);
    clock_advance(&the_clock, 9990);
    CHECK_EQ(intr.level, 0);
    clock_advance(&the_clock, 10);
    CHECK_EQ(lapic_ack(lapic), 0x55);
    wr(EOI, 0);
    clock_advance(&the_clock, 1000000);
    CHECK_EQ(intr.level, 0);

    hpet_wr(0x10, 3, 4); /* legacy: the first is IRQ 0, */
    CHECK_EQ(replaced, 1);
    hpet_wr(0x100, 0x014c, 4); /* periodic, 32 bits */
    hpet_wr(0x108, (uint32_t)hpet_rd(0xf0) + 5000, 4);
    hpet_wr(0x108, 10000, 4);
    clock_advance(&the_clock, 50000);
    CHECK_EQ(irq0.edges, 1);
    clock_advance(&the_clock, 1000000);
    CHECK_EQ(irq0.edges, 11);
    CHECK_EQ(irq0.level, 1); /* as an 8259 needs it */
    CHECK_EQ(irq8.edges, 0);
    hpet_wr(0x120, 0x0004, 4); /* the second IRQ 8 */
    hpet_wr(0x128, (uint32_t)hpet_rd(0xf0) + 100, 8);
    clock_advance(&the_clock, 1000);
    CHECK_EQ(irq8.edges, 1);
    hpet_reset(hpet);
    CHECK_EQ(replaced, 0);
    CHECK_EQ(irq0.level | irq8.level, 0);

    io_wr(0x10 + 2 * 20, 0x8056);
    hpet_wr(0x140, 0x0006 | 20 << 9, 4); /* a level */
    hpet_wr(0x148, 1000, 8);
    hpet_wr(0x10, 1, 4);
    clock_advance(&the_clock, 10000);
    CHECK_EQ(hpet_rd(0x20), 4);
    CHECK_EQ(lapic_ack(lapic), 0x56);
    wr(EOI, 0);
    CHECK_EQ(lapic_ack(lapic), 0x56); /* still up */
    hpet_wr(0x20, 4, 4);
    wr(EOI, 0);
    CHECK_EQ(intr.level, 0);
    end();
}

/* A period longer than half of the counter: the match behind it is no missed one. */
static void comparator_of_long_period(void)
{
    begin();
    hpet_wr(0x10, 3, 4);
    hpet_wr(0x100, 0x014c, 4); /* periodic, 32 bits */
    hpet_wr(0x108, (uint32_t)hpet_rd(0xf0) + 100, 4);
    hpet_wr(0x108, 0x80000001, 4);
    for (unsigned i = 0; i < 1000; i++)
        clock_advance(&the_clock, 1000);
    CHECK_EQ(irq0.edges, 1);
    CHECK_EQ(hpet_rd(0x108), 100 + 0x80000001);
    end();
}

/* Whatever is written anywhere: it lives, and time passes. */
static void garbage(void)
{
    static const uint32_t base[] = { LAPIC_BASE, IOAPIC_BASE, HPET_BASE };

    begin();
    srand(1);
    for (unsigned i = 0; i < 200000; i++) {
        uint32_t at = base[rand() % 3] + (rand() % 0x400 & (rand() & 1 ? ~0xfu : ~3u));

        if (rand() & 1)
            bus_write(memory, at, rand() & 1 ? 4 : 8, (uint64_t)rand() << (rand() % 34));
        else
            bus_read(memory, at, 4);
        if (i % 16 == 0)
            pin(rand() % 24, rand() & 1);
        if (i % 64 == 0)
            clock_advance(&the_clock, rand() % 100000);
        if (intr.level && rand() & 1)
            lapic_ack(lapic);
    }
    end();
}

/* A periodic comparator that is behind before it is armed goes on all the same. */
static void comparator_on_busy_host(void)
{
    begin();
    hpet_wr(0x10, 3, 4);
    hpet_wr(0x100, 0x004c, 4); /* periodic, 64 bits */
    slow_ns = the_clock.now_ns;
    the_clock.read_ns = read_slowly;
    hpet_wr(0x108, hpet_rd(0xf0) + 400000, 8);
    hpet_wr(0x108, 400000, 8); /* 4 ms */
    for (unsigned i = 0; i < 20; i++)
        clock_run_due(&the_clock);
    CHECK_EQ(irq0.edges > 0, true);
    the_clock.read_ns = NULL;
    end();
}

int main(void)
{
    after_reset();
    moved();
    priorities();
    commands();
    timer();
    timer_modes();
    timer_on_busy_host();
    timer_owes_ticks();
    io_edges();
    io_levels();
    io_nobody();
    counter();
    comparators();
    comparator_on_busy_host();
    comparator_of_long_period();
    garbage();
    return CHECK_DONE();
}
