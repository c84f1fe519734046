/*
 * x87 instructions. Reference: SDM volume 1, chapter 8.
 *
 * The host's FPU executes them with the guest's control word, so that an unmasked exception does
 * what it does on the CPU: it sets ES and is delivered by the next waiting instruction (fpu_wait);
 * thunks end in instructions that do not wait.
 *
 * FIP, FDP and FOP after a thunk are what the host's CPU makes of the thunk's own address, its
 * operand's and its ModRM byte. Whatever of them it set (newer CPUs set FDP and FOP only when an
 * unmasked exception occurs, SDM 1, 8.1.8 and 8.1.9) is replaced by the guest's here.
 */
#include "cpu/cpuid.h"
#include "cpu/fault.h"
#include "cpu/fpu_thunk.h"
#include "cpu/mem.h"
#include "cpu/operand.h"

/* Unmasked, these leave the destination alone: invalid operation, overflow, underflow. */
#define NO_STORE 0x19u

/* Instructions that do not wait for a pending error; all of them leave FIP alone. */
static bool is_nonwaiting(unsigned id)
{
    switch (id) {
    case M_FNINIT: case M_FNCLEX: case M_FNSTCW: case M_FNSTSW: case M_FNSTENV: case M_FNSAVE:
    case M_FNENI: case M_FNDISI: case M_FNSETPM:
        return true;
    default:
        return false;
    }
}

static bool is_control(const struct insn *in)
{
    return is_nonwaiting(in->id) || in->id == M_FLDCW || in->info->attr & A_MMX;
}

/* --- Instruction and data pointers ------------------------------------------------- */

static uint16_t make_fop(uint8_t opcode, uint8_t modrm)
{
    return (uint16_t)((opcode & 7) << 8 | modrm);
}

/* AMD's CPUs set them failed or not, FDP with a memory operand only (measured, Zen 4). */
static void set_pointers(struct vcpu *vcpu, const struct insn *in, uint64_t offset)
{
    struct fpu_pointers p = fpu_get_pointers(vcpu);

    p.fip = vcpu->rip;
    p.fcs = vcpu->seg[SEG_CS].selector;
    p.fop = make_fop(in->opcode, in->modrm);
    if (in->has_mem) {
        p.fdp = offset;
        p.fds = vcpu->seg[in->seg].selector;
    }
    fpu_put_pointers(vcpu, &p);
}

/* Makes what the thunk set the guest's. Stores no more than it must: XRSTOR reads it soon. */
static void fix_pointers(struct vcpu *vcpu, const struct insn *in, uint64_t offset,
                         uint16_t old_fop, uint8_t thunk_modrm)
{
    const struct fpu_unit *unit = vcpu->fpu_unit;
    uint16_t fop = fpu_get16(vcpu, FPU_FOP);
    bool failed = fpu_get16(vcpu, FPU_SW) & SW_ES;

    if (unit->drops_pointers) {
        set_pointers(vcpu, in, offset);
        return;
    }
    if (fpu_get64(vcpu, FPU_FIP) >> 32) {
        fpu_put64(vcpu, FPU_FIP, vcpu->rip);
        if (unit->selectors)
            fpu_put16(vcpu, FPU_FCS, vcpu->seg[SEG_CS].selector);
    }
    if (fpu_get64(vcpu, FPU_FDP) >> 32) {
        fpu_put64(vcpu, FPU_FDP, offset);
        if (unit->selectors)
            fpu_put16(vcpu, FPU_FDS, vcpu->seg[in->seg].selector);
    }
    if (in->modrm != thunk_modrm && fop == make_fop(in->opcode, thunk_modrm) &&
        (fop != old_fop || failed || unit->fop_always))
        fpu_put16(vcpu, FPU_FOP, make_fop(in->opcode, in->modrm));
}

/* --- The usual instruction ----------------------------------------------------------- */

/* Did an unmasked exception keep a waiting store from storing? ES was clear before. */
static bool store_suppressed(const struct vcpu *vcpu, const struct insn *in)
{
    return !is_nonwaiting(in->id) &&
           fpu_get16(vcpu, FPU_SW) & ~fpu_get16(vcpu, FPU_CW) & NO_STORE;
}

/*
 * Will the instruction store, so that its page must be there and gets D? Tried out on a copy of the
 * state where exceptions are unmasked. AMD's CPUs want the page in any case (measured, Zen 4).
 */
static bool will_store(struct vcpu *vcpu, const struct insn *in, const uint8_t *code)
{
    uint8_t image[FPU_XMM];
    uint64_t in_use = fpu_get64(vcpu, FPU_XSTATE_BV);
    struct fpu_frame frame;
    bool stores;

    if (!(in->info->attr & A_WRITES_MEM) || !(~fpu_get16(vcpu, FPU_CW) & NO_STORE) ||
        cpuid_is_amd(vcpu->model))
        return true;
    memcpy(image, vcpu->fpu, sizeof(image));
    fpu_thunk_frame(vcpu, XCR0_X87, &frame);
    stores = fpu_thunk_run(vcpu, code, false, &frame) || !store_suppressed(vcpu, in);
    memcpy(vcpu->fpu, image, sizeof(image));
    fpu_put64(vcpu, FPU_XSTATE_BV, in_use);
    return stores;
}

