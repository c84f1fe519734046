/* Byte strings to decode, and what our decoder says about them. */
#ifndef TESTS_INSN_DECODE_CASES_H
#define TESTS_INSN_DECODE_CASES_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/decode.h"

/* The next 15 random bytes: every other string starts with a prefix or an opcode escape more often
 * than chance would have it. */
void cases_next(uint64_t *random, uint8_t bytes[INSN_MAX]);

/* The decoder's word, as the CPU would have it: in->len (15 when decode says -1). *undefined: #UD,
 * by A_UNDEFINED or by a LOCK that is not allowed. */
int cases_decode(struct insn *in, const uint8_t bytes[INSN_MAX], bool code16, bool *undefined);

/* An environment variable as a number, or the default. */
unsigned long cases_option(const char *name, unsigned long value);

void cases_print(const uint8_t bytes[INSN_MAX]);

#endif
