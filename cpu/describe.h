/*
 * What vectors, error codes, selectors, descriptors and page-table entries say, in words: for logs
 * and reports. Nothing here changes the guest or sets an A bit. Reference: SDM 3, 3.4, 4.7, 6.13.
 */
#ifndef CPU_DESCRIBE_H
#define CPU_DESCRIBE_H

#include <stdint.h>
#include <stdio.h>

#include "cpu/paging.h"
#include "cpu/vcpu.h"

/* "#PF"; "?" for what is no exception. */
const char *describe_vector(unsigned vector);

/* All that print without a \n go on where the line is. */

/* "IF ZF PF, IOPL 3" */
void describe_flags(FILE *out, uint32_t eflags);

/* "code, 32 bits, DPL 0, readable" */
void describe_segment(FILE *out, const struct segment *segment);

/* "P W U A D", the rights and marks of an entry that is present, else "not present". */
void describe_entry(FILE *out, const struct paging_step *step);

/* "PDE 890": the manual's name for a level's entry. */
void describe_step(FILE *out, const struct paging_step *step);

/* "page fault (vector 14), error code 0x0002: ..." and its lines, with what the error code names:
 * all that is to be said of a fault. */
void describe_fault(FILE *out, struct vcpu *vcpu, const struct fault *fault, int indent);

#endif
