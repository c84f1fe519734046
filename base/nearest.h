/* "Did you mean": the name nearest to a misspelt one. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stddef.h>

/* How many letters must be put in, taken out, changed or swapped with their neighbour to make one
 * of the other (Damerau and Levenshtein); letters beyond the 63rd are not looked at. */
unsigned nearest_distance(const char *a, size_t alen, const char *b, size_t blen);

/* The best of count names; the first of several that are as good. */
const char *nearest_name(const char *text, size_t len, const char *const *names, size_t count);

/* For the end of a message: "; did you mean NAME?", with what stands before and behind names; ""
 * where none is so near that it can be meant: every third letter may be wrong, or some left out. */
struct nearest_hint {
    char text[96];
} nearest_hint(const char *text, size_t len, const char *const *names, size_t count,
               const char *before, const char *behind);

#endif
