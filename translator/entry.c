/*
 * SYSENTER and SYSEXIT as light calls, when their target is in the view's jump table already.
 * Reference: SDM 2, SYSENTER, SYSEXIT. Everything that could fault or change the mode otherwise is
 * the interpreter's.
 */
#include "base/spent.h"
#include "cpu/segment.h"
#include "translator/unit.h"

/* The translated code at rip for a privilege, or NULL. The mode but for the privilege is as in
 * key. */
static const void *known(struct vcpu *vcpu, uint32_t rip, bool user, uint32_t key)
{
    struct translator *t = translator_of(vcpu);
    unsigned slot = rip & (JUMP_SLOT_COUNT - 1);
    const struct jump_table *jumps;

    if (shadowmm_window(t->sm, user)) {
        if ((uint64_t)(uintptr_t)shadowmm_window(t->sm, user) != t->gs_base)
            translator_window(t, user);
        key |= KEY_WINDOW;
    }
    jumps = shadowmm_jump_table(t->sm, user, key);
    if (jumps->tag[slot] + rip + 1)
        return NULL;
    *(volatile uint64_t *)&vcpu->bt.jump_table = (uint64_t)(uintptr_t)jumps;
    spent_begin(vcpu->spent, key & KEY_WINDOW ? SPENT_CODE_WINDOW : SPENT_CODE_TLB);
    if (vcpu->exit_request) /* kicked before or meanwhile */
        *(volatile uint64_t *)&vcpu->bt.jump_table = JUMP_POISON;
    return (const void *)(uintptr_t)jumps->host[slot];
}

static void flat_segments(struct vcpu *vcpu, uint16_t cs, unsigned cpl)
{
    vcpu->seg[SEG_CS] = (struct segment){ cs | cpl, ATTR_FLAT_CODE(cpl), UINT32_MAX, 0 };
    vcpu->seg[SEG_SS] = (struct segment){ (cs + 8) | cpl, ATTR_FLAT_DATA(cpl), UINT32_MAX, 0 };
    vcpu->cpl = (uint8_t)cpl;
    vcpu->bt.tlb = (uint64_t)(uintptr_t)vcpu->tlb[cpl == 3];
}

/* User code has FS and GS in its key, a kernel has them in bt.seg_tlb. */
static uint32_t user_key(const struct vcpu *vcpu, uint32_t key)
{
    key = (key & KEY_VECTORS) | KEY_USER | KEY_OK;
    if (segment_whole(&vcpu->seg[SEG_FS]))
        key |= KEY_FS;
    if (segment_whole(&vcpu->seg[SEG_GS]))
        key |= KEY_GS;
    return vcpu->cr4 & CR4_TSD ? key : key | KEY_TSC;
}

bool bt_sysenter(struct vcpu *vcpu, uint32_t key)
{
    uint16_t cs = vcpu->sysenter_cs & 0xfffc;
    const void *host;

    if (!cs || vcpu->sysenter_eip >> 32)
        return false;
    host = known(vcpu, (uint32_t)vcpu->sysenter_eip, false,
                 (key & KEY_VECTORS) | KEY_TSC | KEY_OK);
    if (!host)
        return false;
    flat_segments(vcpu, cs, 0);
    vcpu->gpr[RSP] = (uint32_t)vcpu->sysenter_esp;
    vcpu->bt.flag_if = 0;
    vcpu->stats.soft_interrupts++;
    segments_refresh(vcpu);
    vcpu->bt.saved[1] = (uint64_t)(uintptr_t)host;
    return true;
}

bool bt_sysexit(struct vcpu *vcpu, uint32_t key)
{
    uint16_t cs = vcpu->sysenter_cs & 0xfffc;
    const void *host;

    if (!cs || (vcpu->eflags & EFLAGS_AC && vcpu->cr0 & CR0_AM))
        return false;
    host = known(vcpu, (uint32_t)vcpu->gpr[RDX], true, user_key(vcpu, key));
    if (!host)
        return false;
    flat_segments(vcpu, cs + 16, 3);
    vcpu->gpr[RSP] = (uint32_t)vcpu->gpr[RCX];
    vcpu->bt.saved[1] = (uint64_t)(uintptr_t)host;
    return true;
}

/* A write that changes nothing: only a change of PGE and its like invalidates (SDM 3, 4.10.4.1). */
bool bt_same_cr4(struct vcpu *vcpu, uint32_t value)
{
    return vcpu->cr4 == value;
}
