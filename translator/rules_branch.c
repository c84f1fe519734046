/*
 * Near control transfers. In segmented code a target beyond CS's limit is the interpreter's, which
 * raises #GP at the transfer itself; operands of 16 bits truncate it.
 */
#include "translator/rules.h"


static uint32_t next_eip(const struct builder *b, const struct insn *in)
{
    return b->at + in->len;
}

static uint32_t target_of(const struct builder *b, const struct insn *in)
{
    uint32_t target = next_eip(b, in) + (uint32_t)in->imm;

    return in->opsize == 2 ? target & 0xffff : target;
}

static bool plain(const struct builder *b, const struct insn *in)
{
    return (in->opsize == 4 || b->key & KEY_SEG) && !(in->prefixes & PREFIX_LOCK);
}

/* ... and the target is one that can be jumped to. */
static bool direct(const struct builder *b, const struct insn *in)
{
    return plain(b, in) && target_of(b, in) <= b->cs_limit;
}

static void push_return(struct builder *b, const struct insn *in)
{
    access_at(b, RSP, (int8_t)-in->opsize, MEM_WRITE, in->opsize);
    access_store_imm_at(b, next_eip(b, in), in->opsize);
    access_set_esp(b);
}

bool rule_call(struct builder *b, const struct insn *in)
{
    if (!direct(b, in))
        return false;
    push_return(b, in);
    exit_direct(b, target_of(b, in));
    b->ended = true;
    return true;
}

bool rule_jmp(struct builder *b, const struct insn *in)
{
    if (!direct(b, in))
        return false;
    exit_direct(b, target_of(b, in));
    b->ended = true;
    return true;
}

void rule_check_target(struct builder *b, const struct insn *in)
{
    uint32_t inside;

    if (b->cs_limit == UINT32_MAX || (in->opsize == 2 && b->cs_limit >= 0xffff))
        return;
    EMIT(b, 0x49, 0x89, 0xca);                 /* mov r10, rcx */
    EMIT(b, 0x4c, 0x89, 0xc1, 0x48, 0xf7, 0xd1); /* mov rcx, r8; not rcx */
    EMIT(b, 0x49, 0xb9);                       /* mov r9, limit + 1 */
    emit64(b, (uint64_t)b->cs_limit + 1);
    EMIT(b, 0x4a, 0x8d, 0x0c, 0x09);           /* lea rcx, [rcx + r9]: limit - target */
    EMIT(b, 0x48, 0x0f, 0xc9, 0x0f, 0xb6, 0xc9); /* bswap rcx; movzx ecx, cl */
    EMIT(b, 0xe3, 0);                          /* jrcxz inside */
    inside = here(b);
    EMIT(b, 0x4c, 0x89, 0xd1);                 /* mov rcx, r10 */
    rule_callout(b, in, SITE_EXECUTE, false);
    if (!b->full)
        b->start[inside - 1] = (uint8_t)(here(b) - inside);
    EMIT(b, 0x4c, 0x89, 0xd1);                 /* inside: mov rcx, r10 */
}

/* The target of an indirect transfer into r8d. */
static bool load_target(struct builder *b, const struct insn *in)
{
    if (!in->has_mem) {
        if (in->opsize == 2)
            EMIT(b, 0x44, 0x0f, 0xb7, 0xc0 | in->rm); /* movzx r8d, reg */
        else
            EMIT(b, 0x41, 0x89, 0xc0 | in->rm << 3); /* mov r8d, reg */
        return true;
    }
    if (!access_possible(b, in, MEM_READ))
        return false;
    access_operand(b, in, MEM_READ, in->opsize);
    if (in->opsize == 2)
        access_load16(b, in, R8);
    else
        access_load(b, in, R8);
    return true;
}

bool rule_jmp_indirect(struct builder *b, const struct insn *in)
{
    if (!plain(b, in) || !load_target(b, in))
        return false;
    rule_check_target(b, in);
    exit_indirect(b);
    b->ended = true;
    return true;
}

void rule_call_r8(struct builder *b, const struct insn *in)
{
    if (access_at_direct(b)) {
        push_return(b, in);
    } else {
        emit_vcpu(b, 0x89, R8, OFF_SCRATCH);
        push_return(b, in);
        emit_vcpu(b, 0x8b, R8, OFF_SCRATCH);
    }
    exit_indirect(b);
    b->ended = true;
}

bool rule_call_indirect(struct builder *b, const struct insn *in)
{
    if (!plain(b, in) || !load_target(b, in))
        return false;
    rule_check_target(b, in);
    rule_call_r8(b, in);
    return true;
}

bool rule_ret(struct builder *b, const struct insn *in)
{
    if (!plain(b, in))
        return false;
    access_at(b, RSP, 0, MEM_READ, in->opsize);
    if (in->opsize == 2)
        access_load16(b, in, R8);
    else
        access_load_at(b, R8);
    rule_check_target(b, in);
    access_move_sp(b, RSP, in->opsize + (in->imm_len ? (uint16_t)in->imm : 0));
    exit_indirect(b);
    b->ended = true;
    return true;
}

bool rule_jcc(struct builder *b, const struct insn *in)
{
    if (!direct(b, in))
        return false;
    exit_jcc(b, in->opcode & 15, target_of(b, in));
    return true;
}

static void jump_field(struct builder *b, uint32_t target)
{
    emit8(b, 0xe9);
    emit32(b, 0);
    exit_field(b, here(b) - 4, target);
}

/* Jumps where cx is 0, or is not. */
static void jump_on_cx(struct builder *b, uint32_t target, bool zero)
{
    EMIT(b, 0x49, 0x89, 0xcb);                 /* mov r11, rcx */
    EMIT(b, 0x0f, 0xb7, 0xc9);                 /* movzx ecx, cx */
    EMIT(b, 0xe3, zero ? 5 : 8);               /* jrcxz 1f */
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* mov rcx, r11 */
    if (zero)
        EMIT(b, 0xeb, 8);                      /* jmp 2f */
    else
        jump_field(b, target);
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* 1: mov rcx, r11 */
    if (zero)
        jump_field(b, target);                 /* 2: */
}

bool rule_jcxz(struct builder *b, const struct insn *in)
{
    if (!direct(b, in) || (in->addrsize != 4 && !(b->key & KEY_SEG)))
        return false;
    if (in->addrsize == 2) {
        jump_on_cx(b, target_of(b, in), true);
        return true;
    }
    EMIT(b, 0x67, 0xe3, 2, 0xeb, 5);           /* jecxz 1f; jmp 2f; 1: jmp target; 2: */
    jump_field(b, target_of(b, in));
    return true;
}

bool rule_loop(struct builder *b, const struct insn *in)
{
    if (!direct(b, in) || (in->addrsize != 4 && !(b->key & KEY_SEG)))
        return false;
    if (in->addrsize == 2) {
        EMIT(b, 0x66, 0x8d, 0x49, 0xff);       /* lea cx, [rcx - 1] */
        jump_on_cx(b, target_of(b, in), false);
        return true;
    }
    EMIT(b, 0x8d, 0x49, 0xff);                 /* lea ecx, [rcx - 1] */
    EMIT(b, 0x67, 0xe3, 5);                    /* jecxz 1f; jmp target; 1: */
    jump_field(b, target_of(b, in));
    return true;
}
