/* Test cases: an encoding of the instruction table with random and edge-case operands. */
#ifndef TESTS_INSN_CASES_H
#define TESTS_INSN_CASES_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/decode.h"
#include "tests/insn/world.h"

struct test_patch {
    uint32_t gla;
    uint8_t size; /* 0: none */
    uint8_t bytes[32];
};

struct test_case {
    struct insn in;
    uint8_t code[32];         /* the instruction, INT3 behind it */
    struct cpu_state before;
    struct test_patch patch[2]; /* memory to write first, where there is any */
};

/* Random numbers; one seed makes one sequence. */
struct rng {
    uint64_t state;
};

uint64_t rng_next(struct rng *rng);

/* How many rows of opcodes.def have cases. */
unsigned cases_rows(void);

/* A case of row number row. False when the bytes it came to make another instruction: try again. */
bool cases_make(unsigned row, struct rng *rng, struct test_case *c);

/*
 * Do the manuals leave open what the instruction does? after: the CPU's answer. Ours does what
 * Intel's CPUs do.
 */
bool cases_left_open(const struct test_case *c, const struct cpu_state *after);

#endif
