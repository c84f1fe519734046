/* Rules as data: rules.def's rows, and the emitters for instructions that the host has too. */
#include "translator/live.h"
#include "translator/probe.h"

#include "base/events.h"
#include "cpu/fpu.h"

enum kind { KIND_INTERPRET, KIND_SAME, KIND_INLINE, KIND_OUTSIDE };

struct rule {
    uint8_t kind;
    rule_fn *emit;
};

static const struct rule rules[M_COUNT] = {
#define SAME(id) [id] = { KIND_SAME, rule_same },
#define INLINE(id, fn) [id] = { KIND_INLINE, fn },
#define OUTSIDE(id, fn) [id] = { KIND_OUTSIDE, fn },
#include "translator/rules.def"
};

/* Live operands are read anew (L1); an operand in memory may be a device's. */
static enum site_kind kind_of_site(const struct builder *b, const struct insn *in,
                                   enum site_kind kind)
{
    bool memory = in->has_mem || (in->info && in->info->attr & A_STRING);

    if (b->live && kind != SITE_LOAD)
        return SITE_FETCH;
    return kind == SITE_EXECUTE && memory ? SITE_OUTSIDE : kind;
}

void rule_callout(struct builder *b, const struct insn *in, enum site_kind kind, bool resumes)
{
    struct unit_site *site = &b->site[b->sites];

    site->in = *in;
    site->eip = b->at;
    site->kind = (uint8_t)kind_of_site(b, in, kind);
    site->calls = 0;
    site->excess = (int8_t)((int)b->counted - ((int)b->insns - 1));
    b->t->called_name[in->id] = in->info ? in->info->mnemonic : "page end";
    EMIT(b, 0x49, 0xb9);                   /* mov r9, site: filled in when the unit is made */
    b->site_field[b->sites++] = here(b);
    emit64(b, 0);
    emit_jump_thunk(b, THUNK_CALLOUT);
    site->resume = resumes ? here(b) : 0;
    b->ended |= !resumes;
}

/* --- The same instruction ---------------------------------------------------- */

/* Does the ModRM reg field name an 8-bit register? */
static bool reg_is_byte(const struct insn *in)
{
    if (in->map == 0)
        return (in->opcode < 0x40 && !(in->opcode & 5)) || in->opcode == 0x84 ||
               in->opcode == 0x86 || in->opcode == 0x88 || in->opcode == 0x8a;
    return in->map == 1 && (in->opcode == 0xb0 || in->opcode == 0xc0);
}

/* AH, CH, DH, BH cannot be named beside a REX prefix: trade places with the low byte for a
 * moment. */
static void same_with_high_byte(struct builder *b, const struct insn *in)
{
    unsigned low = in->reg & 3;

    if (b->form == FORM_WINDOW) { /* no REX prefix */
        access_emit_insn(b, in, in->reg);
        return;
    }
    EMIT(b, 0x86, 0xc0 | in->reg << 3 | low); /* xchg low, high */
    access_emit_insn(b, in, low);
    EMIT(b, 0x86, 0xc0 | in->reg << 3 | low);
}

static bool sets_fdp(const struct insn *in)
{
    return (in->info->attr & (A_X87 | A_MMX)) == A_X87 && in->id != M_FNSTCW &&
           in->id != M_FNSTSW && in->id != M_FLDCW;
}

/* The host's FDP is not the guest's. r8d: the operand's linear address. */
static void store_fdp(struct builder *b, const struct insn *in)
{
    uint32_t segment = (uint32_t)(offsetof(struct vcpu, bt_seg) + in->seg *
                                  sizeof(struct bt_segment));

    if (b->key & KEY_SEG) {
        EMIT(b, 0x4d, 0x8b, 0x8f), emit32(b, segment); /* mov r9, [base] */
        EMIT(b, 0x49, 0xf7, 0xd1);             /* not r9 */
        EMIT(b, 0x47, 0x8d, 0x44, 0x08, 1);    /* lea r8d, [r8 + r9 + 1] */
        EMIT(b, 0x41, 0xc6, 0x87);             /* mov byte [x87_seg], seg */
        emit32(b, offsetof(struct vcpu, bt.x87_seg));
        emit8(b, in->seg);
    }
    emit_vcpu(b, 0x89, R8, OFF_X87_DATA);
}

