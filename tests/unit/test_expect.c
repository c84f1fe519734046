/* -expect: a match is found wherever the stream is cut, and only where it is. */
#include <stdint.h>
#include <string.h>

#include "frontend/expect.h"
#include "frontend/nearest.h"
#include "tests/check.h"

static const struct {
    const char *text, *stream;
} cases[] = {
    { "login:", "xx login: " }, { "aab", "aaaab" },       { "abab", "abaabab" },
    { "a", "bbb" },             { "abc", "ababab" },      { "aaa", "aa" },
    { "abcabd", "abcabcabd" },  { "aaaa", "aaabaaaabaa" }, { "x", "" },
};

/* Fed in pieces of size; the answer must be strstr()'s. */
static void feed(const char *text, const char *stream, size_t size)
{
    struct expect *expect = expect_create(text);
    size_t len = strlen(stream);

    for (size_t at = 0; at < len; at += size)
        expect_feed(expect, (const uint8_t *)stream + at, len - at < size ? len - at : size);
    CHECK_EQ(expect_met(expect), strstr(stream, text) != NULL);
    expect_destroy(expect);
}

static void test_cases(void)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        for (size_t size = 1; size < 12; size++)
            feed(cases[i].text, cases[i].stream, size);
}

/* Every text of 1 to 5 and stream of 9 letters out of {a, b}. */
static void test_all_short(void)
{
    for (unsigned len = 1; len <= 5; len++) {
        for (unsigned t = 0; t < 1u << len; t++) {
            char text[6] = "", stream[10] = "";

            for (unsigned i = 0; i < len; i++)
                text[i] = t >> i & 1 ? 'a' : 'b';
            for (unsigned s = 0; s < 1u << 9; s++) {
                for (unsigned i = 0; i < 9; i++)
                    stream[i] = s >> i & 1 ? 'a' : 'b';
                feed(text, stream, 4);
            }
        }
    }
}

static void test_zero_bytes(void)
{
    static const uint8_t bytes[] = { 'o', 0, 'k', 0xff, 'o', 'k' };
    struct expect *expect = expect_create("ok");

    CHECK_EQ(expect_feed(expect, bytes, 4), false);
    CHECK_EQ(expect_feed(expect, bytes + 4, 1), false);
    CHECK_EQ(expect_feed(expect, bytes + 5, 1), true);
    expect_destroy(expect);
}

static void test_nearest(void)
{
    static const char *const names[] = { "kernel", "initrd", "m" };

    CHECK_EQ(nearest_distance("abc", 3, "abc", 3), 0);
    CHECK_EQ(nearest_distance("abc", 3, "acb", 3), 1);
    CHECK_EQ(nearest_distance("", 0, "abc", 3), 3);
    CHECK_EQ(nearest_distance("kitten", 6, "sitting", 7), 3);
    CHECK_EQ(strcmp(nearest_name("krenel", 6, names, 3), "kernel"), 0);
    CHECK_EQ(strcmp(nearest_name("", 0, names, 3), "m"), 0);
    CHECK_EQ(strcmp(nearest_hint("nitrd", 5, names, 3, "-", "=").text,
                    "; did you mean -initrd=?"), 0);
    CHECK_EQ(strcmp(nearest_hint("rnel", 4, names, 3, "", "").text, "; did you mean kernel?"), 0);
    CHECK_EQ(strlen(nearest_hint("", 0, names, 3, "", "").text), 0);
    CHECK_EQ(strlen(nearest_hint("disk", 4, names, 3, "", "").text), 0);
}

int main(void)
{
    test_cases();
    test_all_short();
    test_zero_bytes();
    test_nearest();
    return CHECK_DONE();
}
