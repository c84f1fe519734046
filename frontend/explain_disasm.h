/* Guest code and its translation as text, by Capstone. */
#ifndef FRONTEND_EXPLAIN_DISASM_H
#define FRONTEND_EXPLAIN_DISASM_H

#include <stddef.h>
#include <stdint.h>

#include "translator/listing.h"

struct explain_disasm;

enum { EXPLAIN_TEXT = 256 };

/* NULL: no host memory. */
struct explain_disasm *explain_disasm_create(void);
void explain_disasm_destroy(struct explain_disasm *d); /* NULL is allowed */

/* The guest's instruction at eip. */
void explain_disasm_guest(struct explain_disasm *d, const struct insn *in, uint32_t eip,
                          char text[EXPLAIN_TEXT]);

/* A unit's host code, from its first byte to behind its last. */
struct explain_host {
    const uint8_t *start, *end;
    const uint8_t *at; /* the next instruction */
    size_t left;       /* bytes of it to be shown, from at on */
};

/* The next host instruction, and in *offset where it begins in the unit. Addresses of this process
 * say nothing: what they are is told instead. False: there is none left. */
bool explain_disasm_host(struct explain_disasm *d, struct explain_host *host, uint32_t *offset,
                         char text[EXPLAIN_TEXT]);

#endif
