/*
 * String instructions. One iteration is translated in line, as are REP MOVS and REP STOS in a
 * window. Repeated ones are else light calls of the host's own, in segmented code after what is
 * faster: rules_repeat.c for MOVS, strings.S.
 */
#include "translator/rules.h"
#include "translator/switch.h"

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

/* By DF: step[0] or, as that is 4 in its byte, step[1]. */
static void load_step(struct builder *b)
{
    EMIT(b, 0x45, 0x0f, 0xb6, 0x9f);           /* movzx r11d, byte [DF] */
    emit32(b, OFF_FLAG_DF + 1);
    EMIT(b, 0x47, 0x8b, 0x9c, 0x1f);           /* mov r11d, [r15 + r11 + step] */
    emit32(b, offsetof(struct vcpu, bt.step));
}

/* reg += r11 * size, of the address size. */
static void step(struct builder *b, const struct insn *in, unsigned reg, unsigned size)
{
    if (in->addrsize == 2)
        emit8(b, 0x66);
    EMIT(b, 0x42, 0x8d, reg << 3 | 4, (size >> 1) << 6 | 3 << 3 | reg); /* lea */
}

static uint32_t light_argument(const struct builder *b, const struct insn *in)
{
    bool compares = in->id == M_SCAS || in->id == M_CMPS;
    uint32_t argument = size_of(in);

    if (compares && in->prefixes & PREFIX_REPNE)
        argument |= LIGHT_UNTIL_EQUAL;
    if (b->key & KEY_SEG)
        argument |= (uint32_t)in->seg << 8 | (uint32_t)in->addrsize << 16 | LIGHT_SEGMENTED;
    return argument;
}

static bool repeat(struct builder *b, const struct insn *in, light_fn *fn)
{
    uint32_t slow;

    emit_mov_r8d_imm(b, light_argument(b, in));
    slow = light_call(b, fn);
    light_end(b, in, slow);
    return true;
}

/* At CPL 0, where no permission is asked for. */
bool rule_port_string(struct builder *b, const struct insn *in)
{
    if (b->key & (KEY_USER | KEY_RING) || !plain(b, in) || !repeated(in))
        return false;
    emit_mov_r8d_imm(b, light_argument(b, in));
    light_end_as(b, in, light_call(b, in->id == M_INS ? bt_rep_ins : bt_rep_outs), SITE_OUTSIDE);
    return true;
}

/* By strings.S, where fn has what is left. */
static bool string(struct builder *b, const struct insn *in, unsigned kind, light_fn *fn)
{
    uint32_t mask = in->addrsize == 2 ? 0xffff : UINT32_MAX, slow;

    if (!(b->key & KEY_SEG) || !b->t->bmi)
        return repeat(b, in, fn);
    emit_mov_r8d_imm(b, light_argument(b, in));
    slow = light_string(b, bt_strings[kind][size_of(in) >> 1], mask);
    light_end(b, in, slow);
    return true;
}

static unsigned comparing(const struct insn *in, unsigned kind)
{
    return in->prefixes & PREFIX_REPNE ? kind | STRING_UNTIL_EQUAL : kind;
}

/* The window's base, which is in r9, comes to RDI and RSI, or leaves them. */
static void shift_pointers(struct builder *b, bool source, bool back)
{
    if (back) {
        EMIT(b, 0x49, 0xf7, 0xd1);             /* not r9 */
        EMIT(b, 0x42, 0x8d, 0x7c, 0x0f, 1);    /* lea edi, [rdi + r9 + 1] */
        if (source)
            EMIT(b, 0x42, 0x8d, 0x74, 0x0e, 1);
        return;
    }
    EMIT(b, 0x4a, 0x8d, 0x3c, 0x0f);           /* lea rdi, [rdi + r9] */
    if (source)
        EMIT(b, 0x4a, 0x8d, 0x34, 0x0e);
}

/*
 * Forward, and short enough to let interrupts wait: the host's own instruction, with the window's
 * addresses in RSI and RDI. Where it faults it has come so far as they and RCX say, as the guest's
 * would have; precise.c takes the window's base away again. Returns the jump behind what else
 * there is to do.
 */
