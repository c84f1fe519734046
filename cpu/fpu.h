/*
 * x87, MMX, SSE and AVX: the guest's state and its instructions. Reference: SDM volume 1, chapters
 * 8 to 14; volume 3, chapters 2.5 and 13.
 *
 * The state is the image in vcpu->fpu:
 *
 *  F1. An XSAVE area in the standard format as XSAVE64 writes it; XSTATE_BV counts. Without XSAVE
 *      on the host the header still says 3.
 *  F2. FIP and FDP (64 bits at 8 and 16) are guest offsets. No host address ever stays in the
 *      image.
 *  F3. FCS and FDS have no place in that format: they are at FPU_FCS and FPU_FDS, in bytes that
 *      neither FXSAVE nor XSAVE touches; 0 where the host deprecates them.
 *  F4. While bt.fpu_loaded is set, the registers of the host hold the state and the image is old.
 *      The functions for instructions then call fpu_save first.
 *  F5. AMD's CPUs load FIP, FDP and FOP, but their FXSAVE and XSAVE store zeros while no exception
 *      is pending (SW.ES; APM 4, FXSAVE; FNSTENV stores what is there). On such a host the
 *      pointers and selectors of the image are kept by fpu*.c: thunks leave them alone, fpu_save
 *      asks FNSTENV. A signal or another task of the host in between loses them there: 0, as after
 *      the guest's own FXSAVE and FXRSTOR. Those before Zen store nothing then, and load nothing
 *      either (CPUID 80000008 EBX bit 2, XSAVEERPTR, is clear: APM 3, appendix E): fpu_load has
 *      them loaded by FLDENV, and a switch of tasks leaves others there.
 */
#ifndef CPU_FPU_H
#define CPU_FPU_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/decode.h"
#include "cpu/vcpu.h"

/* Offsets in the image, SDM 1, table 10-2 and 13.4. */
enum {
    FPU_CW = 0,
    FPU_SW = 2,
    FPU_TW = 4, /* abridged: a bit per physical register, 1: not empty */
    FPU_FOP = 6,
    FPU_FIP = 8,
    FPU_FDP = 16,
    FPU_MXCSR = 24,
    FPU_MXCSR_MASK = 28,
    FPU_ST = 32,
    FPU_XMM = 160,
    FPU_FCS = 464, /* ours, F3 */
    FPU_FDS = 466,
    FPU_XSTATE_BV = 512,
    FPU_XCOMP_BV = 520,
    FPU_YMM = 576, /* the upper halves */
    FPU_END = 832, /* of what is at the same place on every host */
};

/* State components, XCR0. */
#define XCR0_X87 1u
#define XCR0_SSE 2u
#define XCR0_AVX 4u
#define XCR0_AVX512 0xe0u /* mask registers, upper halves of ZMM0-15, ZMM16-31 */

enum { STATE_AVX = 2, STATE_MASK = 5, STATE_ZMM = 6, STATE_HIGH, STATE_COUNT };

/* Where the components are in an XSAVE area in the standard format, and their sizes: the host's
 * (CPUID leaf 0xd). */
struct fpu_layout {
    uint32_t offset[STATE_COUNT], size[STATE_COUNT];
    uint8_t aligned; /* bit i: i begins at a multiple of 64 in the compacted format */
};

/* --- life ----------------------------------------------------------------- */

/* Looks at the host and makes room for the copies of instructions; resets. 0 or -errno. */
int fpu_create(struct vcpu *vcpu);
void fpu_destroy(struct vcpu *vcpu);

/* The state after RESET# (SDM 3, table 9-1: not that of FNINIT). XCR0 is vcpu_reset's. */
void fpu_reset(struct vcpu *vcpu);

/* --- for CPUID and XSETBV ------------------------------------------------- */

/* XCR0's bits for which everything is implemented on this host; 0: no XSAVE. */
uint64_t fpu_offered_xcr0(void);

/* Asks the host: slow. */
void fpu_host_layout(struct fpu_layout *layout);

/* What it said when the vcpu was made; the vcpu's. */
const struct fpu_layout *fpu_layout(const struct vcpu *vcpu);

/* Bytes of an XSAVE area for these components, in the standard and in the compacted format. */
uint32_t fpu_xsave_size(const struct fpu_layout *layout, uint64_t xcr0);
uint32_t fpu_xsavec_size(const struct fpu_layout *layout, uint64_t xcr0);

/* MXCSR's bits that may be set (the MXCSR_MASK of FXSAVE). Without AMD's misaligned exception mask
 * (MM, bit 17; APM 1, 4.2.2), as CPUID offers no MISALIGNSSE. */
uint32_t fpu_mxcsr_mask(const struct vcpu *vcpu);

/* The host lets more be set: LDMXCSR must be interpreted. */
bool fpu_mxcsr_is_wider(const struct vcpu *vcpu);

/* --- for instructions ----------------------------------------------------- */

/* What CR0, CR4 and XCR0 alone say: STEP_NEXT, or #UD or #NM raised. FWAIT, FXSAVE, XSAVE too. */
enum step fpu_check(struct vcpu *vcpu, const struct insn *in);

/* --- for translated code, which has the guest's state in the host's registers --- */

/*
 * Loads the guest's state into the host's registers; from here to fpu_save nothing else may touch
 * them. Sets and clears bt.fpu_loaded.
 */
void fpu_load(struct vcpu *vcpu);

/* The host is as F5 says. */
bool fpu_drops_pointers(const struct vcpu *vcpu);

/* What x87 instructions have left of the host since fpu_load. */
struct fpu_last {
    uint64_t ip;  /* the last that set FIP: its host address; or 0 */
    bool low;     /* F5: only the lower half of it is known; */
    uint32_t fdp; /* and of FDP, which may be the guest's: data does not tell */
    bool fop;     /* FOP is that instruction's */
    bool data;    /* FDP was a host address */
};

/*
 * Takes it back and gives the host's registers the ABI's defaults. FIP, FDP and their selectors
 * that were host values are 0 then, unless the caller knows better: fpu_set_pointers,
 * fpu_set_data.
 */
struct fpu_last fpu_save(struct vcpu *vcpu);

/* FIP becomes rip; FOP becomes fop when last says that it is to follow. */
void fpu_set_pointers(struct vcpu *vcpu, const struct fpu_last *last, uint64_t rip, uint16_t fop);

/* FDP becomes data, an offset in seg. */
void fpu_set_data(struct vcpu *vcpu, uint64_t data, unsigned seg);

/*
 * The image has been filled from a process that had been given it (direct execution): makes it one
 * of ours again. FCS and FDS are the guest's CS and DS where the pointers have changed.
 */
void fpu_taken(struct vcpu *vcpu, uint64_t fip_before, uint64_t fdp_before);

#endif
