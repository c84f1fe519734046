/* Segment registers: read in line, loaded by a light call (segments.c) at CPL 0. */
#include "translator/rules.h"

/* MOV r32, Sreg zero-extends. */
bool rule_mov_from_seg(struct builder *b, const struct insn *in)
{
    uint32_t offset = (uint32_t)(offsetof(struct vcpu, seg) + in->reg * sizeof(struct segment) +
                                 offsetof(struct segment, selector));

    if (in->has_mem || in->reg >= SEG_COUNT || in->prefixes & PREFIX_LOCK)
        return false;
    if (in->opsize == 2)
        EMIT(b, 0x66, 0x41, 0x8b, 0x87 | in->rm << 3);
    else
        EMIT(b, 0x41, 0x0f, 0xb7, 0x87 | in->rm << 3);
    emit32(b, offset);
    return true;
}

/* The segment register that a light call may load: not CS, not SS with its shadow. */
static bool light(const struct builder *b, const struct insn *in, unsigned seg)
{
    return !(b->key & KEY_USER) && !(in->prefixes & PREFIX_LOCK) &&
           (seg == SEG_DS || seg == SEG_ES || seg == SEG_FS || seg == SEG_GS);
}

/* r8d = selector. Emits the call; what follows is emitted by the caller for the loaded case, then
 * light_end() with what this returns. */
static uint32_t light_call(struct builder *b, unsigned seg)
{
    uint32_t slow;

    EMIT(b, 0x41, 0xb9);                       /* mov r9d, seg */
    emit32(b, seg);
    EMIT(b, 0x4c, 0x8d, 0x15);                 /* lea r10, [slow] */
    slow = here(b);
    emit32(b, 0);
    EMIT(b, 0x4c, 0x8d, 0x1d);                 /* lea r11, [behind the jump] */
    emit32(b, 5);
    emit_jump_thunk(b, THUNK_SEGMENT);
    return slow;
}

static void light_end(struct builder *b, const struct insn *in, uint32_t slow)
{
    EMIT(b, 0xeb, 15);                         /* over the callout */
    emit_patch(b, slow, here(b));
    rule_callout(b, in, SITE_EXECUTE, true);
}

bool rule_mov_to_seg(struct builder *b, const struct insn *in)
{
    uint32_t slow;

    if (!light(b, in, in->reg) || (in->has_mem && !access_possible(b, in, MEM_READ)))
        return false;
    if (in->has_mem) {
        access_operand(b, in, MEM_READ, 2);
        access_load16(b, in, R8);
    } else {
        EMIT(b, 0x44, 0x0f, 0xb7, 0xc0 | in->rm); /* movzx r8d, reg16 */
    }
    slow = light_call(b, in->reg);
    light_end(b, in, slow);
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
    uint32_t slow;

    if (in->opsize != 4 || !light(b, in, seg))
        return false;
    access_at(b, RSP, 0, MEM_READ, 4);
    access_load_at(b, R8);
    slow = light_call(b, seg);
    EMIT(b, 0x8d, 0x64, 0x24, 0x04);           /* lea esp, [rsp + 4] */
    light_end(b, in, slow);
    return true;
}
