/*
 * Sensitive instructions that are frequent enough to be translated in line.
 *
 * IF and DF live in memory, never in the host's EFLAGS: the monitor takes host interrupts while
 * the guest has its own off, and C needs DF clear.
 */
#include "translator/rules.h"


static void store_byte(struct builder *b, uint32_t offset, uint8_t value)
{
    EMIT(b, 0x41, 0xc6, 0x87);                 /* mov byte [r15 + offset], value: no flag changes */
    emit32(b, offset);
    emit8(b, value);
}

/* With CPL 0 IOPL does not matter; user code asks the interpreter. */
static bool kernel(const struct builder *b, const struct insn *in)
{
    return !(b->key & KEY_USER) && !(in->prefixes & PREFIX_LOCK);
}

bool rule_cli(struct builder *b, const struct insn *in)
{
    if (!kernel(b, in))
        return false;
    store_byte(b, OFF_FLAG_IF, 0);
    return true;
}

/*
 * While no interrupt waits, STI is one store: nothing can make one wait before the next callout or
 * kick. Otherwise the interpreter does it, with its shadow over the next instruction.
 */
bool rule_sti(struct builder *b, const struct insn *in)
{
    uint32_t skip;

    if (!kernel(b, in))
        return false;
    EMIT(b, 0x49, 0x89, 0xcb);                 /* mov r11, rcx */
    EMIT(b, 0x41, 0x0f, 0xb6, 0x8f);           /* movzx ecx, byte [intr_line] */
    emit32(b, offsetof(struct vcpu, intr_line));
    EMIT(b, 0xe3, 0);                          /* jrcxz none */
    skip = here(b);
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* mov rcx, r11 */
    rule_callout(b, in, SITE_EXECUTE, true);
    EMIT(b, 0xeb, 11);                         /* jmp done */
    if (!b->full)
        b->start[skip - 1] = (uint8_t)(here(b) - skip);
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* none: mov rcx, r11 */
    store_byte(b, OFF_FLAG_IF, EFLAGS_IF >> 8);/* done: */
    return true;
}

bool rule_cld(struct builder *b, const struct insn *in)
{
    if (in->prefixes & PREFIX_LOCK)
        return false;
    store_byte(b, OFF_FLAG_DF, 0);
    return true;
}

bool rule_std(struct builder *b, const struct insn *in)
{
    if (in->prefixes & PREFIX_LOCK)
        return false;
    store_byte(b, OFF_FLAG_DF, EFLAGS_DF >> 8);
    return true;
}

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
