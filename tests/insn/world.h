/*
 * The memory that test cases see, the same for the host's CPU and for the machine under test: a few
 * pages at fixed 32-bit addresses, next to absent and read-only ones, one frame mapped twice.
 */
#ifndef TESTS_INSN_WORLD_H
#define TESTS_INSN_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#define WORLD_CODE 0x10000000u /* one page; the next one is absent */
#define WORLD_DATA 0x20000000u
#define WORLD_LOW  0x0000f000u /* two pages around 64 KiB, for 16-bit addresses */

enum page_kind { PAGE_ABSENT, PAGE_READ, PAGE_WRITE, PAGE_CODE };

struct world_page {
    uint32_t gla;
    enum page_kind kind;
    unsigned frame;
};

#define WORLD_FRAMES 8
#define WORLD_CODE_FRAME 0

/* Ends with kind PAGE_ABSENT. Low pages are absent where the host does not allow them. */
extern struct world_page world_pages[];

/* Segments: descriptors that CPL 3 may load, from the LDT but for the flat ones. */
enum {
    WORLD_NULL,
    WORLD_CODE32, /* flat */
    WORLD_DATA32,
    WORLD_CODE_LIMIT, /* 32 bits, from WORLD_CODE to the page's end */
    WORLD_CODE16,     /* the same, 16 bits, 64 KiB */
    WORLD_STACK16,    /* 64 KiB from the first present page of WORLD_DATA; SP wraps */
    WORLD_SHORT,      /* ends inside that page */
    WORLD_DOWN16,     /* expand-down, up to 64 KiB */
    WORLD_DOWN32,     /* expand-down, up to 4 GiB */
    WORLD_READONLY,
    WORLD_SEGMENTS,
};

struct world_segment {
    uint16_t selector;
    bool code, expand_down, big, read_only;
    uint32_t base, limit;
};

extern const struct world_segment world_segments[WORLD_SEGMENTS];

/* The LDT can be set (modify_ldt): else only the flat segments exist. */
extern bool world_has_ldt;

/* ESP's upper half after IRET to a stack segment with B clear, which does not load it. */
#define WORLD_ESP_HIGH 0x7fff0000u

/* Everything of one case that can be compared: the state before, and the state after. */
struct cpu_state {
    uint32_t gpr[8]; /* as encoded: eax, ecx, edx, ebx, esp, ebp, esi, edi */
    uint32_t eip, eflags;
    /* before: WORLD_ segments, in the order of SEG_; FS is always null */
    uint8_t seg[6];
    /* after: the exception that ended it; 1: single-stepped to its end */
    uint32_t vector, error, cr2;
};

#endif
