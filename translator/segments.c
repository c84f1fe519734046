/*
 * Loading data segment registers without the interpreter: the descriptor is read from the GDT each
 * time (its page is not traced: kernels rewrite TLS descriptors at every switch), by a TLB probe.
 */
#include "cpu/segment.h"
#include "cpu/tlb.h"
#include "translator/unit.h"

static const struct tlb never = {
#define NEVER [0 ... TLB_ENTRIES - 1] = TLB_NONE
    .tag = { { NEVER }, { NEVER }, { NEVER } },
};

void segments_refresh(struct vcpu *vcpu)
{
    for (unsigned i = 0; i < 2; i++) {
        bool whole = segment_whole(&vcpu->seg[SEG_FS + i]);

        vcpu->bt.seg_tlb[i] = whole ? vcpu->bt.tlb : (uint64_t)(uintptr_t)&never;
    }
}

/* The descriptor of a GDT selector, if the TLB has its page. 0: ask the interpreter. */
static uint64_t descriptor_of(const struct vcpu *vcpu, uint16_t selector)
{
    uint64_t gla = (uint32_t)(vcpu->gdtr.base + (selector & ~7u)), d;
    const struct tlb *tlb = vcpu->tlb[0];

    if (selector & SELECTOR_TI || (selector | 7u) > vcpu->gdtr.limit ||
        !tlb_hit(tlb, MEM_READ, gla) || (gla & PAGE_MASK) > PAGE_SIZE - 8)
        return 0;
    __builtin_memcpy(&d, (const void *)(uintptr_t)(tlb->addend[tlb_index(gla)] + gla), 8);
    return d;
}

bool bt_load_segment(struct vcpu *vcpu, uint32_t argument)
{
    unsigned seg = argument >> 16;
    uint16_t selector = (uint16_t)argument;
    struct segment new = { .selector = selector, .attr = SEG_UNUSABLE };

    if (!selector_null(selector)) {
        uint64_t d = descriptor_of(vcpu, selector);

        new.attr = descriptor_attr(d);
        new.limit = descriptor_limit(d);
        new.base = descriptor_base(d);
        /* data, present, accessed; DPL cannot be below CPL 0, but below RPL */
        if ((new.attr &(SEG_S | SEG_CODE | SEG_P | SEG_ACCESSED)) !=
                (SEG_S | SEG_P | SEG_ACCESSED) ||
            descriptor_dpl(d) < (selector & SELECTOR_RPL))
            return false;
    }
    if (seg == SEG_DS || seg == SEG_ES) {
        if (!segment_whole(&new) || new.base)
            return false; /* the mode key changes */
    } else {
        vcpu->bt.seg_tlb[seg - SEG_FS] =
            segment_whole(&new) ? vcpu->bt.tlb : (uint64_t)(uintptr_t)&never;
    }
    vcpu->seg[seg] = new;
    return true;
}
