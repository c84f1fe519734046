/* What a program's translation comes to: counts, by function too, and what is sensitive in it. */
#ifndef FRONTEND_EXPLAIN_SUMMARY_H
#define FRONTEND_EXPLAIN_SUMMARY_H

#include <stddef.h>
#include <stdint.h>

#include "translator/listing.h"

struct explain_out;
struct symbols;

struct explain_counts {
    uint64_t classes[LISTING_CLASSES], bytes_guest, bytes_host, undecoded, sensitive;
};

struct explain_function {
    const char *name; /* of the names, or "" */
    uint32_t start;
    struct explain_counts counts;
};

/* A sensitive instruction. */
struct explain_find {
    uint32_t eip;
    const char *mnemonic;
    size_t function; /* its number */
    enum listing_class class;
};

struct explain_summary {
    const struct symbols *names;
    struct explain_counts total;
    struct explain_function *function;
    size_t functions, function_room;
    uint32_t behind; /* the last instruction that has a name */
    struct explain_find *find;
    size_t finds, find_room;
    uint64_t interpreted[M_COUNT], found[M_COUNT]; /* sensitive ones; by instruction */
    const char *mnemonic[M_COUNT];
};

/* names are used as long as the summary is. NULL: no memory. */
struct explain_summary *explain_summary_create(const struct symbols *names);
void explain_summary_destroy(struct explain_summary *s);

/* In the order of addresses. */
void explain_summary_unit(struct explain_summary *s, const struct listing_unit *unit);
void explain_summary_undecoded(struct explain_summary *s);

void explain_summary_print(const struct explain_summary *s, struct explain_out *o);

#endif
