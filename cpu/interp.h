/* The interpreter: the meaning of every guest instruction. */
#ifndef CPU_INTERP_H
#define CPU_INTERP_H

#include "cpu/decode.h"
#include "cpu/vcpu.h"

/*
 * Executes one decoded instruction at CS:rip: checks LOCK, calls info->interp, advances rip on
 * STEP_NEXT (wrapped to the code size), clears or sets the interrupt shadow. Does not deliver the
 * fault of STEP_FAULT, single-step traps or interrupts.
 */
enum step interp_execute(struct vcpu *vcpu, const struct insn *in);

/*
 * One whole step: takes a pending NMI or interrupt if one can be taken, else fetches, decodes and
 * executes one instruction (one iteration of a string instruction may count as a step only if an
 * interrupt is due), delivers its fault, and raises single-step and breakpoint #DB traps.
 */
void interp_step(struct vcpu *vcpu);

/* The same without looking at external interrupts: for the translator, which runs single
 * instructions here. Returns what the instruction did; faults have been delivered. */
enum step interp_one(struct vcpu *vcpu);

#endif
