/* PUSH, POP and LEAVE with 32-bit operands on the flat stack. */
#include "translator/rules.h"


static bool push_memory(struct builder *b, const struct insn *in)
{
    if (!access_possible(b, in, MEM_READ))
        return false;
    access_operand(b, in, MEM_READ, 4);
    access_load(b, in, R9);
    emit_vcpu(b, 0x89, R9, OFF_SCRATCH);
    access_at(b, RSP, -4, MEM_WRITE, 4);
    emit_vcpu(b, 0x8b, R9, OFF_SCRATCH);
    access_store_at(b, R9);
    access_set_esp(b);
    return true;
}

bool rule_push(struct builder *b, const struct insn *in)
{
    if (in->opsize != 4 || in->prefixes & PREFIX_LOCK)
        return false;
    if (in->has_mem)
        return push_memory(b, in);
    access_at(b, RSP, -4, MEM_WRITE, 4);
    if (in->opcode == 0x68 || in->opcode == 0x6a)
        access_store_imm_at(b, (uint32_t)in->imm);
    else
        access_store_at(b, in->has_modrm ? in->rm : in->opcode & 7u);
    access_set_esp(b);
    return true;
}

bool rule_pop(struct builder *b, const struct insn *in)
{
    unsigned reg = in->has_modrm ? in->rm : in->opcode & 7u;

    if (in->opsize != 4 || in->has_mem || in->prefixes & PREFIX_LOCK)
        return false;
    access_at(b, RSP, 0, MEM_READ, 4);
    if (b->form == FORM_WINDOW_AT && reg != RSP) {
        access_load_at(b, reg);
        EMIT(b, 0x8d, 0x64, 0x24, 0x04);       /* lea esp, [rsp + 4] */
        return true;
    }
    access_load_at(b, R9);
    EMIT(b, 0x8d, 0x64, 0x24, 0x04);           /* lea esp, [rsp + 4] */
    EMIT(b, 0x44, 0x89, 0xc8 | reg);           /* mov reg, r9d */
    return true;
}

bool rule_leave(struct builder *b, const struct insn *in)
{
    if (in->opsize != 4 || in->prefixes & PREFIX_LOCK)
        return false;
    access_at(b, RBP, 0, MEM_READ, 4);
    access_load_at(b, R9);
    EMIT(b, 0x8d, 0x65, 0x04);                 /* lea esp, [rbp + 4] */
    EMIT(b, 0x44, 0x89, 0xcd);                 /* mov ebp, r9d */
    return true;
}