/* These have no FIP of their own: they leave the pointers alone or clear them (FNINIT). */
static void keep_pointers(struct vcpu *vcpu, const struct insn *in,
                          const struct fpu_pointers *before)
{
    struct fpu_pointers p = fpu_get_pointers(vcpu);

    if (vcpu->fpu_unit->drops_pointers && (in->id == M_FNINIT || in->id == M_FNSAVE))
        fpu_put_pointers(vcpu, &(struct fpu_pointers){ 0 });
    else if (vcpu->fpu_unit->drops_pointers)
        return; /* the thunk has left them alone */
    else if (p.fip >> 32 || p.fdp >> 32)
        fpu_put_pointers(vcpu, before);
    else if (!p.fip)
        fpu_put16(vcpu, FPU_FCS, 0);
}

static enum step run_x87(struct vcpu *vcpu, const struct insn *in)
{
    struct fpu_gpr gpr = { .reg = REG_NONE };
    bool control = is_control(in);
    struct fpu_pointers before = { .fop = fpu_get16(vcpu, FPU_FOP) };
    uint64_t offset = in->has_mem ? operand_address(vcpu, in) : 0;
    uint8_t code[THUNK_SIZE];
    struct fpu_frame frame;
    enum fpu_trap trap;
    bool absent;

    if (control)
        before = fpu_get_pointers(vcpu);
    if (in->info->operand[0] == OPND_AX)
        gpr = (struct fpu_gpr){ RAX, true, true };
    fpu_thunk_encode(in, &(struct fpu_gpr){ .reg = REG_NONE }, code);
    absent = will_store(vcpu, in, code) && fpu_prepare(vcpu, in, offset, in->memsize);
    fpu_thunk_frame(vcpu, XCR0_X87, &frame);
    if (absent)
        fpu_thunk_absent(vcpu, in, offset, in->memsize, &frame);
    trap = fpu_thunk_run(vcpu, code, absent, &frame);
    if (trap)
        return fpu_thunk_fault(vcpu, trap);
    if (control)
        keep_pointers(vcpu, in, &before);
    else
        fix_pointers(vcpu, in, offset, before.fop, code[1]);
    fpu_put_gpr(vcpu, in, &gpr, &frame);
    if (in->has_mem && in->info->attr & A_WRITES_MEM && !absent && !store_suppressed(vcpu, in) &&
        fpu_write(vcpu, in->seg, offset, in->memsize))
        return STEP_FAULT;
    return STEP_NEXT;
}

/* --- FLDENV, FRSTOR, FNSTENV, FNSAVE: SDM 1, figures 8-9 to 8-12 ---------------------------- */

#define ENV_BYTES 28   /* the thunks' format: 32-bit, protected mode */
#define STATE_BYTES 108

static bool real_format(const struct vcpu *vcpu)
{
    return !vcpu_protected(vcpu) || vcpu_v86(vcpu);
}

/* Real mode keeps linear addresses, split at bit 16. */
static uint32_t join(uint32_t low, uint32_t high)
{
    return (low & 0xffff) | (high & 0x0ffff000) << 4;
}

/* The guest's format to the thunks'; size: bytes of the guest's environment. */
static void import_env(const struct vcpu *vcpu, const uint8_t *from, unsigned size,
                       struct fpu_pointers *p, uint32_t env[7])
{
    uint16_t half[7];

    if (size == ENV_BYTES) {
        __builtin_memcpy(env, from, ENV_BYTES);
    } else {
        __builtin_memcpy(half, from, sizeof(half));
        for (unsigned i = 0; i < 7; i++)
            env[i] = half[i];
    }
    if (real_format(vcpu)) {
        *p = (struct fpu_pointers){ .fip = join(env[3], env[4]), .fdp = join(env[5], env[6]) };
        p->fop = env[4] & 0x7ff;
    } else {
        *p = (struct fpu_pointers){ .fip = env[3], .fdp = env[5], .fcs = (uint16_t)env[4] };
        p->fop = size == ENV_BYTES ? env[4] >> 16 & 0x7ff : 0;
        p->fds = (uint16_t)env[6];
    }
    env[3] = (uint32_t)p->fip;
    env[4] = (uint32_t)p->fop << 16;
    env[5] = (uint32_t)p->fdp;
    env[6] = 0;
}

