/* Near control transfers with 32-bit operands in a flat code segment. */
#include "translator/rules.h"


static uint32_t next_eip(const struct builder *b, const struct insn *in)
{
    return b->at + in->len;
}

static uint32_t target_of(const struct builder *b, const struct insn *in)
{
    return next_eip(b, in) + (uint32_t)in->imm;
}

static bool plain(const struct insn *in)
{
    return in->opsize == 4 && !(in->prefixes & PREFIX_LOCK);
}

static void push_return(struct builder *b, const struct insn *in)
{
    access_at(b, RSP, -4, MEM_WRITE, 4);
    access_store_imm_at(b, next_eip(b, in));
    access_set_esp(b);
}

bool rule_call(struct builder *b, const struct insn *in)
{
    if (!plain(in))
        return false;
    push_return(b, in);
    exit_direct(b, target_of(b, in));
    b->ended = true;
    return true;
}

bool rule_jmp(struct builder *b, const struct insn *in)
{
    if (!plain(in))
        return false;
    exit_direct(b, target_of(b, in));
    b->ended = true;
    return true;
}

/* The target of an indirect transfer into r8d. */
static bool load_target(struct builder *b, const struct insn *in)
{
    if (!in->has_mem) {
        EMIT(b, 0x41, 0x89, 0xc0 | in->rm << 3); /* mov r8d, reg */
        return true;
    }
    if (!access_possible(b, in, MEM_READ))
        return false;
    access_operand(b, in, MEM_READ, 4);
    access_load(b, in, R8);
    return true;
}

bool rule_jmp_indirect(struct builder *b, const struct insn *in)
{
    if (!plain(in) || !load_target(b, in))
        return false;
    exit_indirect(b);
    b->ended = true;
    return true;
}

bool rule_call_indirect(struct builder *b, const struct insn *in)
{
    if (!plain(in) || !load_target(b, in))
        return false;
    if (access_at_direct(b)) {
        push_return(b, in);
    } else {
        emit_vcpu(b, 0x89, R8, OFF_SCRATCH);
        push_return(b, in);
        emit_vcpu(b, 0x8b, R8, OFF_SCRATCH);
    }
    exit_indirect(b);
    b->ended = true;
    return true;
}

bool rule_ret(struct builder *b, const struct insn *in)
{
    if (!plain(in))
        return false;
    access_at(b, RSP, 0, MEM_READ, 4);
    access_load_at(b, R8);
    emit_lea(b, RSP, RSP, REG_NONE, 0, 4 + (in->imm_len ? (uint16_t)in->imm : 0));
    exit_indirect(b);
    b->ended = true;
    return true;
}

bool rule_jcc(struct builder *b, const struct insn *in)
{
    if (!plain(in))
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

bool rule_jcxz(struct builder *b, const struct insn *in)
{
    if (!plain(in) || in->addrsize != 4)
        return false;
    EMIT(b, 0x67, 0xe3, 2, 0xeb, 5);           /* jecxz 1f; jmp 2f; 1: jmp target; 2: */
    jump_field(b, target_of(b, in));
    return true;
}

bool rule_loop(struct builder *b, const struct insn *in)
{
    if (!plain(in) || in->addrsize != 4)
        return false;
    EMIT(b, 0x8d, 0x49, 0xff);                 /* lea ecx, [rcx - 1] */
    EMIT(b, 0x67, 0xe3, 5);                    /* jecxz 1f; jmp target; 1: */
    jump_field(b, target_of(b, in));
    return true;
}
