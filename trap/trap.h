/*
 * Pure trap-and-emulate (cpu/engine.h: engine_trap), and what its audit finds.
 */
#ifndef TRAP_TRAP_H
#define TRAP_TRAP_H

#include <stdint.h>

#include "cpu/decode.h"

/* A thing that an instruction has left otherwise than it should have. */
struct audit_difference {
    char what[24];             /* "eax", "eflags", "[c0101000]", "es base", "exception" */
    uint64_t expected, actual; /* exceptions: the vector, or AUDIT_NONE */
};

#define AUDIT_NONE UINT64_MAX
#define AUDIT_DIFFERENCES 12

/* An instruction of the guest's kernel that does not trap where it should. */
struct audit_find {
    const struct insn *insn;
    uint64_t eip, gla; /* where it is */
    unsigned count;
    struct audit_difference difference[AUDIT_DIFFERENCES];
};

#endif
