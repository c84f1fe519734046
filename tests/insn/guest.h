/* The machine under test executes one 32-bit instruction at CPL 3, by any engine. */
#ifndef TESTS_INSN_GUEST_H
#define TESTS_INSN_GUEST_H

#include "cpu/decode.h"
#include "cpu/engine.h"
#include "tests/insn/world.h"

/* 0, or -1 having said why. */
int guest_create(const struct engine *engine);

/* A frame's memory; write it by guest_write(). */
const uint8_t *guest_frame(unsigned frame);
void guest_write(unsigned frame, unsigned offset, const void *from, unsigned size);

/* Is a page there that only the machine has, and only for CPL 0? */
bool guest_private(uint32_t gla);

/* Does the machine lack an instruction that its model's CPUID hides (tests/hidden.h)? */
bool guest_lacks(const struct insn *in);

/* Runs from *before until an exception. */
void guest_run(const struct cpu_state *before, struct cpu_state *after);

/* What the engine has counted under a name; 0 without such a count. */
uint64_t guest_stat(const char *name);

#endif
