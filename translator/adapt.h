/*
 * Sites: guest instructions that are translated in another form because of what they have met.
 * Private to translator/.
 */
#ifndef TRANSLATOR_ADAPT_H
#define TRANSLATOR_ADAPT_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/decode.h"

struct translator;
struct unit;

/* What a site has met. */
enum adapt_cause {
    ADAPT_OWN,     /* a page fault that is the guest's */
    ADAPT_HIDDEN,  /* a page that only the window lacked */
    ADAPT_TABLE,   /* a page table that is traced */
    ADAPT_CODE,    /* code that has been translated */
    ADAPT_DEVICE,  /* no memory */
    ADAPT_TRAP,    /* an exception that is no page fault */
    ADAPT_WRITTEN, /* a write to its own bytes */
    ADAPT_CAUSES
};

/* A guest instruction that faulted in a window. */
struct adapt_site {
    uint64_t gpa;
    uint16_t specials, fills, traps;
    bool tlb;  /* use the TLB form */
    bool special; /* ... for ever: what it reaches will never be mapped */
    uint8_t trials; /* so often the window form has been taken up again */
    uint16_t misses; /* of the TLB form that speak for that */
    bool call; /* its own exceptions are frequent: interpret */
    bool fetch; /* its bytes are written often: what they are is looked at each time (versions.c) */
    bool spots; /* it often writes to watched frames (cpu/tlb.h, T6) */
    uint8_t live; /* LIVE_ bits: only this of it is written often */
    uint16_t writes;
    uint8_t youths; /* units that began here and were written soon after they were made */
    uint16_t patience; /* so often it is interpreted before another is made */
    uint16_t patches, fetches;
    uint16_t met[ADAPT_CAUSES]; /* in all, for people; as many as fit */
};

/* Operands that are read when their instruction runs. */
enum { LIVE_IMMEDIATE = 1, LIVE_DISPLACEMENT = 2 };

/* What an instruction that is written often has been (versions.c). */
#define VERSIONS 4
#define VERSION_SITES 256
struct versions {
    uint64_t gpa;
    uint32_t left;   /* uses in translated code */
    uint32_t wanted; /* by another instruction */
    uint8_t count, len[VERSIONS], bytes[VERSIONS][INSN_MAX];
};

#define ADAPT_SIZE 16384
#define ADAPT_FILTER 65536

/* --- adapt.c --- */
void adapt_faulted(struct translator *t, struct unit *unit, unsigned insn, enum adapt_cause cause);
/* Its TLB form has missed; again: by a page that a window would have kept. True: the unit has been
 * dropped, and the instruction is to be looked up anew. */
bool adapt_missed(struct translator *t, struct unit *unit, unsigned insn, bool again);
void adapt_trapped(struct translator *t, struct unit *unit, unsigned insn);
void adapt_forget(struct translator *t, uint64_t gpa); /* for tests */
/* What is known of the instruction at gpa; NULL: nothing. */
const struct adapt_site *adapt_site(const struct translator *t, uint64_t gpa);
bool adapt_calls(const struct translator *t, uint64_t gpa);
/* The size bytes at gpa of a unit's code (up to 4) have been written by themselves. */
void adapt_patched(struct translator *t, const struct unit *unit, uint64_t gpa, uint64_t size);
/* An instruction has written to a frame that is watched for code alone, by the slow way. */
void adapt_wrote(struct translator *t, struct unit *unit, unsigned insn);
/* A unit is dropped as its code has been written. */
void adapt_died(struct translator *t, const struct unit *unit);
/* Is the code at gpa not worth a unit yet, as it does not last? Asked each time it is come to. */
bool adapt_passing(struct translator *t, uint64_t gpa);
/* The unit of an instruction that is fetched has had the interpreter do it. */
void adapt_fetched(struct translator *t, struct unit *unit);

/* --- versions.c --- */
/* The same: will another unit of it know what is there now? */
bool versions_missed(struct translator *t, const struct unit *unit);
/* V2: it is to be tried as any other. */
bool versions_worn(struct translator *t, const struct unit *unit);
void versions_forget(struct translator *t, uint64_t gpa);

/* --- beside.c --- */
/* An access with this info (ACCESS_LINES or ACCESS_SPOTS) missed, as its frame is watched: may it
 * be done in line from now on? */
bool beside_fill(struct translator *t, uint64_t gla, uint32_t info);
/* Instruction insn of the unit has made such an access by the slow way: perhaps it is to have the
 * form that can be done in line. */
void beside_wrote(struct translator *t, struct unit *unit, unsigned insn, uint64_t gla,
                  uint32_t info);

#endif
