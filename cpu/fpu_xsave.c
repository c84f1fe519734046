/*
 * FXSAVE, FXRSTOR, the XSAVE family, XGETBV, XSETBV. Reference: SDM volume 1, 10.5 and chapter 13.
 *
 * The host's CPU executes them on unit->operand, in the 32-bit form (FIP, FCS, FDP, FDS), so that
 * reserved bits and XSTATE_BV are its own. What 32-bit code does not touch (registers 8 to 15,
 * bytes 464 to 511) is neither taken from the guest's memory nor written there.
 * Modelled: the standard and the compacted format, the init optimization of XSAVEOPT and XSAVEC.
 * Not offered: supervisor states (XSAVES, XRSTORS).
 */
#include <cpuid.h>

#include "cpu/cpuid.h"
#include "cpu/fault.h"
#include "cpu/fpu_thunk.h"
#include "cpu/mem.h"
#include "cpu/operand.h"

#define LEGACY_BYTES 512
#define HEADER_END 576
#define XMM_HIGH (FPU_XMM + 8 * 16)

/* How much of the legacy region the guest's mode has. */
static unsigned legacy_end(const struct insn *in)
{
    return in->mode == MODE_64 ? FPU_XMM + 16 * 16 : XMM_HIGH;
}

/* The instruction (on [rdi]) with EDX:EAX = mask, on the state of these components. */
static enum step run_state(struct vcpu *vcpu, const uint8_t opcode[3], uint64_t components,
                           uint64_t mask)
{
    uint8_t code[THUNK_SIZE];
    struct fpu_frame frame;
    enum fpu_trap trap;

    fpu_thunk_bytes(opcode, 3, code);
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

/*
 * The pointers of a saved legacy region: selectors are ours to add, where the host has them. AMD's
 * CPUs save them while an exception is pending (F5), and else zeros, or nothing; Intel's always.
 */
static void save_pointers(struct vcpu *vcpu)
{
    uint8_t *operand = vcpu->fpu_unit->operand;
    bool dropped = vcpu->fpu_unit->drops_pointers && !(fpu_get16(vcpu, FPU_SW) & SW_ES);

    if (dropped && cpuid_is_amd(vcpu->model)) {
        memset(operand + FPU_FOP, 0, FPU_MXCSR - FPU_FOP);
        return;
    }
    if (dropped) {
        memcpy(operand + FPU_FOP, vcpu->fpu + FPU_FOP, 6);
        memcpy(operand + FPU_FDP, vcpu->fpu + FPU_FDP, 4);
    }
    if (!vcpu->fpu_unit->selectors)
        return;
    memcpy(operand + 12, vcpu->fpu + FPU_FCS, 2);
    memcpy(operand + 20, vcpu->fpu + FPU_FDS, 2);
}

/* Runs the instruction, which may store its MXCSR_MASK: then that becomes the guest's. */
static enum step run_save(struct vcpu *vcpu, const uint8_t opcode[3], uint64_t components,
                          uint64_t mask)
{
    uint8_t *field = vcpu->fpu_unit->operand + FPU_MXCSR_MASK;
    uint32_t before = operand_get32(vcpu, FPU_MXCSR_MASK);
    enum step step;

    memset(field, 0, 4);
    step = run_state(vcpu, opcode, components, mask);
    memcpy(field, operand_get32(vcpu, FPU_MXCSR_MASK) ? &vcpu->fpu_unit->mxcsr_mask : &before, 4);
    return step;
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
    if (run_save(vcpu, (const uint8_t[]){ 0x0f, 0xae, 0x07 }, XCR0_X87 | XCR0_SSE, 0) ==
        STEP_FAULT)
        return STEP_FAULT;
    save_pointers(vcpu);
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
    if (run_state(vcpu, (const uint8_t[]){ 0x0f, 0xae, 0x0f }, XCR0_X87 | XCR0_SSE, 0) ==
        STEP_FAULT)
        return STEP_FAULT;
    load_pointers(vcpu, false);
    return STEP_NEXT;
}

/* --- The extended region ------------------------------------------------------------- */

#define COMPACTED (1ull << 63) /* in XCOMP_BV */

void fpu_host_layout(struct fpu_layout *layout)
{
    uint64_t offered = fpu_offered_xcr0();
    uint32_t eax, ebx, ecx, edx;

    *layout = (struct fpu_layout){ 0 };
    for (unsigned i = STATE_AVX; i < STATE_COUNT; i++) {
        if (!(offered >> i & 1) || !__get_cpuid_count(0xd, i, &eax, &ebx, &ecx, &edx))
            continue;
        layout->size[i] = eax;
        layout->offset[i] = ebx;
        layout->aligned |= (uint8_t)((ecx >> 1 & 1) << i);
    }
}

const struct fpu_layout *fpu_layout(const struct vcpu *vcpu)
{
    return &vcpu->fpu_unit->layout;
}

uint32_t fpu_xsave_size(const struct fpu_layout *layout, uint64_t xcr0)
{
    uint32_t end = HEADER_END;

    for (unsigned i = STATE_AVX; i < STATE_COUNT; i++)
        if (xcr0 >> i & 1 && layout->offset[i] + layout->size[i] > end)
            end = layout->offset[i] + layout->size[i];
    return end;
}

/* Where component i begins (or, for STATE_COUNT, where the area ends) when these are there. */
static uint32_t compacted_offset(const struct fpu_layout *layout, uint64_t components, unsigned i)
{
    uint32_t at = HEADER_END;

    for (unsigned k = STATE_AVX; k <= i && k < STATE_COUNT; k++) {
        if (!(components >> k & 1))
            continue;
        if (layout->aligned >> k & 1)
            at = (at + 63) & ~63u;
        if (k < i)
            at += layout->size[k];
    }
    return at;
}

uint32_t fpu_xsavec_size(const struct fpu_layout *layout, uint64_t xcr0)
{
    return compacted_offset(layout, xcr0, STATE_COUNT);
}

/* A format: standard, or compacted with these components. */
struct format {
    const struct fpu_layout *layout;
    uint64_t compacted; /* XCOMP_BV, or 0 */
};

static uint32_t component_offset(const struct format *format, unsigned i)
{
    if (!format->compacted)
        return format->layout->offset[i];
    return compacted_offset(format->layout, format->compacted, i);
}

static uint32_t area_size(const struct format *format, uint64_t components)
{
    return format->compacted ? fpu_xsavec_size(format->layout, format->compacted)
                             : fpu_xsave_size(format->layout, components);
}

/* The part of component i that the guest's mode has: registers 0 to 7 only outside 64-bit mode. */
static uint32_t visible_size(const struct format *format, const struct insn *in, unsigned i)
{
    uint32_t size = format->layout->size[i];

    if (in->mode == MODE_64 || i == STATE_MASK)
        return size;
    return i == STATE_HIGH ? 0 : size / 2;
}

/* --- XSAVE, XSAVEOPT, XSAVEC ----------------------------------------------------------- */

static uint64_t requested(const struct vcpu *vcpu)
{
    return ((vcpu->gpr[RDX] & UINT32_MAX) << 32 | (vcpu->gpr[RAX] & UINT32_MAX)) & vcpu->xcr0;
}

static bool write_back(struct vcpu *vcpu, const struct insn *in, uint64_t offset,
                       const struct format *format, uint64_t rfbm)
{
    const uint8_t *operand = vcpu->fpu_unit->operand;
    unsigned header = format->compacted ? 16 : 8;

    if (mem_write_bytes(vcpu, in->seg, offset, operand, legacy_end(in)) ||
        mem_write_bytes(vcpu, in->seg, offset + FPU_XSTATE_BV, operand + FPU_XSTATE_BV, header))
        return true;
    for (unsigned i = STATE_AVX; i < STATE_COUNT; i++) {
        uint32_t at = component_offset(format, i), size = visible_size(format, in, i);

        if (rfbm >> i & 1 && size &&
            mem_write_bytes(vcpu, in->seg, offset + at, operand + at, size))
            return true;
    }
    return false;
}

static enum step save_state(struct vcpu *vcpu, const struct insn *in, const uint8_t opcode[3])
{
    uint8_t *operand = vcpu->fpu_unit->operand;
    uint64_t offset = operand_address(vcpu, in), rfbm = requested(vcpu);
    bool compacted = opcode[1] == 0xc7;
    struct format format = { &vcpu->fpu_unit->layout, compacted ? rfbm | COMPACTED : 0 };
    uint32_t size = area_size(&format, rfbm);

    if (fpu_check(vcpu, in) == STEP_FAULT)
        return STEP_FAULT;
    fpu_sync(vcpu);
    if (fpu_misaligned(vcpu, in, offset, 64, true) ||
        mem_probe(vcpu, in->seg, offset, size, true) ||
        mem_read_bytes(vcpu, in->seg, offset, operand, size))
        return STEP_FAULT;
    if (run_save(vcpu, opcode, vcpu->fpu_unit->components, rfbm) == STEP_FAULT)
        return STEP_FAULT;
    /* XSAVEOPT and XSAVEC leave alone what is in its initial state. */
    if (rfbm & XCR0_X87 &&
        (in->id == M_XSAVE || operand_get64(vcpu, FPU_XSTATE_BV) & XCR0_X87))
        save_pointers(vcpu);
    return write_back(vcpu, in, offset, &format, rfbm) ? STEP_FAULT : STEP_NEXT;
}

enum step interp_xsave(struct vcpu *vcpu, const struct insn *in)
{
    return save_state(vcpu, in, (const uint8_t[]){ 0x0f, 0xae, 0x27 });
}

enum step interp_xsaveopt(struct vcpu *vcpu, const struct insn *in)
{
    return save_state(vcpu, in, (const uint8_t[]){ 0x0f, 0xae, 0x37 });
}

enum step interp_xsavec(struct vcpu *vcpu, const struct insn *in)
{
    if (!cpuid_has(vcpu->model, CPUID_XSAVEC))
        return fault_ud(vcpu);
    return save_state(vcpu, in, (const uint8_t[]){ 0x0f, 0xc7, 0x27 });
}

/* --- XRSTOR ------------------------------------------------------------------------------ */

static bool any_set(const uint8_t *bytes, unsigned count)
{
    uint8_t all = 0;

    while (count--)
        all |= *bytes++;
    return all;
}

/* SDM 1, 13.8.1 and 13.8.2. */
static bool bad_header(const struct vcpu *vcpu, uint64_t rfbm)
{
    const uint8_t *operand = vcpu->fpu_unit->operand;
    uint64_t bv = operand_get64(vcpu, FPU_XSTATE_BV), comp = operand_get64(vcpu, FPU_XCOMP_BV);

    if (comp & COMPACTED) {
        if (!cpuid_has(vcpu->model, CPUID_XSAVEC) || comp & ~COMPACTED & ~vcpu->xcr0 ||
            bv & ~comp || any_set(operand + FPU_XCOMP_BV + 8, HEADER_END - FPU_XCOMP_BV - 8))
            return true;
        return bv & rfbm & XCR0_SSE && bad_mxcsr(vcpu);
    }
    if (bv & ~vcpu->xcr0 || comp || operand_get64(vcpu, FPU_XCOMP_BV + 8))
        return true;
    return rfbm & (XCR0_SSE | XCR0_AVX) && bad_mxcsr(vcpu);
}

/* Gives the operand the guest's own registers where its mode has no access. */
static void keep_high_components(struct vcpu *vcpu, const struct insn *in,
                                 const struct format *format)
{
    for (unsigned i = STATE_AVX; i < STATE_COUNT; i++) {
        uint32_t visible = visible_size(format, in, i), size = format->layout->size[i];

        if (!format->compacted || format->compacted >> i & 1)
            memcpy(vcpu->fpu_unit->operand + component_offset(format, i) + visible,
                   vcpu->fpu + format->layout->offset[i] + visible, size - visible);
    }
}

enum step interp_xrstor(struct vcpu *vcpu, const struct insn *in)
{
    uint8_t *operand = vcpu->fpu_unit->operand;
    uint64_t offset = operand_address(vcpu, in), rfbm = requested(vcpu);
    struct format format = { &vcpu->fpu_unit->layout, 0 };

    if (fpu_check(vcpu, in) == STEP_FAULT)
        return STEP_FAULT;
    fpu_sync(vcpu);
    if (fpu_misaligned(vcpu, in, offset, 64, false) ||
        mem_read_bytes(vcpu, in->seg, offset, operand, HEADER_END))
        return STEP_FAULT;
    if (operand_get64(vcpu, FPU_XCOMP_BV) & COMPACTED)
        format.compacted = operand_get64(vcpu, FPU_XCOMP_BV);
    if (bad_header(vcpu, rfbm))
        return fault_gp(vcpu, 0);
    if (mem_read_bytes(vcpu, in->seg, offset, operand, area_size(&format, rfbm)))
        return STEP_FAULT;
    memset(operand + FPU_XCOMP_BV + 16, 0, HEADER_END - FPU_XCOMP_BV - 16);
    keep_high_registers(vcpu, in);
    keep_high_components(vcpu, in, &format);
    if (run_state(vcpu, (const uint8_t[]){ 0x0f, 0xae, 0x2f }, vcpu->fpu_unit->components, rfbm) ==
        STEP_FAULT)
        return STEP_FAULT;
    if (rfbm & XCR0_X87)
        load_pointers(vcpu, !(operand_get64(vcpu, FPU_XSTATE_BV) & XCR0_X87));
    return STEP_NEXT;
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

/* All three components or none, and not without AVX. */
static bool bad_avx512(uint64_t value)
{
    return value & XCR0_AVX512 &&
           (value & (XCR0_AVX512 | XCR0_AVX)) != (XCR0_AVX512 | XCR0_AVX);
}

enum step interp_xsetbv(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t value = (vcpu->gpr[RDX] & UINT32_MAX) << 32 | (vcpu->gpr[RAX] & UINT32_MAX);
    uint64_t can = cpuid_xcr0_bits(vcpu->model) & vcpu->fpu_unit->components;

    (void)in;
    if (!(vcpu->cr4 & CR4_OSXSAVE))
        return fault_ud(vcpu);
    if (vcpu->cpl || (uint32_t)vcpu->gpr[RCX] || !(value & XCR0_X87) || value & ~can ||
        (value & (XCR0_AVX | XCR0_SSE)) == XCR0_AVX || bad_avx512(value))
        return fault_gp(vcpu, 0);
    fpu_sync(vcpu);
    vcpu->xcr0 = value;
    return STEP_NEXT;
}
