/*
 * Private to cpu/fpu*.c. An FPU instruction of the guest is executed by the host's FPU: it is
 * copied into a thunk, its memory operand redirected to [rdi] and its general register to eax;
 * fpu_run loads the guest's state, calls the thunk and stores the state.
 *
 * T1. A thunk holds one instruction and RET. Its bytes are its key: equal bytes, equal slot.
 * T2. The thunks are one memfd, mapped twice: once writable, once executable.
 * T3. Every thunk runs guarded (signal handlers of ours) until it has once run without #UD; later
 *     only when MXCSR unmasks exceptions. Alignment, MXCSR's reserved bits and pending x87 errors
 *     are checked before, so that an unguarded thunk cannot fault.
 * T4. The guest's state is never in the registers while C code runs here.
 */
#ifndef CPU_FPU_THUNK_H
#define CPU_FPU_THUNK_H

#include <string.h>

#include "cpu/fpu.h"
#include "cpu/fpu_run.h"

#define THUNK_SIZE 16
#define THUNK_COUNT 4096

struct fpu_unit {
    uint8_t operand[FPU_AREA_SIZE] __attribute__((aligned(64))); /* the thunks' memory operand */
    uint64_t components; /* XCR0 bits that fpu_run moves; 0: the host has no XSAVE */
    uint8_t *edge;       /* a page that nobody may touch, between two that may be used */
    bool selectors;      /* the host keeps FCS and FDS */
    bool fop_always;     /* FOP is set by every instruction, not only by those that fail */
    bool drops_pointers; /* F5 */
    bool loads_pointers; /* F5: FXRSTOR and XRSTOR do so while no exception is pending */
    struct fpu_layout layout;
    uint32_t mxcsr_mask;
    uint32_t mxcsr_host; /* the host's, which is in the image */
    uint16_t ignored;    /* x87 errors taken out of SW during a waiting instruction */
    uint8_t (*write)[THUNK_SIZE];
    const uint8_t (*exec)[THUNK_SIZE];
    bool ready[THUNK_COUNT]; /* T3 */
};

/* The general register that an instruction names, and whether it is written. */
struct fpu_gpr {
    uint8_t reg; /* or REG_NONE */
    bool in_rm, written;
};

/* --- fpu_thunk.c --- */
struct fpu_unit *fpu_thunk_create(void);
void fpu_thunk_destroy(struct fpu_unit *unit);

/* The instruction as a thunk: code[THUNK_SIZE]. */
void fpu_thunk_encode(const struct insn *in, const struct fpu_gpr *gpr, uint8_t *code);

/* A thunk made of these bytes. */
void fpu_thunk_bytes(const uint8_t *bytes, unsigned count, uint8_t *code);

/* A frame for the current guest with all of components (masked by what the host has). */
void fpu_thunk_frame(struct vcpu *vcpu, uint64_t components, struct fpu_frame *frame);

/* Runs it on the guest's state; guard: MXCSR may let it fault although it has run before. */
enum fpu_trap fpu_thunk_run(struct vcpu *vcpu, const uint8_t *code, bool guard,
                            struct fpu_frame *frame);

/*
 * The guest's operand cannot be accessed: vcpu->fault says why. Makes the thunk's operand fault at
 * the same byte, so that the CPU says what comes before: an exception of its own, a suppressed
 * store, a change of TOP. Such a thunk must run guarded; FPU_ABSENT: the access was tried.
 */
void fpu_thunk_absent(struct vcpu *vcpu, const struct insn *in, uint64_t offset, unsigned size,
                      struct fpu_frame *frame);

/* Raises the exception that it ended with (not FPU_DONE); FPU_ABSENT: vcpu->fault as it is. */
enum step fpu_thunk_fault(struct vcpu *vcpu, enum fpu_trap trap);

/* --- fpu.c --- */

/* Before an instruction looks at the image (F4). */
static inline void fpu_sync(struct vcpu *vcpu)
{
    if (vcpu->bt.fpu_loaded)
        fpu_save(vcpu);
}

/*
 * What a waiting instruction does first: #MF, FERR#, or STEP_NEXT; then fpu_wait_done must follow.
 * A pending error that is ignored is out of sight in between, so that the host does not trap.
 */
