/*
 * What is remembered of INT n from virtual-8086 mode to flat code of CPL 0, and of the IRET back,
 * so that crossing.S can do them again without a light call's C (far.c).
 *
 * INT: the 8 bytes each of the gate, of the descriptors of both segments and of SS0:ESP0 in the TSS
 * are compared with what they were, as descriptors.c does with its entries; the TLB is asked
 * whether the stack's page may be written; and the jump table must have code for the key. IRET goes
 * by its frame alone: virtual-8086 mode's segments follow from their selectors.
 *
 *  D3. What crossings do not compare (the TSS's place, what is in the key of both modes, the tables
 *      and windows of the view) is compared before C goes back to translated code, with D1's.
 *
 * Whatever is not as remembered goes the light call's way. Reference: SDM 3, 20.2, 20.3.
 */
#include "translator/crossing.h"

#include "cpu/tlb.h"
#include "translator/descriptors.h"
#include "translator/emit.h"
#include "translator/offsets.h"
#include "translator/segments.h"
#include "translator/switch.h"
#include "translator/unit.h"

#define ASSERT_IN(field, offset)                                                                   \
    _Static_assert(offsetof(struct bt_crossing, field) == (offset), "offsets.h")
#define ASSERT_MODE(field, offset)                                                                 \
    _Static_assert(offsetof(struct bt_mode, field) == (offset), "offsets.h")
#define ASSERT_VCPU(field, offset)                                                                 \
    _Static_assert(offsetof(struct vcpu, field) == (offset), "offsets.h")

_Static_assert(sizeof(struct bt_crossing) == CROSSING_SIZE, "offsets.h");
_Static_assert(sizeof(struct bt_mode) == MODE_SIZE, "offsets.h");
_Static_assert(KEY_SEG == MODE_SEGMENTED && (KEY_BENT | KEY_REAL) == MODE_BENT, "offsets.h");
_Static_assert((KEY_SEG | KEY_ODD | KEY_NULLED) == MODE_SEGMENTS, "offsets.h");
_Static_assert((KEY_CODE16 | KEY_STACK16 | KEY_REAL | KEY_DS | KEY_ES | KEY_ODD | KEY_NULLED) ==
               MODE_INDEX, "offsets.h");
_Static_assert(DATA_MASK == DATA_BITS && DATA_WHOLE == DATA_ALL, "offsets.h");
_Static_assert((SEG_S | SEG_CODE | SEG_P | SEG_DB | SEG_READABLE | SEG_L) == CODE_BITS &&
               CODE_FLAT == CODE_BITS - SEG_L, "offsets.h");
_Static_assert(BT_CROSSINGS == 16 && sizeof(struct segment) == 24, "crossing.S");
_Static_assert(offsetof(struct jump_table, key) == JUMP_KEY, "offsets.h");
ASSERT_IN(tag, 0);
ASSERT_IN(at, CROSSING_AT);
ASSERT_IN(bytes, CROSSING_BYTES);
ASSERT_IN(stack_tag, CROSSING_STACK_TAG);
ASSERT_IN(stack_page, CROSSING_STACK_PAGE);
ASSERT_IN(frame, CROSSING_FRAME);
ASSERT_IN(mode, CROSSING_MODE);
ASSERT_IN(place, CROSSING_PLACE);
ASSERT_IN(slot, CROSSING_SLOT);
ASSERT_IN(cs, CROSSING_CS);
ASSERT_IN(ss, CROSSING_SS);
ASSERT_IN(esp, CROSSING_ESP);
ASSERT_IN(flag_if, CROSSING_FLAG_IF);
ASSERT_MODE(jumps, 0);
ASSERT_MODE(tlb, MODE_TLB);
ASSERT_MODE(window, MODE_WINDOW);
ASSERT_MODE(key, MODE_KEY);
ASSERT_VCPU(seg, OFF_SEG);
ASSERT_VCPU(cpl, OFF_CPL);
ASSERT_VCPU(bt_crossings.in, OFF_CROSSINGS);
ASSERT_VCPU(bt_crossings.out, OFF_CROSSING_OUT);
ASSERT_VCPU(bt_crossings.reach, OFF_CROSSING_REACH);
ASSERT_VCPU(bt_crossings.mode, OFF_MODES);
ASSERT_VCPU(exit_request, OFF_EXIT_REQUEST);
ASSERT_VCPU(intr_shadow, OFF_INTR_SHADOW);
ASSERT_VCPU(debug_shadow, OFF_DEBUG_SHADOW);
ASSERT_VCPU(intr_line, OFF_INTR_LINE);
ASSERT_VCPU(nmi_pending, OFF_NMI_PENDING);
ASSERT_VCPU(nmi_blocked, OFF_NMI_BLOCKED);
ASSERT_VCPU(stats.soft_interrupts, OFF_SOFT_INTERRUPTS);

