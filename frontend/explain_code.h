/* A program's code and its translation: novt explain FILE. */
#ifndef FRONTEND_EXPLAIN_CODE_H
#define FRONTEND_EXPLAIN_CODE_H

#include <stdbool.h>

struct error;
struct explain_out;
struct listing;

/* What of the file: all its code, a function, or linear addresses. */
struct explain_request {
    const char *path;
    const char *function; /* NULL: none named */
    const char *range;    /* "A-B", hexadecimal or with 0x; NULL: none */
    const char *symbols;  /* a file that has the names; NULL: the program itself */
    const char *html;     /* the page is written there, beside the summary; NULL: none */
    bool packed;          /* it has to be a bzImage */
};

/* Prints the listing (of a part of a kernel, not of all of one) and a summary. 0, or -1 with
 * *error. */
int explain_code(struct explain_out *o, struct listing *listing,
                 const struct explain_request *request, struct error *error);

#endif
