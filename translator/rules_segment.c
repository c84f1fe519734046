/*
 * Segment registers: read in line; loaded in line in real and virtual-8086 mode, and by a light
 * call (segments.c) at CPL 0 and in segmented code.
 */
#include "cpu/segment.h"
#include "translator/descriptors.h"
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
 * which is kept by itself, as nothing is let in before the unit is left.
 */
static bool loadable(const struct builder *b, const struct insn *in, unsigned seg)
{
    if (in->prefixes & PREFIX_LOCK || seg == SEG_CS || seg >= SEG_COUNT)
        return false;
    if (rule_is_real(b))
        return seg != SEG_SS || !b->last;
    if (b->key & KEY_NULLED)
        return seg == SEG_DS || seg == SEG_ES;
    if (b->key & KEY_ODD)
        return false;
    if (b->key & KEY_SEG)
        return seg != SEG_SS || !b->last;
    return !(b->key & KEY_USER) && (seg != SEG_SS || (in->id == M_MOV_TO_SEG && !b->last));
}

/* By an entry (descriptors.c), which does not tell rings 1 and 2 apart. */
static bool by_entry(const struct builder *b)
{
    return b->key & KEY_SEG && !(b->key & (KEY_REAL | KEY_RING));
}

/* What a load of seg may change of the key, by an entry of any kind. */
static uint32_t changed_key(const struct builder *b, unsigned seg)
{
    static const uint32_t bits[SEG_COUNT] = { [SEG_ES] = KEY_ES, [SEG_DS] = KEY_DS,
                                              [SEG_SS] = KEY_SS | KEY_STACK16 };

    return by_entry(b) && !(b->key & KEY_USER) ? bits[seg] : 0;
}

static unsigned use_of(const struct builder *b, unsigned seg)
{
    const uint32_t bent = seg == SEG_ES ? KEY_ES : KEY_DS;

    if (changed_key(b, seg))
        return (seg == SEG_SS ? USE_STACK : USE_DATA) | USE_CHANGES;
    if (seg == SEG_SS)
        return rule_use(b, USE_STACK);
    if (seg != SEG_DS && seg != SEG_ES)
        return rule_use(b, USE_DATA_ANY);
    return rule_use(b, USE_DATA) | (b->key & bent ? 0 : USE_FLAT);
}

/* What entries bring that leave the mode as it is; where segments are flat or null, what flat ones
 * do. */
static uint32_t expected(const struct builder *b, unsigned seg)
{
    uint32_t bits = changed_key(b, seg);

    if (b->key & KEY_NULLED)
        return 0;
    if (seg == SEG_SS)
        return b->key & bits;
    return b->key & bits ? KEY_DS | KEY_ES : 0;
}

/* On in the mode that the load of entry r10 has led to. */
static void leave_mode(struct builder *b, const struct insn *in, unsigned seg)
{
    uint32_t bits = changed_key(b, seg);

    if (seg == SEG_SS) {
        rule_entry_mode(b);
        EMIT(b, 0x45, 0x8d, 0x89);             /* lea r9d, [r9 + the rest of the key] */
        emit32(b, (b->key & ~bits) + MODE_SHADOW);
    } else {
        EMIT(b, 0x41, 0xb9), emit32(b, b->key ^ bits); /* mov r9d, key */
    }
    exit_mode(b, b->at + in->len);
}

/* What an instruction does besides loading the segment register; r9 is used. */
typedef void finish_fn(struct builder *b, const struct insn *in);

static uint32_t jump(struct builder *b)
{
    emit8(b, 0xe9);
    emit32(b, 0);
    return here(b) - 4;
}

/* The entry's segment is one that changes the mode; where that knows none but flat ones it is the
 * interpreter's. */
static void load_other(struct builder *b, const struct insn *in, unsigned seg, finish_fn *finish)
{
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* mov rcx, r11 */
    if (b->key & KEY_NULLED) {
        rule_callout(b, in, SITE_EXECUTE, true);
        return;
    }
    rule_entry_load(b, seg);
    finish(b, in);
    leave_mode(b, in, seg);
}

static void load_by_entry(struct builder *b, const struct insn *in, unsigned seg, uint32_t start,
                          finish_fn *finish)
{
    struct wanted found = rule_find(b, start, use_of(b, seg));
    uint32_t other = 0, done, again, slow;

    if (changed_key(b, seg))
        rule_entry_expect(b, expected(b, seg), &other);
    rule_found(b);
    rule_entry_load(b, seg);
    finish(b, in);
    if (b->key & KEY_NULLED && b->key & changed_key(b, seg))
        leave_mode(b, in, seg);
    done = jump(b);
    slow = rule_missed(b, &found);
    emit_patch(b, slow, here(b));
    rule_callout(b, in, SITE_EXECUTE, true);
    again = jump(b);
    if (other) {
        emit_patch(b, other, here(b));
        load_other(b, in, seg, finish);
    }
    emit_patch(b, again, here(b));
    emit_patch(b, done, here(b));
}

