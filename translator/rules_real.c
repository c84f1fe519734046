/*
 * Far transfers. In real and virtual-8086 mode a segment register's base is its selector times 16,
 * so that loads and far transfers need no descriptor and are in line. INT and IRET as well in real
 * mode, IRET in virtual-8086 mode with IOPL 3. Protected mode's are rules_far.c's.
 * Reference: SDM 3, 20.1; SDM 2, INT n, IRET.
 *
 * Only with KEY_ODD clear (rule_is_real()): limits are 64 KiB at least and CS's is that, its
 * selector is its base's, the interrupt vector table is whole, EFLAGS.AC is clear.
 */
#include "translator/rules.h"

static uint32_t segment_field(unsigned seg, size_t field)
{
    return (uint32_t)(offsetof(struct vcpu, seg) + seg * sizeof(struct segment) + field);
}

void rule_load_real(struct builder *b, unsigned seg)
{
    EMIT(b, 0x66, 0x45, 0x89, 0x87);             /* mov [selector], r8w */
    emit32(b, segment_field(seg, offsetof(struct segment, selector)));
    EMIT(b, 0x46, 0x8d, 0x04, 0xc5), emit32(b, 0); /* lea r8d, [r8*8] */
    EMIT(b, 0x47, 0x8d, 0x04, 0x00);             /* lea r8d, [r8 + r8] */
    EMIT(b, 0x4d, 0x89, 0x87);                   /* mov [base], r8 */
    emit32(b, segment_field(seg, offsetof(struct segment, base)));
    EMIT(b, 0x4d, 0x89, 0x87);
    emit32(b, (uint32_t)(offsetof(struct vcpu, bt_seg) + seg * sizeof(struct bt_segment)));
}

/* --- Far transfers, of 16 bits ----------------------------------------------------------- */

static bool plain(const struct builder *b, const struct insn *in)
{
    return rule_is_real(b) && in->opsize == 2 && !(in->prefixes & PREFIX_LOCK);
}

/* Back from protected mode: only CS has to be loaded, by JMP or RET. */
static bool moved(const struct builder *b, const struct insn *in)
{
    bool narrow = in->opsize == 2 || (in->id == M_JMP_FAR && !in->has_mem &&
                                      (uint32_t)in->imm <= 0xffff);

    return b->key & KEY_MOVED && narrow && !(in->prefixes & PREFIX_LOCK);
}

/* To the far pointer in r8d. */
static void go(struct builder *b)
{
    EMIT(b, 0xc4, 0x43, 0x7b, 0xf0, 0xc8, 16);   /* rorx r9d, r8d, 16 */
    EMIT(b, 0x45, 0x0f, 0xb7, 0xc9);             /* movzx r9d, r9w */
    EMIT(b, 0x45, 0x0f, 0xb7, 0xc0);             /* movzx r8d, r8w */
    exit_far(b, b->key & ~(uint32_t)(KEY_ODD | KEY_MOVED));
    b->ended = true;
}

void rule_load_pointer(struct builder *b, const struct insn *in)
{
    if (!in->has_mem) {
        emit_mov_r8d_imm(b, ((uint32_t)in->imm & 0xffff) | (uint32_t)in->imm2 << 16);
        return;
    }
    b->adapted = true; /* the TLB form */
    access_operand(b, in, MEM_READ, 4);
    access_load_sized_at(b, R8, 4);
}

bool rule_jmp_far(struct builder *b, const struct insn *in)
{
    if (!plain(b, in) && !moved(b, in))
        return rule_jmp_far_protected(b, in);
    rule_load_pointer(b, in);
    go(b);
    return true;
}

/* Stores CS and the next instruction's offset at access_at()'s operand. CS is known by its base, so
 * that nothing waits for what the last return loaded. */
static void store_return(struct builder *b, const struct insn *in)
{
    access_store_imm_at(b, b->cs_base >> 4 << 16 | ((b->at + in->len) & 0xffff), 4);
    access_set_esp(b);
}

bool rule_call_far(struct builder *b, const struct insn *in)
{
    if (!plain(b, in))
        return rule_call_far_protected(b, in);
    if (in->has_mem) {
        rule_load_pointer(b, in);
        emit_vcpu(b, 0x89, R8, OFF_SCRATCH);
    }
    access_at(b, RSP, -4, MEM_WRITE, 4);
    store_return(b, in);
    if (in->has_mem)
        emit_vcpu(b, 0x8b, R8, OFF_SCRATCH);
    else
        rule_load_pointer(b, in);
    go(b);
    return true;
}

