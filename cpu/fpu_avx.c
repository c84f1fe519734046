/*
 * VEX-encoded vector instructions: AVX, AVX2, FMA, F16C and what they widen. Reference: SDM volume
 * 1, chapter 14; volume 2, 2.3 and 2.4.
 *
 * Thunks as for SSE. Two kinds of memory operands are taken apart here, because elements that the
 * mask excludes must not be touched: masked moves (their thunk works on a buffer that has been
 * filled, or is written out, by the element) and gathers (done wholly here; a fault leaves the
 * elements that have been loaded, and the mask says which are left, as on the CPU).
 * Not here: AVX-512 and everything EVEX-encoded.
 */
#include "cpu/cpuid.h"
#include "cpu/fault.h"
#include "cpu/fpu_thunk.h"
#include "cpu/mem.h"
#include "cpu/operand.h"

/* --- Vector registers in the image ---------------------------------------- */

static void get_vector(const struct vcpu *vcpu, unsigned n, uint8_t *to)
{
    memcpy(to, vcpu->fpu + FPU_XMM + 16 * n, 16);
    memcpy(to + 16, vcpu->fpu + FPU_YMM + 16 * n, 16);
}

static void put_low(struct vcpu *vcpu, unsigned n, const uint8_t *from)
{
    memcpy(vcpu->fpu + FPU_XMM + 16 * n, from, 16);
    memcpy(vcpu->fpu + FPU_YMM + 16 * n, from + 16, 16);
    vcpu->fpu[FPU_XSTATE_BV] |= XCR0_SSE | XCR0_AVX;
}

/* Bits 256 and up become 0. */
static void put_vector(struct vcpu *vcpu, unsigned n, const uint8_t *from)
{
    const struct fpu_layout *layout = &vcpu->fpu_unit->layout;

    put_low(vcpu, n, from);
    memset(vcpu->fpu + layout->offset[STATE_ZMM] + 32 * n, 0, layout->size[STATE_ZMM] ? 32 : 0);
}

/* --- The thunk ------------------------------------------------------------ */

/* Runs it on unit->operand; no memory is read or written here. */
/* size: 0, or that of an operand at offset that faults (fpu_thunk_absent). */
static enum step run_thunk_absent(struct vcpu *vcpu, const struct insn *in, uint64_t offset,
                                  unsigned size)
{
    uint8_t code[THUNK_SIZE];
    struct fpu_frame frame;
    struct fpu_gpr gpr;
    enum fpu_trap trap;

    fpu_find_gpr(in, &gpr);
    fpu_thunk_encode(in, &gpr, code);
    fpu_thunk_frame(vcpu, XCR0_SSE | XCR0_AVX | (vcpu->xcr0 & XCR0_AVX512), &frame);
    fpu_take_gpr(vcpu, &gpr, &frame);
    if (size)
        fpu_thunk_absent(vcpu, in, offset, size, &frame);
    trap = fpu_thunk_run(vcpu, code, size || fpu_unmasked(vcpu), &frame);
    if (trap)
        return fpu_thunk_fault(vcpu, trap);
    fpu_put_gpr(vcpu, in, &gpr, &frame);
    if (in->id == M_VPCMPESTRI || in->id == M_VPCMPISTRI)
        vcpu->gpr[RCX] = (uint32_t)frame.rcx;
    return STEP_NEXT;
}

static enum step run_thunk(struct vcpu *vcpu, const struct insn *in)
{
    return run_thunk_absent(vcpu, in, 0, 0);
}

static enum step run_avx(struct vcpu *vcpu, const struct insn *in)
{
    bool write = in->info->attr & A_WRITES_MEM;
    uint64_t offset = in->has_mem ? operand_address(vcpu, in) : 0;
    unsigned size = in->memsize;

    if (in->id == M_VMOVDDUP && size == 16)
        size = 8;
    if (in->has_mem && in->info->attr & A_ALIGN16 &&
        fpu_misaligned(vcpu, in, offset, size, write))
        return STEP_FAULT;
    if (fpu_prepare(vcpu, in, offset, size)) /* arithmetic before a store comes first */
        return in->id == M_VCVTPS2PH ? run_thunk_absent(vcpu, in, offset, size) : STEP_FAULT;
    if (run_thunk(vcpu, in) == STEP_FAULT)
        return STEP_FAULT;
    if (in->has_mem && write && fpu_write(vcpu, in->seg, offset, size))
        return STEP_FAULT;
    return STEP_NEXT;
}

