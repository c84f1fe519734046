/*
 * What translated code knows of descriptors. An entry of vcpu.bt_descriptors says what a selector
 * means for a use (a load of DS, a transfer to code, ...) at one privilege, or where a gate of the
 * IDT leads. Code that goes by it (rules_descriptor.c) compares the descriptor in the guest's table
 * with the entry's each time: so no write to a table has to be seen, whoever makes it and through
 * which mapping. What it does not compare is where the descriptor is:
 *
 *  D1. Entries are forgotten when GDTR or LDTR change, those of gates when IDTR does, and all, with
 *      the modes that crossing.c knows, when another TLB is used or it has forgotten pages
 *      (descriptors_check(), before C goes back to translated code).
 *  D2. Of code segments with the same base only those of one limit have entries (U8).
 *
 * What has no entry (another privilege, conforming code, call gates, whatever faults) is done by
 * light calls or the interpreter. Reference: SDM 3, 3.4, 5.2 to 5.8, 6.11.
 */
#include "translator/descriptors.h"

#include "base/log.h"
#include "cpu/segment.h"
#include "cpu/tlb.h"
#include "translator/crossing.h"
#include "translator/light.h"
#include "translator/segments.h"
#include "translator/unit.h"

/* --- Where tables are ------------------------------------------------------------------- */

static struct descriptor_tables tables_now(const struct vcpu *vcpu)
{
    const struct segment *ldt = &vcpu->ldtr;

    return (struct descriptor_tables){
        .gdt = vcpu->gdtr.base, .gdt_limit = vcpu->gdtr.limit,
        .ldt = ldt->base, .ldt_limit = ldt->attr & SEG_UNUSABLE ? 0 : ldt->limit,
        .idt = vcpu->idtr.base, .idt_limit = vcpu->idtr.limit,
        .tlb = vcpu->tlb[0], .drops = vcpu->tlb[0]->drops,
    };
}

static bool same_pages(const struct descriptor_tables *a, const struct descriptor_tables *b)
{
    return a->tlb == b->tlb && a->drops == b->drops;
}

static bool same_segments(const struct descriptor_tables *a, const struct descriptor_tables *b)
{
    return a->gdt == b->gdt && a->gdt_limit == b->gdt_limit && a->ldt == b->ldt &&
           a->ldt_limit == b->ldt_limit;
}

static bool same_gates(const struct descriptor_tables *a, const struct descriptor_tables *b)
{
    return a->idt == b->idt && a->idt_limit == b->idt_limit;
}

static void forget_entries(struct vcpu *vcpu)
{
    for (unsigned i = 0; translator_of(vcpu)->described && i < BT_DESCRIPTORS; i++)
        vcpu->bt_descriptors.tag[i] = 0;
}

static void forget_gates(struct vcpu *vcpu)
{
    uint64_t *tag = vcpu->bt_descriptors.tag;

    for (unsigned i = 0; i < BT_DESCRIPTORS; i++)
        if ((-tag[i] >> 16 & USE_KIND) == USE_GATE)
            tag[i] = 0;
}

void descriptors_forget(struct vcpu *vcpu)
{
    struct translator *t = translator_of(vcpu);

    forget_entries(vcpu);
    crossing_forget(vcpu);
    t->described = t->by_idt = false;
}

void descriptors_begin(struct vcpu *vcpu)
{
    struct translator *t = translator_of(vcpu);

    if (!t->described)
        t->tables = tables_now(vcpu);
    t->described = true;
}

/* The tables are elsewhere, but in the same pages of the same TLB. */
static void forget_tables(struct vcpu *vcpu, const struct descriptor_tables *now)
{
    struct translator *t = translator_of(vcpu);
    bool segments = !same_segments(now, &t->tables);
    bool gates = t->by_idt && (segments || !same_gates(now, &t->tables));

    if (segments)
        forget_entries(vcpu);
    else if (gates)
        forget_gates(vcpu);
    if (gates) {
        crossing_forget_tables(vcpu);
        t->by_idt = false;
    }
    t->tables = *now;
}

void descriptors_changed(struct vcpu *vcpu)
{
    struct descriptor_tables now = tables_now(vcpu);

    if (!same_pages(&now, &translator_of(vcpu)->tables)) {
        descriptors_forget(vcpu);
        return;
    }
    forget_tables(vcpu, &now);
    if (translator_of(vcpu)->crossed)
        crossing_check(vcpu);
}

const void *descriptors_system(const struct vcpu *vcpu, uint64_t gla)
{
    const struct tlb *tlb = vcpu->tlb[0];

    gla = (uint32_t)gla;
    if ((gla & PAGE_MASK) > PAGE_SIZE - 8 || !tlb_hit(tlb, MEM_READ, gla))
        return NULL;
    return (const void *)(uintptr_t)(tlb->addend[tlb_index(gla)] + gla);
}

