/*
 * Far transfers and interrupts of segmented code in protected mode at one privilege, and those
 * between virtual-8086 mode and CPL 0, as light calls. Everything that could fault, switches tasks
 * or goes through a call gate is the interpreter's. Reference: SDM 2, JMP, CALL, RET, INT n, IRET;
 * SDM 3, 20.2.
 */
#include "base/log.h"
#include "base/spent.h"
#include "cpu/segment.h"
#include "cpu/tlb.h"
#include "translator/crossing.h"
#include "translator/descriptors.h"
#include "translator/light.h"
#include "translator/offsets.h"
#include "translator/segments.h"
#include "translator/switch.h"
#include "translator/unit.h"

/* [gla, gla + size), if it is in one page of this TLB. */
static uint8_t *bytes_at(const struct tlb *tlb, uint64_t gla, unsigned size, enum mem_access access)
{
    gla = (uint32_t)gla;
    if ((gla & PAGE_MASK) + size > PAGE_SIZE || !tlb_hit(tlb, access, gla))
        return NULL;
    return (uint8_t *)(uintptr_t)(tlb->addend[tlb_index(gla)] + gla);
}

/* The bytes of the current stack from disp on, without wrapping. */
static uint8_t *stack_at(const struct vcpu *vcpu, int disp, unsigned size, enum mem_access access)
{
    const struct segment *ss = &vcpu->seg[SEG_SS];
    uint64_t mask = stack_mask(ss), offset = (vcpu->gpr[RSP] + (uint64_t)disp) & mask;

    if (ss->attr & SEG_EXPDOWN || offset + size - 1 > ss->limit || offset + size - 1 > mask)
        return NULL;
    return bytes_at((const struct tlb *)(uintptr_t)vcpu->bt.tlb, ss->base + offset, size, access);
}

static void move_stack(struct vcpu *vcpu, int by)
{
    uint64_t mask = stack_mask(&vcpu->seg[SEG_SS]), esp = vcpu->gpr[RSP];

    vcpu->gpr[RSP] = (esp & ~mask & UINT32_MAX) | ((esp + (uint64_t)by) & mask);
}

/* Code that a transfer may reach at privilege dpl without changing it to anything else. */
static bool code_segment(const struct vcpu *vcpu, uint16_t selector, unsigned dpl, uint64_t offset,
                         struct segment *cs)
{
    return descriptors_code(vcpu, selector, dpl, cs) && offset <= cs->limit;
}

/* On to rip in 16-bit code as the unit's, whose key is in bt.scratch: the mode stays. */
static bool go_near(struct vcpu *vcpu, uint32_t rip)
{
    const struct jump_table *jumps = (const struct jump_table *)(uintptr_t)vcpu->bt.jump_table;
    uint64_t place = unit_place((uint32_t)vcpu->seg[SEG_CS].base, rip);
    const void *host;

    if (vcpu->exit_request || vcpu->bt.jump_table == JUMP_POISON)
        return false;
    segments_code(translator_of(vcpu), &vcpu->seg[SEG_CS], (uint32_t)vcpu->bt.scratch);
    host = jump_find(jumps, place, vcpu->bt.jump_shift);
    if (!host)
        return false;
    segments_refresh_one(vcpu, SEG_CS);
    vcpu->bt.saved[1] = (uint64_t)(uintptr_t)host;
    return true;
}

/* The mode key's jump table, and what else translated code of it goes by. */
static const struct jump_table *enter_mode(struct vcpu *vcpu, uint32_t key)
{
    struct translator *t = translator_of(vcpu);
    const struct jump_table *jumps;

    if (engine_window(t, key)) {
        translator_window(t, key & KEY_USER);
        key |= KEY_WINDOW;
    }
    jumps = shadowmm_jump_table(t->sm, key_set(key), key);
    vcpu->bt.tlb = (uint64_t)(uintptr_t)vcpu->tlb[key & KEY_USER];
    spent_begin(vcpu->spent, key & KEY_WINDOW ? SPENT_CODE_WINDOW : SPENT_CODE_TLB);
    return jumps;
}

void far_go_to(struct vcpu *vcpu, uint32_t rip)
{
    struct translator *t = translator_of(vcpu);
    uint64_t place = unit_place((uint32_t)vcpu->seg[SEG_CS].base, rip);
    uint32_t key = engine_key(vcpu);
    const struct jump_table *jumps;
    const void *host;

    vcpu->bt.scratch = (uint32_t)place;
    vcpu->bt.saved[1] = (uint64_t)(uintptr_t)bt_exit_lookup;
    if (!(key & KEY_OK) || (!(key & KEY_SEG) && direct_wanted(t, key)))
        return;
    if (key & KEY_SEG)
        segments_code(t, &vcpu->seg[SEG_CS], key);
    jumps = crossing_known(vcpu, key);
    if (!jumps) {
        jumps = enter_mode(vcpu, key);
        crossing_mode(vcpu);
    }
    host = jump_find(jumps, place, vcpu->bt.jump_shift);
    if (!host)
        return;
    unit_set_jumps(vcpu, jumps);
    segments_refresh(vcpu, key);
    if (vcpu->exit_request) /* kicked before or meanwhile: U4 */
        return;
    vcpu->bt.saved[1] = (uint64_t)(uintptr_t)host;
}