static bool same_memory(struct builder *b, const struct insn *in)
{
    enum mem_access access = in->info->attr & A_WRITES_MEM ? MEM_WRITE : MEM_READ;
    bool high = reg_is_byte(in) && in->has_modrm && in->reg >= 4;

    if (!in->memsize || !access_possible(b, in, access) || (high && in->id == M_CMPXCHG))
        return false;
    if (in->prefixes & PREFIX_LOCK && !(in->info->attr & A_LOCKABLE && access == MEM_WRITE))
        return false; /* #UD comes before everything else */
    if (high && b->key & KEY_WINDOW && (in->seg >= SEG_FS || in->addrsize == 2))
        return false; /* the exchange below must not be followed by a fault (U3) */
    access_operand(b, in, access, in->memsize);
    if (high)
        same_with_high_byte(b, in);
    else
        access_emit_insn(b, in, in->has_modrm ? in->reg : 0);
    if (b->form == FORM_TLB && sets_fdp(in))
        store_fdp(b, in);
    return true;
}

/* Of 16-bit code. */
static void register_form16(struct builder *b, const struct insn *in)
{
    emit_prefixes(b, in);
    if (in->map)
        emit8(b, 0x0f);
    if (in->map >= 2)
        emit8(b, in->map == 2 ? 0x38 : 0x3a);
    emit(b, in->bytes + in->opcode_at, in->len - in->opcode_at);
}

bool rule_same(struct builder *b, const struct insn *in)
{
    if (in->has_mem)
        return same_memory(b, in);
    if (in->prefixes & PREFIX_LOCK)
        return false;
    if (in->opcode == 0x82 && !in->map) { /* 64-bit mode has no 82 */
        EMIT(b, 0x80, in->modrm, (uint8_t)in->imm);
        return true;
    }
    if (b->key & KEY_CODE16)
        register_form16(b, in);
    else
        emit(b, in->bytes, in->len);
    return true;
}

/* sarx r9d, the bit offset in reg, log2 of a word's bits: r9d is the word's number. */
static void word_of_bit(struct builder *b, unsigned reg, unsigned size)
{
    EMIT(b, 0x41, 0xbb), emit32(b, size == 2 ? 4 : 5); /* mov r11d, 4 or 5 */
    if (size == 4) {
        EMIT(b, 0xc4, 0x62, 0x22, 0xf7, (uint8_t)(0xc8 | reg)); /* sarx r9d, reg, r11d */
        return;
    }
    EMIT(b, 0x44, 0x0f, 0xbf, (uint8_t)(0xc8 | reg)); /* movsx r9d, reg16 */
    EMIT(b, 0xc4, 0x42, 0x22, 0xf7, 0xc9);     /* sarx r9d, r9d, r11d */
}

/* The bit's number in its word into r9d. */
static void bit_in_word(struct builder *b, unsigned reg, unsigned size)
{
    EMIT(b, 0x41, 0xbb), emit32(b, size == 2 ? 28 : 27); /* mov r11d, 28 or 27 */
    EMIT(b, 0xc4, 0x62, 0x21, 0xf7, (uint8_t)(0xc8 | reg)); /* shlx r9d, reg, r11d */
    EMIT(b, 0xc4, 0x42, 0x23, 0xf7, 0xc9);     /* shrx r9d, r9d, r11d */
}

/* The bit offset in a register is signed, and reaches beyond the operand (SDM 2, 3.1.1.9): the word
 * that has the bit is the operand here, so that the host's instruction stays inside. */