enum step fpu_wait(struct vcpu *vcpu);
void fpu_wait_done(struct vcpu *vcpu);

/* --- fpu_operand.c: operands of x87, SSE and AVX instructions ------------- */

/* The general register that the instruction reads or writes beside its x87 or vector operands;
 * gpr->reg is REG_NONE where there is none. */
void fpu_find_gpr(const struct insn *in, struct fpu_gpr *gpr);

/* #GP(0) unless offset in in's segment is aligned to size (a power of 2). True: raised. */
bool fpu_misaligned(struct vcpu *vcpu, const struct insn *in, uint64_t offset, unsigned size,
                    bool write);

/* Guest memory to and from unit->operand. True: faulted. */
bool fpu_read(struct vcpu *vcpu, unsigned seg, uint64_t offset, unsigned size);
bool fpu_write(struct vcpu *vcpu, unsigned seg, uint64_t offset, unsigned size);

/* Reads or probes the memory operand, if there is one. True: faulted. */
bool fpu_prepare(struct vcpu *vcpu, const struct insn *in, uint64_t offset, unsigned size);

/* General register and flags, to and from the frame. */
void fpu_take_gpr(const struct vcpu *vcpu, const struct fpu_gpr *gpr, struct fpu_frame *frame);
void fpu_put_gpr(struct vcpu *vcpu, const struct insn *in, const struct fpu_gpr *gpr,
                 const struct fpu_frame *frame);

/* --- fields of the image --- */

static inline uint16_t fpu_get16(const struct vcpu *vcpu, unsigned at)
{
    uint16_t value;

    __builtin_memcpy(&value, vcpu->fpu + at, 2);
    return value;
}

static inline uint32_t fpu_get32(const struct vcpu *vcpu, unsigned at)
{
    uint32_t value;

    __builtin_memcpy(&value, vcpu->fpu + at, 4);
    return value;
}

static inline uint64_t fpu_get64(const struct vcpu *vcpu, unsigned at)
{
    uint64_t value;

    __builtin_memcpy(&value, vcpu->fpu + at, 8);
    return value;
}

static inline void fpu_put16(struct vcpu *vcpu, unsigned at, uint16_t value)
{
    __builtin_memcpy(vcpu->fpu + at, &value, 2);
}

static inline void fpu_put32(struct vcpu *vcpu, unsigned at, uint32_t value)
{
    __builtin_memcpy(vcpu->fpu + at, &value, 4);
}

static inline void fpu_put64(struct vcpu *vcpu, unsigned at, uint64_t value)
{
    __builtin_memcpy(vcpu->fpu + at, &value, 8);
}

struct fpu_pointers {
    uint64_t fip, fdp;
    uint16_t fop, fcs, fds;
};

static inline struct fpu_pointers fpu_get_pointers(const struct vcpu *vcpu)
{
    return (struct fpu_pointers){
        .fip = fpu_get64(vcpu, FPU_FIP),
        .fdp = fpu_get64(vcpu, FPU_FDP),
        .fop = fpu_get16(vcpu, FPU_FOP),
        .fcs = fpu_get16(vcpu, FPU_FCS),
        .fds = fpu_get16(vcpu, FPU_FDS),
    };
}

/* The selectors stay 0 where the host does not keep them. */
static inline void fpu_put_pointers(struct vcpu *vcpu, const struct fpu_pointers *p)
{
    bool keep = vcpu->fpu_unit->selectors;

    fpu_put64(vcpu, FPU_FIP, p->fip);
    fpu_put64(vcpu, FPU_FDP, p->fdp);
    fpu_put16(vcpu, FPU_FOP, p->fop);
    fpu_put16(vcpu, FPU_FCS, keep ? p->fcs : 0);
    fpu_put16(vcpu, FPU_FDS, keep ? p->fds : 0);
}

#define SW_ES 0x80u /* x87 status word: an unmasked exception is pending */
#define MXCSR_MASKS 0x1f80u /* all exceptions masked */

/* Does MXCSR let exceptions through? */
static inline bool fpu_unmasked(const struct vcpu *vcpu)
{
    return (fpu_get32(vcpu, FPU_MXCSR) & MXCSR_MASKS) != MXCSR_MASKS;
}

#endif