bool rule_ret_far(struct builder *b, const struct insn *in)
{
    if (!plain(b, in) && !moved(b, in))
        return rule_ret_far_protected(b, in);
    access_at(b, RSP, 0, MEM_READ, 4);
    access_load16_beside(b, R9, 2);
    access_load16_beside(b, R8, 0);
    access_move_sp(b, RSP, 4 + (in->imm_len ? (uint16_t)in->imm : 0));
    exit_far(b, b->key & ~(uint32_t)(KEY_ODD | KEY_MOVED));
    b->ended = true;
    return true;
}

/* --- Interrupts ------------------------------------------------------------------------------ */

static bool interrupts(const struct builder *b, const struct insn *in)
{
    return rule_is_real(b) && !(b->key & KEY_USER) && !(in->prefixes & PREFIX_LOCK) &&
           !b->t->vcpu->events; /* the interpreter tells a trace of them */
}

static bool returns(const struct builder *b, const struct insn *in)
{
    return interrupts(b, in) ||
           (rule_is_real(b) && b->key & KEY_IOPL && !(in->prefixes & PREFIX_LOCK) &&
            !b->t->vcpu->events);
}

void rule_count_interrupt(struct builder *b)
{
    const uint32_t counter = (uint32_t)offsetof(struct vcpu, stats.soft_interrupts);

    EMIT(b, 0x4d, 0x8b, 0x8f), emit32(b, counter);
    EMIT(b, 0x4d, 0x8d, 0x49, 1);                /* lea r9, [r9 + 1] */
    EMIT(b, 0x4d, 0x89, 0x8f), emit32(b, counter);
}

/* The vector's far pointer into bt.saved. */
static void load_vector(struct builder *b, uint8_t vector)
{
    uint32_t retry = here(b);

    EMIT(b, 0x4d, 0x8b, 0x87);                   /* mov r8, [IDT's base] */
    emit32(b, (uint32_t)offsetof(struct vcpu, idtr.base));
    EMIT(b, 0x45, 0x8d, 0x80);                   /* lea r8d, [r8 + 4 * vector] */
    emit32(b, vector * 4u);
    access_linear(b, MEM_READ, 4, retry);
    access_load_at(b, R9);
    emit_vcpu(b, 0x89, R9, OFF_SAVED);
}

bool rule_int_real(struct builder *b, const struct insn *in)
{
    if (!interrupts(b, in))
        return false;
    load_vector(b, (uint8_t)in->imm);
    access_at(b, RSP, -6, MEM_WRITE, 6);
    rule_compose_flags(b);
    access_store_beside(b, R9, 2, 4);
    store_return(b, in);
    rule_store_flag(b, OFF_FLAG_IF, 0);
    rule_count_interrupt(b);
    emit_vcpu(b, 0x8b, R8, OFF_SAVED);
    go(b);
    return true;
}

/* The flags into r9d, the far pointer into r8d: word by word, so that the host's CPU can forward
 * the stores of pushes, too. */
static void load_frame(struct builder *b)
{
    access_load16_beside(b, R11, 2);
    EMIT(b, 0xc4, 0x43, 0x7b, 0xf0, 0xdb, 16);   /* rorx r11d, r11d, 16 */
    access_load16_beside(b, R9, 4);
    access_load16_beside(b, R8, 0);
    EMIT(b, 0x47, 0x8d, 0x04, 0x18);             /* lea r8d, [r8 + r11] */
}

bool rule_iret_real(struct builder *b, const struct insn *in)
{
    uint32_t ways[2], done;

    if (!returns(b, in) || in->opsize != 2)
        return false;
    access_at(b, RSP, 0, MEM_READ, 6);
    load_frame(b);
    rule_load_flags(b, 2, ways);
    done = emit_jump_short(b, 0xeb);
    emit_land(b, ways[0]);
    emit_land(b, ways[1]);
    rule_callout(b, in, SITE_EXECUTE, false);
    emit_land(b, done);
    EMIT(b, 0x41, 0xc6, 0x87);                   /* mov byte [nmi_blocked], 0 */
    emit32(b, (uint32_t)offsetof(struct vcpu, nmi_blocked));
    emit8(b, 0);
    access_move_sp(b, RSP, 6);
    go(b);
    return true;
}
