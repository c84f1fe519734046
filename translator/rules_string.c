/*
 * String instructions. One iteration is translated in line for DF clear (the interpreter has the
 * other case); REP MOVS and REP STOS inside one page are light calls of the host's own.
 */
#include "translator/rules.h"

static unsigned size_of(const struct insn *in)
{
    return in->opcode & 1 ? in->opsize : 1;
}

static bool plain(const struct builder *b, const struct insn *in)
{
    if (in->prefixes & PREFIX_LOCK)
        return false;
    return b->key & KEY_SEG ||
           (in->addrsize == 4 && (in->seg == SEG_DS || in->seg == SEG_ES || in->seg == SEG_SS));
}

static bool repeated(const struct insn *in)
{
    return in->prefixes & (PREFIX_REP | PREFIX_REPNE);
}

/* Asks the interpreter when DF is set; otherwise goes on behind begin_forward()... */
static uint32_t begin_forward(struct builder *b, const struct insn *in)
{
    uint32_t forward, done;

    EMIT(b, 0x49, 0x89, 0xcb);                 /* mov r11, rcx */
    EMIT(b, 0x41, 0x0f, 0xb6, 0x8f);           /* movzx ecx, byte [DF] */
    emit32(b, OFF_FLAG_DF);
    EMIT(b, 0xe3, 0);                          /* jrcxz forward */
    forward = here(b);
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* mov rcx, r11 */
    rule_callout(b, in, SITE_EXECUTE, true);
    emit8(b, 0xe9);                            /* jmp done */
    done = here(b);
    emit32(b, 0);
    if (!b->full)
        b->start[forward - 1] = (uint8_t)(here(b) - forward);
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* forward: mov rcx, r11 */
    return done;
}

/* ... to here. */
static void end_forward(struct builder *b, uint32_t done)
{
    emit_patch(b, done, here(b));
}

static void advance(struct builder *b, const struct insn *in, unsigned reg, unsigned size)
{
    if (in->addrsize == 2)
        emit8(b, 0x66);
    EMIT(b, 0x8d, 0x40 | reg << 3 | reg, (uint8_t)size); /* lea reg, [reg + size] */
}

bool rule_lods(struct builder *b, const struct insn *in)
{
    unsigned size = size_of(in);
    uint32_t done;

    if (!plain(b, in) || repeated(in))
        return false;
    done = begin_forward(b, in);
    access_string(b, in, in->seg, RSI, MEM_READ, size);
    access_load_sized_at(b, RAX, size);
    advance(b, in, RSI, size);
    end_forward(b, done);
    return true;
}

static bool rep_light(struct builder *b, const struct insn *in, light_fn *fn)
{
    uint32_t slow, argument = size_of(in);

    if (b->key & KEY_SEG)
        argument |= (uint32_t)in->seg << 8 | (uint32_t)in->addrsize << 16 | LIGHT_SEGMENTED;
    emit_mov_r8d_imm(b, argument);
    slow = light_call(b, fn);
    light_end(b, in, slow);
    return true;
}

bool rule_stos(struct builder *b, const struct insn *in)
{
    unsigned size = size_of(in);
    uint32_t done;

    if (!plain(b, in))
        return false;
    if (repeated(in))
        return rep_light(b, in, bt_rep_stos);
    done = begin_forward(b, in);
    access_string(b, in, SEG_ES, RDI, MEM_WRITE, size);
    access_store_sized_at(b, RAX, size);
    advance(b, in, RDI, size);
    end_forward(b, done);
    return true;
}

bool rule_movs(struct builder *b, const struct insn *in)
{
    unsigned size = size_of(in);
    uint32_t done;

    if (!plain(b, in))
        return false;
    if (repeated(in))
        return rep_light(b, in, bt_rep_movs);
    done = begin_forward(b, in);
    access_string(b, in, in->seg, RSI, MEM_READ, size);
    access_load_sized_at(b, R9, size);
    emit_vcpu(b, 0x89, R9, OFF_SCRATCH);
    access_string(b, in, SEG_ES, RDI, MEM_WRITE, size);
    emit_vcpu(b, 0x8b, R9, OFF_SCRATCH);
    access_store_sized_at(b, R9, size);
    advance(b, in, RSI, size);
    advance(b, in, RDI, size);
    end_forward(b, done);
    return true;
}

bool rule_scas(struct builder *b, const struct insn *in)
{
    unsigned size = size_of(in);
    uint32_t done;

    if (!plain(b, in) || repeated(in))
        return false;
    done = begin_forward(b, in);
    access_string(b, in, SEG_ES, RDI, MEM_READ, size);
    access_compare_at(b, RAX, size);
    advance(b, in, RDI, size);
    end_forward(b, done);
    return true;
}

/* [rsi] - [rdi]; ES:EDI is read first, as the CPUs do. */
bool rule_cmps(struct builder *b, const struct insn *in)
{
    unsigned size = size_of(in);
    uint32_t done;

    if (!plain(b, in) || repeated(in))
        return false;
    done = begin_forward(b, in);
    access_string(b, in, SEG_ES, RDI, MEM_READ, size);
    access_load_sized_at(b, R9, size);
    emit_vcpu(b, 0x89, R9, OFF_SCRATCH);
    access_string(b, in, in->seg, RSI, MEM_READ, size);
    access_load_sized_at(b, R9, size);
    if (size == 2)
        emit8(b, 0x66);
    emit_vcpu(b, size == 1 ? 0x3a : 0x3b, R9, OFF_SCRATCH); /* cmp r9, [scratch] */
    advance(b, in, RSI, size);
    advance(b, in, RDI, size);
    end_forward(b, done);
    return true;
}
