/*
 * MMX and SSE instructions, LDMXCSR and STMXCSR. Reference: SDM volume 1, chapters 9 to 12; the
 * exceptions: volume 2, 2.4 and volume 3, chapter 23.
 *
 * An unmasked SSE exception is raised by the instruction itself: when MXCSR unmasks any, thunks run
 * guarded, and SIGFPE becomes #XM with the flags that the CPU has set in MXCSR.
 */
#include "cpu/cpuid.h"
#include "cpu/fault.h"
#include "cpu/fpu_thunk.h"
#include "cpu/mem.h"
#include "cpu/operand.h"

/* An MMX register is involved: not so where CVTPI2PS and the like read memory. */
static bool uses_mmx(const struct insn *in)
{
    if (!(in->info->attr & A_MMX))
        return false;
    for (unsigned i = 0; i < 3; i++) {
        switch (in->info->operand[i]) {
        case OPND_Pq: case OPND_Nq:
            return true;
        case OPND_Qq: case OPND_Qd:
            if (!in->has_mem)
                return true;
            break;
        default:
            break;
        }
    }
    return false;
}

/* Before anything is read: control registers, a pending x87 error where MMX registers are used. */
static enum step begin(struct vcpu *vcpu, const struct insn *in)
{
    if (fpu_check(vcpu, in) == STEP_FAULT)
        return STEP_FAULT;
    fpu_sync(vcpu);
    return uses_mmx(in) ? fpu_wait(vcpu) : STEP_NEXT;
}

/* absent: the operand faults, and it is the CPU's business what happens before that. */
static enum step run_sse(struct vcpu *vcpu, const struct insn *in, uint64_t offset, unsigned size,
                         bool absent)
{
    uint64_t components = (uses_mmx(in) ? XCR0_X87 : 0) | (in->info->attr & A_SSE ? XCR0_SSE : 0);
    bool guard = components & XCR0_SSE && fpu_unmasked(vcpu);
    uint8_t code[THUNK_SIZE];
    struct fpu_frame frame;
    struct fpu_gpr gpr;
    enum fpu_trap trap;

    fpu_find_gpr(in, &gpr);
    fpu_thunk_encode(in, &gpr, code);
    fpu_thunk_frame(vcpu, components, &frame);
    fpu_take_gpr(vcpu, &gpr, &frame);
    if (absent)
        fpu_thunk_absent(vcpu, in, offset, size, &frame);
    trap = fpu_thunk_run(vcpu, code, guard || absent, &frame);
    if (trap)
        return fpu_thunk_fault(vcpu, trap);
    if (in->has_mem && in->info->attr & A_WRITES_MEM && !absent &&
        fpu_write(vcpu, in->seg, offset, in->memsize))
        return STEP_FAULT;
    fpu_put_gpr(vcpu, in, &gpr, &frame);
    if (in->id == M_PCMPESTRI || in->id == M_PCMPISTRI)
        vcpu->gpr[RCX] = (uint32_t)frame.rcx;
    return STEP_NEXT;
}

/* --- MASKMOVQ, MASKMOVDQU: bytes at [rdi] that a register selects ----------------------------- */

/* Where MMX register n is in the image: ST(i) is physical register TOP + i. */
static const uint8_t *mmx_register(const struct vcpu *vcpu, unsigned n)
{
    unsigned top = fpu_get16(vcpu, FPU_SW) >> 11 & 7;

    return vcpu->fpu + FPU_ST + 16 * ((n - top) & 7);
}

/* A bit per byte to be written. */
static unsigned byte_mask(const uint8_t *reg, unsigned size)
{
    unsigned mask = 0;

    for (unsigned i = 0; i < size; i++)
        mask |= (unsigned)(reg[i] >> 7) << i;
    return mask;
}

