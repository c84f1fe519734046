/*
 * SYSENTER, SYSEXIT, INT n through a gate to CPL 0 and IRET as light calls, when their target is in
 * the view's jump table already and segments are flat. Reference: SDM 2, SYSENTER, SYSEXIT, INT n,
 * IRET. Everything that could fault or change the mode otherwise is the interpreter's.
 */
#include "base/log.h"
#include "base/spent.h"
#include "cpu/event.h"
#include "cpu/segment.h"
#include "cpu/tlb.h"
#include "translator/light.h"
#include "translator/segments.h"
#include "translator/switch.h"
#include "translator/unit.h"

/* The translated code at rip for a privilege, or NULL. The mode but for the privilege is as in
 * key. */
static const void *known(struct vcpu *vcpu, uint32_t rip, bool user, uint32_t key)
{
    struct translator *t = translator_of(vcpu);
    const struct jump_table *jumps;
    const void *host;

    if (vcpu->exit_request) /* U4 */
        return NULL;
    if (shadowmm_window(t->sm, user)) {
        if ((uint64_t)(uintptr_t)shadowmm_window(t->sm, user) != vcpu->bt.window)
            translator_window(t, user);
        key |= KEY_WINDOW;
    }
    jumps = shadowmm_jump_table(t->sm, key_set(key), key);
    host = jump_find(jumps, rip, vcpu->bt.jump_shift);
    if (!host)
        return NULL;
    unit_set_jumps(vcpu, jumps);
    spent_begin(vcpu->spent, key & KEY_WINDOW ? SPENT_CODE_WINDOW : SPENT_CODE_TLB);
    if (vcpu->exit_request) /* kicked before or meanwhile */
        *(volatile uint64_t *)&vcpu->bt.jump_table = JUMP_POISON;
    return host;
}

static void flat_segments(struct vcpu *vcpu, uint16_t cs, unsigned cpl)
{
    vcpu->seg[SEG_CS] = (struct segment){ cs | cpl, ATTR_FLAT_CODE(cpl), UINT32_MAX, 0 };
    vcpu->seg[SEG_SS] = (struct segment){ (cs + 8) | cpl, ATTR_FLAT_DATA(cpl), UINT32_MAX, 0 };
    vcpu->cpl = (uint8_t)cpl;
    vcpu->bt.tlb = (uint64_t)(uintptr_t)vcpu->tlb[cpl == 3];
}

static uint32_t kernel_key(uint32_t key)
{
    return (key & KEY_VECTORS) | KEY_TSC | KEY_OK;
}

/* User code has FS and GS in its key, a kernel has them in bt.seg_tlb. */
static uint32_t user_key(const struct vcpu *vcpu, uint32_t key)
{
    key = (key & KEY_VECTORS) | KEY_USER | KEY_OK | segments_user_key(vcpu);
    return vcpu->cr4 & CR4_TSD ? key : key | KEY_TSC;
}

bool bt_sysenter(struct vcpu *vcpu, uint32_t key)
{
    uint16_t cs = vcpu->sysenter_cs & 0xfffc;
    enum event_mode mode;
    const void *host;

    if (!cs || vcpu->sysenter_eip >> 32)
        return false;
    host = known(vcpu, (uint32_t)vcpu->sysenter_eip, false, kernel_key(key));
    if (!host)
        return false;
    if (key & KEY_USER)
        vcpu_note_sysenter(vcpu);
    mode = event_mode_before(vcpu);
    flat_segments(vcpu, cs, 0);
    event_in(vcpu, EVENT_software, mode, vcpu->rip, 0, event_word("sysenter"), 0);
    vcpu->gpr[RSP] = (uint32_t)vcpu->sysenter_esp;
    vcpu->bt.flag_if = 0;
    vcpu->stats.soft_interrupts++;
    segments_refresh(vcpu, 0);
    vcpu->bt.saved[1] = (uint64_t)(uintptr_t)host;
    return true;
}

bool bt_sysexit(struct vcpu *vcpu, uint32_t key)
{
    uint16_t cs = vcpu->sysenter_cs & 0xfffc;
    enum event_mode mode;
    const void *host;

    if (!cs || (vcpu->eflags & EFLAGS_AC && vcpu->cr0 & CR0_AM))
        return false;
    key = user_key(vcpu, key);
    host = known(vcpu, (uint32_t)vcpu->gpr[RDX], true, key);
    if (!host)
        return false;
    mode = event_mode_before(vcpu);
    flat_segments(vcpu, cs + 16, 3);
    event_in(vcpu, EVENT_return, mode, vcpu->rip, (uint32_t)vcpu->gpr[RDX],
             event_word("sysexit"), 0);
    if (key & KEY_LIMITED)
        segments_refresh(vcpu, key);
    vcpu->gpr[RSP] = (uint32_t)vcpu->gpr[RCX];
    vcpu->bt.saved[1] = (uint64_t)(uintptr_t)host;
    return true;
}

