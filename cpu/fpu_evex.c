/*
 * EVEX-encoded instructions: AVX-512. Reference: SDM volume 1, chapter 15; volume 2, 2.7 and 2.8.5
 * (faults of elements that the mask excludes).
 *
 * Thunks as for AVX. Whether an access to an element happens is the CPU's own decision: where a
 * page of the operand cannot be accessed, the thunk's operand gets the same edge (struct place),
 * and it is always as aligned as the guest's. What a masked store has written is what comes out
 * alike from two runs on different bytes. Gathers and scatters are done here by the element; a
 * fault leaves what is done, and the mask says what is left.
 */
#include "cpu/fault.h"
#include "cpu/fpu_thunk.h"
#include "cpu/mem.h"
#include "cpu/operand.h"

#define COMPONENTS (XCR0_SSE | XCR0_AVX | XCR0_AVX512)
#define WIDEST 64

/* --- Where the operand is ---------------------------------------------------- */

/* The operand's pages: which can be accessed, and where the thunk finds them. */
struct place {
    uint64_t offset;
    unsigned size, first; /* bytes; those in the first page */
    bool ok[2], misaligned;
    struct fault fault;   /* of the first part that is not */
    uint8_t *at;
};

static void probe(struct vcpu *vcpu, const struct insn *in, struct place *p, bool write)
{
    uint64_t gla = vcpu->seg[in->seg].base + p->offset;
    unsigned room = (unsigned)(PAGE_SIZE - (gla & PAGE_MASK));

    p->first = p->size < room ? p->size : room;
    p->ok[1] = p->first == p->size ||
               !mem_probe(vcpu, in->seg, p->offset + p->first, p->size - p->first, write);
    if (!p->ok[1])
        p->fault = vcpu->fault;
    p->ok[0] = !mem_probe(vcpu, in->seg, p->offset, p->first, write);
    if (!p->ok[0])
        p->fault = vcpu->fault;
}

static bool whole(const struct place *p)
{
    return p->ok[0] && p->ok[1];
}

static void find_place(struct vcpu *vcpu, const struct insn *in, struct place *p, bool write)
{
    unsigned low = (vcpu->seg[in->seg].base + p->offset) & (WIDEST - 1);

    probe(vcpu, in, p, write);
    p->misaligned = in->info->attr & A_ALIGN16 && low & (p->size - 1);
    if (whole(p))
        p->at = vcpu->fpu_unit->operand + low;
    else if (p->ok[0])
        p->at = vcpu->fpu_unit->edge - p->first;
    else if (p->first == p->size || !p->ok[1])
        p->at = vcpu->fpu_unit->edge + low;
    else
        p->at = vcpu->fpu_unit->edge + PAGE_SIZE - p->first;
}

/* The part that the thunk may touch: its beginning in the operand, and its bytes. */
static unsigned present(const struct place *p, unsigned *from)
{
    *from = p->ok[0] ? 0 : p->first;
    return (p->ok[0] ? p->first : 0) + (p->ok[1] ? p->size - p->first : 0);
}

/* --- The thunk ------------------------------------------------------------ */

static enum step run_thunk(struct vcpu *vcpu, const struct insn *in, const struct place *p)
{
    bool guard = fpu_unmasked(vcpu) || (p && (!whole(p) || p->misaligned));
    uint8_t code[THUNK_SIZE];
    struct fpu_frame frame;
    struct fpu_gpr gpr;
    enum fpu_trap trap;

    fpu_find_gpr(in, &gpr);
    fpu_thunk_encode(in, &gpr, code);
    fpu_thunk_frame(vcpu, COMPONENTS, &frame);
    fpu_take_gpr(vcpu, &gpr, &frame);
    if (p)
        frame.operand = p->at;
    trap = fpu_thunk_run(vcpu, code, guard, &frame);
    if (trap == FPU_ABSENT)
        vcpu->fault = p->fault;
    if (trap)
        return fpu_thunk_fault(vcpu, trap);
    fpu_put_gpr(vcpu, in, &gpr, &frame);
    return STEP_NEXT;
}

static enum step run_load(struct vcpu *vcpu, const struct insn *in, struct place *p)
{
    unsigned from, count;

    find_place(vcpu, in, p, false);
    count = present(p, &from);
    if (count && mem_read_bytes(vcpu, in->seg, p->offset + from, p->at + from, count))
        return STEP_FAULT;
    return run_thunk(vcpu, in, p);
}

/* Runs of bytes that came out alike are written. */
static enum step write_alike(struct vcpu *vcpu, const struct insn *in, const struct place *p,
                             const uint8_t *other)
{
    unsigned from, end = present(p, &from) + from;

    while (from < end) {
        unsigned n = 0;

        while (from + n < end && p->at[from + n] == other[from + n])
            n++;
        if (n && mem_write_bytes(vcpu, in->seg, p->offset + from, p->at + from, n))
            return STEP_FAULT;
        from += n ? n : 1;
    }
    return STEP_NEXT;
}

static enum step run_store(struct vcpu *vcpu, const struct insn *in, struct place *p)
{
    uint8_t other[WIDEST];
    unsigned from, count;

