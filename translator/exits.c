/*
 * Leaving a unit: chained jumps inside a page, jump-table lookups beyond it (U2), and a poll on
 * every transfer that could close a cycle (U4).
 */
#include "translator/emit.h"
#include "translator/probe.h"
#include "translator/switch.h"

/* ... and not so near its end that the target may be an instruction across it (U7). */
static bool same_page(const struct builder *b, uint32_t target)
{
    uint32_t gla = target + b->cs_base;

    return gla >> PAGE_SHIFT == (b->eip + b->cs_base) >> PAGE_SHIFT &&
           (gla & PAGE_MASK) <= PAGE_SIZE - INSN_MAX;
}

/* A cycle has at least one transfer that does not go forward. */
static bool wants_poll(const struct builder *b, uint32_t target)
{
    return target <= b->at;
}

static void add_exit(struct builder *b, uint32_t field, uint32_t target)
{
    b->exit[b->exits].eip = target;
    b->exit[b->exits++].field = field;
}

/* hit: is emitted behind the miss so that jrcxz reaches it. */
static void lookup_miss(struct builder *b)
{
    EMIT(b, 0x4a, 0x8d, 0x4c, 0x01, 0x01); /* lea rcx, [rcx + r8 + 1] */
    EMIT(b, 0xe3, 8);                      /* jrcxz hit */
    EMIT(b, 0x4c, 0x89, 0xd1);             /* mov rcx, r10 */
    emit_jump_thunk(b, THUNK_LOOKUP);
    EMIT(b, 0x4c, 0x89, 0xd1);             /* hit: mov rcx, r10 */
}

static void lookup_constant(struct builder *b, uint32_t target)
{
    uint64_t place = unit_place(b->cs_base, target);
    uint32_t slot = jump_slot(place, b->t->vcpu->bt.jump_shift) * 8;

    count_emit_looked_up(b);
    if (b->cs_base) {
        EMIT(b, 0x49, 0xb8);               /* mov r8, place */
        emit64(b, place);
    } else {
        emit_mov_r8d_imm(b, target);
    }
    EMIT(b, 0x49, 0x89, 0xca);             /* mov r10, rcx */
    EMIT(b, 0x49, 0x8b, 0x8e);             /* mov rcx, [r14 + slot] */
    emit32(b, slot);
    lookup_miss(b);
    EMIT(b, 0x41, 0xff, 0xa6);             /* jmp [r14 + slot + JUMP_HOST] */
    emit32(b, slot + JUMP_HOST);
}

/* To the place in r8. */
static void exit_place(struct builder *b)
{
    unsigned shift = b->t->vcpu->bt.jump_shift;

    if (shift) {
        EMIT(b, 0xc4, 0x43, 0x7b, 0xf0, 0xc8, shift); /* rorx r9d, r8d, shift */
        EMIT(b, 0x45, 0x0f, 0xb7, 0xc9);              /* movzx r9d, r9w */
    } else {
        EMIT(b, 0x45, 0x0f, 0xb7, 0xc8);              /* movzx r9d, r8w */
    }
    EMIT(b, 0x49, 0x89, 0xca);             /* mov r10, rcx */
    EMIT(b, 0x4b, 0x8b, 0x0c, 0xce);       /* mov rcx, [r14 + r9*8] */
    lookup_miss(b);
    EMIT(b, 0x43, 0xff, 0xa4, 0xce);       /* jmp [r14 + r9*8 + JUMP_HOST] */
    emit32(b, JUMP_HOST);
}

void exit_indirect(struct builder *b)
{
    count_emit_looked_up(b);
    if (b->cs_base) {
        EMIT(b, 0x49, 0xb9);               /* mov r9, unit_place(base, 0) */
        emit64(b, unit_place(b->cs_base, 0));
        EMIT(b, 0x4f, 0x8d, 0x04, 0x08);   /* lea r8, [r8 + r9] */
    }
    exit_place(b);
}

/* To the place in r8, in another mode of CPL 0. */
static void change_mode(struct builder *b, uint32_t key)
{
    EMIT(b, 0x41, 0xb9), emit32(b, key);   /* mov r9d, key */
    emit_jump_thunk(b, THUNK_MODE);
}

