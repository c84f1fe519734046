/*
 * Light calls that change the mode of segmented code other than by far transfers (far.c): MOV CR0
 * to protected mode and back, and segment loads that leave flat code; and LGDT and LIDT, which come
 * with them. Reference: SDM 3, 9.9.
 */
#include "base/log.h"
#include "cpu/segment.h"
#include "translator/descriptors.h"
#include "translator/light.h"
#include "translator/segments.h"
#include "translator/switch.h"
#include "translator/unit.h"

bool bt_write_cr0(struct vcpu *vcpu, uint32_t value)
{
    if (((uint32_t)vcpu->cr0 ^ value) != CR0_PE || value & CR0_PG || novt_log.topics ||
        vcpu->events)
        return false;
    vcpu->cr0 = value;
    far_go_to(vcpu, (uint32_t)vcpu->rip);
    return true;
}

void modes_leave_flat(struct vcpu *vcpu, unsigned seg, const struct segment *s)
{
    vcpu->seg[seg] = *s;
    far_go_to(vcpu, (uint32_t)vcpu->rip);
    if (seg == SEG_SS && vcpu->bt.saved[1] == (uint64_t)(uintptr_t)bt_exit_lookup)
        vcpu->intr_shadow = vcpu->debug_shadow = true;
}

/* --- LGDT, LIDT --------------------------------------------------------------------------- */

/* Six bytes of the operand as its segment allows them. False: the interpreter will see why. */
static bool read_operand(const struct vcpu *vcpu, unsigned seg, uint32_t offset,
                         struct table_register *table)
{
    struct bt_segment reach = segments_reach(&vcpu->seg[seg], vcpu_protected(vcpu));
    const uint8_t *at = descriptors_system(vcpu, reach.base + offset);
    uint32_t base;

    if (!at || offset > UINT32_MAX - 5 || reach.limit[MEM_READ] < (int64_t)offset + 5)
        return false;
    __builtin_memcpy(&table->limit, at, 2);
    __builtin_memcpy(&base, at + 2, 4);
    table->base = base;
    return true;
}

/* In real mode a vector table that is too short is in the mode's key. */
static bool same_mode(const struct vcpu *vcpu, const struct table_register *idt)
{
    return vcpu_protected(vcpu) || (idt->limit < 0x3ff) == (vcpu->idtr.limit < 0x3ff);
}

bool bt_load_table(struct vcpu *vcpu, uint32_t offset)
{
    uint32_t what = (uint32_t)vcpu->bt.scratch;
    struct table_register *old = what & LIGHT_IDT ? &vcpu->idtr : &vcpu->gdtr, new;
    bool changes;

    if (vcpu->events || novt_log.topics || !read_operand(vcpu, what & 7, offset, &new))
        return false;
    if (what & LIGHT_BASE24)
        new.base &= 0xffffff;
    if (new.base == old->base && new.limit == old->limit)
        return true;
    changes = old == &vcpu->idtr && !same_mode(vcpu, &new);
    *old = new;
    descriptors_check(vcpu);
    if (changes)
        far_go_to(vcpu, (uint32_t)vcpu->rip);
    return true;
}
