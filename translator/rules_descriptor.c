/*
 * Finding an entry of vcpu.bt_descriptors (descriptors.c) in line, and loading a segment register
 * from it. Where there is none a light call makes it, and the instruction begins again.
 */
#include "translator/descriptors.h"
#include "translator/rules.h"

#define ARRAY(field)                                                                               \
    (uint32_t)(offsetof(struct vcpu, bt_descriptors) + offsetof(struct bt_descriptors, field))

/* mov rcx, [the word of entry r10]; mov r9, the same */
static void word_rcx(struct builder *b, uint32_t from)
{
    EMIT(b, 0x4b, 0x8b, 0x8c, 0xd7), emit32(b, from);
}

static void word_r9(struct builder *b, uint32_t from)
{
    EMIT(b, 0x4f, 0x8b, 0x8c, 0xd7), emit32(b, from);
}

/* --- Finding ------------------------------------------------------------------------------ */

static void miss_unless_0(struct builder *b, struct wanted *w)
{
    EMIT(b, 0xe3, 5, 0xe9);                    /* jrcxz over the jump */
    w->miss[w->misses++] = here(b);
    emit32(b, 0);
}

static void compare_bytes(struct builder *b, struct wanted *w, uint32_t at, uint32_t bytes)
{
    word_r9(b, at);
    EMIT(b, 0x4d, 0x8b, 0x09);                 /* mov r9, [r9] */
    word_rcx(b, bytes);
    EMIT(b, 0x4a, 0x8d, 0x0c, 0x09);           /* lea rcx, [rcx + r9] */
    miss_unless_0(b, w);
}

static void compare_entry(struct builder *b, struct wanted *w)
{
    EMIT(b, 0x49, 0x89, 0xcb);                 /* mov r11, rcx */
    word_rcx(b, ARRAY(tag));
    EMIT(b, 0x4a, 0x8d, 0x8c, 0x01), emit32(b, w->use << 16); /* lea rcx, [rcx + r8 + use << 16] */
    miss_unless_0(b, w);
    compare_bytes(b, w, ARRAY(at), ARRAY(bytes));
    if ((w->use & USE_KIND) == USE_GATE)
        compare_bytes(b, w, ARRAY(code_at), ARRAY(code_bytes));
}

struct wanted rule_find(struct builder *b, uint32_t start, uint32_t use)
{
    struct wanted w = { .start = start, .use = use };

    EMIT(b, 0x41, 0xba), emit32(b, use);       /* mov r10d, use */
    EMIT(b, 0xf2, 0x45, 0x0f, 0x38, 0xf1, 0xd0); /* crc32 r10d, r8d */
    EMIT(b, 0x45, 0x0f, 0xb6, 0xd2);           /* movzx r10d, r10b */
    compare_entry(b, &w);
    return w;
}

void rule_entry_fixed(struct builder *b, uint32_t use, uint16_t selector)
{
    EMIT(b, 0x41, 0xba), emit32(b, descriptors_slot(use, selector)); /* mov r10d, slot */
}

struct wanted rule_find_fixed(struct builder *b, uint32_t start, uint32_t use, uint16_t selector)
{
    struct wanted w = { .start = start, .use = use };

    emit_mov_r8d_imm(b, selector);
    rule_entry_fixed(b, use, selector);
    compare_entry(b, &w);
    return w;
}

void rule_found(struct builder *b)
{
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* mov rcx, r11 */
}

uint32_t rule_missed(struct builder *b, const struct wanted *w)
{
    struct unit_insn *insn = &b->insn[b->insns - 1];
    unsigned how = insn->how; /* rarely called */
    uint32_t slow;

    for (unsigned i = 0; i < w->misses; i++)
        emit_patch(b, w->miss[i], here(b));
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* mov rcx, r11 */
    EMIT(b, 0x45, 0x8d, 0x80), emit32(b, w->use << 16); /* lea r8d, [r8 + use << 16] */
    slow = light_call(b, bt_describe);
    insn->how = how & 3;
    emit8(b, 0xe9);
    emit32(b, 0);
    emit_patch(b, here(b) - 4, w->start);
    return slow;
}