    find_place(vcpu, in, p, true);
    count = present(p, &from);
    memset(p->at + from, 0, count);
    if (run_thunk(vcpu, in, p) == STEP_FAULT)
        return STEP_FAULT;
    memcpy(other + from, p->at + from, count);
    memset(p->at + from, 0xff, count);
    if (run_thunk(vcpu, in, p) == STEP_FAULT)
        return STEP_FAULT;
    return write_alike(vcpu, in, p, other);
}

/* --- Gathers and scatters ------------------------------------------------------ */

static void get_vector(const struct vcpu *vcpu, unsigned n, uint8_t *to)
{
    memcpy(to, vcpu->fpu + FPU_XMM + 16 * n, 16);
    memcpy(to + 16, vcpu->fpu + FPU_YMM + 16 * n, 16);
    memcpy(to + 32, vcpu->fpu + vcpu->fpu_unit->layout.offset[STATE_ZMM] + 32 * n, 32);
}

static void put_vector(struct vcpu *vcpu, unsigned n, const uint8_t *from)
{
    memcpy(vcpu->fpu + FPU_XMM + 16 * n, from, 16);
    memcpy(vcpu->fpu + FPU_YMM + 16 * n, from + 16, 16);
    memcpy(vcpu->fpu + vcpu->fpu_unit->layout.offset[STATE_ZMM] + 32 * n, from + 32, 32);
    vcpu->fpu[FPU_XSTATE_BV] |= XCR0_SSE | XCR0_AVX | 1u << STATE_ZMM;
}

static uint64_t *mask_register(struct vcpu *vcpu, unsigned n)
{
    return (uint64_t *)(void *)(vcpu->fpu + vcpu->fpu_unit->layout.offset[STATE_MASK] + 8 * n);
}

static uint64_t element_offset(const struct vcpu *vcpu, const struct insn *in,
                               const uint8_t *index, unsigned size)
{
    uint64_t offset = (uint64_t)in->disp, value = 0;

    memcpy(&value, index, size);
    if (size == 4)
        value = (uint64_t)(int64_t)(int32_t)value;
    if (in->base < GPR_COUNT)
        offset += vcpu->gpr[in->base];
    return (offset + (value << (in->bytes[in->modrm_at + 1] >> 6))) & operand_mask(in->addrsize);
}

static bool move_element(struct vcpu *vcpu, const struct insn *in, uint64_t offset, uint8_t *at,
                         unsigned size)
{
    uint64_t value = 0;

    if (in->info->attr & A_WRITES_MEM) {
        memcpy(&value, at, size);
        return mem_write(vcpu, in->seg, offset, size, value);
    }
    if (mem_read(vcpu, in->seg, offset, size, &value))
        return true;
    memcpy(at, &value, size);
    return false;
}

static enum step run_indexed(struct vcpu *vcpu, const struct insn *in)
{
    unsigned size = in->w ? 8 : 4, index_size = in->opcode & 1 ? 8 : 4;
    unsigned widest = size > index_size ? size : index_size, count = in->vl / widest;
    unsigned index_reg = in->bytes[in->modrm_at + 1] >> 3 & 7;
    bool load = !(in->info->attr & A_WRITES_MEM), fault = false;
    uint64_t *mask = mask_register(vcpu, evex_last(in) & EVEX_K);
    uint8_t data[WIDEST], index[WIDEST];

    if (load && index_reg == in->reg)
        return fault_ud(vcpu);
    vcpu->fpu[FPU_XSTATE_BV] |= 1u << STATE_MASK;
    get_vector(vcpu, in->reg, data);
    get_vector(vcpu, index_reg, index);
    for (unsigned i = 0; i < count && !fault; i++) {
        if (!(*mask >> i & 1))
            continue;
        fault = move_element(vcpu, in, element_offset(vcpu, in, index + i * index_size, index_size),
                             data + i * size, size);
        if (!fault) {
            *mask &= ~(1ull << i);
            memset(data + in->vl, 0, sizeof(data) - in->vl);
        }
    }
    if (!fault) {
        memset(data + count * size, 0, sizeof(data) - count * size);
        *mask = 0;
    }
    if (load)
        put_vector(vcpu, in->reg, data);
    return fault ? STEP_FAULT : STEP_NEXT;
}

/* --- Entry ---------------------------------------------------------------- */

enum step interp_evex(struct vcpu *vcpu, const struct insn *in)
{
    bool write = in->info->attr & A_WRITES_MEM;
    struct place p = { .size = in->memsize };

    if (fpu_check(vcpu, in) == STEP_FAULT)
        return STEP_FAULT;
    fpu_sync(vcpu);
    if (!in->has_mem)
        return run_thunk(vcpu, in, NULL);
    if (in->info->operand[0] == OPND_Mgather || in->info->operand[1] == OPND_Mgather)
        return run_indexed(vcpu, in);
    p.offset = operand_address(vcpu, in);
    return write ? run_store(vcpu, in, &p) : run_load(vcpu, in, &p);
}