const void *descriptors_at(const struct vcpu *vcpu, uint16_t selector)
{
    const struct segment *ldt = &vcpu->ldtr;
    uint64_t base = selector & SELECTOR_TI ? ldt->base : vcpu->gdtr.base;
    uint32_t limit = selector & SELECTOR_TI ? ldt->limit : vcpu->gdtr.limit;

    if ((selector & SELECTOR_TI && ldt->attr & SEG_UNUSABLE) || (selector | 7u) > limit)
        return NULL;
    return descriptors_system(vcpu, base + (selector & ~7u));
}

static uint64_t read_descriptor(const void *at)
{
    uint64_t d = 0;

    if (at)
        __builtin_memcpy(&d, at, 8);
    return d;
}

uint64_t descriptors_read(const struct vcpu *vcpu, uint16_t selector)
{
    return read_descriptor(descriptors_at(vcpu, selector));
}

/* --- What they allow -------------------------------------------------------------------- */

/* Data or readable code, present, accessed, and not more privileged than CPL and RPL. */
bool descriptors_data(const struct vcpu *vcpu, uint16_t selector, uint64_t d)
{
    const uint32_t needed = SEG_S | SEG_P | SEG_ACCESSED;
    uint32_t attr = descriptor_attr(d);

    if ((attr & needed) != needed || (attr & (SEG_CODE | SEG_READABLE)) == SEG_CODE)
        return false;
    return (attr & (SEG_CODE | SEG_CONFORM)) == (SEG_CODE | SEG_CONFORM) ||
           (descriptor_dpl(d) >= vcpu->cpl && descriptor_dpl(d) >= (selector & SELECTOR_RPL));
}

bool descriptors_stack(const struct vcpu *vcpu, const struct segment *s)
{
    return (s->attr & (SEG_UNUSABLE | SEG_CODE | SEG_WRITABLE | SEG_DPL)) ==
               (SEG_WRITABLE | (uint32_t)vcpu->cpl << 5) &&
           (s->selector & SELECTOR_RPL) == vcpu->cpl;
}

bool descriptors_code(const struct vcpu *vcpu, uint16_t selector, unsigned dpl, struct segment *cs)
{
    const uint32_t mask = SEG_S | SEG_CODE | SEG_P | SEG_ACCESSED | SEG_CONFORM | SEG_L | SEG_DPL;

    if (selector_null(selector) || segment_meant(vcpu, SEG_CS, selector) != selector)
        return false;
    *cs = segment_unpack((uint16_t)((selector & ~SELECTOR_RPL) | dpl),
                         descriptors_read(vcpu, selector));
    return (cs->attr & mask) == (SEG_S | SEG_CODE | SEG_P | SEG_ACCESSED | dpl << 5);
}

/* --- Entries ---------------------------------------------------------------------------- */

unsigned descriptors_slot(uint32_t use, uint16_t selector)
{
    __asm__("crc32l %1, %0" : "+r"(use) : "r"((uint32_t)selector));
    return use % BT_DESCRIPTORS;
}

/* The entry for it, which has no segment yet. */
static unsigned make(struct vcpu *vcpu, uint32_t argument, const void *at)
{
    struct bt_descriptors *known = &vcpu->bt_descriptors;
    unsigned slot = descriptors_slot(argument >> 16, (uint16_t)argument);

    descriptors_begin(vcpu);
    translator_of(vcpu)->stats.described++;
    known->tag[slot] = -(uint64_t)argument;
    known->at[slot] = at;
    known->bytes[slot] = -read_descriptor(at);
    return slot;
}

static void put_segment(struct vcpu *vcpu, unsigned slot, const struct segment *s)
{
    struct bt_descriptors *known = &vcpu->bt_descriptors;
    struct bt_segment reach = segments_reach(s, true);

    known->segment[0][slot] = s->selector | (uint64_t)s->attr << 32;
    known->segment[1][slot] = s->limit;
    known->segment[2][slot] = s->base;
    known->limit[0][slot] = (uint64_t)reach.limit[0];
    known->limit[1][slot] = (uint64_t)reach.limit[1];
}

/* What the mode's key has of it, whichever register it is for. */
static uint32_t mode_of(const struct segment *s, unsigned use)
{
    bool flat = segments_flat(s);

    if ((use & USE_KIND) == USE_STACK)
        return (flat ? 0 : KEY_SS) | (s->attr & SEG_DB ? 0 : KEY_STACK16);
    return flat ? 0 : KEY_DS | KEY_ES;
}

static bool fits(const struct segment *s, unsigned use)
{
    return segments_flat(s) == !!(use & USE_FLAT) &&
           ((use & USE_KIND) != USE_STACK || !!(s->attr & SEG_DB) == !!(use & USE_32));
}

