/*
 * Asks the CPU under us how long an instruction is and whether it is defined.
 *
 * The bytes are put at the end of a page whose successor is inaccessible, and executed with TF set,
 * in compatibility mode with a 32-bit or (from the LDT) a 16-bit code segment. With too few bytes
 * on the page the fetch faults at the page end; the smallest number of bytes with which something
 * else happens is the length. A child process under seccomp does it, so that no string can do harm.
 */
#ifndef TESTS_INSN_DECODE_ORACLE_H
#define TESTS_INSN_DECODE_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

enum { ORACLE_BYTES = 15 };

struct oracle_case {
    uint8_t bytes[ORACLE_BYTES];
    uint8_t code16;  /* asked in 16-bit mode */
    uint8_t hint;    /* expected length, 1 to 15: only makes the search short */
    /* The answer. */
    uint8_t length;  /* 1 to 15; 0: no answer (the string killed or hung the child) */
    uint8_t trap;    /* exception vector of what happened with length bytes, 0xff: a system call */
    bool undefined;  /* #UD */
};

struct oracle;

/* NULL and *why when this host cannot be asked. */
struct oracle *oracle_create(unsigned max_cases, const char **why);
void oracle_destroy(struct oracle *oracle);

/* 16-bit code segments can be had (modify_ldt). */
bool oracle_has_code16(const struct oracle *oracle);

/*
 * Is the answer's length the decoder's? Strings that are undefined for the decoder end where
 * Intel's length decoder ends them; others' stop earlier, or have a longer instruction there.
 */
bool oracle_same_length(const struct oracle_case *answer, int length, bool undefined);

/* Where to put cases: max_cases of them, shared with the child. */
struct oracle_case *oracle_cases(struct oracle *oracle);

/* Fills in the answers of the first count cases. */
void oracle_ask(struct oracle *oracle, unsigned count);

#endif