/* The reverse, in env. */
static void export_env(const struct vcpu *vcpu, const struct fpu_pointers *p, unsigned size,
                       uint32_t env[7])
{
    uint16_t half[7];

    if (real_format(vcpu)) {
        uint32_t ip = (uint32_t)p->fip + ((uint32_t)p->fcs << 4);
        uint32_t data = (uint32_t)p->fdp + ((uint32_t)p->fds << 4);

        env[3] = ip | 0xffff0000;
        env[4] = (ip & 0xffff0000) >> 4 | p->fop;
        env[5] = data | 0xffff0000;
        env[6] = (data & 0xffff0000) >> 4;
    } else {
        env[3] = (uint32_t)p->fip;
        env[4] = p->fcs | (uint32_t)p->fop << 16;
        env[5] = (uint32_t)p->fdp;
        env[6] = p->fds | 0xffff0000;
    }
    if (size == ENV_BYTES)
        return;
    for (unsigned i = 0; i < 7; i++)
        half[i] = (uint16_t)env[i];
    __builtin_memcpy(env, half, sizeof(half));
}

static enum fpu_trap run_env(struct vcpu *vcpu, const struct insn *in)
{
    uint8_t code[THUNK_SIZE];
    struct fpu_frame frame;

    fpu_thunk_encode(in, &(struct fpu_gpr){ .reg = REG_NONE }, code);
    fpu_thunk_frame(vcpu, XCR0_X87, &frame);
    return fpu_thunk_run(vcpu, code, false, &frame);
}

/* FLDENV, FRSTOR; registers: bytes that follow the environment. */
static enum step load_env(struct vcpu *vcpu, const struct insn *in, unsigned registers)
{
    unsigned size = in->opsize == 2 ? 14 : ENV_BYTES;
    uint8_t *operand = vcpu->fpu_unit->operand;
    uint8_t memory[STATE_BYTES];
    struct fpu_pointers p;
    uint32_t env[7];
    enum fpu_trap trap;

    if (mem_read_bytes(vcpu, in->seg, operand_address(vcpu, in), memory, size + registers))
        return STEP_FAULT;
    import_env(vcpu, memory, size, &p, env);
    vcpu->fpu_unit->ignored = 0; /* the status word is replaced */
    memcpy(operand, env, ENV_BYTES);
    memcpy(operand + ENV_BYTES, memory + size, registers);
    trap = run_env(vcpu, in);
    if (trap)
        return fpu_thunk_fault(vcpu, trap);
    fpu_put_pointers(vcpu, &p);
    return STEP_NEXT;
}

/* FNSTENV, FNSAVE. */
static enum step store_env(struct vcpu *vcpu, const struct insn *in, unsigned registers)
{
    unsigned size = in->opsize == 2 ? 14 : ENV_BYTES;
    const uint8_t *operand = vcpu->fpu_unit->operand;
    struct fpu_pointers before = fpu_get_pointers(vcpu);
    uint64_t offset = operand_address(vcpu, in);
    uint8_t memory[STATE_BYTES];
    uint32_t env[7];
    enum fpu_trap trap;

    if (mem_probe(vcpu, in->seg, offset, size + registers, true))
        return STEP_FAULT;
    trap = run_env(vcpu, in);
    if (trap)
        return fpu_thunk_fault(vcpu, trap);
    memcpy(env, operand, ENV_BYTES);
    export_env(vcpu, &before, size, env);
    memcpy(memory, env, size);
    memcpy(memory + size, operand + ENV_BYTES, registers);
    keep_pointers(vcpu, in, &before);
    if (mem_write_bytes(vcpu, in->seg, offset, memory, size + registers))
        return STEP_FAULT;
    return STEP_NEXT;
}

/* --- Entry ------------------------------------------------------------------------------ */

static enum step execute(struct vcpu *vcpu, const struct insn *in)
{
    switch (in->id) {
    case M_FLDENV:
        return load_env(vcpu, in, 0);
    case M_FRSTOR:
        return load_env(vcpu, in, STATE_BYTES - ENV_BYTES);
    case M_FNSTENV:
        return store_env(vcpu, in, 0);
    case M_FNSAVE:
        return store_env(vcpu, in, STATE_BYTES - ENV_BYTES);
    default:
        return run_x87(vcpu, in);
    }
}

enum step interp_x87(struct vcpu *vcpu, const struct insn *in)
{
    enum step step;

    if (fpu_check(vcpu, in) == STEP_FAULT)
        return STEP_FAULT;
    fpu_sync(vcpu);
    if (is_nonwaiting(in->id))
        return execute(vcpu, in);
    step = fpu_wait(vcpu);
    if (step != STEP_NEXT)
        return step;
    step = execute(vcpu, in);
    fpu_wait_done(vcpu);
    return step;
}

enum step interp_fwait(struct vcpu *vcpu, const struct insn *in)
{
    enum step step;

    if (fpu_check(vcpu, in) == STEP_FAULT)
        return STEP_FAULT;
    fpu_sync(vcpu);
    if (!cpuid_is_amd(vcpu->model))
        vcpu->fpu[FPU_XSTATE_BV] |= XCR0_X87; /* it counts as a use */
    step = fpu_wait(vcpu);
    fpu_wait_done(vcpu);
    return step;
}