static bool bit_string(struct builder *b, const struct insn *in)
{
    enum mem_access access = in->id == M_BT ? MEM_READ : MEM_WRITE;
    bool lock = in->prefixes & PREFIX_LOCK, word = in->opsize == 2;
    uint32_t retry = here(b);

    if (!b->t->bmi2 || !access_possible(b, in, access) || (lock && access == MEM_READ))
        return false;
    access_offset(b, in);
    word_of_bit(b, in->reg, in->opsize);
    EMIT(b, 0x47, 0x8d, 0x04, word ? 0x48 : 0x88); /* lea r8d, [r8 + r9 * size] */
    access_r8(b, in, access, in->opsize, retry);
    if (access == MEM_WRITE) {
        bit_in_word(b, in->reg, in->opsize);
        access_operate_0f_at(b, in->opcode, R9, in->opsize, lock);
        return true;
    }
    access_load_sized_at(b, R9, in->opsize);
    if (word)
        emit8(b, 0x66);
    EMIT(b, 0x41, 0x0f, 0xa3, (uint8_t)(0xc1 | in->reg << 3)); /* bt r9, reg */
    return true;
}

bool rule_bit_string(struct builder *b, const struct insn *in)
{
    return in->has_mem && in->opcode != 0xba ? bit_string(b, in) : rule_same(b, in);
}

/* F3 before BSF and BSR: TZCNT and LZCNT, which this guest's CPU may not have and the host has. */
bool rule_bit_scan(struct builder *b, const struct insn *in)
{
    return !(in->prefixes & PREFIX_REP) && rule_same(b, in);
}

/* 40-4F are REX prefixes now. */
bool rule_inc_dec(struct builder *b, const struct insn *in)
{
    if (in->has_modrm)
        return rule_same(b, in);
    if (in->prefixes & PREFIX_LOCK)
        return false;
    if (in->opsize == 2)
        emit8(b, 0x66);
    EMIT(b, 0xff, 0xc0 | (in->opcode & 15)); /* FF /0 and /1: bit 3 is the same */
    return true;
}

bool rule_lea(struct builder *b, const struct insn *in)
{
    if (!in->has_mem || in->prefixes & PREFIX_LOCK)
        return false;
    if (in->addrsize != 4 || b->live & LIVE_DISPLACEMENT) {
        access_offset(b, in);
        if (in->opsize == 2)
            emit8(b, 0x66);
        EMIT(b, 0x44, 0x89, 0xc0 | in->reg);   /* mov reg, r8 */
        return true;
    }
    if (in->opsize == 2)
        emit8(b, 0x66);
    emit_lea(b, in->reg, in->base, in->index, in->scale, (int32_t)in->disp);
    return true;
}

bool rule_nop(struct builder *b, const struct insn *in)
{
    if (in->prefixes & PREFIX_LOCK)
        return false;
    if (in->prefixes & PREFIX_REP && !in->map)
        EMIT(b, 0xf3, 0x90); /* pause */
    return true;
}

/* LFENCE, MFENCE, SFENCE: guests have them on the way of every system call. */
bool rule_fence(struct builder *b, const struct insn *in)
{
    if (in->prefixes & PREFIX_LOCK)
        return false;
    EMIT(b, 0x0f, 0xae, 0xc0 | in->reg << 3);
    return true;
}

/* --- Choosing ------------------------------------------------------------------ */

#define A_ANY_FPU (A_X87 | A_MMX | A_SSE | A_AVX)

/* FPU and vector instructions whose memory operand is fixed and that touch nothing else run
 * natively. */
static bool native_form(const struct builder *b, const struct insn *in)
{
    bool x87 = (in->info->attr & A_ANY_FPU) == A_X87;

    if (!(b->key & KEY_FPU || (b->key & KEY_X87 && x87)) ||
        in->info->attr & (A_IMPLICIT_MEM | A_UNDEFINED | A_PRIVILEGED) || !in->info->interp)
        return false;
    return !in->has_mem || in->memsize;
}

/* Through a segment that is not flat, FDP would not be the offset; segmented code says which. */
static bool odd_fdp(const struct builder *b, const struct insn *in)
{
    return !(b->key & KEY_SEG) && in->seg >= SEG_FS;
}

