/*
 * Segments as units know them: what of them is in the mode key, what probes compare with, and
 * loads of data segment registers without the interpreter. For those the descriptor is read from
 * its table each time (whose page is not traced: kernels rewrite TLS descriptors at every
 * switch), by a TLB probe. Reference: SDM volume 3, 3.4, 5.2 to 5.6, 20.1.
 */
#include "translator/segments.h"

#include "base/log.h"
#include "cpu/segment.h"
#include "cpu/tlb.h"
#include "translator/descriptors.h"
#include "translator/light.h"
#include "translator/unit.h"

const struct tlb bt_never = {
#define NEVER [0 ... TLB_ENTRIES - 1] = TLB_NONE
    .tag = { { NEVER }, { NEVER }, { NEVER } },
};

static bool has_descriptors(const struct vcpu *vcpu)
{
    return vcpu_protected(vcpu) && !vcpu_v86(vcpu);
}

static bool expands_down(const struct segment *s)
{
    return (s->attr & (SEG_CODE | SEG_EXPDOWN)) == SEG_EXPDOWN;
}

/* A segment of 4 GiB wraps around, and expand-down ones are the interpreter's. */
static int64_t limit_of(const struct segment *s, bool allowed)
{
    if (!allowed || expands_down(s))
        return -1;
    return s->limit == UINT32_MAX ? 1ll << 40 : s->limit;
}

static struct bt_segment odd_reach(const struct segment *s, bool checked)
{
    bool usable = !(s->attr & SEG_UNUSABLE) && s->attr & SEG_P;
    bool read = usable && !((s->attr & (SEG_CODE | SEG_READABLE)) == SEG_CODE);
    bool write = usable && (s->attr & (SEG_CODE | SEG_WRITABLE)) == SEG_WRITABLE;

    return (struct bt_segment){ s->base, { [MEM_READ] = limit_of(s, read || !checked),
                                           [MEM_WRITE] = limit_of(s, write || !checked) } };
}

/* In place: six of them are a part of each change of mode. Most can be read and written. */
static inline void reach(struct bt_segment *to, const struct segment *s, bool checked)
{
    int64_t limit = s->limit == UINT32_MAX ? 1ll << 40 : s->limit;

    if ((s->attr & DATA_MASK) != DATA_WHOLE) {
        *to = odd_reach(s, checked);
        return;
    }
    to->base = s->base;
    to->limit[MEM_READ] = to->limit[MEM_WRITE] = limit;
}

struct bt_segment segments_reach(const struct segment *s, bool checked)
{
    struct bt_segment to;

    reach(&to, s, checked);
    return to;
}

void segments_refresh_one(struct vcpu *vcpu, unsigned seg)
{
    reach(&vcpu->bt_seg[seg], &vcpu->seg[seg], has_descriptors(vcpu));
}

void segments_refresh(struct vcpu *vcpu, uint32_t key)
{
    bool all = (key & (KEY_SEG | KEY_NULLED)) == KEY_SEG, checked = has_descriptors(vcpu);

    for (unsigned i = all ? 0 : SEG_FS; (all || key & KEY_LIMITED) && i <= SEG_GS; i++)
        reach(&vcpu->bt_seg[i], &vcpu->seg[i], checked);
    if (all || key & KEY_LIMITED)
        vcpu->bt_crossings.reach = (key & (KEY_REAL | KEY_USER | KEY_ODD)) == (KEY_REAL | KEY_USER);
    for (unsigned i = 0; i < 2; i++) {
        bool whole = segment_whole(&vcpu->seg[SEG_FS + i]);

        vcpu->bt.seg_tlb[i] = whole ? vcpu->bt.tlb : (uint64_t)(uintptr_t)&bt_never;
    }
}

static uint32_t user_segment(const struct vcpu *vcpu, unsigned seg, uint32_t whole)
{
    const struct segment *s = &vcpu->seg[seg];

    if (segment_whole(s))
        return whole;
    return s->attr & SEG_UNUSABLE ? 0 : KEY_LIMITED;
}

uint32_t segments_user_key(const struct vcpu *vcpu)
{
    uint32_t key = user_segment(vcpu, SEG_FS, KEY_FS) | user_segment(vcpu, SEG_GS, KEY_GS);

    /* its probes need SHRX */
    return translator_of((struct vcpu *)vcpu)->bmi2 ? key : key & ~(uint32_t)KEY_LIMITED;
}

/* --- The mode ----------------------------------------------------------------------- */

/* Can 16-bit addresses reach all of it? */
static bool plain_real(const struct segment *s)
{
    return s->limit >= 0xffff && !(s->attr & SEG_UNUSABLE) && !expands_down(s);
}

static uint32_t real_key(const struct vcpu *vcpu)
{
    uint32_t key = KEY_REAL | KEY_DS | KEY_ES | KEY_SS;
    const struct segment *cs = &vcpu->seg[SEG_CS];

    if (vcpu_v86(vcpu) && vcpu_iopl(vcpu) == 3)
        key |= KEY_IOPL;
    if (cs->limit != 0xffff || vcpu->idtr.limit < 0x3ff || vcpu->eflags & EFLAGS_AC)
        return key | KEY_ODD;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        if (!plain_real(&vcpu->seg[i]))
            return key | KEY_ODD;
    return cs->base == (uint64_t)cs->selector << 4 ? key : key | KEY_ODD | KEY_MOVED;
}

