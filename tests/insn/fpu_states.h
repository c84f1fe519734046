/* Random and special FPU states and operands: for test_fpu.c. */
#ifndef TESTS_INSN_FPU_STATES_H
#define TESTS_INSN_FPU_STATES_H

#include <stdint.h>

#include "tests/insn/fpu_oracle.h"

void states_seed(uint64_t seed);
uint64_t states_random(void);

/* Fills in gpr, eflags, the image (as the CPU would have it) and data. */
void states_fill(struct oracle_state *in, uint8_t *data, unsigned bytes, uint64_t xcr0);

/* A sensible memory operand at data for the instructions that load whole states (M_ id), and their
 * registers. */
void states_operand(unsigned id, uint8_t *data, struct oracle_state *in);

#endif
