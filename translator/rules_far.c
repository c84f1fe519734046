/*
 * Far transfers, INT and IRET of segmented code in protected mode, at one privilege and in code of
 * the same size: by entries for the code segment and the gate (descriptors.c). What they do not
 * say, and whatever faults, is done by light calls (far.c) or the interpreter.
 * Reference: SDM 2, JMP, CALL, RET, INT n, IRET.
 */
#include "translator/descriptors.h"
#include "translator/rules.h"

static bool protected_mode(const struct builder *b, const struct insn *in)
{
    return (b->key & (KEY_SEG | KEY_REAL | KEY_NULLED)) == KEY_SEG && !(in->prefixes & PREFIX_LOCK);
}

/* Entries do not tell rings 1 and 2 apart. KEY_ODD: EFLAGS.NT is set. */
static bool in_line(const struct builder *b)
{
    return !(b->key & (KEY_RING | KEY_ODD));
}

/* Where a transfer goes, and what speaks against doing it in line. */
struct transfer {
    uint32_t start;      /* of its code */
    bool fixed;          /* the entry is: of use and selector (or a vector); else it is kept in
                            bt.saved and the offset in bt.scratch */
    uint16_t selector;
    uint32_t use, offset;
    struct wanted found;
    uint32_t way[2];     /* jumps to the rest, with rcx in r11 */
    unsigned ways;
};

static void load_offset(struct builder *b, const struct transfer *to, unsigned reg)
{
    if ((to->use & USE_KIND) == USE_GATE)
        rule_entry_offset(b);
    else if (to->fixed)
        EMIT(b, 0x41, 0xb8 | (reg & 7)), emit32(b, to->offset); /* mov reg, offset */
    else
        emit_vcpu(b, 0x8b, reg, OFF_SCRATCH);
}

/* r10: the entry, in whose segment the offset is. The selector is in r8, if not fixed, and stays
 * there. */
static void find(struct builder *b, struct transfer *to)
{
    to->found = to->fixed ? rule_find_fixed(b, to->start, to->use, to->selector)
                          : rule_find(b, to->start, to->use);
    if ((to->use & USE_KIND) != USE_GATE) {
        load_offset(b, to, R9);
        rule_entry_limit(b, &to->way[to->ways++]);
    }
    rule_found(b);
}

/* Before r10 is used for something else, and after. */
static void keep_entry(struct builder *b, const struct transfer *to)
{
    if (!to->fixed)
        emit_vcpu(b, 0x89, R10, OFF_SAVED);
}

static void recall_entry(struct builder *b, const struct transfer *to)
{
    if (to->fixed)
        rule_entry_fixed(b, to->use, to->selector);
    else
        emit_vcpu(b, 0x8b, R10, OFF_SAVED);
}

/* With r10 as find() left it; r8 as well if by_r8. What follows is emitted for the rest. */
static void go_in(struct builder *b, struct transfer *to, bool by_r8, uint32_t key)
{
    uint32_t slow;

    if (by_r8)
        rule_entry_load_cs(b);
    else
        rule_entry_load(b, SEG_CS);
    load_offset(b, to, R8);
    exit_based(b, key);
    slow = rule_missed(b, &to->found);
    for (unsigned i = 0; i < to->ways; i++)
        emit_patch(b, to->way[i], here(b));
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* mov rcx, r11 */
    emit_patch(b, slow, here(b));
}

static void go(struct builder *b, struct transfer *to, bool by_r8)
{
    go_in(b, to, by_r8, b->key);
}

/* size bytes from disp on in the TLB form; a miss begins the instruction anew. */
static void stack(struct builder *b, const struct transfer *to, int32_t disp,
                  enum mem_access access, unsigned size)
{
    b->adapted = b->parts = true;
    access_at(b, RSP, disp, access, size);
    b->slow[b->slows - 1].retry = to->start;
}

/* --- JMP, CALL and RET ---------------------------------------------------------------------- */

/* The selector into r8d and the offset into bt.scratch, if they are in memory. */
static struct transfer far_pointer(struct builder *b, const struct insn *in)
{
    struct transfer to = { .start = here(b), .fixed = !in->has_mem, .use = rule_use(b, USE_CODE) };