static bool write_bytes(struct vcpu *vcpu, const struct insn *in, uint64_t offset, unsigned mask)
{
    const uint8_t *from = vcpu->fpu_unit->operand;

    for (; mask; mask >>= 1, offset++, from++) {
        if (mask & 1 && mem_write(vcpu, in->seg, offset, 1, *from))
            return true;
    }
    return false;
}

static enum step run_maskmov(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t offset = vcpu->gpr[RDI] & (in->addrsize == 2 ? UINT16_MAX : UINT32_MAX);
    unsigned size = in->id == M_MASKMOVQ ? 8 : 16, mask;
    enum step step;

    if (in->id == M_MASKMOVQ)
        mask = byte_mask(mmx_register(vcpu, in->rm), 8);
    else
        mask = byte_mask(vcpu->fpu + FPU_XMM + 16 * in->rm, 16);
    step = run_sse(vcpu, in, offset, size, mem_probe(vcpu, in->seg, offset, size, true));
    if (step == STEP_NEXT && write_bytes(vcpu, in, offset, mask))
        return STEP_FAULT;
    return step;
}

/* --- Entry --------------------------------------------------------------------------------- */

/* AMD's CPUs take the operands of SHA wherever they are (measured, Zen 4). */
static bool must_align(const struct vcpu *vcpu, const struct insn *in)
{
    switch (in->id) {
    case M_SHA1NEXTE: case M_SHA1MSG1: case M_SHA1MSG2: case M_SHA1RNDS4: case M_SHA256MSG1:
    case M_SHA256MSG2: case M_SHA256RNDS2:
        return !cpuid_is_amd(vcpu->model);
    default:
        return in->info->attr & A_ALIGN16;
    }
}

static enum step execute(struct vcpu *vcpu, const struct insn *in)
{
    bool write = in->info->attr & A_WRITES_MEM;
    uint64_t offset = 0;
    bool absent;

    if (in->info->attr & A_IMPLICIT_MEM)
        return run_maskmov(vcpu, in);
    if (in->has_mem) {
        offset = operand_address(vcpu, in);
        if (must_align(vcpu, in) && fpu_misaligned(vcpu, in, offset, in->memsize, write))
            return STEP_FAULT;
    }
    absent = fpu_prepare(vcpu, in, offset, in->memsize);
    if (absent && !uses_mmx(in))
        return STEP_FAULT;
    return run_sse(vcpu, in, offset, in->memsize, absent);
}

enum step interp_sse(struct vcpu *vcpu, const struct insn *in)
{
    enum step step = begin(vcpu, in);

    if (step != STEP_NEXT)
        return step;
    step = execute(vcpu, in);
    fpu_wait_done(vcpu);
    return step;
}

/* Also for VEX-encoded forms, which run the legacy one: neither touches a vector register. */
enum step interp_ldmxcsr(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t offset = operand_address(vcpu, in);
    uint64_t value;

    if (fpu_check(vcpu, in) == STEP_FAULT)
        return STEP_FAULT;
    fpu_sync(vcpu);
    if (mem_read(vcpu, in->seg, offset, 4, &value))
        return STEP_FAULT;
    if (value & ~(uint64_t)vcpu->fpu_unit->mxcsr_mask)
        return fault_gp(vcpu, 0);
    __builtin_memcpy(vcpu->fpu + FPU_MXCSR, &value, 4);
    if (!cpuid_is_amd(vcpu->model))
        vcpu->fpu[FPU_XSTATE_BV] |= XCR0_SSE; /* it counts as a use */
    return STEP_NEXT;
}

enum step interp_stmxcsr(struct vcpu *vcpu, const struct insn *in)
{
    if (fpu_check(vcpu, in) == STEP_FAULT)
        return STEP_FAULT;
    fpu_sync(vcpu);
    if (mem_write(vcpu, in->seg, operand_address(vcpu, in), 4, fpu_get32(vcpu, FPU_MXCSR)))
        return STEP_FAULT;
    return STEP_NEXT;
}
