/*
 * Segment register loads and the checks around them: see segment.h.
 * Reference: SDM volume 2, MOV; volume 3, 3.4, 3.5, 5.2 to 5.6. Checks are in the manual's order.
 * Modelled: protected, real and virtual-8086 mode. Not yet: 64-bit descriptors (16 bytes).
 */
#include "cpu/segment.h"

#include "cpu/cpuid.h"
#include "cpu/fault.h"

#define DESC_ACCESSED (1ull << 40)
#define DESC_BUSY     (2ull << 40)

bool segment_raise(struct vcpu *vcpu, uint8_t vector, uint16_t selector, uint32_t ext)
{
    return fault_raise_error(vcpu, vector, (selector & ~SELECTOR_RPL) | ext) == STEP_FAULT;
}

bool segment_descriptor(struct vcpu *vcpu, uint16_t selector, uint8_t vector, uint32_t ext,
                        uint64_t *d, uint64_t *gla)
{
    uint32_t offset = selector & 0xfff8, limit = vcpu->gdtr.limit;
    uint64_t base = vcpu->gdtr.base;

    if (selector & SELECTOR_TI) {
        if (vcpu->ldtr.attr & SEG_UNUSABLE)
            return segment_raise(vcpu, vector, selector, ext);
        base = vcpu->ldtr.base;
        limit = vcpu->ldtr.limit;
    }
    if (offset + 7 > limit)
        return segment_raise(vcpu, vector, selector, ext);
    *gla = (base + offset) & UINT32_MAX;
    return mem_read_system(vcpu, *gla, 8, d);
}

static bool has_segment(const struct vcpu *vcpu, uint16_t selector)
{
    bool ldt = selector & SELECTOR_TI;
    uint64_t d = 0, base = ldt ? vcpu->ldtr.base : vcpu->gdtr.base;
    uint32_t limit = ldt ? vcpu->ldtr.limit : vcpu->gdtr.limit;

    return !(ldt && vcpu->ldtr.attr & SEG_UNUSABLE) &&
           (selector | SELECTOR_RPL | SELECTOR_TI) <= limit &&
           mem_debug_read((struct vcpu *)vcpu, base + (selector & 0xfff8), &d, 8) &&
           descriptor_attr(d) & SEG_S && descriptor_present(d);
}

static bool is_bare(uint16_t selector)
{
    return selector == SEGMENT_BARE_CODE || selector == SEGMENT_BARE_DATA ||
           (selector >= SEGMENT_BARE_TLS(6) && selector <= SEGMENT_BARE_TLS(8) &&
            (selector & 7) == 7);
}

/* With an LDT of its own, code may well name an entry that is not there. */
static uint16_t bare_tls(const struct vcpu *vcpu, uint16_t own)
{
    bool has_ldt = !(vcpu->ldtr.attr & SEG_UNUSABLE);

    return has_ldt && own != vcpu->bare[SEG_FS] && own != vcpu->bare[SEG_GS] ? own | SELECTOR_TI
                                                                              : own;
}

uint16_t segment_meant(const struct vcpu *vcpu, unsigned seg, uint16_t selector)
{
    if (__builtin_expect(!is_bare(selector), 1) || !vcpu->bare[SEG_SS] ||
        has_segment(vcpu, selector))
        return selector;
    if (selector & SELECTOR_TI)
        return bare_tls(vcpu, selector & (uint16_t)~SELECTOR_TI);
    if (selector == SEGMENT_BARE_CODE)
        return vcpu->bare[SEG_CS];
    return vcpu->bare[selector_null(vcpu->bare[seg]) ? SEG_SS : seg];
}

bool segment_accessed(struct vcpu *vcpu, uint64_t gla, uint64_t *d)
{
    if (__builtin_expect(*d & DESC_ACCESSED, 1))
        return false;
    if (mem_write_system(vcpu, gla + 5, 1, (*d >> 40 & 0xff) | SEG_ACCESSED))
        return true;
    *d |= DESC_ACCESSED;
    return false;
}