/* --- The world ---------------------------------------------------------------------------- */

static struct crossing_world world_now(struct vcpu *vcpu)
{
    const struct shadowmm *sm = translator_of(vcpu)->sm;

    return (struct crossing_world){
        .tr = vcpu->tr.base, .tr_limit = vcpu->tr.limit, .tr_attr = vcpu->tr.attr,
        .cr4 = vcpu->cr4, .xcr0 = vcpu->xcr0, .emulates = vcpu->cr0 & CR0_EM,
        .window = { shadowmm_window(sm, false), shadowmm_window(sm, true) },
        .flat = shadowmm_jumps(sm, 0),
    };
}

static bool same_world(const struct crossing_world *a, const struct crossing_world *b)
{
    return a->tr == b->tr && a->tr_limit == b->tr_limit && a->tr_attr == b->tr_attr &&
           a->cr4 == b->cr4 && a->xcr0 == b->xcr0 && a->emulates == b->emulates &&
           a->window[0] == b->window[0] && a->window[1] == b->window[1] && a->flat == b->flat;
}

void crossing_forget_tables(struct vcpu *vcpu)
{
    for (unsigned i = 0; translator_of(vcpu)->crossed && i < BT_CROSSINGS; i++)
        vcpu->bt_crossings.in[i].tag = 0;
    vcpu->bt_crossings.out.jumps = NULL;
}

void crossing_forget(struct vcpu *vcpu)
{
    struct translator *t = translator_of(vcpu);

    crossing_forget_tables(vcpu);
    for (unsigned i = 0; t->crossed && i < BT_MODES; i++)
        vcpu->bt_crossings.mode[i].jumps = NULL;
    t->crossed = false;
}

void crossing_check(struct vcpu *vcpu)
{
    struct crossing_world now = world_now(vcpu);

    if (!same_world(&now, &translator_of(vcpu)->world))
        crossing_forget(vcpu);
}

static void begin(struct vcpu *vcpu)
{
    struct translator *t = translator_of(vcpu);

    descriptors_begin(vcpu);
    if (!t->crossed)
        t->world = world_now(vcpu);
    t->crossed = true;
}

/* The mode that the vcpu is in now. False: not one to go to without looking further. */
static bool mode_now(struct vcpu *vcpu, struct bt_mode *mode)
{
    const struct translator *t = translator_of(vcpu);
    uint32_t key = engine_key(vcpu);
    const uint8_t *window;

    begin(vcpu);
    window = key & KEY_REAL ? NULL : t->world.window[key & KEY_USER];
    if (!(key & KEY_OK) || (window && !t->fsgsbase))
        return false;
    *mode = (struct bt_mode){
        .jumps = shadowmm_jumps(t->sm, key_set(key)), .tlb = vcpu->tlb[key & KEY_USER],
        .window = (uint64_t)(uintptr_t)window, .key = key | (window ? KEY_WINDOW : 0),
    };
    return true;
}

/* --- Crossings ---------------------------------------------------------------------------- */

