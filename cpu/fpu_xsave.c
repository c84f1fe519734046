/*
 * FXSAVE, FXRSTOR, the XSAVE family, XGETBV, XSETBV. Reference: SDM volume 1, 10.5 and chapter 13.
 *
 * The host's CPU executes them on unit->operand, in the 32-bit form (FIP, FCS, FDP, FDS), so that
 * reserved bits and XSTATE_BV are its own. What 32-bit code does not touch (registers 8 to 15,
 * bytes 464 to 511) is neither taken from the guest's memory nor written there.
 * Modelled: the standard format, XSAVEOPT's init optimization. Not offered: the compacted format
 * (XSAVEC, XSAVES, XRSTORS).
 */
#include "cpu/cpuid.h"
#include "cpu/fault.h"
#include "cpu/fpu_thunk.h"
#include "cpu/mem.h"
#include "cpu/operand.h"

#define LEGACY_BYTES 512
#define HEADER_END 576
#define XMM_HIGH (FPU_XMM + 8 * 16)
#define YMM_HIGH (FPU_YMM + 8 * 16)

/* How much of the legacy region and of YMM the guest's mode has. */
static unsigned legacy_end(const struct insn *in)
{
    return in->mode == MODE_64 ? FPU_XMM + 16 * 16 : XMM_HIGH;
}

static unsigned ymm_end(const struct insn *in)
{
    return in->mode == MODE_64 ? FPU_YMM + 16 * 16 : YMM_HIGH;
}

/* 0F AE /reg on [rdi] with EDX:EAX = mask, on the state of these components. */
static enum step run_state(struct vcpu *vcpu, unsigned reg, uint64_t components, uint64_t mask)
{
    uint8_t bytes[3] = { 0x0f, 0xae, (uint8_t)(reg << 3 | 7) };
    uint8_t code[THUNK_SIZE];
    struct fpu_frame frame;
    enum fpu_trap trap;

    fpu_thunk_bytes(bytes, sizeof(bytes), code);
    fpu_thunk_frame(vcpu, components, &frame);
    frame.rax = (uint32_t)mask;
    frame.rdx = mask >> 32;
    trap = fpu_thunk_run(vcpu, code, false, &frame);
    return trap ? fpu_thunk_fault(vcpu, trap) : STEP_NEXT;
}

/* --- What both families share ------------------------------------------------------ */

static uint32_t operand_get32(const struct vcpu *vcpu, unsigned at)
{
    uint32_t value;

    __builtin_memcpy(&value, vcpu->fpu_unit->operand + at, 4);
    return value;
}

static uint64_t operand_get64(const struct vcpu *vcpu, unsigned at)
{
    uint64_t value;

    __builtin_memcpy(&value, vcpu->fpu_unit->operand + at, 8);
    return value;
}

/* The pointers of a saved legacy region: selectors are ours to add, where the host has them. */
static void save_selectors(struct vcpu *vcpu)
{
    if (!vcpu->fpu_unit->selectors)
        return;
    memcpy(vcpu->fpu_unit->operand + 12, vcpu->fpu + FPU_FCS, 2);
    memcpy(vcpu->fpu_unit->operand + 20, vcpu->fpu + FPU_FDS, 2);
}

/* The pointers after the legacy region in operand has been loaded. */
static void load_pointers(struct vcpu *vcpu, bool init)
{
    uint32_t keep = vcpu->fpu_unit->selectors && !init ? UINT16_MAX : 0;

    fpu_put64(vcpu, FPU_FIP, init ? 0 : operand_get32(vcpu, 8));
    fpu_put64(vcpu, FPU_FDP, init ? 0 : operand_get32(vcpu, 16));
    fpu_put16(vcpu, FPU_FOP, init ? 0 : operand_get32(vcpu, 4) >> 16 & 0x7ff);
    fpu_put16(vcpu, FPU_FCS, (uint16_t)(operand_get32(vcpu, 12) & keep));
    fpu_put16(vcpu, FPU_FDS, (uint16_t)(operand_get32(vcpu, 20) & keep));
}

