/*
 * Expectations in groups: check_begin, check_that as often as needed, check_end, which prints
 * "PASS name" or the first failures and "FAIL name n of m". check_done prints the sum and is what
 * guest_main returns.
 */
#ifndef GUESTS_LIB_CHECK_H
#define GUESTS_LIB_CHECK_H

#include "guests/lib/x86.h"

void check_begin(const char *name);
__attribute__((format(printf, 2, 3))) bool check_that(bool holds, const char *format, ...);
bool check_equal(const char *what, uint32_t got, uint32_t want);
void check_end(void);

/* A group that this CPU has not the means for. */
void check_skip(const char *name, const char *why);

/* 0, or 1 if a group failed. */
unsigned check_done(void);

#endif
