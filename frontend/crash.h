/* Where a guest is, for the report of its end: registers, what they select, how it came there. */
#ifndef FRONTEND_CRASH_H
#define FRONTEND_CRASH_H

#include <stdint.h>
#include <stdio.h>

struct names;
struct transfer;
struct vcpu;

/* The exception that could not be handled and the one that ended it, in all that is known. */
void crash_print_faults(FILE *out, struct vcpu *vcpu);

/* Registers, the code at rip, who called it, and the last control transfers. names may be NULL. */
void crash_print(FILE *out, struct vcpu *vcpu, struct names *names, uint64_t rip);

#endif