static void load_code(struct vcpu *vcpu, const struct segment *cs, uint32_t rip)
{
    bool near = !((cs->attr | vcpu->seg[SEG_CS].attr) & SEG_DB) && !(vcpu->bt.scratch & KEY_REAL);

    vcpu->seg[SEG_CS] = *cs;
    if (!near || !go_near(vcpu, rip))
        far_go_to(vcpu, rip);
}

/* --- JMP, CALL and RET ----------------------------------------------------------------------- */

static bool far_pointer(const struct vcpu *vcpu, uint32_t pointer, struct segment *cs)
{
    uint16_t selector = (uint16_t)(pointer >> 16);

    return !novt_log.topics && (selector & SELECTOR_RPL) <= vcpu->cpl &&
           code_segment(vcpu, selector, vcpu->cpl, pointer & 0xffff, cs);
}

bool bt_jmp_far(struct vcpu *vcpu, uint32_t pointer)
{
    struct segment cs;

    if (!far_pointer(vcpu, pointer, &cs))
        return false;
    load_code(vcpu, &cs, pointer & 0xffff);
    return true;
}

bool bt_call_far(struct vcpu *vcpu, uint32_t pointer)
{
    uint32_t back = (uint32_t)vcpu->seg[SEG_CS].selector << 16 | (uint16_t)vcpu->rip;
    uint8_t *to = stack_at(vcpu, -4, 4, MEM_WRITE);
    struct segment cs;

    if (!to || !far_pointer(vcpu, pointer, &cs))
        return false;
    __builtin_memcpy(to, &back, 4);
    move_stack(vcpu, -4);
    load_code(vcpu, &cs, pointer & 0xffff);
    return true;
}

bool bt_ret_far(struct vcpu *vcpu, uint32_t release)
{
    const uint8_t *from = stack_at(vcpu, 0, 4, MEM_READ);
    struct segment cs;
    uint32_t pointer;

    if (!from || novt_log.topics)
        return false;
    __builtin_memcpy(&pointer, from, 4);
    if ((pointer >> 16 & SELECTOR_RPL) != vcpu->cpl ||
        !code_segment(vcpu, (uint16_t)(pointer >> 16), vcpu->cpl, pointer & 0xffff, &cs))
        return false;
    move_stack(vcpu, (int)(4 + release));
    load_code(vcpu, &cs, pointer & 0xffff);
    return true;
}

/* --- INT and IRET at one privilege ---------------------------------------------------------- */

/* Somebody is told of them, by the interpreter. */
static bool told(const struct vcpu *vcpu)
{
    return novt_log.topics || vcpu->events;
}

/* An interrupt or trap gate that INT may use. */
struct gate {
    struct segment cs;
    unsigned size;   /* 2 or 4 */
    uint32_t offset;
    bool interrupt;
};

static bool read_gate(const struct vcpu *vcpu, unsigned vector, unsigned dpl, struct gate *gate)
{
    const uint8_t *at = bytes_at(vcpu->tlb[0], vcpu->idtr.base + vector * 8, 8, MEM_READ);
    uint64_t d;

    if (!at || vector * 8 + 7 > vcpu->idtr.limit)
        return false;
    __builtin_memcpy(&d, at, 8);
    if (!descriptor_present(d) || (descriptor_system_type(d) & 6) != 6 ||
        descriptor_dpl(d) < vcpu->cpl)
        return false;
    gate->size = d >> 40 & 8 ? 4 : 2;
    gate->offset = (uint32_t)(d & 0xffff) | (gate->size == 4 ? d >> 32 & 0xffff0000 : 0);
    gate->interrupt = !(d >> 40 & 1);
    return code_segment(vcpu, (uint16_t)(d >> 16), dpl, gate->offset, &gate->cs);
}

static void put_frame(uint8_t *to, const uint32_t *value, unsigned count, unsigned size)
{
    for (unsigned i = 0; i < count; i++, to += size)
        if (size == 2)
            __builtin_memcpy(to, &value[i], 2);
        else
            __builtin_memcpy(to, &value[i], 4);
}

/* The flags that a gate changes; the frame has been pushed. */
static void enter(struct vcpu *vcpu, const struct gate *gate)
{
    vcpu->eflags &= ~(uint32_t)(EFLAGS_NT | EFLAGS_VM);
    vcpu->bt.system_flags &= ~(uint32_t)EFLAGS_NT;
    if (gate->interrupt)
        vcpu->bt.flag_if = 0;
    vcpu->stats.soft_interrupts++;
    load_code(vcpu, &gate->cs, gate->offset);
}

bool bt_int_same(struct vcpu *vcpu, uint32_t vector)
{
    uint32_t frame[3] = { (uint32_t)vcpu->rip, vcpu->seg[SEG_CS].selector, entry_eflags(vcpu) };
    struct gate gate;
    uint8_t *to;

    if (told(vcpu) || !read_gate(vcpu, vector, vcpu->cpl, &gate))
        return false;
    to = stack_at(vcpu, -(int)(3 * gate.size), 3 * gate.size, MEM_WRITE);
    if (!to)
        return false;
    put_frame(to, frame, 3, gate.size);
    move_stack(vcpu, -(int)(3 * gate.size));
    enter(vcpu, &gate);
    return true;
}

