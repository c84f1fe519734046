/*
 * Segment registers: read in line; loaded in line in real and virtual-8086 mode, and by a light
 * call (segments.c) at CPL 0 and in segmented code.
 */
#include "cpu/cpuid.h"
#include "translator/rules.h"

static uint32_t selector_of(unsigned seg)
{
    return (uint32_t)(offsetof(struct vcpu, seg) + seg * sizeof(struct segment) +
                      offsetof(struct segment, selector));
}

static void load_selector_r9(struct builder *b, unsigned seg)
{
    EMIT(b, 0x45, 0x0f, 0xb7, 0x8f);           /* movzx r9d, word [selector] */
    emit32(b, selector_of(seg));
}

/* MOV r32, Sreg zero-extends. */
bool rule_mov_from_seg(struct builder *b, const struct insn *in)
{
    if (in->reg >= SEG_COUNT || in->prefixes & PREFIX_LOCK)
        return false;
    if (in->has_mem) {
        if (!(b->key & KEY_SEG) || access_in_window(b, in))
            return false;
        access_operand(b, in, MEM_WRITE, 2);
        load_selector_r9(b, in->reg);
        access_store_sized_at(b, R9, 2);
        return true;
    }
    if (in->opsize == 2)
        EMIT(b, 0x66, 0x41, 0x8b, 0x87 | in->rm << 3);
    else
        EMIT(b, 0x41, 0x0f, 0xb7, 0x87 | in->rm << 3);
    emit32(b, selector_of(in->reg));
    return true;
}

/* --- Loads ------------------------------------------------------------------------------- */

/*
 * May it be loaded without the interpreter? Not CS. SS has a shadow over the next instruction,
 * which is kept by itself, as nothing is let in before the unit is left; flat code's light call
 * does not look at what SS needs.
 */
static bool loadable(const struct builder *b, const struct insn *in, unsigned seg)
{
    if (in->prefixes & PREFIX_LOCK || seg == SEG_CS || seg >= SEG_COUNT)
        return false;
    if (rule_is_real(b))
        return seg != SEG_SS || !b->last;
    if (b->key & (KEY_ODD | KEY_NULLED))
        return false;
    if (b->key & KEY_SEG)
        return seg != SEG_SS || !b->last;
    return !(b->key & KEY_USER) && seg != SEG_SS;
}

/* By an entry (descriptors.c), which does not tell rings 1 and 2 apart. */
static bool by_entry(const struct builder *b)
{
    return b->key & KEY_SEG && !(b->key & (KEY_REAL | KEY_RING));
}

static unsigned use_of(const struct builder *b, unsigned seg)
{
    const uint32_t bent = seg == SEG_ES ? KEY_ES : KEY_DS;

    if (seg == SEG_SS)
        return rule_use(b, USE_STACK);
    if (seg != SEG_DS && seg != SEG_ES)
        return rule_use(b, USE_DATA_ANY);
    return rule_use(b, USE_DATA) | (b->key & bent ? 0 : USE_FLAT);
}

/* A load under way. */
struct load {
    struct wanted found;
    uint32_t slow;
};

/* From the selector in r8d; start: of the instruction's code. What follows is emitted by the
 * caller, then end_load() with this. */
static struct load begin_load(struct builder *b, unsigned seg, uint32_t start)
{
    struct load load = { .slow = 0 };

    if (rule_is_real(b)) {
        rule_load_real(b, seg);
    } else if (by_entry(b)) {
        load.found = rule_find(b, start, use_of(b, seg));
        rule_found(b);
        rule_entry_load(b, seg);
    } else {
        EMIT(b, 0x45, 0x8d, 0x80);             /* lea r8d, [r8 + seg << 16] */
        emit32(b, seg << 16);
        load.slow = light_call(b, b->key & KEY_SEG ? bt_load_segment_any : bt_load_segment);
    }
    return load;
}

static void end_load(struct builder *b, const struct insn *in, const struct load *load)
{
    uint32_t done, slow;

    if (by_entry(b)) {
        done = emit_jump_short(b, 0xeb);
        slow = rule_missed(b, &load->found);
        emit_patch(b, slow, here(b));
        rule_callout(b, in, SITE_EXECUTE, true);
        emit_land(b, done);
    } else if (!rule_is_real(b)) {
        light_end(b, in, load->slow);
    }
}

