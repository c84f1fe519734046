/* The edit distance of two names, by the table of distances of their beginnings. */
#include "base/nearest.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST = 63 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned nearest_distance(const char *a, size_t alen, const char *b, size_t blen)
{
    unsigned d[LONGEST + 1][LONGEST + 1]; /* d[i][j]: of a's first i and b's first j letters */
    size_t n = alen < LONGEST ? alen : LONGEST, m = blen < LONGEST ? blen : LONGEST;

    for (size_t i = 0; i <= n; i++)
        d[i][0] = (unsigned)i;
    for (size_t j = 0; j <= m; j++)
        d[0][j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        for (size_t j = 1; j <= m; j++) {
            d[i][j] = least(d[i - 1][j - 1] + (a[i - 1] != b[j - 1]),
                            least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[n][m];
}

const char *nearest_name(const char *text, size_t len, const char *const *names, size_t count)
{
    const char *best = NULL;
    unsigned best_distance = UINT_MAX;

    for (size_t i = 0; i < count; i++) {
        unsigned distance = nearest_distance(text, len, names[i], strlen(names[i]));

        if (distance < best_distance) {
            best = names[i];
            best_distance = distance;
        }
    }
    return best;
}

static bool contains(const char *name, const char *text, size_t len)
{
    for (size_t left = strlen(name); left >= len; left--, name++)
        if (!memcmp(name, text, len))
            return true;
    return false;
}

static bool is_meant(const char *text, size_t len, const char *name)
{
    size_t longer = strlen(name) > len ? strlen(name) : len, wrong = longer < 6 ? 1 : longer / 3;

    return len && (nearest_distance(text, len, name, strlen(name)) <= wrong ||
                   (len > 2 && contains(name, text, len)));
}

struct nearest_hint nearest_hint(const char *text, size_t len, const char *const *names,
                                 size_t count, const char *before, const char *behind)
{
    const char *name = nearest_name(text, len, names, count);
    struct nearest_hint hint = { "" };

    if (name && is_meant(text, len, name))
        snprintf(hint.text, sizeof(hint.text), "; did you mean %s%s%s?", before, name, behind);
    return hint;
}