void segment_load_real(struct vcpu *vcpu, unsigned seg, uint16_t selector)
{
    struct segment *s = &vcpu->seg[seg];

    if (s->attr & SEG_UNUSABLE) {
        s->limit = 0xffff;
        s->attr = ATTR_REAL;
    }
    s->selector = selector;
    s->base = (uint64_t)selector << 4;
}

void segment_load_v86(struct vcpu *vcpu, unsigned seg, uint16_t selector)
{
    vcpu->seg[seg] = (struct segment){ selector, ATTR_V86, 0xffff, (uint64_t)selector << 4 };
}

void segment_load_null(struct vcpu *vcpu, unsigned seg, uint16_t selector)
{
    vcpu->seg[seg] = (struct segment){ .selector = selector, .attr = SEG_UNUSABLE };
}

static bool load_ss(struct vcpu *vcpu, uint16_t selector)
{
    uint64_t d, gla;

    if (selector_null(selector))
        return segment_raise(vcpu, VEC_GP, 0, 0);
    if (segment_descriptor(vcpu, selector, VEC_GP, 0, &d, &gla))
        return true;
    if ((selector & SELECTOR_RPL) != vcpu->cpl || !descriptor_is_stack(d) ||
        descriptor_dpl(d) != vcpu->cpl)
        return segment_raise(vcpu, VEC_GP, selector, 0);
    if (!descriptor_present(d))
        return segment_raise(vcpu, VEC_SS, selector, 0);
    if (segment_accessed(vcpu, gla, &d))
        return true;
    vcpu->seg[SEG_SS] = segment_unpack(selector, d);
    return false;
}

/* Data or readable code, and not more privileged than CPL and RPL (SDM 3, 5.6)? */
static bool may_use_data(const struct vcpu *vcpu, uint16_t selector, uint64_t d)
{
    uint32_t attr = descriptor_attr(d);

    if (!(attr & SEG_S) || (attr & (SEG_CODE | SEG_READABLE)) == SEG_CODE)
        return false;
    if ((attr & (SEG_CODE | SEG_CONFORM)) == (SEG_CODE | SEG_CONFORM))
        return true;
    return descriptor_dpl(d) >= vcpu->cpl && descriptor_dpl(d) >= (selector & SELECTOR_RPL);
}

bool segment_load(struct vcpu *vcpu, unsigned seg, uint16_t selector)
{
    uint64_t d, gla;

    if (!vcpu_protected(vcpu)) {
        segment_load_real(vcpu, seg, selector);
        return false;
    }
    if (vcpu_v86(vcpu)) {
        segment_load_v86(vcpu, seg, selector);
        return false;
    }
    selector = segment_meant(vcpu, seg, selector);
    if (seg == SEG_SS)
        return load_ss(vcpu, selector);
    if (selector_null(selector)) {
        segment_load_null(vcpu, seg, selector);
        return false;
    }
    if (segment_descriptor(vcpu, selector, VEC_GP, 0, &d, &gla))
        return true;
    if (!may_use_data(vcpu, selector, d))
        return segment_raise(vcpu, VEC_GP, selector, 0);
    if (!descriptor_present(d))
        return segment_raise(vcpu, VEC_NP, selector, 0);
    if (segment_accessed(vcpu, gla, &d))
        return true;
    vcpu->seg[seg] = segment_unpack(selector, d);
    return false;
}

void segment_drop_inner(struct vcpu *vcpu)
{
    static const uint8_t data[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };

    for (unsigned i = 0; i < 4; i++) {
        uint32_t attr = vcpu->seg[data[i]].attr;
        bool conforming = (attr & (SEG_CODE | SEG_CONFORM)) == (SEG_CODE | SEG_CONFORM);

        if (attr & SEG_UNUSABLE || conforming)
            continue;
        if ((attr & SEG_DPL) >> 5 < vcpu->cpl)
            segment_load_null(vcpu, data[i], 0);
    }
}

