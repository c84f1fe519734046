/*
 * The routines of real_routines.inc, and how many cycles a round of one takes. For real.c, in a
 * guest, and real_native.c, an ordinary program; each says how a routine is run.
 */
#ifndef GUESTS_REAL_MEASURE_H
#define GUESTS_REAL_MEASURE_H

#include "guests/lib/x86.h"

enum { REAL, PROTECTED, V86, NATIVE, MODES };

/* As real_routines.inc's. */
enum kind { NONE, COUNTS, MOVED, EQUALS };

struct routine {
    const char *name;
    uint32_t offset; /* in the blob */
    uint32_t modes;  /* bit n: mode n */
    enum kind kind;
    uint32_t answer;
};

extern const char *const real_modes[MODES];
extern const struct routine real_table[], real_table_end[];

/* TSC cycles of so many rounds, whose answer is checked. */
uint64_t real_time(const struct routine *r, unsigned mode, uint32_t rounds);

/* Reports the quickest of many runs, each of that many cycles. */
void real_measure(const struct routine *r, unsigned mode, uint64_t run);

/* --- The program's own --- */

/* What ds and es are: 64 KiB each. */
extern volatile uint8_t *const real_data, *const real_copy;

/* The routine's answer after so many rounds. */
uint32_t real_answer(const struct routine *r, unsigned mode, uint32_t rounds);
void real_wrong(const struct routine *r, uint32_t answer, uint32_t rounds);
/* "REAL mode name cycles.tenths" */
void real_report(const char *mode, const char *name, uint32_t cycles, uint32_t tenths);

#endif