/* --- INT n and IRET ---------------------------------------------------------------- */

/* [gla, gla + size) of CPL 0, if it is in one page that its TLB has. */
static uint8_t *system_bytes(const struct vcpu *vcpu, uint64_t gla, unsigned size,
                             enum mem_access access)
{
    const struct tlb *tlb = vcpu->tlb[0];

    gla = (uint32_t)gla;
    if ((gla & PAGE_MASK) + size > PAGE_SIZE || !tlb_hit(tlb, access, gla))
        return NULL;
    return (uint8_t *)(uintptr_t)(tlb->addend[tlb_index(gla)] + gla);
}

static bool read_8(const struct vcpu *vcpu, uint64_t gla, uint64_t *value)
{
    const uint8_t *at = system_bytes(vcpu, gla, 8, MEM_READ);

    if (at)
        __builtin_memcpy(value, at, 8);
    return at;
}

/* The GDT's segment, if it is present, accessed, flat, of 32 bits, and has these attributes. */
static bool flat_segment(const struct vcpu *vcpu, uint16_t selector, uint32_t attr,
                         struct segment *s)
{
    uint64_t d;

    if (selector_null(selector) || selector & SELECTOR_TI || (selector | 7u) > vcpu->gdtr.limit ||
        !read_8(vcpu, vcpu->gdtr.base + (selector & ~7u), &d))
        return false;
    *s = segment_unpack(selector, d);
    return s->attr == attr && s->limit == UINT32_MAX && !s->base;
}

/* A present gate of 32 bits that INT may use: an interrupt or a trap gate. */
static bool software_gate(const struct vcpu *vcpu, unsigned vector, uint64_t *gate)
{
    return vector * 8u + 7 <= vcpu->idtr.limit &&
           read_8(vcpu, vcpu->idtr.base + vector * 8u, gate) && descriptor_present(*gate) &&
           (descriptor_system_type(*gate) & ~1u) == DESC_INT32 &&
           descriptor_dpl(*gate) >= vcpu->cpl;
}

/* CPL 0's stack, from a 32-bit TSS. */
bool entry_kernel_stack(const struct vcpu *vcpu, struct segment *ss, uint32_t *esp)
{
    unsigned type = descriptor_system_type((uint64_t)vcpu->tr.attr << 40);
    uint64_t stack;

    if ((type | 2) != DESC_TSS32_BUSY || vcpu->tr.attr & SEG_UNUSABLE || vcpu->tr.limit < 11 ||
        !read_8(vcpu, vcpu->tr.base + 4, &stack))
        return false;
    *esp = (uint32_t)stack;
    return !(stack >> 32 & SELECTOR_RPL) &&
           flat_segment(vcpu, stack >> 32 & 0xffff, ATTR_FLAT_DATA(0), ss);
}

/* As SAVE_GUEST composes it. */
uint32_t entry_eflags(const struct vcpu *vcpu)
{
    uint32_t flags = (uint32_t)vcpu->bt.light_flags;

    return (vcpu->eflags & ~(uint32_t)(EFLAGS_ARITH | EFLAGS_IF | EFLAGS_DF | EFLAGS_RF)) |
           (flags >> 8 & 0xd7) | (flags & 1) << 11 | vcpu->bt.flag_if | vcpu->bt.flag_df;
}

static void go_to(struct vcpu *vcpu, const void *host, uint32_t key)
{
    vcpu->cpl = key & KEY_USER ? 3 : 0;
    vcpu->bt.tlb = (uint64_t)(uintptr_t)vcpu->tlb[key & KEY_USER];
    if (!(key & KEY_USER) || key & KEY_LIMITED)
        segments_refresh(vcpu, key);
    vcpu->bt.saved[1] = (uint64_t)(uintptr_t)host;
}

