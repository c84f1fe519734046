/*
 * The FPU's state: life, moving it between the image and the host's registers, and what the control
 * registers say about using it. Reference: SDM volume 1, 8.1.8, 10.5 and 13; volume 3, 2.5 and 9.
 * Modelled: CR0.EM, MP, TS, NE; CR4.OSFXSR, OSXSAVE; XCR0; FERR#. IGNNE# counts as asserted while
 * the interrupt that FERR# causes cannot be taken: the guest goes on instead of freezing.
 */
#include "cpu/fpu.h"

#include <cpuid.h>
#include <errno.h>

#include "cpu/fault.h"
#include "cpu/fpu_thunk.h"

#define SW_FLAGS 0x3fu
#define SW_BUSY  0x8000u

#define MXCSR_OFFERED 0xffffu

/* State components that instructions here make use of. */
#define OFFERED (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512)

/* --- The host ---------------------------------------------------------------- */

static uint64_t host_xcr0(void)
{
    uint32_t eax, ebx, ecx, edx;

    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & 1u << 27))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return eax;
}

uint64_t fpu_offered_xcr0(void)
{
    uint64_t bits = host_xcr0() & OFFERED;

    if ((bits & (XCR0_AVX | XCR0_AVX512)) != (XCR0_AVX | XCR0_AVX512))
        bits &= ~(uint64_t)XCR0_AVX512; /* all or nothing */
    return (bits & 3) == 3 ? bits : 0;
}

uint32_t fpu_mxcsr_mask(const struct vcpu *vcpu)
{
    return vcpu->fpu_unit->mxcsr_mask;
}

bool fpu_drops_pointers(const struct vcpu *vcpu)
{
    return vcpu->fpu_unit->drops_pointers;
}

bool fpu_mxcsr_is_wider(const struct vcpu *vcpu)
{
    return vcpu->fpu_unit->mxcsr_host != vcpu->fpu_unit->mxcsr_mask;
}

/* CPUID leaf 7, EBX bit 13: FCS and FDS are always saved as 0. */
static bool host_keeps_selectors(void)
{
    uint32_t eax, ebx = 0, ecx, edx;

    return !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !(ebx & 1u << 13);
}

/* --- Life ---------------------------------------------------------------------- */

/* Do FXRSTOR and XRSTOR load the pointers while no exception is pending (F5)? */
static bool loads_pointers(struct vcpu *vcpu)
{
    vcpu->fpu_unit->loads_pointers = true;
    fpu_load(vcpu);
    return !fpu_save(vcpu).fop; /* what fpu_load has put there is there */
}

/* What the host says by doing: does FOP follow every instruction, which MXCSR bits are there? */
static void ask_host(struct vcpu *vcpu)
{
    static const uint8_t fld1[] = { 0xd9, 0xe8 };
    struct fpu_unit *unit = vcpu->fpu_unit;
    uint8_t code[THUNK_SIZE];
    struct fpu_frame frame;

    fpu_thunk_bytes(fld1, sizeof(fld1), code);
    fpu_thunk_frame(vcpu, XCR0_X87 | XCR0_SSE, &frame);
    fpu_put16(vcpu, FPU_CW, 0x37f);
    fpu_thunk_run(vcpu, code, true, &frame);
    unit->fop_always = fpu_get16(vcpu, FPU_FOP) != 0;
    unit->drops_pointers = !fpu_get64(vcpu, FPU_FIP);
    unit->mxcsr_host = fpu_get32(vcpu, FPU_MXCSR_MASK);
    if (!unit->mxcsr_host)
        unit->mxcsr_host = 0xffbf; /* SDM 1, 11.6.6 */
    unit->mxcsr_mask = unit->mxcsr_host & MXCSR_OFFERED;
    unit->loads_pointers = !unit->drops_pointers || loads_pointers(vcpu);
}

int fpu_create(struct vcpu *vcpu)
{
    struct fpu_unit *unit = fpu_thunk_create();

    if (!unit)
        return -ENOMEM;
    unit->components = fpu_offered_xcr0();
    unit->selectors = host_keeps_selectors();
    fpu_host_layout(&unit->layout);
    vcpu->fpu_unit = unit;
    fpu_reset(vcpu);
    ask_host(vcpu);
    fpu_reset(vcpu);
    return 0;
}

