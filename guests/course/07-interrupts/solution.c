/* Exercise 07, solved: looked at with interrupts off, and the shadow carries them into HLT. */
#include "exercise.h"

void wait_for_tick(volatile uint32_t *ticks)
{
    uint32_t before = *ticks;

    while (*ticks == before) {
        sti_hlt();
        cli();
    }
}
