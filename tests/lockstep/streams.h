/*
 * Random instruction streams and the state they start in: the same for every engine. A seed makes
 * one stream for ever.
 */
#ifndef TESTS_LOCKSTEP_STREAMS_H
#define TESTS_LOCKSTEP_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/vcpu.h"

enum {
    CODE = 0x200000,
    CODE_PAGES = 3,
    DATA = 0x300000,
    DATA_SIZE = 0x8000,
    HOLE = DATA + DATA_SIZE,    /* an absent page */
    READ_ONLY = HOLE + 0x2000,  /* a page; the one before it is plain */
    KERNEL_PAGE = HOLE + 0x3000,
    STACK = 0x400000,
    COUNTER = STACK + 0xf000,   /* of the single-step handler */
    ALIAS = 0x600000,           /* CODE once more, through other page-table entries */

    /* selectors, DPL 3 */
    USER_CODE = 0x23,
    USER_DATA = 0x2b,
    LINUX_CODE = 0x73,          /* the same, as Linux has them; in scenes of direct execution */
    LINUX_DATA = 0x7b,
    ODD_FIRST = 0x33,           /* two segments with a base and a limit */
    ODD_SECOND = 0x3b,
    DIRECT_ODD_FIRST = 0x3b,    /* the host's 33h is code */
    DIRECT_ODD_SECOND = 0x43,
    GDT_LIMIT = 0x7f,
};

/* What a stream starts in. */
struct scene {
    uint32_t gpr[8];
    uint32_t eflags;
    bool direct;     /* for direct execution: CPL 3, system calls that return */
    bool user;       /* CPL 3 */
    bool stepper;    /* the handler of #DB counts and returns; else it halts */
    bool interrupt;  /* an interrupt is waiting from the start */
    uint32_t cr0_set, cr0_clear, cr4_clear; /* unlike machine_flat() */
    uint32_t dr[8];  /* DR0 to DR3, DR7 */
    uint16_t code_selector, data_selector;
    uint32_t sysenter_cs;
    bool odd;        /* FS, GS are the odd segments */
    struct segment odd_segment[2];
    uint16_t cw;
    uint32_t mxcsr;
    uint8_t xmm[128];
    uint8_t data[DATA_SIZE];
};

extern uint8_t stream[CODE_PAGES * 4096];
extern unsigned stream_len;

/* Makes stream and its scene; loops: long ones too, for kicks; direct: user code for direct
 * execution. */
void streams_make(uint64_t seed, bool loops, bool direct, struct scene *scene);

/* Lists the stream. */
void streams_dump(void);

#endif