    if (to.fixed) {
        to.selector = (uint16_t)in->imm2;
        to.offset = (uint32_t)in->imm & (in->opsize == 2 ? 0xffff : UINT32_MAX);
        return to;
    }
    b->adapted = b->parts = true;
    access_operand(b, in, MEM_READ, in->opsize + 2u);
    if (in->opsize == 2)
        access_load16_beside(b, R9, 0);
    else
        access_load_sized_at(b, R9, 4);
    emit_vcpu(b, 0x89, R9, OFF_SCRATCH);
    access_load16_beside(b, R8, in->opsize);
    return to;
}

/* CS above the next instruction's offset, of 16 bits at once. */
static void store_return(struct builder *b, const struct insn *in)
{
    uint32_t next = b->at + in->len;

    EMIT(b, 0x45, 0x0f, 0xb7, 0x8f);           /* movzx r9d, word [CS] */
    emit32(b, (uint32_t)offsetof(struct vcpu, seg[SEG_CS].selector));
    if (in->opsize == 4) {
        access_store_beside(b, R9, 4, 4);
        access_store_imm_at(b, next, 4);
        return;
    }
    EMIT(b, 0xc4, 0x43, 0x7b, 0xf0, 0xc9, 16); /* rorx r9d, r9d, 16 */
    EMIT(b, 0x45, 0x8d, 0x89), emit32(b, next & 0xffff); /* lea r9d, [r9 + offset] */
    access_store_at(b, R9);
}

/* A light call, which takes far pointers of 16 bits; then the interpreter. */
static bool rest(struct builder *b, const struct insn *in, light_fn *fn)
{
    if (in->opsize == 4) {
        rule_callout(b, in, SITE_EXECUTE, false);
        return true;
    }
    if (fn == bt_call_far)
        rule_store_next(b, in);
    if (fn == bt_ret_far)
        emit_mov_r8d_imm(b, in->imm_len ? (uint16_t)in->imm : 0);
    else
        rule_load_pointer(b, in);
    (void)rule_transfer(b, in, fn);
    if (in_line(b))
        b->insn[b->insns - 1].how = HOW_TRANSLATED;
    return true;
}

/* To code of the other size, as descriptors are now: what changes of the key. */
static uint32_t to_other_size(struct builder *b, struct transfer *to)
{
    bool wide = !(b->key & KEY_CODE16);

    if (!to->fixed || b->key & KEY_USER || descriptors_wide(b->t->vcpu, to->selector, wide) == wide)
        return 0;
    to->use = (to->use ^ USE_32) | USE_CHANGES;
    return KEY_CODE16;
}

bool rule_jmp_far_protected(struct builder *b, const struct insn *in)
{
    if (!protected_mode(b, in))
        return false;
    if (in_line(b)) {
        struct transfer to = far_pointer(b, in);
        uint32_t changed = to_other_size(b, &to);

        find(b, &to);
        go_in(b, &to, false, b->key ^ changed);
    }
    return rest(b, in, bt_jmp_far);
}

bool rule_call_far_protected(struct builder *b, const struct insn *in)
{
    int size = 2 * in->opsize;

    if (!protected_mode(b, in))
        return false;
    if (in_line(b)) {
        struct transfer to = far_pointer(b, in);

        find(b, &to);
        keep_entry(b, &to);
        stack(b, &to, -size, MEM_WRITE, (unsigned)size);
        store_return(b, in);
        access_set_esp(b);
        recall_entry(b, &to);
        go(b, &to, false);
    }
    return rest(b, in, bt_call_far);
}

/* The frame's offset into bt.scratch, its selector into r8d: one by one, so that the host's CPU can
 * forward the stores of pushes, too. */
static void load_frame(struct builder *b, const struct insn *in)
{
    if (in->opsize == 4) {
        access_load_sized_at(b, R9, 4);
        access_load16_beside(b, R8, 4);
    } else {
        access_load16_beside(b, R9, 0);
        access_load16_beside(b, R8, 2);
    }
    emit_vcpu(b, 0x89, R9, OFF_SCRATCH);
}