/* Gives the operand the guest's own registers where its mode has no access. */
static void keep_high_registers(struct vcpu *vcpu, const struct insn *in)
{
    uint8_t *operand = vcpu->fpu_unit->operand;

    if (in->mode == MODE_64)
        return;
    memcpy(operand + XMM_HIGH, vcpu->fpu + XMM_HIGH, 8 * 16);
    memcpy(operand + YMM_HIGH, vcpu->fpu + YMM_HIGH, 8 * 16);
}

static bool bad_mxcsr(const struct vcpu *vcpu)
{
    return operand_get32(vcpu, FPU_MXCSR) & ~vcpu->fpu_unit->mxcsr_mask;
}

/* --- FXSAVE, FXRSTOR ---------------------------------------------------------------- */

enum step interp_fxsave(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t offset = operand_address(vcpu, in);

    if (fpu_check(vcpu, in) == STEP_FAULT)
        return STEP_FAULT;
    fpu_sync(vcpu);
    if (fpu_misaligned(vcpu, in, offset, 16, true) ||
        mem_probe(vcpu, in->seg, offset, LEGACY_BYTES, true))
        return STEP_FAULT;
    if (run_state(vcpu, 0, XCR0_X87 | XCR0_SSE, 0) == STEP_FAULT)
        return STEP_FAULT;
    save_selectors(vcpu);
    if (mem_write_bytes(vcpu, in->seg, offset, vcpu->fpu_unit->operand, legacy_end(in)))
        return STEP_FAULT;
    return STEP_NEXT;
}

enum step interp_fxrstor(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t offset = operand_address(vcpu, in);

    if (fpu_check(vcpu, in) == STEP_FAULT)
        return STEP_FAULT;
    fpu_sync(vcpu);
    if (fpu_misaligned(vcpu, in, offset, 16, false) ||
        mem_read_bytes(vcpu, in->seg, offset, vcpu->fpu_unit->operand, LEGACY_BYTES))
        return STEP_FAULT;
    if (bad_mxcsr(vcpu))
        return fault_gp(vcpu, 0);
    keep_high_registers(vcpu, in);
    if (run_state(vcpu, 1, XCR0_X87 | XCR0_SSE, 0) == STEP_FAULT)
        return STEP_FAULT;
    load_pointers(vcpu, false);
    return STEP_NEXT;
}

/* --- XSAVE, XSAVEOPT, XRSTOR -------------------------------------------------------------- */

static uint64_t requested(const struct vcpu *vcpu)
{
    return ((vcpu->gpr[RDX] & UINT32_MAX) << 32 | (vcpu->gpr[RAX] & UINT32_MAX)) & vcpu->xcr0;
}

static enum step save_state(struct vcpu *vcpu, const struct insn *in, unsigned reg)
{
    uint8_t *operand = vcpu->fpu_unit->operand;
    uint64_t offset = operand_address(vcpu, in), rfbm = requested(vcpu);
    unsigned size = fpu_xsave_size(rfbm);

    if (fpu_check(vcpu, in) == STEP_FAULT)
        return STEP_FAULT;
    fpu_sync(vcpu);
    if (fpu_misaligned(vcpu, in, offset, 64, true) ||
        mem_probe(vcpu, in->seg, offset, size, true) ||
        mem_read_bytes(vcpu, in->seg, offset, operand, size))
        return STEP_FAULT;
    if (run_state(vcpu, reg, vcpu->fpu_unit->components, rfbm) == STEP_FAULT)
        return STEP_FAULT;
    if (rfbm & XCR0_X87 && (reg == 4 || operand_get64(vcpu, FPU_XSTATE_BV) & XCR0_X87))
        save_selectors(vcpu);
    if (mem_write_bytes(vcpu, in->seg, offset, operand, legacy_end(in)) ||
        mem_write_bytes(vcpu, in->seg, offset + FPU_XSTATE_BV, operand + FPU_XSTATE_BV, 8))
        return STEP_FAULT;
    if (rfbm & XCR0_AVX && mem_write_bytes(vcpu, in->seg, offset + FPU_YMM, operand + FPU_YMM,
                                           ymm_end(in) - FPU_YMM))
        return STEP_FAULT;
    return STEP_NEXT;
}

