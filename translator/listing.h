/*
 * What the translator makes of guest code, for people to read (novt explain). The translations are
 * made by the translator itself, in a machine that never runs.
 */
#ifndef TRANSLATOR_LISTING_H
#define TRANSLATOR_LISTING_H

#include <stdint.h>

#include "cpu/decode.h"

struct listing;

/* For which kernel or user code: how memory is reached decides most of what is emitted. */
enum listing_form {
    LISTING_KERNEL_TLB,
    LISTING_KERNEL_WINDOW,
    LISTING_USER_WINDOW,
    LISTING_FORMS
};

/* What has become of an instruction. */
enum listing_class {
    LISTING_IDENTICAL, /* the host executes the same bytes */
    LISTING_INLINE,    /* host instructions that do the same for the guest */
    LISTING_CALLED,    /* the interpreter executes it, called from the unit */
    LISTING_TRANSFER,  /* a jump, call or return: its target is another unit */
    LISTING_CLASSES
};

struct listing_insn {
    struct insn in;
    uint32_t eip;
    enum listing_class class;
    const uint8_t *host; /* until the next listing_unit() */
    uint32_t host_len;
};

struct listing_unit {
    unsigned count;
    struct listing_insn insn[64];
    const uint8_t *tail; /* behind the last: slow paths, exits, the poll */
    uint32_t tail_len;
};

/* NULL: no host memory, with *why. */
struct listing *listing_create(const char **why);
void listing_destroy(struct listing *listing);

/*
 * The unit that begins at eip (flat 32-bit code), made of at most size bytes; it ends where the
 * translator ends it, at a page's end at the latest. False: the bytes there are no whole
 * instruction.
 */
bool listing_unit(struct listing *listing, enum listing_form form, uint32_t eip,
                  const uint8_t *code, uint32_t size, struct listing_unit *unit);

#endif