bool rule_mov_to_seg(struct builder *b, const struct insn *in)
{
    uint32_t start = here(b);
    struct load load;

    if (!loadable(b, in, in->reg) || (in->has_mem && !access_possible(b, in, MEM_READ)))
        return false;
    if (in->has_mem) {
        access_operand(b, in, MEM_READ, 2);
        access_load16(b, in, R8);
    } else {
        EMIT(b, 0x44, 0x0f, 0xb7, 0xc0 | in->rm); /* movzx r8d, reg16 */
    }
    load = begin_load(b, in->reg, start);
    end_load(b, in, &load);
    return true;
}

static unsigned popped_segment(const struct insn *in)
{
    if (in->map == 0)
        return in->opcode == 0x07 ? SEG_ES : in->opcode == 0x1f ? SEG_DS : SEG_SS;
    return in->opcode == 0xa1 ? SEG_FS : SEG_GS;
}

bool rule_pop_seg(struct builder *b, const struct insn *in)
{
    unsigned seg = popped_segment(in);
    uint32_t start = here(b);
    struct load load;

    if ((in->opsize != 4 && !(b->key & KEY_SEG)) || !loadable(b, in, seg))
        return false;
    access_at(b, RSP, 0, MEM_READ, in->opsize);
    access_load_sized_at(b, R8, in->opsize);
    EMIT(b, 0x45, 0x0f, 0xb7, 0xc0);           /* movzx r8d, r8w */
    load = begin_load(b, seg, start);
    access_move_sp(b, RSP, in->opsize);
    end_load(b, in, &load);
    return true;
}

static unsigned loaded_segment(const struct insn *in)
{
    switch (in->id) {
    case M_LES: return SEG_ES;
    case M_LDS: return SEG_DS;
    case M_LSS: return SEG_SS;
    case M_LFS: return SEG_FS;
    default: return SEG_GS;
    }
}

/* LES and its like, of segmented code. */
bool rule_les(struct builder *b, const struct insn *in)
{
    unsigned seg = loaded_segment(in);
    uint32_t start = here(b);
    struct load load;

    if (!(b->key & KEY_SEG) || !in->has_mem || !loadable(b, in, seg))
        return false;
    b->adapted = b->parts = true; /* both halves in the TLB form */
    access_operand(b, in, MEM_READ, in->opsize + 2u);
    access_load_sized_at(b, R9, in->opsize);
    emit_vcpu(b, 0x89, R9, OFF_SCRATCH);
    access_load16_beside(b, R8, in->opsize);
    load = begin_load(b, seg, start);
    emit_vcpu(b, 0x8b, R9, OFF_SCRATCH);
    if (in->opsize == 2)
        emit8(b, 0x66);
    EMIT(b, 0x44, 0x89, 0xc8 | in->reg);       /* mov reg, r9 */
    end_load(b, in, &load);
    return true;
}

/* Intel's CPUs write 16 bits of the slot, AMD's all 32 (interp_push_seg). */
bool rule_push_seg(struct builder *b, const struct insn *in)
{
    static const uint8_t by_opcode[8] = { SEG_ES, SEG_CS, SEG_SS, SEG_DS };
    unsigned seg = in->map ? (in->opcode == 0xa0 ? SEG_FS : SEG_GS) : by_opcode[in->opcode >> 3];

    if ((in->opsize != 4 && !(b->key & KEY_SEG)) || in->prefixes & PREFIX_LOCK ||
        cpuid_is_amd(b->t->vcpu->model))
        return false;
    access_at(b, RSP, (int8_t)-in->opsize, MEM_WRITE, 2);
    if (seg == SEG_CS && rule_is_real(b)) {
        access_store_imm_at(b, b->cs_base >> 4, 2);
    } else {
        load_selector_r9(b, seg);
        access_store_sized_at(b, R9, 2);
    }
    access_set_esp(b);
    return true;
}
