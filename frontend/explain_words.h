/* What novt explain says in words: of instructions that depend on the privilege level
 * (explain.def), and why a translation is what it is. */
#ifndef FRONTEND_EXPLAIN_WORDS_H
#define FRONTEND_EXPLAIN_WORDS_H

#include <stddef.h>

#include "translator/listing.h"

struct explain_words {
    const char *manual, *at0, *deprived, *breaks; /* explain.def says what; NULL: all are */
};

/* Of an instruction (enum mnemonic). */
const struct explain_words *explain_words(unsigned id);

/* What kind of instruction that is to a monitor; a sentence. */
const char *explain_kind(const struct opcode *info);

/* How a class of translation is called. */
const char *explain_class(enum listing_class class);

/* The escape sequence of its colour on a terminal; "" for what is the name of none. */
const char *explain_colour(const char *class);

/* Why this has been made of the instruction; sentences. window: memory is reached so. */
void explain_why(const struct listing_insn *insn, bool window, char *text, size_t size);

#endif
