/*
 * The mode that code is translated for: a part of what a unit is found by (U1), and which of a
 * view's jump tables has it. engine_key() makes it of a vcpu, segments_key() where that is not
 * flat.
 */
#ifndef TRANSLATOR_KEY_H
#define TRANSLATOR_KEY_H

#include <stdint.h>

/* The mode a unit is translated for. */
enum {
    KEY_USER = 1,      /* CPL 3 */
    KEY_FPU = 2,       /* CR0.EM and TS clear, CR4.OSFXSR set: FPU and SSE code runs natively */
    /* user code: FS is a 4 GiB data segment with some base. A kernel changes FS and */
    KEY_FS = 4,
    KEY_GS = 8,        /* GS all the time: its code checks them by bt.seg_tlb */
    KEY_WINDOW = 0x10, /* memory through the view's window */
    KEY_TSC = 0x20,    /* RDTSC is allowed (CPL 0, or CR4.TSD clear) */
    KEY_AVX = 0x40,    /* with KEY_FPU; CR4.OSXSAVE and XCR0 allow VEX-encoded vector code */
    KEY_AVX512 = 0x100, /* with KEY_AVX: XCR0 allows mask registers and ZMM */
    KEY_DIRECT = 0x4000, /* no units: user code that runs in a sandbox */
    KEY_OK = 0x80,     /* nothing that only the interpreter does; flat and 32 bits, or */
    KEY_SEG = 0x200,   /* segmented code: of the following, what is not set is as in flat code */
    KEY_CODE16 = 0x400, /* CS.D is clear */
    KEY_STACK16 = 0x800, /* SS.B is clear */
    KEY_REAL = 0x1000, /* real mode; with KEY_USER virtual-8086 mode */
    KEY_DS = 0x2000,   /* DS is not flat ... */
    KEY_ES = 0x8000,
    KEY_SS = 0x10000,
    KEY_ODD = 0x20000, /* KEY_REAL, but a limit, CS, the IDT or EFLAGS.AC is unusual; else NT is */
    KEY_RING = 0x40000, /* CPL 1 or 2 */
    KEY_X87 = 0x100000, /* KEY_FPU but for CR4.OSFXSR: x87 code runs natively */
    /* KEY_SEG at CPL 0 as INT from virtual-8086 mode leaves it: CS and SS are flat, the others
     * null. Nothing goes by bt_seg, which stays as it was. */
    KEY_NULLED = 0x200000,
    KEY_MOVED = 0x400000, /* KEY_ODD by no more than CS's selector, which is not its base's */
    KEY_LIMITED = 0x800000, /* flat user code: FS or GS is neither null nor KEY_FS, KEY_GS */
    KEY_IOPL = 0x80000, /* virtual-8086 mode with IOPL 3: PUSHF, IRET, ... are as in real mode */
};

#define KEY_BENT (KEY_CODE16 | KEY_STACK16 | KEY_DS | KEY_ES | KEY_SS) /* flat code has none */
#define KEY_NATIVE (KEY_FPU | KEY_X87) /* FPU code runs on the host's FPU */
#define KEY_VECTORS (KEY_NATIVE | KEY_AVX | KEY_AVX512) /* what does not depend on the privilege */

/* Which of a view's jump tables has the code of a mode. What a program goes through on its way from
 * real mode to flat code and back has different ones, so that none is emptied each time. */
static inline unsigned key_kind(uint32_t key)
{
    unsigned stack = !!(key & KEY_STACK16), ds = !!(key & KEY_DS), es = !!(key & KEY_ES);

    if (!(key & KEY_SEG))
        return 0;
    if (key & KEY_NULLED)
        return ds & es ? 2 : 16 + ds;
    if (key & KEY_REAL)
        return key & KEY_ODD ? 3 : 1;
    return key & KEY_CODE16 ? 4 | stack << 1 | ds : 8 | stack << 2 | ds << 1 | es;
}

static inline unsigned key_set(uint32_t key)
{
    return key_kind(key) << 1 | (key & KEY_USER);
}

/* The kinds that have what a transfer to another code segment may lead to: U8 holds for all of
 * them. */
static inline unsigned key_kinds_from(uint32_t key)
{
    unsigned kind = key_kind(key);

    return key & KEY_NULLED ? 2 : kind < 4 ? kind : kind < 8 ? 4 : 8;
}

static inline unsigned key_kinds_end(uint32_t key)
{
    unsigned from = key_kinds_from(key);

    return from < 4 ? from + 1 : 2 * from;
}

#endif
