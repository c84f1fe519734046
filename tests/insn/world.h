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
#define WORLD_PAGES 8          /* from WORLD_DATA; some are absent */
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

/* Everything of one case that can be compared: the state before, and the state after. */
struct cpu_state {
    uint32_t gpr[8]; /* as encoded: eax, ecx, edx, ebx, esp, ebp, esi, edi */
    uint32_t eip, eflags;
    uint32_t vector, error, cr2; /* after: the exception that ended it; 1: single-stepped to its end */
};

#endif