bool rule_ret_far_protected(struct builder *b, const struct insn *in)
{
    int size = 2 * in->opsize;

    if (!protected_mode(b, in))
        return false;
    if (in_line(b)) {
        struct transfer to = { .start = here(b), .use = rule_use(b, USE_CODE) };

        stack(b, &to, 0, MEM_READ, (unsigned)size);
        load_frame(b, in);
        find(b, &to);
        access_move_sp(b, RSP, size + (in->imm_len ? (uint16_t)in->imm : 0));
        go(b, &to, true);
    }
    return rest(b, in, bt_ret_far);
}

/* --- INT and IRET --------------------------------------------------------------------------- */

/* A trace is told of them, by the interpreter. */
static bool told(const struct builder *b)
{
    return b->t->vcpu->events;
}

/* EFLAGS, CS and the next instruction's offset. */
static void store_frame(struct builder *b, const struct insn *in, unsigned size)
{
    struct insn frame = *in;

    frame.opsize = (uint8_t)size;
    rule_compose_flags(b);
    access_store_beside(b, R9, size, 2 * size);
    store_return(b, &frame);
}

bool rule_int_protected(struct builder *b, const struct insn *in)
{
    unsigned gate = descriptors_gate_use(b->t->vcpu, (uint8_t)in->imm);
    unsigned size = gate & USE_GATE_32 ? 4 : 2;
    struct transfer to = { .start = here(b), .fixed = true, .selector = (uint8_t)in->imm,
                           .use = gate | rule_use(b, USE_GATE) };

    if (!protected_mode(b, in) || !in_line(b) || !gate || told(b))
        return false;
    find(b, &to);
    stack(b, &to, -(int32_t)(3 * size), MEM_WRITE, 3 * size);
    store_frame(b, in, size);
    access_set_esp(b);
    if (!(gate & USE_TRAP))
        rule_store_flag(b, OFF_FLAG_IF, 0);
    rule_count_interrupt(b);
    recall_entry(b, &to);
    go(b, &to, false);
    return true;
}

/* The flags into bt.saved's second word; the rest as load_frame(). */
static void load_flags_frame(struct builder *b, const struct insn *in)
{
    if (in->opsize == 4)
        access_load_beside(b, R9, 4, 8);
    else
        access_load16_beside(b, R9, 4);
    emit_vcpu(b, 0x89, R9, OFF_SAVED + 8);
    load_frame(b, in);
}

/* Those where rule_load_flags() can do it (NT is clear); the way of others leads to the rest. */
static void load_flags(struct builder *b, const struct insn *in, struct transfer *to)
{
    uint32_t ways[2], past;

    emit_vcpu(b, 0x8b, R9, OFF_SAVED + 8);
    rule_load_flags(b, in->opsize, ways);
    past = emit_jump_short(b, 0xeb);
    emit_land(b, ways[0]);
    emit_land(b, ways[1]);
    EMIT(b, 0x49, 0x89, 0xcb, 0xe9);           /* mov r11, rcx; jmp */
    to->way[to->ways++] = here(b);
    emit32(b, 0);
    emit_land(b, past);
}

bool rule_iret_protected(struct builder *b, const struct insn *in)
{
    struct transfer to = { .start = here(b), .use = rule_use(b, USE_CODE) };

    if (!protected_mode(b, in) || !in_line(b) || b->key & KEY_USER || told(b))
        return false;
    stack(b, &to, 0, MEM_READ, 3u * in->opsize);
    load_flags_frame(b, in);
    find(b, &to);
    keep_entry(b, &to);
    load_flags(b, in, &to);
    EMIT(b, 0x41, 0xc6, 0x87), emit32(b, (uint32_t)offsetof(struct vcpu, nmi_blocked));
    emit8(b, 0);                               /* mov byte [nmi_blocked], 0 */
    access_move_sp(b, RSP, 3 * in->opsize);
    recall_entry(b, &to);
    go(b, &to, true);
    return true;
}
