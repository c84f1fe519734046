/* Looks for a string in a stream that comes in pieces. */
#ifndef FRONTEND_EXPECT_H
#define FRONTEND_EXPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct expect;

/* text is not empty and stays the caller's. NULL: no memory. */
struct expect *expect_create(const char *text);
void expect_destroy(struct expect *expect);

/* Looks at the next bytes; true once the string has been seen, in them or before. */
bool expect_feed(struct expect *expect, const uint8_t *bytes, size_t size);
bool expect_met(const struct expect *expect);

#endif
