/*
 * The guest of test_shadow: what is where, its page tables from outside, instructions that it runs,
 * and its accesses compared with a fresh walk.
 */
#ifndef TESTS_SHADOW_SHADOW_WORLD_H
#define TESTS_SHADOW_SHADOW_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/segment.h"
#include "tests/machine.h"

/*
 * Guest physical: the machine's own below 2 MiB, then these. Linear: all RAM below 4 MiB where it
 * is, and some once more for CPL 0 alone, by tables that are never edited; the test areas, by
 * tables that all roots share; aliases of all tables; and each root's directories as their own page
 * tables.
 */
enum {
    CODE = 0x60000, CODE_COPIES = 120, STACK = 0x5f000,
    ROOTS = 3, PTES = 8,
    ROOT_AT = 0x200000,              /* roots: a page (PDPT) and four directories each */
    PT_AT = 0x210000,                /* page tables: for the test areas ... */
    FIXED_PT_AT = 0x220000,          /* ... for what is never edited */
    MANY_AT = 0x240000, MANY = 180,  /* more page tables, which random PDEs point to */
    TABLES_END = 0x300000,
    DATA = 0x400000,                 /* frames to be seen through entries, up to the end of RAM */
    ALIAS = 0x30000000,
    SUPERVISOR = 0x38000000,         /* what is below 2 MiB once more, for CPL 0 alone */
    AREA = 0x40000000, AREAS = 6,    /* one directory entry each */
};

struct test {
    struct machine m;
    bool pae, full;
    unsigned span;  /* log2 of what a directory entry maps */
    unsigned bytes; /* of an entry */
    unsigned root;
    bool directory_edited; /* since CR3 was written: the self-map may show what was there before */
    unsigned rounds, failures;
    struct segment seg[SEG_COUNT];
};

struct form {
    const char *name;
    const uint8_t *code, *end;
    uint64_t wide;
};

extern const struct form shadow_forms[];
extern const uint8_t shadow_read[], shadow_read_end[], shadow_write[], shadow_write_end[],
    shadow_add[], shadow_add_end[], shadow_invlpg[], shadow_invlpg_end[], shadow_cr3[],
    shadow_cr3_end[], shadow_cr0[], shadow_cr0_end[];

/* Counts, and prints the first ones; a and b: what was, and what should have been. */
void fail(struct test *t, const char *what, uint64_t a, uint64_t b);

void set_seed(uint64_t seed);
uint32_t rnd(uint32_t n); /* below n */

/* All but t->m and t->pae; the tables, and CR3. */
void make_world(struct test *t);

/* --- Guest memory, from outside ------------------------------------------------------- */

uint64_t peek(struct test *t, uint64_t gpa, unsigned bytes);
void poke(struct test *t, uint64_t gpa, unsigned bytes, uint64_t value);

/* What CR3 is for a root. */
uint64_t root_gpa(const struct test *t, unsigned root);
/* Where the directory entry for gla is. */
uint64_t pde_gpa(const struct test *t, unsigned root, uint32_t gla);
/* In every root. */
void set_pde(struct test *t, uint32_t gla, uint64_t value);
/* gla's entry in a page table. */
unsigned index_in(const struct test *t, uint32_t gla);
/* The first linear address of a test area. */
uint32_t area_at(const struct test *t, unsigned area);
/* The linear address at which each root maps its own directories as page tables. */
uint32_t self_map(const struct test *t);

/* --- Running guest code ---------------------------------------------------------------- */

enum { ENDED = 0x100 }; /* not a vector */

/* Runs from rip on with edi, eax, edx; returns the vector of the exception it ended with, or
 * ENDED. */
unsigned run_at(struct test *t, uint32_t rip, bool user, uint32_t edi, uint64_t value);

/* The same with a copy of code. Copies at several places keep sites from adapting all at once; a
 * kernel's are run where only it may, half of the times. */
unsigned run(struct test *t, const uint8_t *code, const uint8_t *end, bool user, uint32_t edi,
             uint64_t value);

#define RUN(t, name, user, edi, value) \
    run(t, shadow_##name, shadow_##name##_end, user, edi, value)

/* --- Comparing -------------------------------------------------------------------------- */

/* An access to gla, whose translation must be that of memory now. */
void access_and_compare(struct test *t, uint32_t gla, bool user, bool write);

/* shadow_check(), and from time to time shadow_check_maps(), of the engine that has shadows. */
void check_shadow(struct test *t, bool synced);

#endif
