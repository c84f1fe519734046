/* Knuth, Morris and Pratt's search, which never looks back in the stream. */
#include "frontend/expect.h"

#include <stdlib.h>
#include <string.h>

struct expect {
    const char *text;
    size_t size, matched;
    bool met;
    /* border[n]: the longest proper beginning of text that ends its first n bytes, too */
    size_t border[];
};

static size_t step(const struct expect *expect, size_t matched, char byte)
{
    while (matched && expect->text[matched] != byte)
        matched = expect->border[matched];
    return matched + (expect->text[matched] == byte);
}

struct expect *expect_create(const char *text)
{
    size_t size = strlen(text);
    struct expect *expect = calloc(1, sizeof(*expect) + (size + 1) * sizeof(size_t));

    if (!expect)
        return NULL;
    expect->text = text;
    expect->size = size;
    for (size_t n = 1; n < size; n++)
        expect->border[n + 1] = step(expect, expect->border[n], text[n]);
    return expect;
}

void expect_destroy(struct expect *expect)
{
    free(expect);
}

bool expect_feed(struct expect *expect, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size && !expect->met; i++) {
        expect->matched = step(expect, expect->matched, (char)bytes[i]);
        expect->met = expect->matched == expect->size;
    }
    return expect->met;
}

bool expect_met(const struct expect *expect)
{
    return expect->met;
}
