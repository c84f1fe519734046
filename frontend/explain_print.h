/* Guest code and its translation side by side: the terminal's half of novt explain. */
#ifndef FRONTEND_EXPLAIN_PRINT_H
#define FRONTEND_EXPLAIN_PRINT_H

#include <stdbool.h>
#include <stdio.h>

#include "translator/listing.h"

struct explain_out;

/* Prints to out, with colours or without. NULL: no host memory. */
struct explain_out *explain_out_create(FILE *out, bool colours);
void explain_out_destroy(struct explain_out *o);
FILE *explain_out_file(struct explain_out *o);

/* A line of text in bold. */
void explain_title(struct explain_out *o, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The name of a class in its colour, padded to width columns. */
void explain_print_class(struct explain_out *o, enum listing_class class, int width);

/* Each instruction beside its host code, then what is behind the last. */
void explain_unit(struct explain_out *o, const struct listing_unit *unit);

#endif
