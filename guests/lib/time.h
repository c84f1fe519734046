/* The TSC against the 8254. */
#ifndef GUESTS_LIB_TIME_H
#define GUESTS_LIB_TIME_H

#include <stdbool.h>

#include "guests/lib/x86.h"

enum { TIME_PIT_HZ = 1193182 };

/* The 8254's channel 2 counts down once (mode 0), its gate open, until OUT 2 is high. */
void time_start_one_shot(uint16_t count);
bool time_one_shot_ended(void);

/* TSC ticks in a millisecond, by the 8254's channel 2, measured once. */
uint32_t time_tsc_khz(void);

/* Channel 0 as a periodic interrupt (IRQ 0), by its divisor. */
void time_start_ticks(uint16_t divisor);

/* Spins. */
void time_wait_us(uint32_t us);

#endif
