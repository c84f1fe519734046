/* One instruction at CPL 3 in a machine with the oracle's addresses: for test_vector.c. */
#ifndef TESTS_INSN_VECTOR_GUEST_H
#define TESTS_INSN_VECTOR_GUEST_H

#include <stdbool.h>

#include "cpu/engine.h"
#include "tests/insn/fpu_oracle.h"

/* Of ORACLE_DATA's four pages the third may not be written and the fourth is not there. */
#define VECTOR_PAGES 4
#define VECTOR_WRITABLE 2

/* window: user code gets a window at once (the translator's). 0 or -1. */
int vector_guest_create(const struct engine *engine, uint64_t xcr0, bool window);

/* Guest memory at ORACLE_DATA, VECTOR_PAGES - 1 pages. */
uint8_t *vector_guest_data(void);

const struct vcpu *vector_guest_vcpu(void);

/* Runs the instruction on in; out's vector is -1 when it ended. */
void vector_guest_run(const uint8_t *insn, unsigned len, const struct oracle_state *in,
                      struct oracle_state *out);

#endif