/* --- What is found -------------------------------------------------------------------------- */

static void store_r9(struct builder *b, size_t offset)
{
    EMIT(b, 0x4d, 0x89, 0x8f), emit32(b, (uint32_t)offset); /* mov [r15 + offset], r9 */
}

void rule_entry_mode(struct builder *b)
{
    word_r9(b, ARRAY(mode));
}

void rule_entry_expect(struct builder *b, uint32_t mode, uint32_t *other)
{
    word_rcx(b, ARRAY(mode));
    EMIT(b, 0x48, 0x8d, 0x89), emit32(b, -mode); /* lea rcx, [rcx - mode] */
    EMIT(b, 0xe3, 5, 0xe9);                    /* jrcxz over the jump */
    *other = here(b);
    emit32(b, 0);
}

static void load(struct builder *b, unsigned seg, unsigned first)
{
    size_t segment = offsetof(struct vcpu, seg) + seg * sizeof(struct segment);
    size_t reach = offsetof(struct vcpu, bt_seg) + seg * sizeof(struct bt_segment);

    bool reach_used = !(b->key & KEY_NULLED);

    for (unsigned i = 0; reach_used && i < 2; i++) {
        word_r9(b, ARRAY(limit[i]));
        store_r9(b, reach + offsetof(struct bt_segment, limit) + 8 * i);
    }
    for (unsigned i = first; i < 3; i++) {
        word_r9(b, ARRAY(segment[i]));
        store_r9(b, segment + 8 * i);
    }
    if (reach_used)
        store_r9(b, reach + offsetof(struct bt_segment, base));
}

void rule_entry_load(struct builder *b, unsigned seg)
{
    load(b, seg, 0);
}

/* What the next INT or CALL pushes must not wait for the entry. */
void rule_entry_load_cs(struct builder *b)
{
    EMIT(b, 0x66, 0x45, 0x89, 0x87);           /* mov [selector], r8w */
    emit32(b, (uint32_t)offsetof(struct vcpu, seg[SEG_CS].selector));
    word_r9(b, ARRAY(segment[0]) + 4);
    emit_vcpu(b, 0x89, R9, (uint32_t)offsetof(struct vcpu, seg[SEG_CS].attr));
    load(b, SEG_CS, 1);
}

void rule_entry_offset(struct builder *b)
{
    EMIT(b, 0x4f, 0x8b, 0x84, 0xd7), emit32(b, ARRAY(offset)); /* mov r8, [..] */
}

void rule_entry_limit(struct builder *b, uint32_t *outside)
{
    word_rcx(b, ARRAY(segment[1]));
    EMIT(b, 0x49, 0xf7, 0xd1);                 /* not r9 */
    EMIT(b, 0x4a, 0x8d, 0x4c, 0x09, 1);        /* lea rcx, [rcx + r9 + 1]: limit - offset */
    EMIT(b, 0x48, 0x0f, 0xc9, 0x0f, 0xb6, 0xc9); /* bswap rcx; movzx ecx, cl */
    EMIT(b, 0xe3, 5, 0xe9);                    /* jrcxz over the jump */
    *outside = here(b);
    emit32(b, 0);
}

unsigned rule_use(const struct builder *b, unsigned kind)
{
    unsigned use = kind | (b->key & KEY_USER ? USE_USER : 0);

    switch (kind) {
    case USE_STACK:
        return use | (b->key & KEY_SS ? 0 : USE_FLAT) | (b->key & KEY_STACK16 ? 0 : USE_32);
    case USE_CODE: case USE_GATE:
        return use | (b->key & KEY_CODE16 ? 0 : USE_32);
    default:
        return use;
    }
}