/* --- Masked moves --------------------------------------------------------- */

/* A range of memory by elements of size bytes, of which only those with the top bit of their mask
 * set count. */
struct masked {
    unsigned seg, size, count;
    uint64_t offset, wrap; /* wrap: mask of the address size */
    uint8_t mask[32];
};

static bool selected(const struct masked *m, unsigned i)
{
    return m->mask[i * m->size + m->size - 1] & 0x80;
}

static bool masked_probe(struct vcpu *vcpu, const struct masked *m, bool write)
{
    for (unsigned i = 0; i < m->count; i++) {
        if (selected(m, i) &&
            mem_probe(vcpu, m->seg, (m->offset + i * m->size) & m->wrap, m->size, write))
            return true;
    }
    return false;
}

static bool masked_read(struct vcpu *vcpu, const struct masked *m, uint8_t *to)
{
    uint64_t value;

    for (unsigned i = 0; i < m->count; i++) {
        value = 0;
        if (selected(m, i) &&
            mem_read(vcpu, m->seg, (m->offset + i * m->size) & m->wrap, m->size, &value))
            return true;
        memcpy(to + i * m->size, &value, m->size);
    }
    return false;
}

static bool masked_write(struct vcpu *vcpu, const struct masked *m, const uint8_t *from)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < m->count; i++) {
        memcpy(&value, from + i * m->size, m->size);
        if (selected(m, i) &&
            mem_write(vcpu, m->seg, (m->offset + i * m->size) & m->wrap, m->size, value))
            return true;
    }
    return false;
}

/* Masked-out bytes are not written, but the CPU may want them there all the same. */
static enum step run_maskmov(struct vcpu *vcpu, const struct insn *in, const struct masked *m)
{
    enum step step;

    if (mem_probe(vcpu, m->seg, m->offset & m->wrap, m->count, true))
        step = run_thunk_absent(vcpu, in, m->offset & m->wrap, m->count);
    else
        step = run_thunk(vcpu, in);
    if (step == STEP_NEXT && masked_write(vcpu, m, vcpu->fpu_unit->operand))
        return STEP_FAULT;
    return step;
}

static enum step run_masked(struct vcpu *vcpu, const struct insn *in, unsigned size)
{
    struct masked m = { .seg = in->seg, .size = size, .count = in->vl / size };
    uint8_t *operand = vcpu->fpu_unit->operand;

    m.wrap = operand_mask(in->addrsize);
    if (in->id == M_VMASKMOVDQU) {
        m.offset = vcpu->gpr[RDI];
        get_vector(vcpu, in->rm, m.mask);
        return run_maskmov(vcpu, in, &m);
    }
    m.offset = operand_address(vcpu, in);
    get_vector(vcpu, in->vvvv, m.mask);
    if (in->info->attr & A_READS_MEM)
        return masked_read(vcpu, &m, operand) ? STEP_FAULT : run_thunk(vcpu, in);
    if (masked_probe(vcpu, &m, true) || run_thunk(vcpu, in) == STEP_FAULT ||
        masked_write(vcpu, &m, operand))
        return STEP_FAULT;
    return STEP_NEXT;
}

/* --- Gathers -------------------------------------------------------------- */

struct gather {
    unsigned size, index_size, count; /* element and index bytes; elements */
    unsigned index, mask, scale;      /* register numbers; log2 */
};

/* False: registers that make it undefined. */
static bool gather_decode(const struct insn *in, unsigned size, unsigned index_size,
                          struct gather *g)
{
    uint8_t sib = in->bytes[in->modrm_at + 1];
    unsigned widest = size > index_size ? size : index_size;

    *g = (struct gather){
        .size = size,
        .index_size = index_size,
        .count = in->vl / widest,
        .index = sib >> 3 & 7,
        .mask = in->vvvv,
        .scale = sib >> 6,
    };
    return g->index != g->mask && g->index != in->reg && g->mask != in->reg;
}

