/* A look at guest memory by linear address, in the address space that the CPU is in. Nothing
 * faults, no A or D bit is set. */
#ifndef FRONTEND_PEEK_H
#define FRONTEND_PEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vcpu;

/* False: some of it is no RAM, or not mapped. */
bool peek_bytes(struct vcpu *vcpu, uint32_t gla, void *to, size_t size);
bool peek_word(struct vcpu *vcpu, uint32_t gla, uint32_t *word);

/* A string into text[size], cut off there. False: it is not all there. */
bool peek_string(struct vcpu *vcpu, uint32_t gla, char *text, size_t size);

/* What tells address spaces apart: CR3. */
uint64_t peek_root(const struct vcpu *vcpu);

#endif
