/*
 * 07 timer interrupts and the interrupt shadow. The 8254 raises IRQ 0, the 8259 holds it until IF
 * is set - and one instruction longer: behind STI there is a shadow of one instruction. Without it
 * "sti; hlt" could not be written: what HLT is to wait for might come between the two.
 *
 * Reference: SDM volume 2, STI and HLT; volume 3, section 6.8.1; Intel 8254, 8259A.
 */
#include "exercise.h"
#include "guests/lib/boot.h"
#include "guests/lib/console.h"
#include "guests/lib/time.h"

enum { PIC = 0x20, PIC_READ_REQUESTS = 0x0a, PIT = 0x40, PIT_ONE_SHOT = 0x30, IRQ_TIMER = 0 };
enum { MILLISECONDS = 5, HLT = 0xf4 };

static volatile uint32_t ticks;
static uint32_t more; /* ticks that shall follow, each asked for when one has come */
static bool slept;    /* did the first one end a HLT? */

/* One tick. Not a row of them: a busy host would bring several at once. */
static void ask_for_tick(void)
{
    uint32_t count = TIME_PIT_HZ / 1000 * MILLISECONDS;

    outb(PIT + 3, PIT_ONE_SHOT);
    outb(PIT, count);
    outb(PIT, count >> 8);
}

static void on_tick(struct frame *f)
{
    if (!ticks++)
        slept = ((const uint8_t *)f->eip)[-1] == HLT;
    trap_irq_end(IRQ_TIMER);
    if (!more)
        return;
    more--;
    ask_for_tick();
}

/* A tick that the PIC has and the CPU does not take: interrupts are off. */
static void make_pending(void)
{
    ask_for_tick();
    outb(PIC, PIC_READ_REQUESTS);
    while (!(inb(PIC) & 1 << IRQ_TIMER))
        ;
}

static void show_sleep(void)
{
    more = 9;
    ask_for_tick();
    while (ticks < 10) {
        sti_hlt();
        cli();
    }
    print("slept for %u ticks\n", ticks);
}

/* A tick is waiting; what becomes of it? */
static void show_shadow(void)
{
    uint32_t before = ticks;

    make_pending();
    __asm__ volatile("sti; cli" : : : "memory");
    print("sti; cli       lets %u of 1 in\n", ticks - before);
    __asm__ volatile("sti; nop; cli" : : : "memory");
    print("sti; nop; cli  lets %u of 1 in\n", ticks - before);
}

/* The tick that is waited for is there already: only a wait without a gap sleeps until it comes. If
 * it comes before the HLT, that sleeps until the next one; there is one, so that we learn of it. */
static void use_exercise(void)
{
    for (unsigned i = 0; i < 3; i++) {
        ticks = 0;
        more = 1;
        make_pending();
        wait_for_tick(&ticks);
        cli();
        print("%s\n", slept ? "the tick ended the sleep" : "slept beyond the tick");
    }
}

unsigned guest_main(void)
{
    trap_set(TRAP_IRQ + IRQ_TIMER, on_tick);
    trap_irq_mask(~(1 << IRQ_TIMER));
    if (boot_option("exercise", NULL)) {
        use_exercise();
    } else {
        show_sleep();
        show_shadow();
    }
    return 0;
}
