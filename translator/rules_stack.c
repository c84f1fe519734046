/* PUSH, POP, LEAVE; ENTER, PUSHA, POPA of segmented code. Flat code's have 32-bit operands. */
#include "translator/rules.h"

/* Operands of 16 bits are left to the interpreter in flat code, where they are rare. */
static bool plain(const struct builder *b, const struct insn *in)
{
    return (in->opsize == 4 || b->key & KEY_SEG) && !(in->prefixes & PREFIX_LOCK);
}

static bool push_memory(struct builder *b, const struct insn *in)
{
    if (!access_possible(b, in, MEM_READ))
        return false;
    access_operand(b, in, MEM_READ, in->opsize);
    if (in->opsize == 4)
        access_load(b, in, R9);
    else
        access_load16(b, in, R9);
    emit_vcpu(b, 0x89, R9, OFF_SCRATCH);
    access_at(b, RSP, (int8_t)-in->opsize, MEM_WRITE, in->opsize);
    emit_vcpu(b, 0x8b, R9, OFF_SCRATCH);
    access_store_sized_at(b, R9, in->opsize);
    access_set_esp(b);
    return true;
}

bool rule_push(struct builder *b, const struct insn *in)
{
    if (!plain(b, in))
        return false;
    if (in->has_mem)
        return push_memory(b, in);
    access_at(b, RSP, (int8_t)-in->opsize, MEM_WRITE, in->opsize);
    if (in->opcode == 0x68 || in->opcode == 0x6a)
        access_store_imm_at(b, (uint32_t)in->imm, in->opsize);
    else
        access_store_sized_at(b, in->has_modrm ? in->rm : in->opcode & 7u, in->opsize);
    access_set_esp(b);
    return true;
}

/* mov reg, r9 */
static void set_register(struct builder *b, unsigned reg, unsigned size)
{
    if (size == 2)
        emit8(b, 0x66);
    EMIT(b, 0x44, 0x89, 0xc8 | reg);
}

/* Never in a window: what the store's fault would find popped already. With ESP as base the address
 * is that after the pop. */
static bool pop_memory(struct builder *b, const struct insn *in)
{
    if (!access_possible(b, in, MEM_WRITE) || in->base == RSP)
        return false;
    b->adapted = true;
    access_at(b, RSP, 0, MEM_READ, in->opsize);
    access_load_sized_at(b, R9, in->opsize);
    emit_vcpu(b, 0x89, R9, OFF_SCRATCH);
    access_operand(b, in, MEM_WRITE, in->opsize);
    emit_vcpu(b, 0x8b, R9, OFF_SCRATCH);
    access_store_sized_at(b, R9, in->opsize);
    access_move_sp(b, RSP, in->opsize);
    return true;
}

bool rule_pop(struct builder *b, const struct insn *in)
{
    unsigned reg = in->has_modrm ? in->rm : in->opcode & 7u;

    if (!plain(b, in))
        return false;
    if (in->has_mem)
        return pop_memory(b, in);
    access_at(b, RSP, 0, MEM_READ, in->opsize);
    if (b->form == FORM_WINDOW_AT && reg != RSP) {
        access_load_sized_at(b, reg, in->opsize);
        access_move_sp(b, RSP, in->opsize);
        return true;
    }
    access_load_sized_at(b, R9, in->opsize);
    access_move_sp(b, RSP, in->opsize);
    set_register(b, reg, in->opsize);
    return true;
}

bool rule_leave(struct builder *b, const struct insn *in)
{
    if (!plain(b, in))
        return false;
    access_at(b, RBP, 0, MEM_READ, in->opsize);
    access_load_sized_at(b, R9, in->opsize);
    access_move_sp(b, RBP, in->opsize);
    set_register(b, RBP, in->opsize);
    return true;
}

/* Of level 0, never in a window. The new top of the stack must be writable too, which is looked at
 * second. */
bool rule_enter(struct builder *b, const struct insn *in)
{
    int32_t size = in->opsize, room = size + (uint16_t)in->imm;
    bool narrow = b->key & KEY_STACK16;

    if (!(b->key & KEY_SEG) || in->imm2 & 31 || (in->opsize == 2) != narrow ||
        in->prefixes & PREFIX_LOCK)
        return false;
    b->adapted = true;
    access_at(b, RSP, -size, MEM_WRITE, in->opsize);
    access_at(b, RSP, -room, MEM_WRITE, in->opsize);
    access_at(b, RSP, -size, MEM_WRITE, in->opsize);
    access_store_sized_at(b, RBP, in->opsize);
    if (narrow)
        emit8(b, 0x66);
    emit_lea(b, RBP, RSP, REG_NONE, 0, -size);
    access_move_sp(b, RSP, -room);
    return true;
}

/* One probe, never a window, for all eight values: so that none or all are pushed or popped. What
 * lies across a page end or wraps is the interpreter's. */
bool rule_pusha(struct builder *b, const struct insn *in)
{
    if (!(b->key & KEY_SEG) || in->prefixes & PREFIX_LOCK)
        return false;
    b->adapted = b->parts = true;
    access_at(b, RSP, (int8_t)(-8 * in->opsize), MEM_WRITE, 8u * in->opsize);
    for (unsigned reg = RAX; reg <= RDI; reg++)
        access_store_beside(b, reg, in->opsize, (7 - reg) * in->opsize);
    access_set_esp(b);
    return true;
}

bool rule_popa(struct builder *b, const struct insn *in)
{
    if (!(b->key & KEY_SEG) || in->prefixes & PREFIX_LOCK)
        return false;
    b->adapted = b->parts = true;
    access_at(b, RSP, 0, MEM_READ, 8u * in->opsize);
    for (unsigned reg = RAX; reg <= RDI; reg++)
        if (reg != RSP)
            access_load_beside(b, reg, in->opsize, (7 - reg) * in->opsize);
    access_move_sp(b, RSP, 8 * in->opsize);
    return true;
}
