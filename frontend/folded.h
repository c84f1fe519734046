/* Counts of lines: stacks folded into a line each. */
#ifndef FRONTEND_FOLDED_H
#define FRONTEND_FOLDED_H

#include <stdio.h>

struct folded;

struct folded *folded_create(void); /* NULL: no memory */
void folded_free(struct folded *folded); /* NULL is allowed */

/* One more of line. Of more different ones than there is room for, "[other]". */
void folded_count(struct folded *folded, const char *line);

/* "LINE COUNT", in the order of the lines. */
void folded_print(struct folded *folded, FILE *out);

#endif