static bool rule_fpu(struct builder *b, const struct insn *in)
{
    if ((in->id == M_LDMXCSR || in->id == M_VLDMXCSR) && fpu_mxcsr_is_wider(b->t->vcpu))
        return false;
    if (in->info->attr & A_AVX)
        return rule_vector(b, in);
    switch (in->id) {
    case M_FXSAVE: case M_FXRSTOR: case M_XSAVE: case M_XRSTOR: case M_XSAVEOPT:
    case M_FNCLEX: /* hides whose FOP it is */
    case M_XGETBV: case M_XSETBV: case M_FLDENV: case M_FNSTENV: case M_FNSAVE: case M_FRSTOR:
        return false;
    default:
        if (!native_form(b, in) || (in->has_mem && odd_fdp(b, in) && sets_fdp(in)))
            return false;
        b->adapted |= b->key & KEY_SEG && in->has_mem && sets_fdp(in);
        return rule_same(b, in);
    }
}

/* U9, without the flags. */
static void load_state(struct builder *b, const struct insn *in)
{
    uint32_t loaded;

    EMIT(b, 0x49, 0x89, 0xcb);             /* mov r11, rcx */
    EMIT(b, 0x41, 0x0f, 0xb6, 0x8f);       /* movzx ecx, byte [fpu_loaded] */
    emit32(b, OFF_FPU_LOADED);
    EMIT(b, 0x8d, 0x49, 0xff);             /* lea ecx, [rcx - 1] */
    loaded = emit_jump_short(b, 0xe3);     /* jrcxz */
    EMIT(b, 0x4c, 0x89, 0xd9);             /* mov rcx, r11 */
    rule_callout(b, in, SITE_LOAD, true);
    emit_land(b, loaded);
    EMIT(b, 0x4c, 0x89, 0xd9);             /* mov rcx, r11 */
    b->site[b->sites - 1].resume = here(b);
}

static bool rule_native(struct builder *b, const struct insn *in)
{
    uint8_t *before = b->out;
    unsigned sites = b->sites;

    if (b->loaded)
        return rule_fpu(b, in);
    load_state(b, in);
    b->loaded = rule_fpu(b, in);
    if (!b->loaded) {
        b->out = before;
        b->sites = sites;
    }
    b->native |= b->loaded;
    return b->loaded;
}

/* All of it is left to the interpreter. */
static void interpret(struct builder *b, const struct insn *in, enum site_kind kind)
{
    b->insn[b->insns - 1].how = HOW_INTERPRETED;
    rule_callout(b, in, kind, !(in->info->attr & (A_BRANCH | A_FAR | A_ENDS | A_UNDEFINED)));
}

/* For -trace-sensitive: what is called is told. */
static bool is_told(const struct builder *b, const struct insn *in)
{
    const struct events *events = b->t->vcpu->events;

    return events && events_sensitive(events) && rules[in->id].kind != KIND_OUTSIDE &&
           in->info->attr & (A_SENSITIVE | A_PRIVILEGED | A_IOPL);
}

/* In the mode that knows no segment but flat ones. */
static bool goes_by_segment(const struct builder *b, const struct insn *in)
{
    return b->key & KEY_NULLED && (in->info->attr & A_STRING || in->id == M_XLAT ||
                                   (in->has_mem && probe_segmented(b, in->seg)));
}

void rule_apply(struct builder *b, const struct insn *in)
{
    const struct rule *rule = &rules[in->id];
    uint32_t attr = in->info->attr;
    enum site_kind called = attr & A_ANY_FPU             ? SITE_FPU
                            : rule->kind == KIND_OUTSIDE ? SITE_OUTSIDE
                                                         : SITE_EXECUTE;

    if (adapt_calls(b->t, b->gpa + (b->at - b->eip)) || is_told(b, in)) {
        interpret(b, in, called);
        return;
    }
    if (b->key & KEY_SEG && (in->prefixes & (PREFIX_VEX | PREFIX_EVEX) || goes_by_segment(b, in))) {
        interpret(b, in, called);
        return;
    }
    if (b->live & LIVE_IMMEDIATE) {
        if (!live_immediate(b, in))
            interpret(b, in, SITE_FETCH);
        return;
    }
    if (attr & A_ANY_FPU) {
        if (!rule_native(b, in))
            interpret(b, in, called);
        return;
    }
    if (rule->emit && !(attr & A_UNDEFINED) && rule->emit(b, in))
        return;
    interpret(b, in, called);
}
