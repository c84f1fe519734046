/*
 * MOVS, CMPS, STOS, LODS, SCAS and their REP forms. Reference: SDM volume 2, the instructions'
 * pages and REP; volume 1, 7.3.9.
 *
 * S1. A repeated instruction is restartable: registers always tell how far it has come, rip stays
 *     until it is finished. After a fault the flags are those before the instruction (SDM 2, REP),
 *     on AMD's CPUs those of the last comparison (Zen 4; APM 3 does not say).
 * S2. Runs that lie in RAM are done by the host's own string instruction, in DF's direction and
 *     up to a page at a time: overlapping copies replicate as the element-wise definition says.
 * S3. Between runs it yields (STEP_JUMPED with rip unchanged) to interrupts, traps and requests.
 *
 * Not yet: 64-bit mode; backward comparisons go element by element.
 */
#include "cpu/cpuid.h"
#include "cpu/fault.h"
#include "cpu/host_ops.h"
#include "cpu/operand.h"
#include "cpu/stops.h"

/* A string instruction under way. */
struct string {
    unsigned size;      /* of an element */
    uint64_t mask;      /* of SI, DI and CX */
    uint64_t step;      /* plus or minus size */
    unsigned seg;       /* of the source */
    bool repeated, compares;
    bool back;          /* DF */
    bool stop_zf;       /* REPE stops when ZF is 0, REPNE when it is 1 */
    bool compared;      /* flags hold a result */
    uint16_t flags;     /* as host_flags_pack() makes them */
};

/* What one kind of instruction does; both return true when they faulted with nothing done. */
struct string_ops {
    bool (*element)(struct vcpu *vcpu, struct string *s);
    /* Up to count elements by host pointers; *done of them: 0 when element() must. */
    bool (*run)(struct vcpu *vcpu, struct string *s, uint64_t count, uint64_t *done);
    bool compares;
};

static uint64_t index_get(const struct vcpu *vcpu, const struct string *s, unsigned reg)
{
    return vcpu->gpr[reg] & s->mask;
}

static void index_add(struct vcpu *vcpu, const struct string *s, unsigned reg, uint64_t by)
{
    uint64_t *gpr = &vcpu->gpr[reg];

    *gpr = (*gpr & ~s->mask) | ((*gpr + by) & s->mask);
}

/* How many of count elements, the first at seg:offset and the others below it, lie in its page. */
static uint64_t elements_below(const struct vcpu *vcpu, const struct string *s, unsigned seg,
                               uint64_t offset, uint64_t count)
{
    uint64_t in_page = (vcpu->seg[seg].base + offset) & PAGE_MASK;
    uint64_t fit = (in_page < offset ? in_page : offset) / s->size + 1;

    return count < fit ? count : fit;
}

/* Host pointer to the first of the elements at seg:reg; *count becomes what it is good for, 0 for
 * none. */
MUST_CHECK static bool elements_at(struct vcpu *vcpu, const struct string *s, unsigned seg,
                                   unsigned reg, bool write, uint64_t *count, uint8_t **host)
{
    uint64_t offset = index_get(vcpu, s, reg), behind = 0, bytes;

    if (s->back) {
        *count = elements_below(vcpu, s, seg, offset, *count);
        behind = (*count - 1) * s->size;
        offset -= behind;
    }
    bytes = *count * s->size;
    if (bytes > s->mask - offset + 1)
        bytes = s->mask - offset + 1;
    if (mem_span(vcpu, seg, offset, write, &bytes, host))
        return true;
    if (!*host || bytes < behind + s->size)
        *count = 0;
    else if (!s->back)
        *count = bytes / s->size;
    if (*host)
        *host += behind;
    return false;
}

/* --- repetition -------------------------------------------------------------------------- */

static struct string string_begin(const struct vcpu *vcpu, const struct insn *in,
                                  const struct string_ops *ops)
{
    unsigned size = in->opcode & 1 ? in->opsize : 1;

    return (struct string){
        .size = size,
        .mask = operand_mask(in->addrsize),
        .back = vcpu->eflags & EFLAGS_DF,
        .step = vcpu->eflags & EFLAGS_DF ? -(uint64_t)size : size,
        .seg = in->seg,
        .repeated = in->prefixes & (PREFIX_REP | PREFIX_REPNE),
        .compares = ops->compares,
        .stop_zf = in->prefixes & PREFIX_REPNE,
    };
}