/* By C; in flat code MOV may lead to another mode. */
static void load_by_call(struct builder *b, const struct insn *in, unsigned seg, finish_fn *finish)
{
    bool flat = !(b->key & KEY_SEG), leaves = flat && in->id == M_MOV_TO_SEG;
    uint32_t done, slow;

    if (leaves)
        rule_store_next(b, in);
    EMIT(b, 0x45, 0x8d, 0x80);                 /* lea r8d, [r8 + seg << 16] */
    emit32(b, seg << 16 | (leaves ? LIGHT_LEAVES : 0));
    slow = light_call(b, flat ? bt_load_segment : bt_load_segment_any);
    finish(b, in);
    done = emit_jump_short(b, 0xeb);
    emit_patch(b, slow, here(b));
    rule_callout(b, in, SITE_EXECUTE, true);
    emit_land(b, done);
}

/* From the selector in r8d; start: of the instruction's code. */
static void load(struct builder *b, const struct insn *in, unsigned seg, uint32_t start,
                 finish_fn *finish)
{
    if (rule_is_real(b)) {
        rule_load_real(b, seg);
        finish(b, in);
    } else if (by_entry(b)) {
        load_by_entry(b, in, seg, start, finish);
    } else {
        load_by_call(b, in, seg, finish);
    }
}

static void finish_mov(struct builder *b, const struct insn *in)
{
    (void)b;
    (void)in;
}

bool rule_mov_to_seg(struct builder *b, const struct insn *in)
{
    uint32_t start = here(b);

    if (!loadable(b, in, in->reg) || (in->has_mem && !access_possible(b, in, MEM_READ)))
        return false;
    if (in->has_mem) {
        access_operand(b, in, MEM_READ, 2);
        access_load16(b, in, R8);
    } else {
        EMIT(b, 0x44, 0x0f, 0xb7, 0xc0 | in->rm); /* movzx r8d, reg16 */
    }
    load(b, in, in->reg, start, finish_mov);
    return true;
}

static unsigned popped_segment(const struct insn *in)
{
    if (in->map == 0)
        return in->opcode == 0x07 ? SEG_ES : in->opcode == 0x1f ? SEG_DS : SEG_SS;
    return in->opcode == 0xa1 ? SEG_FS : SEG_GS;
}

static void finish_pop(struct builder *b, const struct insn *in)
{
    access_move_sp(b, RSP, in->opsize);
}

bool rule_pop_seg(struct builder *b, const struct insn *in)
{
    unsigned seg = popped_segment(in), size;
    uint32_t start = here(b);

    if ((in->opsize != 4 && !(b->key & KEY_SEG)) || !loadable(b, in, seg))
        return false;
    size = stack_selector_size(b->t->vcpu, in->opsize);
    access_at(b, RSP, 0, MEM_READ, size);
    access_load_sized_at(b, R8, size);
    EMIT(b, 0x45, 0x0f, 0xb7, 0xc0);           /* movzx r8d, r8w */
    load(b, in, seg, start, finish_pop);
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

static void finish_les(struct builder *b, const struct insn *in)
{
    emit_vcpu(b, 0x8b, R9, OFF_SCRATCH);
    if (in->opsize == 2)
        emit8(b, 0x66);
    EMIT(b, 0x44, 0x89, 0xc8 | in->reg);       /* mov reg, r9 */
}

/* LES and its like, of segmented code. */
bool rule_les(struct builder *b, const struct insn *in)
{
    unsigned seg = loaded_segment(in);
    uint32_t start = here(b);

    if (!(b->key & KEY_SEG) || b->key & KEY_NULLED || !in->has_mem || !loadable(b, in, seg))
        return false;
    b->adapted = b->parts = true; /* both halves in the TLB form */
    access_operand(b, in, MEM_READ, in->opsize + 2u);
    access_load_sized_at(b, R9, in->opsize);
    emit_vcpu(b, 0x89, R9, OFF_SCRATCH);
    access_load16_beside(b, R8, in->opsize);
    load(b, in, seg, start, finish_les);
    return true;
}

/* Of a slot of 32 bits Intel's CPUs write 16, AMD's all (stack_selector_size()). */
bool rule_push_seg(struct builder *b, const struct insn *in)
{
    static const uint8_t by_opcode[8] = { SEG_ES, SEG_CS, SEG_SS, SEG_DS };
    unsigned seg = in->map ? (in->opcode == 0xa0 ? SEG_FS : SEG_GS) : by_opcode[in->opcode >> 3];
    unsigned size = stack_selector_size(b->t->vcpu, in->opsize);

    if ((in->opsize != 4 && !(b->key & KEY_SEG)) || in->prefixes & PREFIX_LOCK)
        return false;
    access_at(b, RSP, (int8_t)-in->opsize, MEM_WRITE, size);
    if (seg == SEG_CS && rule_is_real(b)) {
        access_store_imm_at(b, (uint16_t)(b->cs_base >> 4), size);
    } else {
        load_selector_r9(b, seg);
        access_store_sized_at(b, R9, size);
    }
    access_set_esp(b);
    return true;
}
