/* Segment registers: read in line, loaded by a light call (segments.c) at CPL 0. */
#include "cpu/cpuid.h"
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

/* r8d = selector: the segment register above it. */
static uint32_t load_segment(struct builder *b, unsigned seg)
{
    EMIT(b, 0x45, 0x8d, 0x80);                 /* lea r8d, [r8 + seg << 16] */
    emit32(b, seg << 16);
    return light_call(b, bt_load_segment);
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
    slow = load_segment(b, in->reg);
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
    EMIT(b, 0x45, 0x0f, 0xb7, 0xc0);           /* movzx r8d, r8w */
    slow = load_segment(b, seg);
    EMIT(b, 0x8d, 0x64, 0x24, 0x04);           /* lea esp, [rsp + 4] */
    light_end(b, in, slow);
    return true;
}

/* Intel's CPUs write 16 bits of the slot, AMD's all 32 (interp_push_seg). */
bool rule_push_seg(struct builder *b, const struct insn *in)
{
    static const uint8_t by_opcode[8] = { SEG_ES, SEG_CS, SEG_SS, SEG_DS };
    unsigned seg = in->map ? (in->opcode == 0xa0 ? SEG_FS : SEG_GS) : by_opcode[in->opcode >> 3];

    if (in->opsize != 4 || in->prefixes & PREFIX_LOCK || cpuid_is_amd(b->t->vcpu->model))
        return false;
    access_at(b, RSP, -4, MEM_WRITE, 2);
    EMIT(b, 0x45, 0x0f, 0xb7, 0x8f);           /* movzx r9d, word [selector] */
    emit32(b, (uint32_t)(offsetof(struct vcpu, seg) + seg * sizeof(struct segment) +
                         offsetof(struct segment, selector)));
    access_store_sized_at(b, R9, 2);
    access_set_esp(b);
    return true;
}
