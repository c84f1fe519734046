/* The host's CPU executes one 32-bit instruction, in compatibility mode at CPL 3. */
#ifndef TESTS_INSN_NATIVE_H
#define TESTS_INSN_NATIVE_H

#include "tests/insn/world.h"

/* Maps the world into this process and takes over its fault signals. 0 or -errno. */
int native_create(void);

/* A frame's memory, writable. */
uint8_t *native_frame(unsigned frame);

/* Runs from *before until an exception: a single step when TF is set in eflags. */
void native_run(const struct cpu_state *before, struct cpu_state *after);

#endif