static bool describe_data(struct vcpu *vcpu, uint32_t argument)
{
    static const uint64_t nothing; /* where the null descriptor is */
    const void *at = &nothing;
    unsigned use = argument >> 16, slot;
    struct segment s = { .selector = (uint16_t)argument, .attr = SEG_UNUSABLE };

    if (!selector_null(s.selector)) {
        at = descriptors_at(vcpu, s.selector);
        if (!descriptors_data(vcpu, s.selector, read_descriptor(at)))
            return false;
        s = segment_unpack(s.selector, read_descriptor(at));
    }
    if (((use & USE_KIND) != USE_DATA_ANY && !(use & USE_CHANGES) && !fits(&s, use)) ||
        ((use & USE_KIND) == USE_STACK && !descriptors_stack(vcpu, &s)))
        return false; /* not allowed, or the mode key changes */
    slot = make(vcpu, argument, at);
    vcpu->bt_descriptors.mode[slot] = mode_of(&s, use);
    put_segment(vcpu, slot, &s);
    return true;
}

/* Code at CPL, for a transfer that leaves the mode as it is; D2. at: where its descriptor is. */
static bool same_code(struct vcpu *vcpu, uint16_t selector, unsigned use, struct segment *cs,
                      const void **at)
{
    uint32_t key = KEY_SEG | (use & USE_32 ? 0 : KEY_CODE16) | (vcpu->cpl == 3 ? KEY_USER : 0);

    if ((selector & SELECTOR_RPL) != vcpu->cpl ||
        !descriptors_code(vcpu, selector, vcpu->cpl, cs) || cs->base == UINT32_MAX ||
        !!(cs->attr & SEG_DB) != !!(use & USE_32) ||
        (!(use & USE_CHANGES) && use & USE_32 && !cs->base && cs->limit == UINT32_MAX)) /* flat? */
        return false;
    *at = descriptors_at(vcpu, selector);
    segments_code(translator_of(vcpu), cs, key); /* which may forget entries */
    return true;
}

static bool describe_code(struct vcpu *vcpu, uint32_t argument)
{
    struct segment cs;
    const void *at;

    if (!same_code(vcpu, (uint16_t)argument, argument >> 16, &cs, &at))
        return false;
    put_segment(vcpu, make(vcpu, argument, at), &cs);
    return true;
}

/* A present interrupt or trap gate, for INT; 0: it is none. */
static unsigned gate_use(const struct vcpu *vcpu, uint64_t d)
{
    if (!descriptor_present(d) || (descriptor_system_type(d) & 6) != 6 ||
        descriptor_dpl(d) < vcpu->cpl)
        return 0;
    return USE_GATE | (d >> 40 & 1 ? USE_TRAP : 0) | (d >> 40 & 8 ? USE_GATE_32 : 0);
}

static bool has_vector(const struct vcpu *vcpu, unsigned vector)
{
    return vector * 8 + 7 <= vcpu->idtr.limit;
}

unsigned descriptors_gate_use(struct vcpu *vcpu, unsigned vector)
{
    uint64_t d;

    return has_vector(vcpu, vector) && mem_debug_read(vcpu, vcpu->idtr.base + vector * 8, &d, 8)
               ? gate_use(vcpu, d) : 0;
}

bool descriptors_wide(struct vcpu *vcpu, uint16_t selector, bool otherwise)
{
    uint64_t d;

    if (selector & SELECTOR_TI || (selector | 7u) > vcpu->gdtr.limit ||
        !mem_debug_read(vcpu, vcpu->gdtr.base + (selector & ~7u), &d, 8) || !descriptor_is_code(d))
        return otherwise;
    return descriptor_attr(d) & SEG_DB;
}

/* With its code segment, in which the offset is. */
static bool describe_gate(struct vcpu *vcpu, uint32_t argument)
{
    struct bt_descriptors *known = &vcpu->bt_descriptors;
    unsigned vector = argument & 0xff, use = argument >> 16, slot;
    const void *at = has_vector(vcpu, vector)
                         ? descriptors_system(vcpu, vcpu->idtr.base + vector * 8) : NULL;
    const void *code_at;
    uint64_t d = read_descriptor(at);
    uint32_t offset = (uint32_t)((d & 0xffff) | (use & USE_GATE_32 ? d >> 32 & 0xffff0000 : 0));
    struct segment cs;

    if (!at || gate_use(vcpu, d) != (use & (USE_KIND | USE_TRAP | USE_GATE_32)) ||
        !same_code(vcpu, (d >> 16 & 0xfffc) | vcpu->cpl, use, &cs, &code_at) || offset > cs.limit)
        return false;
    slot = make(vcpu, argument, at);
    known->code_at[slot] = code_at;
    known->code_bytes[slot] = -read_descriptor(code_at);
    known->offset[slot] = offset;
    translator_of(vcpu)->by_idt = true;
    put_segment(vcpu, slot, &cs);
    return true;
}

bool bt_describe(struct vcpu *vcpu, uint32_t argument)
{
    if (novt_log.topics) /* transfers are logged */
        return false;
    switch (argument >> 16 & USE_KIND) {
    case USE_CODE: return describe_code(vcpu, argument);
    case USE_GATE: return describe_gate(vcpu, argument);
    default: return describe_data(vcpu, argument);
    }
}
