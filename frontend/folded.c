/* A hash table of strings, that does not grow without end: what is in the lines is the guest's. */
#include "frontend/folded.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 65536u
#define LINES_MAX (SLOTS / 2)
#define BYTES_MAX (64u << 20)

struct line {
    char *text; /* NULL: free */
    uint64_t count;
};

struct folded {
    struct line line[SLOTS];
    size_t lines, bytes;
    uint64_t others;
};

struct folded *folded_create(void)
{
    return calloc(1, sizeof(struct folded));
}

void folded_free(struct folded *folded)
{
    if (!folded)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        free(folded->line[i].text);
    free(folded);
}

/* Where the line is or would be. */
static struct line *slot_of(struct folded *folded, const char *text)
{
    uint64_t hash = 0xcbf29ce484222325ull;

    for (const char *c = text; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 0x100000001b3ull;
    for (size_t i = hash >> 40;; i++) {
        struct line *line = &folded->line[i % SLOTS];

        if (!line->text || !strcmp(line->text, text))
            return line;
    }
}

static bool add(struct folded *folded, struct line *line, const char *text)
{
    size_t size = strlen(text) + 1;

    if (folded->lines == LINES_MAX || folded->bytes + size > BYTES_MAX)
        return false;
    line->text = malloc(size);
    if (!line->text)
        return false;
    memcpy(line->text, text, size);
    folded->lines++;
    folded->bytes += size;
    return true;
}

void folded_count(struct folded *folded, const char *text)
{
    struct line *line = slot_of(folded, text);

    if (line->text || add(folded, line, text))
        line->count++;
    else
        folded->others++;
}

static int compare(const void *a, const void *b)
{
    const struct line *x = a, *y = b;

    if (!x->text || !y->text)
        return !x->text - !y->text;
    return strcmp(x->text, y->text);
}

void folded_print(struct folded *folded, FILE *out)
{
    qsort(folded->line, SLOTS, sizeof(*folded->line), compare);
    for (size_t i = 0; i < folded->lines; i++)
        fprintf(out, "%s %llu\n", folded->line[i].text,
                (unsigned long long)folded->line[i].count);
    if (folded->others)
        fprintf(out, "[other] %llu\n", (unsigned long long)folded->others);
}