static uint64_t gather_offset(const struct vcpu *vcpu, const struct insn *in,
                              const struct gather *g, const uint8_t *index)
{
    uint64_t offset = (uint64_t)in->disp, value = 0;

    memcpy(&value, index, g->index_size);
    if (g->index_size == 4)
        value = (uint64_t)(int64_t)(int32_t)value;
    if (in->base < GPR_COUNT)
        offset += vcpu->gpr[in->base];
    return (offset + (value << g->scale)) & operand_mask(in->addrsize);
}

/* Every element of the mask becomes all its top bit before the first access (Intel). */
static void spread_mask(uint8_t *mask, unsigned size, unsigned vl)
{
    for (unsigned i = 0; i < vl; i += size)
        memset(mask + i, mask[i + size - 1] & 0x80 ? 0xff : 0, size);
    memset(mask + vl, 0, 32 - vl);
}

/*
 * An element has faulted. What registers hold beside the elements that are done is the CPU's choice
 * (SDM 2, VPGATHERDD): Intel's CPUs have cleared what is beyond the vector, AMD's have touched
 * nothing else.
 */
static enum step stop_gather(struct vcpu *vcpu, const struct insn *in, const struct gather *g,
                             uint8_t *to, const uint8_t *mask, bool loaded)
{
    if (cpuid_is_amd(vcpu->model)) {
        put_low(vcpu, in->reg, to);
        put_low(vcpu, g->mask, mask);
        return STEP_FAULT;
    }
    memset(to + in->vl, 0, 32 - in->vl);
    if (loaded)
        put_vector(vcpu, in->reg, to);
    put_vector(vcpu, g->mask, mask);
    return STEP_FAULT;
}

static enum step run_gather(struct vcpu *vcpu, const struct insn *in, unsigned size,
                            unsigned index_size)
{
    uint8_t to[32], mask[32], index[32];
    struct gather g;
    bool loaded = false;
    uint64_t value;

    if (!gather_decode(in, size, index_size, &g))
        return fault_ud(vcpu);
    get_vector(vcpu, in->reg, to);
    get_vector(vcpu, g.mask, mask);
    get_vector(vcpu, g.index, index);
    if (!cpuid_is_amd(vcpu->model))
        spread_mask(mask, size, in->vl);
    for (unsigned i = 0; i < g.count; i++) {
        bool wanted = mask[(i + 1) * size - 1] & 0x80;

        if (wanted && mem_read(vcpu, in->seg, gather_offset(vcpu, in, &g, index + i * index_size),
                               size, &value))
            return stop_gather(vcpu, in, &g, to, mask, loaded);
        if (wanted)
            memcpy(to + i * size, &value, size);
        loaded |= wanted;
        memset(mask + i * size, 0, size);
    }
    memset(mask, 0, sizeof(mask));
    memset(to + g.count * size, 0, sizeof(to) - g.count * size);
    put_vector(vcpu, in->reg, to);
    put_vector(vcpu, g.mask, mask);
    return STEP_NEXT;
}

/* --- Entry ---------------------------------------------------------------- */

enum step interp_avx(struct vcpu *vcpu, const struct insn *in)
{
    if (fpu_check(vcpu, in) == STEP_FAULT)
        return STEP_FAULT;
    fpu_sync(vcpu);
    switch (in->id) {
    case M_VMASKMOVDQU: return run_masked(vcpu, in, 1);
    case M_VMASKMOVPS: case M_VPMASKMOVD: return run_masked(vcpu, in, 4);
    case M_VMASKMOVPD: case M_VPMASKMOVQ: return run_masked(vcpu, in, 8);
    case M_VPGATHERDD: case M_VGATHERDPS: return run_gather(vcpu, in, 4, 4);
    case M_VPGATHERDQ: case M_VGATHERDPD: return run_gather(vcpu, in, 8, 4);
    case M_VPGATHERQD: case M_VGATHERQPS: return run_gather(vcpu, in, 4, 8);
    case M_VPGATHERQQ: case M_VGATHERQPD: return run_gather(vcpu, in, 8, 8);
    default: return run_avx(vcpu, in);
    }
}