bool segment_load_ldtr(struct vcpu *vcpu, uint16_t selector, uint8_t vector, uint32_t ext)
{
    uint64_t d, gla;

    if (selector_null(selector)) {
        vcpu->ldtr = (struct segment){ .selector = selector, .attr = SEG_UNUSABLE };
        return false;
    }
    if (selector & SELECTOR_TI)
        return segment_raise(vcpu, vector, selector, ext);
    if (segment_descriptor(vcpu, selector, vector, ext, &d, &gla))
        return true;
    if (descriptor_system_type(d) != DESC_LDT)
        return segment_raise(vcpu, vector, selector, ext);
    if (!descriptor_present(d)) /* in a task switch this is #TS as well (SDM 3, table 7-1) */
        return segment_raise(vcpu, vector == VEC_TS ? VEC_TS : VEC_NP, selector, ext);
    vcpu->ldtr = segment_unpack(selector, d);
    return false;
}

bool segment_load_tr(struct vcpu *vcpu, uint16_t selector)
{
    uint64_t d, gla;

    if (selector_null(selector))
        return segment_raise(vcpu, VEC_GP, 0, 0);
    if (selector & SELECTOR_TI)
        return segment_raise(vcpu, VEC_GP, selector, 0);
    if (segment_descriptor(vcpu, selector, VEC_GP, 0, &d, &gla))
        return true;
    if (descriptor_system_type(d) != DESC_TSS16 && descriptor_system_type(d) != DESC_TSS32)
        return segment_raise(vcpu, VEC_GP, selector, 0);
    if (!descriptor_present(d))
        return segment_raise(vcpu, VEC_NP, selector, 0);
    d |= DESC_BUSY;
    if (mem_write_system(vcpu, gla + 5, 1, d >> 40 & 0xff))
        return true;
    vcpu->tr = segment_unpack(selector, d);
    return false;
}

/* --- Stacks --------------------------------------------------------------- */

void stack_current(const struct vcpu *vcpu, uint32_t error, struct stack *st)
{
    st->ss = vcpu->seg[SEG_SS];
    st->mask = stack_mask(&st->ss);
    st->sp = vcpu->gpr[RSP];
    st->system = vcpu->cpl != 3;
    st->error = error;
}

static bool no_room(struct vcpu *vcpu, const struct stack *st)
{
    return fault_raise_error(vcpu, VEC_SS, st->error) == STEP_FAULT;
}

bool stack_check(struct vcpu *vcpu, const struct stack *st, unsigned count, unsigned size)
{
    uint64_t sp = st->sp;

    for (; count; count--) {
        sp = (sp - size) & st->mask;
        if (!segment_within(&st->ss, sp, size))
            return no_room(vcpu, st);
    }
    return false;
}

bool stack_push(struct vcpu *vcpu, struct stack *st, unsigned size, uint64_t value)
{
    uint64_t sp = (st->sp - size) & st->mask, gla = st->ss.base + sp;

    if (!segment_within(&st->ss, sp, size))
        return no_room(vcpu, st);
    if (st->system ? mem_write_system(vcpu, gla, size, value)
                   : mem_write_linear(vcpu, gla, size, value))
        return true;
    st->sp = sp;
    return false;
}

void stack_set_pointer(struct vcpu *vcpu, const struct segment *ss, uint64_t sp)
{
    uint64_t mask = stack_mask(ss);

    vcpu->gpr[RSP] = (vcpu->gpr[RSP] & ~mask & UINT32_MAX) | (sp & mask);
}

unsigned stack_selector_size(const struct vcpu *vcpu, unsigned opsize)
{
    return cpuid_is_amd(vcpu->model) ? opsize : 2;
}

bool stack_peek(struct vcpu *vcpu, uint64_t skip, unsigned size, uint64_t *value)
{
    uint64_t mask = stack_mask(&vcpu->seg[SEG_SS]);

    return mem_read(vcpu, SEG_SS, (vcpu->gpr[RSP] + skip) & mask, size, value);
}

bool stack_push_current(struct vcpu *vcpu, unsigned size, uint64_t value)
{
    uint64_t sp = vcpu->gpr[RSP] - size;

    if (mem_write(vcpu, SEG_SS, sp & stack_mask(&vcpu->seg[SEG_SS]), size, value))
        return true;
    stack_set_pointer(vcpu, &vcpu->seg[SEG_SS], sp);
    return false;
}