void fpu_destroy(struct vcpu *vcpu)
{
    fpu_thunk_destroy(vcpu->fpu_unit);
    vcpu->fpu_unit = NULL;
}

void fpu_reset(struct vcpu *vcpu)
{
    uint32_t mxcsr = 0x1f80;

    vcpu->bt.fpu_loaded = 0;
    memset(vcpu->fpu, 0, sizeof(vcpu->fpu));
    fpu_put16(vcpu, FPU_CW, 0x40);
    vcpu->fpu[FPU_TW] = 0xff; /* all valid: +0.0 */
    memcpy(vcpu->fpu + FPU_MXCSR, &mxcsr, 4);
    memcpy(vcpu->fpu + FPU_MXCSR_MASK, &vcpu->fpu_unit->mxcsr_host, 4);
    fpu_put64(vcpu, FPU_XSTATE_BV, XCR0_X87 | XCR0_SSE);
}

/* --- The host's registers --------------------------------------------------------- */

static uint64_t guest_components(const struct vcpu *vcpu)
{
    return vcpu->fpu_unit->components & (vcpu->xcr0 | XCR0_X87 | XCR0_SSE);
}

static void load_registers(const struct vcpu *vcpu)
{
    uint32_t mask = (uint32_t)guest_components(vcpu);

    if (mask)
        __asm__ volatile("xrstor64 (%0)" : : "r"(vcpu->fpu), "a"(mask), "d"(0) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" : : "r"(vcpu->fpu) : "memory");
}

/* What FNSTENV stores in protected mode, SDM 1, figure 8-9. */
struct environment {
    uint32_t cw, sw, tw, fip;
    uint16_t fcs, fop;
    uint32_t fdp, fds;
};

/* F5: in FIP's and FDP's lower halves, that no instruction has set them since fpu_load. No
 * instruction and no operand begins at such an address. */
#define NOT_SET UINT32_MAX

/* load_registers(), and the pointers NOT_SET. */
static void load_unset(struct vcpu *vcpu)
{
    uint64_t fip = fpu_get64(vcpu, FPU_FIP), fdp = fpu_get64(vcpu, FPU_FDP);
    uint64_t in_use = fpu_get64(vcpu, FPU_XSTATE_BV);

    fpu_put64(vcpu, FPU_FIP, NOT_SET);
    fpu_put64(vcpu, FPU_FDP, NOT_SET);
    fpu_put64(vcpu, FPU_XSTATE_BV, in_use | XCR0_X87); /* or they would not be loaded */
    load_registers(vcpu);
    fpu_put64(vcpu, FPU_FIP, fip);
    fpu_put64(vcpu, FPU_FDP, fdp);
    fpu_put64(vcpu, FPU_XSTATE_BV, in_use);
}

/* The same where XRSTOR and FXRSTOR leave alone what was in the host's registers; FLDENV does
 * not. */
static void unset_pointers(void)
{
    struct environment env;

    __asm__ volatile("fnstenv %0" : "=m"(env));
    env.fip = env.fdp = NOT_SET;
    __asm__ volatile("fldenv %0" : : "m"(env));
}

void fpu_load(struct vcpu *vcpu)
{
    const struct fpu_unit *unit = vcpu->fpu_unit;

    if (unit->drops_pointers && unit->loads_pointers) {
        load_unset(vcpu);
    } else {
        load_registers(vcpu);
        if (unit->drops_pointers)
            unset_pointers();
    }
    vcpu->bt.fpu_loaded = 1;
}

static struct environment take_registers(struct vcpu *vcpu)
{
    uint32_t mask = (uint32_t)guest_components(vcpu);
    struct environment env = { .fip = 0 };
    uint32_t mxcsr = 0x1f80;

    if (mask)
        __asm__ volatile("xsave64 (%0)" : : "r"(vcpu->fpu), "a"(mask), "d"(0) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" : : "r"(vcpu->fpu) : "memory");
    if (vcpu->fpu_unit->drops_pointers)
        __asm__ volatile("fnstenv %0" : "=m"(env));
    __asm__ volatile("fninit\n\tldmxcsr %0" : : "m"(mxcsr));
    if (mask & XCR0_AVX)
        __asm__ volatile("vzeroupper");
    vcpu->bt.fpu_loaded = 0;
    return env;
}

/* What FOP is after the x87 instruction at the host address. */
static uint16_t fop_at(uint64_t ip)
{
    const uint8_t *code = (const uint8_t *)(uintptr_t)ip;

    while ((*code & 0xf8) != 0xd8) /* prefixes */
        code++;
    return (uint16_t)((code[0] & 7) << 8 | code[1]);
}

/* fpu_save with F5. What has been lost looks like what FNINIT leaves. */
static struct fpu_last save_with_pointers(struct vcpu *vcpu)
{
    uint64_t fip = fpu_get64(vcpu, FPU_FIP), fdp = fpu_get64(vcpu, FPU_FDP);
    uint16_t fop = fpu_get16(vcpu, FPU_FOP);
    struct environment env = take_registers(vcpu);
    bool code = env.fip != NOT_SET, data = env.fdp != NOT_SET;

    fpu_put64(vcpu, FPU_FIP, code ? 0 : fip);
    fpu_put16(vcpu, FPU_FOP, code ? 0 : fop);
    fpu_put64(vcpu, FPU_FDP, data ? 0 : fdp);
    if (code)
        fpu_put16(vcpu, FPU_FCS, 0);
    if (data)
        fpu_put16(vcpu, FPU_FDS, 0);
    return (struct fpu_last){
        .ip = code ? env.fip : 0,
        .low = true,
        .fdp = env.fdp,
        .fop = code,
        .data = data && env.fdp,
    };
}

struct fpu_last fpu_save(struct vcpu *vcpu)
{
    uint16_t old_fop = fpu_get16(vcpu, FPU_FOP), fop;
    struct fpu_last last = { .ip = 0 };

    if (vcpu->fpu_unit->drops_pointers)
        return save_with_pointers(vcpu);
    take_registers(vcpu);
    fop = fpu_get16(vcpu, FPU_FOP);
    if (fpu_get64(vcpu, FPU_FDP) >> 32) {
        last.data = true;
        fpu_put64(vcpu, FPU_FDP, 0);
        fpu_put16(vcpu, FPU_FDS, 0);
    }
    if (!(fpu_get64(vcpu, FPU_FIP) >> 32))
        return last;
    last.ip = fpu_get64(vcpu, FPU_FIP);
    last.fop = fop == fop_at(last.ip) && (fop != old_fop || vcpu->fpu_unit->fop_always ||
                                          fpu_get16(vcpu, FPU_SW) & SW_ES);
    fpu_put64(vcpu, FPU_FIP, 0);
    fpu_put16(vcpu, FPU_FCS, 0);
    return last;
}

void fpu_set_pointers(struct vcpu *vcpu, const struct fpu_last *last, uint64_t rip, uint16_t fop)
{
    fpu_put64(vcpu, FPU_FIP, rip);
    fpu_put16(vcpu, FPU_FCS, vcpu->fpu_unit->selectors ? vcpu->seg[SEG_CS].selector : 0);
    if (last->fop)
        fpu_put16(vcpu, FPU_FOP, fop);
}

void fpu_set_data(struct vcpu *vcpu, uint64_t data, unsigned seg)
{
    fpu_put64(vcpu, FPU_FDP, data);
    fpu_put16(vcpu, FPU_FDS, vcpu->fpu_unit->selectors ? vcpu->seg[seg].selector : 0);
}

void fpu_taken(struct vcpu *vcpu, uint64_t fip_before, uint64_t fdp_before)
{
    bool keep = vcpu->fpu_unit->selectors;
    uint64_t bv = fpu_get64(vcpu, FPU_XSTATE_BV);

    fpu_put64(vcpu, FPU_XSTATE_BV, bv & (vcpu->fpu_unit->components | XCR0_X87 | XCR0_SSE));
    fpu_put32(vcpu, FPU_MXCSR, fpu_get32(vcpu, FPU_MXCSR) & vcpu->fpu_unit->mxcsr_mask);
    if (vcpu->fpu_unit->drops_pointers && !(fpu_get16(vcpu, FPU_SW) & SW_ES)) {
        fpu_put_pointers(vcpu, &(struct fpu_pointers){ 0 });
        return;
    }
    fpu_put64(vcpu, FPU_FIP, (uint32_t)fpu_get64(vcpu, FPU_FIP));
    fpu_put64(vcpu, FPU_FDP, (uint32_t)fpu_get64(vcpu, FPU_FDP));
    if (!keep || fpu_get64(vcpu, FPU_FIP) != fip_before)
        fpu_put16(vcpu, FPU_FCS, keep ? vcpu->seg[SEG_CS].selector : 0);
    if (!keep || fpu_get64(vcpu, FPU_FDP) != fdp_before)
        fpu_put16(vcpu, FPU_FDS, keep ? vcpu->seg[SEG_DS].selector : 0);
}

/* --- May it be used? ----------------------------------------------------------------- */

static bool is_xsave(unsigned id)
{
    return id == M_XSAVE || id == M_XSAVEC || id == M_XSAVEOPT || id == M_XRSTOR;
}

/* The bits of CR0 that make this instruction #NM. */
static uint32_t nm_bits(const struct insn *in)
{
    uint32_t attr = in->info->attr;

    if (attr & A_X87 && !(attr & A_MMX) && !is_xsave(in->id))
        return CR0_TS | CR0_EM;
    return CR0_TS;
}

static bool undefined(const struct vcpu *vcpu, const struct insn *in)
{
    uint32_t attr = in->info->attr;

    if (is_xsave(in->id))
        return !(vcpu->cr4 & CR4_OSXSAVE);
    if (attr & A_MASK && (vcpu->xcr0 & XCR0_AVX512) != XCR0_AVX512)
        return true;
    if (attr & A_AVX)
        return !(vcpu->cr4 & CR4_OSXSAVE) || (vcpu->xcr0 & 6) != 6 || !vcpu_protected(vcpu) ||
               vcpu_v86(vcpu);
    if (!(attr & (A_MMX | A_SSE)) || in->id == M_FXSAVE || in->id == M_FXRSTOR)
        return false;
    return vcpu->cr0 & CR0_EM || (attr & A_SSE && !(vcpu->cr4 & CR4_OSFXSR));
}

enum step fpu_check(struct vcpu *vcpu, const struct insn *in)
{
    if (undefined(vcpu, in))
        return fault_ud(vcpu);
    if (in->id == M_FWAIT) {
        if ((vcpu->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
            return fault_raise(vcpu, VEC_NM);
    } else if (vcpu->cr0 & nm_bits(in)) {
        return fault_raise(vcpu, VEC_NM);
    }
    return STEP_NEXT;
}

enum step fpu_wait(struct vcpu *vcpu)
{
    uint16_t sw = fpu_get16(vcpu, FPU_SW);
    uint16_t pending = sw & ~fpu_get16(vcpu, FPU_CW) & SW_FLAGS;

    if (__builtin_expect(!pending, 1))
        return STEP_NEXT;
    if (vcpu->cr0 & CR0_NE)
        return fault_raise(vcpu, VEC_MF);
    if (vcpu->env && vcpu->env->ferr)
        vcpu->env->ferr(vcpu->env->board);
    /* The CPU freezes until the interrupt (SDM 3, 9.2.2); the instruction comes after it. */
    if (vcpu_can_interrupt(vcpu))
        return STEP_JUMPED;
    vcpu->fpu_unit->ignored = pending;
    fpu_put16(vcpu, FPU_SW, sw & ~(pending | SW_ES | SW_BUSY));
    return STEP_NEXT;
}

void fpu_wait_done(struct vcpu *vcpu)
{
    uint16_t sw;

    if (__builtin_expect(!vcpu->fpu_unit->ignored, 1))
        return;
    sw = fpu_get16(vcpu, FPU_SW) | vcpu->fpu_unit->ignored;
    vcpu->fpu_unit->ignored = 0;
    if (sw & ~fpu_get16(vcpu, FPU_CW) & SW_FLAGS)
        sw |= SW_ES | SW_BUSY;
    fpu_put16(vcpu, FPU_SW, sw);
}
