/*
 * One address space whose user code computes for a second or less, with a timer's interrupts and
 * no other trap: the monitor's choice of a tier for it can be seen in its counters
 * (tests/guest/tiers.py).
 */
#include "guests/lib/boot.h"
#include "guests/lib/check.h"
#include "guests/lib/code.h"
#include "guests/lib/paging.h"
#include "guests/lib/time.h"
#include "guests/lib/trap.h"

enum { ROUNDS = 300000000 }; /* of three instructions */

static uint32_t ticks;

static void tick(struct frame *f)
{
    (void)f;
    ticks++;
    trap_irq_end(0);
}

unsigned guest_main(void)
{
    struct frame f = trap_frame((uint32_t)paging_page(1), 3);
    struct code c = { paging_page(1) };

    code_bytes(&c, 2, 0x0703); /* 1: addl (%edi), %eax */
    code_bytes(&c, 1, 0x49);   /* decl %ecx */
    code_bytes(&c, 2, 0xfb75); /* jnz 1b */
    code_end(&c);
    check_begin("compute");
    paging_init(false, false);
    write_cr4(read_cr4() | CR4_OSFXSR);
    trap_set(TRAP_IRQ, tick);
    time_start_ticks(TIME_PIT_HZ / 1000);
    trap_irq_mask(0xfffe);
    *(volatile uint32_t *)paging_page(2) = 3;
    f.edi = (uint32_t)paging_page(2);
    f.eax = 0;
    f.ecx = ROUNDS;
    f.eflags |= FL_IF;
    trap_run(&f);
    trap_irq_mask(0xffff);
    check_equal("trap", f.vector, TRAP_END);
    check_equal("the sum", f.eax, ROUNDS * 3u);
    check_that(ticks >= 10, "%u ticks", ticks);
    check_end();
    return check_done();
}
