/* The known disagreements: rows of disagreements.def. */
#ifndef TESTS_INSN_DECODE_DISAGREEMENTS_H
#define TESTS_INSN_DECODE_DISAGREEMENTS_H

#include <stdbool.h>
#include <stdint.h>

struct insn;

enum who { ZYDIS = 1, CAPSTONE = 2, CPU = 4, AMD = 8 };

/* What they do with what we say. */
enum verdict {
    ACCEPTS, /* undefined, say we */
    REJECTS, /* defined, say we */
    LENGTH,  /* both defined, other length */
    NAME,    /* same length, other mnemonic */
};

/* What the CPU says about it. */
enum cpu_answer {
    WE,     /* as our decoder */
    INTEL,  /* Intel's CPUs as our decoder */
    HAS,    /* the CPU may have it, guests are not offered it */
    EITHER, /* CPUs differ */
};

struct disagreement {
    uint8_t who, verdict, modes;
    uint16_t map;
    uint8_t first, last, regs, mods, prefixes, cpu;
    const char *why;
};

extern const struct disagreement disagreements[];
extern const unsigned disagreement_count;

/* The row that explains it for one of who, or NULL. */
const struct disagreement *disagreements_find(unsigned who, enum verdict verdict,
                                              const struct insn *in, bool too_long);

#endif
