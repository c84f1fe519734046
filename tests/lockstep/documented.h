/*
 * What docs/direct-execution.md says that the bare CPU does differently from the guest's idea of
 * it: streams that come to such an instruction are not compared under direct execution.
 */
#ifndef TESTS_LOCKSTEP_DOCUMENTED_H
#define TESTS_LOCKSTEP_DOCUMENTED_H

#include <stdio.h>

#include "cpu/decode.h"
#include "cpu/vcpu.h"

/* The host's: some rows are AMD's alone, and what it hides may be there. To be said first. */
void documented_model(const struct cpu_model *model);

/* Is it one that streams are better made without? */
bool documented_avoid(const struct insn *in);

/* Does the next instruction, at CPL 3, differ? It is counted in its row then. */
bool documented_next(struct vcpu *vcpu);

/* That instruction has faulted: does it leave other things behind? Counted too. */
bool documented_faulted(void);

/* Was it a repeated string instruction that has changed itself? A page fault midway makes the CPU
 * see it. Counted too. */
bool documented_overwritten(struct vcpu *vcpu);

/* Was it one of those whose CR2 may be any address of theirs on any page that is missing? vcpu is
 * as it was left. */
bool documented_cr2(const struct vcpu *vcpu, uint64_t interp, uint64_t cpu);

/* Prints the rows that were met, and how often. */
void documented_print(void);

#endif