bool bt_int(struct vcpu *vcpu, uint32_t argument)
{
    struct segment cs, ss = vcpu->seg[SEG_SS];
    uint32_t esp = (uint32_t)vcpu->gpr[RSP], size = vcpu->cpl ? 20 : 12, key = argument >> 8;
    uint32_t frame[5] = { (uint32_t)vcpu->rip, vcpu->seg[SEG_CS].selector, entry_eflags(vcpu), esp,
                          ss.selector };
    const void *host;
    uint64_t gate;
    uint8_t *to;
    enum event_mode mode;

    if (novt_log.topics || !software_gate(vcpu, argument & 0xff, &gate) ||
        !flat_segment(vcpu, gate >> 16 & 0xfffc, ATTR_FLAT_CODE(0), &cs) ||
        (vcpu->cpl && !entry_kernel_stack(vcpu, &ss, &esp)))
        return false;
    to = system_bytes(vcpu, esp - size, size, MEM_WRITE);
    if (!to)
        return false;
    host = known(vcpu, (uint32_t)(gate & 0xffff) | (gate >> 32 & 0xffff0000), false,
                 kernel_key(key));
    if (!host)
        return false;
    mode = event_mode_before(vcpu);
    for (unsigned i = 0; i < size / 4; i++)
        __builtin_memcpy(to + 4 * i, &frame[i], 4);
    vcpu->seg[SEG_CS] = cs;
    vcpu->seg[SEG_SS] = ss;
    vcpu->gpr[RSP] = esp - size;
    vcpu->eflags &= ~(uint32_t)EFLAGS_NT;
    vcpu->bt.system_flags &= ~(uint32_t)EFLAGS_NT;
    if (!(gate >> 40 & 1))
        vcpu->bt.flag_if = 0;
    vcpu->stats.soft_interrupts++;
    go_to(vcpu, host, kernel_key(key));
    event_in(vcpu, EVENT_software, mode, vcpu->rip, argument & 0xff, event_word("int"), 0);
    return true;
}

/* IRET at CPL 0 with these flags changes only what units keep elsewhere, and lets nothing in. */
static bool plain_flags(const struct vcpu *vcpu, uint32_t flags)
{
    const uint32_t same = EFLAGS_TF | EFLAGS_NT | EFLAGS_AC | EFLAGS_ID | EFLAGS_IOPL;

    return !((flags ^ vcpu->eflags) & same) && !((flags | vcpu->eflags) & EFLAGS_VM) &&
           !(vcpu->eflags & EFLAGS_NT) && !(flags & EFLAGS_IF && vcpu->intr_line) &&
           !vcpu->nmi_pending;
}

/* A return to CPL 3 would leave the data segments as they are. */
static bool segments_stay(const struct vcpu *vcpu)
{
    static const uint8_t data[] = { SEG_DS, SEG_ES, SEG_FS, SEG_GS };

    for (unsigned i = 0; i < 4; i++) {
        uint32_t attr = vcpu->seg[data[i]].attr;

        if (!(attr & SEG_UNUSABLE) && (attr >> 5 & 3) != 3)
            return false;
    }
    return !(vcpu->eflags & EFLAGS_AC && vcpu->cr0 & CR0_AM);
}

bool bt_iret(struct vcpu *vcpu, uint32_t key)
{
    uint32_t esp = (uint32_t)vcpu->gpr[RSP], frame[5] = { 0 }, flags;
    const uint8_t *from = system_bytes(vcpu, esp, 12, MEM_READ);
    struct segment cs, ss = vcpu->seg[SEG_SS];
    const void *host;
    enum event_mode mode;
    unsigned cpl;

    if (!from || novt_log.topics)
        return false;
    __builtin_memcpy(frame, from, 12);
    flags = frame[2];
    if (flags & EFLAGS_VM)
        return bt_iret_v86(vcpu, key);
    cpl = frame[1] & SELECTOR_RPL;
    if ((cpl && cpl != 3) || !plain_flags(vcpu, flags) ||
        !flat_segment(vcpu, (uint16_t)frame[1], ATTR_FLAT_CODE(cpl), &cs))
        return false;
    if (cpl) {
        from = system_bytes(vcpu, esp, 20, MEM_READ);
        if (!from || !segments_stay(vcpu))
            return false;
        __builtin_memcpy(frame + 3, from + 12, 8);
        if ((frame[4] & SELECTOR_RPL) != 3 ||
            !flat_segment(vcpu, (uint16_t)frame[4], ATTR_FLAT_DATA(3), &ss))
            return false;
    }
    key = cpl ? user_key(vcpu, key) : kernel_key(key);
    host = known(vcpu, frame[0], cpl, key);
    if (!host)
        return false;
    mode = event_mode_before(vcpu);
    vcpu->seg[SEG_CS] = cs;
    vcpu->seg[SEG_SS] = ss;
    vcpu->gpr[RSP] = cpl ? frame[3] : (uint32_t)(esp + 12);
    vcpu->nmi_blocked = false;
    vcpu->bt.light_flags = (flags & 0xd5) << 8 | (flags >> 11 & 1);
    vcpu->bt.flag_if = flags & EFLAGS_IF;
    vcpu->bt.flag_df = flags & EFLAGS_DF;
    go_to(vcpu, host, key);
    event_in(vcpu, EVENT_return, mode, vcpu->rip, frame[0], event_word("iret"), 0);
    return true;
}