/* DS and ES may be flat, too; but not both, which is flat code or not so far from it. */
static bool nulled(const struct vcpu *vcpu)
{
    const struct segment *seg = vcpu->seg;
    bool ds = seg[SEG_DS].attr & SEG_UNUSABLE, es = seg[SEG_ES].attr & SEG_UNUSABLE;

    return seg[SEG_FS].attr & seg[SEG_GS].attr & SEG_UNUSABLE && (ds || es) &&
           (ds || segments_flat(&seg[SEG_DS])) && (es || segments_flat(&seg[SEG_ES])) &&
           seg[SEG_CS].limit == UINT32_MAX && !seg[SEG_CS].base && seg[SEG_CS].attr & SEG_DB &&
           segments_flat(&seg[SEG_SS]) && seg[SEG_SS].attr & SEG_DB && !vcpu->cpl;
}

static uint32_t protected_key(const struct vcpu *vcpu)
{
    bool odd = vcpu->eflags & EFLAGS_NT;

    return (odd ? KEY_ODD : nulled(vcpu) ? KEY_NULLED : 0) |
           (segments_flat(&vcpu->seg[SEG_DS]) ? 0 : KEY_DS) |
           (segments_flat(&vcpu->seg[SEG_ES]) ? 0 : KEY_ES) |
           (segments_flat(&vcpu->seg[SEG_SS]) ? 0 : KEY_SS);
}

uint32_t segments_key(const struct vcpu *vcpu)
{
    uint32_t key = KEY_OK | KEY_SEG;

    if (!translator_of((struct vcpu *)vcpu)->bmi2 || vcpu->seg[SEG_CS].base == UINT32_MAX)
        return 0; /* probes need SHRX; unit_place() */
    if (vcpu->cpl)
        key |= vcpu->cpl == 3 ? KEY_USER : KEY_RING;
    if (!(vcpu->seg[SEG_CS].attr & SEG_DB))
        key |= KEY_CODE16;
    if (!(vcpu->seg[SEG_SS].attr & SEG_DB))
        key |= KEY_STACK16;
    return key | (has_descriptors(vcpu) ? protected_key(vcpu) : real_key(vcpu));
}

void segments_code(struct translator *t, const struct segment *cs, uint32_t key)
{
    uint32_t base = (uint32_t)cs->base;
    unsigned set = key_kinds_from(key) << 1 | (key & KEY_USER);
    unsigned slot = base * 0x9e3779b1u >> (32 - CODE_LIMIT_BITS);

    if ((key & (KEY_REAL | KEY_ODD)) == KEY_REAL) /* the limit is 64 KiB */
        return;
    if (t->code_limit[set][slot].base == base && t->code_limit[set][slot].limit == cs->limit)
        return;
    if (t->code_limit[set][slot].limit) {
        for (unsigned kind = key_kinds_from(key); kind < key_kinds_end(key); kind++)
            shadowmm_jump_flush(t->sm, kind << 1 | (key & KEY_USER));
        descriptors_forget(t->vcpu);
    }
    t->code_limit[set][slot].base = base;
    t->code_limit[set][slot].limit = cs->limit;
}

/* --- Loads --------------------------------------------------------------------------- */

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

/* Data that flat code may load: present, accessed; DPL cannot be below CPL 0, but below RPL. */
static bool plain_data(uint16_t selector, const struct segment *s)
{
    const uint32_t needed = SEG_S | SEG_P | SEG_ACCESSED;

    return (s->attr & (needed | SEG_CODE)) == needed &&
           (s->attr & SEG_DPL) >> 5 >= (selector & SELECTOR_RPL);
}

/* Into one of DS, ES and SS, which are in the mode's key. */
static bool load_bent(struct vcpu *vcpu, unsigned seg, const struct segment *s, bool leaves)
{
    if (seg == SEG_SS && !descriptors_stack(vcpu, s))
        return false;
    if (segments_flat(s) && (seg != SEG_SS || s->attr & SEG_DB)) {
        vcpu->seg[seg] = *s;
        return true;
    }
    if (!leaves || novt_log.topics)
        return false;
    modes_leave_flat(vcpu, seg, s);
    return true;
}

bool bt_load_segment(struct vcpu *vcpu, uint32_t argument)
{
    unsigned seg = argument >> 16 & 7;
    uint16_t selector = (uint16_t)argument;
    struct segment new = { .selector = selector, .attr = SEG_UNUSABLE };

    if (!selector_null(selector)) {
        new = segment_unpack(selector, descriptor_of(vcpu, selector));
        if (!plain_data(selector, &new))
            return false;
    }
    if (seg < SEG_FS)
        return load_bent(vcpu, seg, &new, argument & LIGHT_LEAVES);
    vcpu->bt.seg_tlb[seg - SEG_FS] =
        segment_whole(&new) ? vcpu->bt.tlb : (uint64_t)(uintptr_t)&bt_never;
    vcpu->seg[seg] = new;
    return true;
}

static bool same_width(const struct segment *a, const struct segment *b)
{
    return !((a->attr ^ b->attr) & SEG_DB);
}

bool bt_load_segment_any(struct vcpu *vcpu, uint32_t argument)
{
    unsigned seg = argument >> 16;
    uint16_t selector = (uint16_t)argument;
    struct segment new = { .selector = selector, .attr = SEG_UNUSABLE };

    if (!selector_null(selector)) {
        uint64_t d = descriptors_read(vcpu, selector);

        if (!descriptors_data(vcpu, selector, d))
            return false;
        new = segment_unpack(selector, d);
    }
    if (seg == SEG_SS && (!descriptors_stack(vcpu, &new) || !same_width(&new, &vcpu->seg[SEG_SS])))
        return false;
    if (seg <= SEG_DS && segments_flat(&new) != segments_flat(&vcpu->seg[seg]))
        return false; /* the mode key changes */
    vcpu->seg[seg] = new;
    segments_refresh_one(vcpu, seg);
    return true;
}