static uint32_t repeat_in_window(struct builder *b, const struct insn *in)
{
    bool source = in->id == M_MOVS;
    uint32_t fits, other, done;

    EMIT(b, 0x49, 0x89, 0xcb);                 /* mov r11, rcx */
    EMIT(b, 0x45, 0x0f, 0xb6, 0x8f), emit32(b, OFF_FLAG_DF + 1); /* movzx r9d, byte [DF] */
    EMIT(b, 0xc4, 0xe2, 0x1b, 0xf7, 0xc9);     /* shrx ecx, ecx, r12d: 4096 elements? */
    EMIT(b, 0x4a, 0x8d, 0x0c, 0x09);           /* lea rcx, [rcx + r9] */
    EMIT(b, 0x4d, 0x8b, 0x8f), emit32(b, OFF_WINDOW); /* mov r9, [window] */
    fits = emit_jump_short(b, 0xe3);           /* jrcxz */
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* mov rcx, r11 */
    other = emit_jump_short(b, 0xeb);
    emit_land(b, fits);
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* mov rcx, r11 */
    shift_pointers(b, source, false);
    if (size_of(in) == 2)
        emit8(b, 0x66);
    EMIT(b, 0xf3, in->opcode);
    shift_pointers(b, source, true);
    emit8(b, 0xe9);
    done = here(b);
    emit32(b, 0);
    emit_land(b, other);
    return done;
}

/* MOVS and STOS: what is done in line leads behind the light call by the rel32 at done; 0: there
 * is none. */
static bool repeat_rest(struct builder *b, const struct insn *in, unsigned kind, light_fn *fn,
                        uint32_t done)
{
    (void)string(b, in, kind, fn);
    if (done) {
        b->insn[b->insns - 1].how = HOW_TRANSLATED;
        emit_patch(b, done, here(b));
    }
    return true;
}

static uint32_t in_window(struct builder *b, const struct insn *in)
{
    return access_in_window(b, in) && b->t->bmi2 ? repeat_in_window(b, in) : 0;
}

static bool repeat_movs(struct builder *b, const struct insn *in)
{
    return repeat_rest(b, in, STRING_MOVS, bt_rep_movs,
                       b->key & KEY_SEG ? rule_repeat_movs(b, in) : in_window(b, in));
}

static bool repeat_stos(struct builder *b, const struct insn *in)
{
    return repeat_rest(b, in, STRING_STOS, bt_rep_stos,
                       b->key & KEY_SEG ? 0 : in_window(b, in));
}

bool rule_lods(struct builder *b, const struct insn *in)
{
    unsigned size = size_of(in);

    if (!plain(b, in))
        return false;
    if (repeated(in))
        return string(b, in, STRING_LODS, bt_rep_lods);
    access_string(b, in, in->seg, RSI, MEM_READ, size);
    access_load_sized_at(b, RAX, size);
    load_step(b);
    step(b, in, RSI, size);
    return true;
}

bool rule_stos(struct builder *b, const struct insn *in)
{
    unsigned size = size_of(in);

    if (!plain(b, in))
        return false;
    if (repeated(in))
        return repeat_stos(b, in);
    access_string(b, in, SEG_ES, RDI, MEM_WRITE, size);
    access_store_sized_at(b, RAX, size);
    load_step(b);
    step(b, in, RDI, size);
    return true;
}

bool rule_movs(struct builder *b, const struct insn *in)
{
    unsigned size = size_of(in);

    if (!plain(b, in))
        return false;
    if (repeated(in))
        return repeat_movs(b, in);
    access_string(b, in, in->seg, RSI, MEM_READ, size);
    access_load_sized_at(b, R9, size);
    emit_vcpu(b, 0x89, R9, OFF_SCRATCH);
    access_string(b, in, SEG_ES, RDI, MEM_WRITE, size);
    emit_vcpu(b, 0x8b, R9, OFF_SCRATCH);
    access_store_sized_at(b, R9, size);
    load_step(b);
    step(b, in, RSI, size);
    step(b, in, RDI, size);
    return true;
}

bool rule_scas(struct builder *b, const struct insn *in)
{
    unsigned size = size_of(in);

    if (!plain(b, in))
        return false;
    if (repeated(in))
        return string(b, in, comparing(in, STRING_SCAS), bt_rep_scas);
    access_string(b, in, SEG_ES, RDI, MEM_READ, size);
    access_compare_at(b, RAX, size);
    load_step(b);
    step(b, in, RDI, size);
    return true;
}

/* [rsi] - [rdi]; ES:EDI is read first, as the CPUs do. */
bool rule_cmps(struct builder *b, const struct insn *in)
{
    unsigned size = size_of(in);

    if (!plain(b, in))
        return false;
    if (repeated(in))
        return string(b, in, comparing(in, STRING_CMPS), bt_rep_cmps);
    access_string(b, in, SEG_ES, RDI, MEM_READ, size);
    access_load_sized_at(b, R9, size);
    emit_vcpu(b, 0x89, R9, OFF_SCRATCH);
    access_string(b, in, in->seg, RSI, MEM_READ, size);
    access_load_sized_at(b, R9, size);
    if (size == 2)
        emit8(b, 0x66);
    emit_vcpu(b, size == 1 ? 0x3a : 0x3b, R9, OFF_SCRATCH); /* cmp r9, [scratch] */
    load_step(b);
    step(b, in, RSI, size);
    step(b, in, RDI, size);
    return true;
}
