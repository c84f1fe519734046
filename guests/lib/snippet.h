/* Pieces of code in a table that snippet.inc's macros made. */
#ifndef GUESTS_LIB_SNIPPET_H
#define GUESTS_LIB_SNIPPET_H

#include "guests/lib/x86.h"

/* The table ends with an entry without a name. code to end, then two bytes that stop. */
struct snippet {
    const char *name;
    const uint8_t *code, *end;
};

enum { SNIPPET_STOP = 2 };

#endif