/* r8 = unit_place(r9, r8d) */
static void exit_to_place(struct builder *b, uint32_t key)
{
    EMIT(b, 0x4f, 0x8d, 0x04, 0x08);       /* lea r8, [r8 + r9] */
    EMIT(b, 0xc4, 0x43, 0xfb, 0xf0, 0xc9, 32); /* rorx r9, r9, 32 */
    EMIT(b, 0x4f, 0x8d, 0x04, 0x08);       /* lea r8, [r8 + r9]: unit_place() */
    if (key == b->key)
        exit_place(b);
    else
        change_mode(b, key);
}

void exit_mode(struct builder *b, uint32_t target)
{
    count_emit_looked_up(b);
    EMIT(b, 0x49, 0xb8), emit64(b, unit_place(b->cs_base, target)); /* mov r8, place */
    emit_jump_thunk(b, THUNK_MODE);
}

void exit_based(struct builder *b, uint32_t key)
{
    count_emit_looked_up(b);
    exit_to_place(b, key);
}

void exit_far(struct builder *b, uint32_t key)
{
    const uint32_t cs = (uint32_t)offsetof(struct vcpu, seg[SEG_CS]);

    count_emit_looked_up(b);
    EMIT(b, 0x66, 0x45, 0x89, 0x8f);       /* mov [selector], r9w */
    emit32(b, cs + (uint32_t)offsetof(struct segment, selector));
    EMIT(b, 0x46, 0x8d, 0x0c, 0xcd), emit32(b, 0); /* lea r9d, [r9*8] */
    EMIT(b, 0x47, 0x8d, 0x0c, 0x09);       /* lea r9d, [r9 + r9] */
    EMIT(b, 0x4d, 0x89, 0x8f);             /* mov [base], r9 */
    emit32(b, cs + (uint32_t)offsetof(struct segment, base));
    EMIT(b, 0x4d, 0x89, 0x8f);
    emit32(b, (uint32_t)offsetof(struct vcpu, bt_seg[SEG_CS].base));
    exit_to_place(b, key);
}

void exit_direct(struct builder *b, uint32_t target)
{
    if (!same_page(b, target)) {
        lookup_constant(b, target);
        return;
    }
    count_emit_direct(b);
    if (wants_poll(b, target)) {
        emit_mov_r8d_imm(b, target + b->cs_base);
        EMIT(b, 0x4d, 0x8b, 0x0e);         /* mov r9, [r14] */
    }
    emit8(b, 0xe9);
    add_exit(b, here(b), target);
    emit32(b, 0);
}

void exit_field(struct builder *b, uint32_t field, uint32_t target)
{
    if (same_page(b, target) && !wants_poll(b, target) && !b->t->counting) {
        add_exit(b, field, target);
        return;
    }
    b->pad[b->pads].field = field;
    b->pad[b->pads++].target = target;
}

void exit_jcc(struct builder *b, unsigned cc, uint32_t target)
{
    EMIT(b, 0x0f, 0x80 | cc);
    emit32(b, 0);
    exit_field(b, here(b) - 4, target);
}

static void finish_slow(struct builder *b, const struct slow_end *slow)
{
    emit_patch(b, slow->field, here(b));
    if (slow->info & ACCESS_PAGE_SECOND) {
        probe_page_second(b, slow);
        return;
    }
    if (slow->info & ACCESS_SPOTS)
        probe_spot(b, slow);
    if (slow->info & ACCESS_LINES)
        probe_line(b, slow);
    EMIT(b, 0x4c, 0x89, 0xd9);             /* mov rcx, r11 */
    EMIT(b, 0x41, 0xb9);                   /* mov r9d, info */
    emit32(b, slow->info);
    EMIT(b, 0x4c, 0x8d, 0x1d);             /* lea r11, [retry] */
    emit32(b, 0);
    emit_patch(b, here(b) - 4, slow->retry);
    emit_jump_thunk(b, THUNK_SLOW);
}

static void finish_exit(struct builder *b, unsigned i)
{
    b->exit[i].stub = here(b);
    emit_patch(b, b->exit[i].field, here(b));
    EMIT(b, 0x41, 0xb9);                   /* mov r9d, number: filled in when the unit is made */
    emit32(b, 0);
    emit_jump_thunk(b, THUNK_CHAIN);
}

void exit_finish(struct builder *b)
{
    for (unsigned i = 0; i < b->slows; i++)
        finish_slow(b, &b->slow[i]);
    for (unsigned i = 0; i < b->pads; i++) {
        b->at = UINT32_MAX; /* whatever it is, poll */
        emit_patch(b, b->pad[i].field, here(b));
        exit_direct(b, b->pad[i].target);
    }
    for (unsigned i = 0; i < b->exits; i++)
        finish_exit(b, i);
}
