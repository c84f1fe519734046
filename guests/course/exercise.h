/* What the kernels of the course leave to you: a function or two in each NN-name/exercise.c. */
#ifndef GUESTS_COURSE_EXERCISE_H
#define GUESTS_COURSE_EXERCISE_H

#include "guests/lib/trap.h"
#include "guests/lib/x86.h"

/* 01: what is there, and: writes a number as eight hexadecimal digits. */
void put(char c);
void put_text(const char *text);
void put_hex(uint32_t number);

/* 02: turns interrupts off and tells what must be known to undo that; undoes it. */
uint32_t irq_save(void);
void irq_restore(uint32_t saved);

/* 03: the privilege level that this runs at, 0 to 3, by an instruction of the seventeen. */
unsigned privilege(void);

/* 04: called with the linear address of a page that is not present; gives it a frame, so that the
 * access can be tried again. false: the access is none that is allowed. */
bool give_page(uint32_t address);

/* 05: makes *code, 6 bytes, a function that returns value. */
void make_constant(uint8_t *code, uint32_t value);

/* 06: the system calls by number, in EAX; EBX is the argument, the result goes back in EAX. */
uint32_t system_call(uint32_t number, uint32_t argument);

/* 07: called with interrupts off; sleeps (HLT) until *ticks is not what it was. */
void wait_for_tick(volatile uint32_t *ticks);

/* 08: which of count tasks runs next. */
unsigned next_task(unsigned current, unsigned count, const bool *finished);

/* 09: an operation to be measured, once. */
void operation(void);

/* 10: a screen in text mode loses its first row, and gets an empty one at its end. */
void scroll_up(uint16_t *screen, unsigned columns, unsigned rows);

#endif
