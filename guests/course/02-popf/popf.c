/*
 * 02 popf: the instruction that made people write binary translators.
 *
 * POPF loads the flags from the stack, IF - are interrupts on? - among them. In the kernel (CPL 0)
 * that changes IF. In a program (CPL 3) it leaves IF as it is, and nothing tells anybody: no
 * exception, so no monitor. A kernel that is run as a program, which is what trap-and-emulate does,
 * turns its interrupts off and on and nothing happens.
 *
 * Reference: SDM volume 2, POPF; Popek and Goldberg, "Formal Requirements for Virtualizable Third
 *            Generation Architectures", CACM 1974.
 */
#include "exercise.h"
#include "guests/lib/boot.h"
#include "guests/lib/console.h"

static const char *interrupts(void)
{
    return read_flags() & FL_IF ? "on" : "off";
}

/* What every kernel does around code that an interrupt must not see half done. */
static void show_popf(void)
{
    print("at the start:          interrupts are %s\n", interrupts());
    write_flags(FL_1 | FL_IF);
    print("popf with IF set:      interrupts are %s\n", interrupts());
    write_flags(FL_1);
    print("popf with IF clear:    interrupts are %s\n", interrupts());
}

/* CLI and STI are another matter: at CPL 3 they fault, and a monitor hears of them. */
static void show_sti(void)
{
    sti();
    print("sti:                   interrupts are %s\n", interrupts());
    cli();
    print("cli:                   interrupts are %s\n", interrupts());
}

/* A critical section within another one: the inner one's end is not the outer one's. */
static void nested(void)
{
    uint32_t outer, inner;

    sti();
    outer = irq_save();
    inner = irq_save();
    print("two sections deep: %s\n", interrupts());
    irq_restore(inner);
    print("one section deep:  %s\n", interrupts());
    irq_restore(outer);
    print("outside again:     %s\n", interrupts());
    cli();
}

unsigned guest_main(void)
{
    if (boot_option("exercise", NULL)) {
        nested();
    } else {
        show_popf();
        show_sti();
    }
    return 0;
}
