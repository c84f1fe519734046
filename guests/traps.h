/* The parts of traps.elf, and what they share. */
#ifndef GUESTS_TRAPS_H
#define GUESTS_TRAPS_H

#include "guests/lib/trap.h"

/* A frame for trap_run(): this code in that ring, edi: 64 bytes of zeros. */
struct frame traps_start(const uint8_t *code, unsigned ring);

/* traps_gates.c: double faults, gates, tasks, 16 bits and virtual-8086 mode. */
void traps_gates(void);

#endif
