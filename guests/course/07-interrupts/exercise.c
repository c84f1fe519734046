/* Exercise 07: called with interrupts off. Where can a tick get lost here? */
#include "exercise.h"

void wait_for_tick(volatile uint32_t *ticks)
{
    uint32_t before = *ticks;

    sti();
    while (*ticks == before)
        __asm__ volatile("hlt" : : : "memory");
}
