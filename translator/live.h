/* Operands read from the guest's code at run time (live.c), for the emitters. */
#ifndef TRANSLATOR_LIVE_H
#define TRANSLATOR_LIVE_H

#include "translator/rules.h"

/* What of the instruction, b->live, is not in the unit: smc.c must know. */
void live_mark(struct builder *b, const struct insn *in);
/* The offset of its memory operand into r8d, by a displacement that is live; not yet cut to 16
 * bits. */
void live_offset(struct builder *b, const struct insn *in);
/* All of an instruction whose immediate is live. False: it has no form here, and nothing has been
 * emitted. */
bool live_immediate(struct builder *b, const struct insn *in);

/* versions.c: the versions of an instruction whose opcode is written often, with room bytes to the
 * end of its page or segment. What follows is for bytes that are none of them. */
void versions_emit(struct builder *b, const struct adapt_site *site, unsigned room);

#endif