struct bt_crossing *crossing_begin(struct vcpu *vcpu, uint8_t vector, const struct segment *cs,
                                   const struct segment *ss)
{
    struct bt_crossing *c = &vcpu->bt_crossings.in[vector % BT_CROSSINGS];
    const void *at[BT_CROSSING_READS] = {
        descriptors_system(vcpu, vcpu->idtr.base + vector * 8u),
        descriptors_at(vcpu, cs->selector),
        descriptors_system(vcpu, vcpu->tr.base + 4),
        descriptors_at(vcpu, ss->selector),
    };

    c->tag = 0;
    if (vcpu->spent || cs->base || cs->limit != UINT32_MAX) /* time is told; not flat */
        return NULL;
    for (unsigned i = 0; i < BT_CROSSING_READS; i++) {
        if (!at[i])
            return NULL;
        c->at[i] = at[i];
        __builtin_memcpy(&c->bytes[i], at[i], 8);
    }
    return c;
}

void crossing_in(struct vcpu *vcpu, struct bt_crossing *c, uint8_t vector, uint8_t *frame,
                 bool interrupt)
{
    uint32_t esp = (uint32_t)vcpu->gpr[RSP], eip;

    if (!c || !mode_now(vcpu, &c->mode) || !(c->mode.key & KEY_NULLED))
        return;
    eip = (uint32_t)(c->bytes[0] & 0xffff) | (uint32_t)(c->bytes[0] >> 32 & 0xffff0000);
    c->stack_tag = &vcpu->tlb[0]->tag[MEM_WRITE][tlb_index(esp)];
    c->stack_page = -(uint64_t)(esp >> PAGE_SHIFT);
    c->frame = frame;
    c->place = eip;
    c->slot = &c->mode.jumps->tag[jump_slot(eip, vcpu->bt.jump_shift)];
    c->cs = vcpu->seg[SEG_CS];
    c->ss = vcpu->seg[SEG_SS];
    c->esp = esp;
    c->flag_if = interrupt ? 0 : UINT32_MAX;
    c->tag = vector + 1u;
    translator_of(vcpu)->by_idt = true;
    translator_of(vcpu)->stats.crossings++;
}

void crossing_out(struct vcpu *vcpu)
{
    const uint32_t mask = KEY_USER | KEY_REAL | KEY_IOPL | KEY_ODD;
    struct bt_mode *out = &vcpu->bt_crossings.out;

    out->jumps = NULL;
    if (vcpu->spent || !mode_now(vcpu, out))
        return;
    translator_of(vcpu)->by_idt = true; /* whose limit is in the key */
    if ((out->key & mask) == (mask & ~(uint32_t)KEY_ODD))
        cache_aim_thunk(translator_of(vcpu), THUNK_IRET, bt_cross_out);
    else
        out->jumps = NULL;
}

/* Its bits that MODE_INDEX has, side by side. */
static unsigned mode_index(uint32_t key)
{
    return (key >> 10 & 0xf) | (key >> 15 & 1) << 4 | (key >> 17 & 1) << 5 | (key >> 21 & 1) << 6;
}

void crossing_mode(struct vcpu *vcpu)
{
    uint32_t key = engine_key(vcpu);
    struct bt_mode *mode = &vcpu->bt_crossings.mode[mode_index(key)];

    if (vcpu->spent || key & KEY_USER)
        return;
    mode->jumps = NULL;
    translator_of(vcpu)->stats.modes++;
    if (!mode_now(vcpu, mode))
        mode->jumps = NULL;
}

const struct jump_table *crossing_known(struct vcpu *vcpu, uint32_t key)
{
    const struct bt_mode *mode = &vcpu->bt_crossings.mode[mode_index(key)];

    if (!mode->jumps || (mode->key & ~(uint32_t)KEY_WINDOW) != key ||
        mode->jumps->key != mode->key || (mode->window && mode->window != vcpu->bt.window))
        return NULL;
    vcpu->bt.tlb = (uint64_t)(uintptr_t)mode->tlb;
    return mode->jumps;
}