enum step interp_xsave(struct vcpu *vcpu, const struct insn *in)
{
    return save_state(vcpu, in, 4);
}

enum step interp_xsaveopt(struct vcpu *vcpu, const struct insn *in)
{
    return save_state(vcpu, in, 6);
}

/* SDM 1, 13.8: the checks of the standard form. */
static bool bad_header(const struct vcpu *vcpu, uint64_t rfbm)
{
    if (operand_get64(vcpu, FPU_XSTATE_BV) & ~vcpu->xcr0)
        return true;
    if (operand_get64(vcpu, FPU_XCOMP_BV) || operand_get64(vcpu, FPU_XCOMP_BV + 8))
        return true;
    return rfbm & (XCR0_SSE | XCR0_AVX) && bad_mxcsr(vcpu);
}

enum step interp_xrstor(struct vcpu *vcpu, const struct insn *in)
{
    uint8_t *operand = vcpu->fpu_unit->operand;
    uint64_t offset = operand_address(vcpu, in), rfbm = requested(vcpu);
    unsigned size = fpu_xsave_size(rfbm);

    if (fpu_check(vcpu, in) == STEP_FAULT)
        return STEP_FAULT;
    fpu_sync(vcpu);
    if (fpu_misaligned(vcpu, in, offset, 64, false) ||
        mem_read_bytes(vcpu, in->seg, offset, operand, size))
        return STEP_FAULT;
    if (bad_header(vcpu, rfbm))
        return fault_gp(vcpu, 0);
    memset(operand + FPU_XCOMP_BV + 16, 0, HEADER_END - FPU_XCOMP_BV - 16);
    keep_high_registers(vcpu, in);
    if (run_state(vcpu, 5, vcpu->fpu_unit->components, rfbm) == STEP_FAULT)
        return STEP_FAULT;
    if (rfbm & XCR0_X87)
        load_pointers(vcpu, !(operand_get64(vcpu, FPU_XSTATE_BV) & XCR0_X87));
    return STEP_NEXT;
}

enum step interp_xsavec(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    return fault_ud(vcpu);
}

enum step interp_xsaves(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    return fault_ud(vcpu);
}

enum step interp_xrstors(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    return fault_ud(vcpu);
}

/* --- XCR0 ------------------------------------------------------------------------------------- */

/* XCR1 is XCR0 and what is in use. */
enum step interp_xgetbv(struct vcpu *vcpu, const struct insn *in)
{
    uint32_t ecx = (uint32_t)vcpu->gpr[RCX];
    uint64_t value = vcpu->xcr0;

    (void)in;
    if (!(vcpu->cr4 & CR4_OSXSAVE))
        return fault_ud(vcpu);
    if (ecx > 1 || (ecx == 1 && !cpuid_has(vcpu->model, CPUID_XGETBV1)))
        return fault_gp(vcpu, 0);
    fpu_sync(vcpu);
    if (ecx == 1)
        value &= fpu_get64(vcpu, FPU_XSTATE_BV);
    vcpu->gpr[RAX] = (uint32_t)value;
    vcpu->gpr[RDX] = value >> 32;
    return STEP_NEXT;
}

enum step interp_xsetbv(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t value = (vcpu->gpr[RDX] & UINT32_MAX) << 32 | (vcpu->gpr[RAX] & UINT32_MAX);
    uint64_t can = cpuid_xcr0_bits(vcpu->model) & vcpu->fpu_unit->components;

    (void)in;
    if (!(vcpu->cr4 & CR4_OSXSAVE))
        return fault_ud(vcpu);
    if (vcpu->cpl || (uint32_t)vcpu->gpr[RCX] || !(value & XCR0_X87) || value & ~can ||
        (value & (XCR0_AVX | XCR0_SSE)) == XCR0_AVX)
        return fault_gp(vcpu, 0);
    fpu_sync(vcpu);
    vcpu->xcr0 = value;
    return STEP_NEXT;
}