static void commit_flags(struct vcpu *vcpu, const struct string *s)
{
    if (s->compared)
        host_flags_set(vcpu, s->flags);
}

/* Somebody wants the CPU, or a trap is due. */
static bool must_yield(const struct vcpu *vcpu)
{
    return vcpu->exit_request || vcpu->debug_pending || vcpu->eflags & EFLAGS_TF ||
           stops_stepping(vcpu) || vcpu_can_interrupt(vcpu) ||
           (vcpu->nmi_pending && !vcpu->nmi_blocked);
}

/* Runs check neither alignment nor, one element at a time, the trap flag. */
static bool runs_allowed(const struct vcpu *vcpu, const struct string *s)
{
    bool checks_alignment =
        vcpu->eflags & EFLAGS_AC && vcpu->cr0 & CR0_AM && vcpu->cpl == 3;

    return !(s->back && s->compares) && !checks_alignment && !(vcpu->eflags & EFLAGS_TF) &&
           !stops_stepping(vcpu);
}

/*
 * Some of count elements: *done, at least 1. A run that faults has looked at bytes, not at
 * elements: which fault it is, element() says.
 */
MUST_CHECK static bool string_some(struct vcpu *vcpu, struct string *s,
                                   const struct string_ops *ops, uint64_t count, uint64_t *done)
{
    *done = 0;
    if (runs_allowed(vcpu, s) &&
        !ops->run(vcpu, s, count < PAGE_SIZE ? count : PAGE_SIZE, done) && *done)
        return false;
    *done = 1;
    return ops->element(vcpu, s);
}

static bool condition_ended(const struct string *s)
{
    return s->compares && !!(host_flags_unpack(s->flags) & EFLAGS_ZF) == s->stop_zf;
}

static enum step string_execute(struct vcpu *vcpu, const struct insn *in,
                                const struct string_ops *ops)
{
    struct string s = string_begin(vcpu, in, ops);
    uint64_t count, done;

    if (!s.repeated) {
        if (ops->element(vcpu, &s))
            return STEP_FAULT;
        commit_flags(vcpu, &s);
        return STEP_NEXT;
    }
    for (count = index_get(vcpu, &s, RCX); count; count -= done) {
        if (string_some(vcpu, &s, ops, count, &done)) {
            if (cpuid_is_amd(vcpu->model))
                commit_flags(vcpu, &s);
            return STEP_FAULT;
        }
        index_add(vcpu, &s, RCX, -done);
        if (count == done || condition_ended(&s))
            break;
        if (must_yield(vcpu)) {
            commit_flags(vcpu, &s);
            return STEP_JUMPED;
        }
    }
    commit_flags(vcpu, &s);
    return STEP_NEXT;
}

/* --- MOVS ----------------------------------------------------------------- */

static bool movs_element(struct vcpu *vcpu, struct string *s)
{
    uint64_t value;

    if (mem_read(vcpu, s->seg, index_get(vcpu, s, RSI), s->size, &value) ||
        mem_write(vcpu, SEG_ES, index_get(vcpu, s, RDI), s->size, value))
        return true;
    index_add(vcpu, s, RSI, s->step);
    index_add(vcpu, s, RDI, s->step);
    return false;
}

/* The destination last: its walk may take the source's write permission, not its read
 * permission. */
static bool movs_run(struct vcpu *vcpu, struct string *s, uint64_t count, uint64_t *done)
{
    uint8_t *from, *to;

    if (elements_at(vcpu, s, s->seg, RSI, false, &count, &from))
        return true;
    if (!count)
        return false;
    if (elements_at(vcpu, s, SEG_ES, RDI, true, &count, &to))
        return true;
    if (!count)
        return false;
    host_movs(s->size, s->back, to, from, count);
    index_add(vcpu, s, RSI, count * s->step);
    index_add(vcpu, s, RDI, count * s->step);
    *done = count;
    return false;
}

enum step interp_movs(struct vcpu *vcpu, const struct insn *in)
{
    static const struct string_ops ops = {movs_element, movs_run, false};

    return string_execute(vcpu, in, &ops);
}

/* --- STOS ----------------------------------------------------------------- */

static bool stos_element(struct vcpu *vcpu, struct string *s)
{
    uint64_t value = operand_register(vcpu, RAX, s->size);

    if (mem_write(vcpu, SEG_ES, index_get(vcpu, s, RDI), s->size, value))
        return true;
    index_add(vcpu, s, RDI, s->step);
    return false;
}