/* The flags in what units keep elsewhere. */
static void take_flags(struct vcpu *vcpu, uint32_t flags)
{
    vcpu->bt.light_flags = (flags & 0xd5) << 8 | (flags >> 11 & 1);
    vcpu->bt.flag_if = flags & EFLAGS_IF;
    vcpu->bt.flag_df = flags & EFLAGS_DF;
    vcpu->nmi_blocked = false;
}

bool bt_iret_same(struct vcpu *vcpu, uint32_t unused)
{
    const uint32_t same = EFLAGS_TF | EFLAGS_NT | EFLAGS_IOPL;
    const uint8_t *from = stack_at(vcpu, 0, 6, MEM_READ);
    uint16_t frame[3];
    struct segment cs;

    (void)unused;
    if (!from || told(vcpu) || vcpu->nmi_pending)
        return false;
    __builtin_memcpy(frame, from, 6);
    if ((frame[2] ^ vcpu->eflags) & same || vcpu->eflags & EFLAGS_NT ||
        (frame[2] & EFLAGS_IF && vcpu->intr_line) || vcpu->cpl > vcpu_iopl(vcpu) ||
        (frame[1] & SELECTOR_RPL) != vcpu->cpl ||
        !code_segment(vcpu, frame[1], vcpu->cpl, frame[0], &cs))
        return false;
    move_stack(vcpu, 6);
    take_flags(vcpu, frame[2]);
    load_code(vcpu, &cs, frame[0]);
    return true;
}

/* --- Virtual-8086 mode and CPL 0 ------------------------------------------------------------ */

bool bt_int_v86(struct vcpu *vcpu, uint32_t vector)
{
    uint32_t frame[9] = {
        (uint32_t)vcpu->rip, vcpu->seg[SEG_CS].selector, entry_eflags(vcpu),
        (uint32_t)vcpu->gpr[RSP], vcpu->seg[SEG_SS].selector, vcpu->seg[SEG_ES].selector,
        vcpu->seg[SEG_DS].selector, vcpu->seg[SEG_FS].selector, vcpu->seg[SEG_GS].selector,
    };
    static const uint8_t nulled[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    struct bt_crossing *known;
    struct segment ss;
    struct gate gate;
    uint32_t esp;
    uint8_t *to;

    if (told(vcpu) || !read_gate(vcpu, vector, 0, &gate) || gate.size != 4 ||
        !entry_kernel_stack(vcpu, &ss, &esp))
        return false;
    to = bytes_at(vcpu->tlb[0], esp - sizeof(frame), sizeof(frame), MEM_WRITE);
    if (!to)
        return false;
    known = crossing_begin(vcpu, (uint8_t)vector, &gate.cs, &ss);
    put_frame(to, frame, 9, 4);
    for (unsigned i = 0; i < sizeof(nulled); i++)
        segment_load_null(vcpu, nulled[i], 0);
    vcpu->seg[SEG_SS] = ss;
    vcpu->gpr[RSP] = (uint32_t)(esp - sizeof(frame));
    vcpu->cpl = 0;
    enter(vcpu, &gate);
    crossing_in(vcpu, known, (uint8_t)vector, to, gate.interrupt);
    return true;
}

bool bt_iret_v86(struct vcpu *vcpu, uint32_t unused)
{
    static const uint8_t order[] = { SEG_CS, SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    const uint8_t *from = stack_at(vcpu, 0, 36, MEM_READ);
    uint32_t frame[9], flags;

    (void)unused;
    if (!from || told(vcpu) || vcpu->nmi_pending || vcpu->cpl)
        return false;
    __builtin_memcpy(frame, from, 36);
    flags = frame[2];
    if (!(flags & EFLAGS_VM) || frame[0] > 0xffff || vcpu->eflags & EFLAGS_NT ||
        (flags ^ vcpu->eflags) & (EFLAGS_TF | EFLAGS_NT | EFLAGS_AC | EFLAGS_ID | EFLAGS_RF |
                                  EFLAGS_VIF | EFLAGS_VIP) ||
        (flags & EFLAGS_IF && vcpu->intr_line))
        return false;
    for (unsigned i = 0; i < sizeof(order); i++)
        segment_load_v86(vcpu, order[i], (uint16_t)frame[i ? i + 3 : 1]);
    vcpu->gpr[RSP] = frame[3];
    vcpu->eflags = (vcpu->eflags & ~(uint32_t)EFLAGS_IOPL) | (flags & EFLAGS_IOPL) | EFLAGS_VM;
    vcpu->bt.system_flags = vcpu->eflags & ~(uint32_t)UNIT_FLAGS;
    vcpu->cpl = 3;
    take_flags(vcpu, flags);
    far_go_to(vcpu, frame[0]);
    crossing_out(vcpu);
    return true;
}
