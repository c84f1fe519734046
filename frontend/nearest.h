/* "Did you mean": the name nearest to a misspelt one. */
#ifndef FRONTEND_NEAREST_H
#define FRONTEND_NEAREST_H

#include <stddef.h>

struct error;

/* How many letters must be put in, taken out, changed or swapped with their neighbour to make one
 * of the other (Damerau and Levenshtein); letters beyond the 63rd are not looked at. */
unsigned nearest_distance(const char *a, size_t alen, const char *b, size_t blen);

/* The best of count names; the first of several that are as good. */
const char *nearest_name(const char *text, size_t len, const char *const *names, size_t count);

/* Says that an option's value (its first len letters) is none of the names: which one is nearest,
 * and which there are. -1, with *error. */
int nearest_unknown(const char *option, const char *value, size_t len, const char *const *names,
                    size_t count, struct error *error);

#endif