static bool stos_run(struct vcpu *vcpu, struct string *s, uint64_t count, uint64_t *done)
{
    uint8_t *to;

    if (elements_at(vcpu, s, SEG_ES, RDI, true, &count, &to))
        return true;
    if (count)
        host_stos(s->size, s->back, to, vcpu->gpr[RAX], count);
    index_add(vcpu, s, RDI, count * s->step);
    *done = count;
    return false;
}

enum step interp_stos(struct vcpu *vcpu, const struct insn *in)
{
    static const struct string_ops ops = {stos_element, stos_run, false};

    return string_execute(vcpu, in, &ops);
}

/* --- LODS ----------------------------------------------------------------- */

static bool lods_element(struct vcpu *vcpu, struct string *s)
{
    uint64_t value;

    if (mem_read(vcpu, s->seg, index_get(vcpu, s, RSI), s->size, &value))
        return true;
    operand_set_register(vcpu, RAX, s->size, value);
    index_add(vcpu, s, RSI, s->step);
    return false;
}

/* Of RAM only the last element is ever seen. */
static bool lods_run(struct vcpu *vcpu, struct string *s, uint64_t count, uint64_t *done)
{
    uint8_t *from;

    if (elements_at(vcpu, s, s->seg, RSI, false, &count, &from))
        return true;
    if (count < 2)
        return false;
    index_add(vcpu, s, RSI, (count - 1) * s->step);
    *done = count;
    return lods_element(vcpu, s);
}

enum step interp_lods(struct vcpu *vcpu, const struct insn *in)
{
    static const struct string_ops ops = {lods_element, lods_run, false};

    return string_execute(vcpu, in, &ops);
}

/* --- CMPS ----------------------------------------------------------------- */

/* ES:rDI is read first, as the CPUs do. */
static bool cmps_element(struct vcpu *vcpu, struct string *s)
{
    uint64_t a, b;

    if (mem_read(vcpu, SEG_ES, index_get(vcpu, s, RDI), s->size, &b) ||
        mem_read(vcpu, s->seg, index_get(vcpu, s, RSI), s->size, &a))
        return true;
    host_sub(s->size, a, b, &s->flags);
    s->compared = true;
    index_add(vcpu, s, RSI, s->step);
    index_add(vcpu, s, RDI, s->step);
    return false;
}

static bool cmps_run(struct vcpu *vcpu, struct string *s, uint64_t count, uint64_t *done)
{
    uint8_t *a, *b;

    if (elements_at(vcpu, s, SEG_ES, RDI, false, &count, &b))
        return true;
    if (!count)
        return false;
    if (elements_at(vcpu, s, s->seg, RSI, false, &count, &a))
        return true;
    if (!count)
        return false;
    *done = count - host_cmps(s->size, s->stop_zf, s->back, a, b, count, &s->flags);
    s->compared = true;
    index_add(vcpu, s, RSI, *done * s->size);
    index_add(vcpu, s, RDI, *done * s->size);
    return false;
}

enum step interp_cmps(struct vcpu *vcpu, const struct insn *in)
{
    static const struct string_ops ops = {cmps_element, cmps_run, true};

    return string_execute(vcpu, in, &ops);
}

/* --- SCAS ----------------------------------------------------------------- */

static bool scas_element(struct vcpu *vcpu, struct string *s)
{
    uint64_t value;

    if (mem_read(vcpu, SEG_ES, index_get(vcpu, s, RDI), s->size, &value))
        return true;
    host_sub(s->size, operand_register(vcpu, RAX, s->size), value, &s->flags);
    s->compared = true;
    index_add(vcpu, s, RDI, s->step);
    return false;
}

static bool scas_run(struct vcpu *vcpu, struct string *s, uint64_t count, uint64_t *done)
{
    uint8_t *at;

    if (elements_at(vcpu, s, SEG_ES, RDI, false, &count, &at))
        return true;
    if (!count)
        return false;
    *done = count - host_scas(s->size, s->stop_zf, s->back, vcpu->gpr[RAX], at, count,
                              &s->flags);
    s->compared = true;
    index_add(vcpu, s, RDI, *done * s->size);
    return false;
}

enum step interp_scas(struct vcpu *vcpu, const struct insn *in)
{
    static const struct string_ops ops = {scas_element, scas_run, true};

    return string_execute(vcpu, in, &ops);
}
