/*
 * Sensitive instructions that are frequent enough to be translated in line.
 *
 * IF and DF live in memory, never in the host's EFLAGS: the monitor takes host interrupts while
 * the guest has its own off, and C needs DF clear.
 */
#include "cpu/cpuid.h"
#include "translator/rules.h"

void rule_store_flag(struct builder *b, uint32_t offset, uint32_t value)
{
    EMIT(b, 0x41, 0xc7, 0x87);                 /* mov dword [r15 + offset], value */
    emit32(b, offset);
    emit32(b, value);
}

/* With CPL 0 IOPL does not matter; user code asks the interpreter. */
static bool kernel(const struct builder *b, const struct insn *in)
{
    return !(b->key & (KEY_USER | KEY_RING)) && !(in->prefixes & PREFIX_LOCK);
}

static bool may_change_if(const struct builder *b, const struct insn *in)
{
    return kernel(b, in) || (b->key & KEY_IOPL && !(in->prefixes & PREFIX_LOCK));
}

bool rule_cli(struct builder *b, const struct insn *in)
{
    if (!may_change_if(b, in))
        return false;
    rule_store_flag(b, OFF_FLAG_IF, 0);
    return true;
}

/*
 * While no interrupt waits, STI is one store: nothing can make one wait before the next callout or
 * kick. Otherwise the interpreter does it, with its shadow over the next instruction.
 */
bool rule_sti(struct builder *b, const struct insn *in)
{
    uint32_t skip, done;

    if (!may_change_if(b, in))
        return false;
    EMIT(b, 0x49, 0x89, 0xcb);                 /* mov r11, rcx */
    EMIT(b, 0x41, 0x0f, 0xb6, 0x8f);           /* movzx ecx, byte [intr_line] */
    emit32(b, offsetof(struct vcpu, intr_line));
    EMIT(b, 0xe3, 0);                          /* jrcxz none */
    skip = here(b);
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* mov rcx, r11 */
    rule_callout(b, in, SITE_EXECUTE, true);
    done = emit_jump_short(b, 0xeb);
    if (!b->full)
        b->start[skip - 1] = (uint8_t)(here(b) - skip);
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* none: mov rcx, r11 */
    rule_store_flag(b, OFF_FLAG_IF, EFLAGS_IF);
    emit_land(b, done);
    return true;
}

bool rule_cld(struct builder *b, const struct insn *in)
{
    if (in->prefixes & PREFIX_LOCK)
        return false;
    rule_store_flag(b, OFF_FLAG_DF, 0);
    return true;
}

bool rule_std(struct builder *b, const struct insn *in)
{
    if (in->prefixes & PREFIX_LOCK)
        return false;
    rule_store_flag(b, OFF_FLAG_DF, EFLAGS_DF);
    return true;
}

static void add_r11(struct builder *b, uint32_t offset)
{
    emit_vcpu(b, 0x8b, R11, offset);
    EMIT(b, 0x47, 0x8d, 0x0c, 0x19);             /* lea r9d, [r9 + r11] */
}

/*
 * EFLAGS into r9d, composed without touching it: the arithmetic flags from the host's by LAHF and
 * SETO, the rest from memory. r11 is used.
 */
void rule_compose_flags(struct builder *b)
{
    EMIT(b, 0x41, 0x0f, 0x90, 0xc1);             /* seto r9b */
    EMIT(b, 0x45, 0x0f, 0xb6, 0xc9);             /* movzx r9d, r9b */
    for (unsigned i = 0; i < 3; i++)
        EMIT(b, 0x46, 0x8d, 0x0c, 0xcd), emit32(b, 0); /* lea r9d, [r9*8] */
    EMIT(b, 0x49, 0x89, 0xc3);                   /* mov r11, rax */
    EMIT(b, 0x9f, 0x0f, 0xb6, 0xc4);             /* lahf; movzx eax, ah */
    EMIT(b, 0x46, 0x8d, 0x0c, 0x88);             /* lea r9d, [rax + r9*4] */
    EMIT(b, 0x4c, 0x89, 0xd8);                   /* mov rax, r11 */
    add_r11(b, OFF_FLAG_IF);
    add_r11(b, OFF_FLAG_DF);
    add_r11(b, OFF_SYSTEM_FLAGS);
}

/* In virtual-8086 mode it depends on IOPL. */
bool rule_pushf(struct builder *b, const struct insn *in)
{
    bool denied = (b->key & (KEY_REAL | KEY_USER | KEY_IOPL)) == (KEY_REAL | KEY_USER);

    if ((in->opsize != 4 && !(b->key & KEY_SEG)) || denied || in->prefixes & PREFIX_LOCK)
        return false;
    access_at(b, RSP, (int8_t)-in->opsize, MEM_WRITE, in->opsize);
    rule_compose_flags(b);
    access_store_sized_at(b, R9, in->opsize);
    access_set_esp(b);
    return true;
}

/* The bit of r9d. */
static void set_flag(struct builder *b, uint32_t offset, uint32_t bit)
{
    EMIT(b, 0x45, 0x89, 0xcb);                   /* mov r11d, r9d */
    EMIT(b, 0x41, 0x81, 0xe3), emit32(b, bit);   /* and r11d, bit */
    emit_vcpu(b, 0x89, R11, offset);
}

/*
 * The flags in r9d become the guest's, where nothing but the arithmetic flags, IF and DF changes
 * and no interrupt waits; everything else is the interpreter's: then it goes on at ways[0] and
 * ways[1]. r10 and r11 are used. The host's flags are free here: all are about to be replaced.
 */
void rule_load_flags(struct builder *b, unsigned size, uint32_t ways[2])
{
    uint32_t seen = size == 2 ? 0xffff : UINT32_MAX, closed;

    emit_vcpu(b, 0x8b, R11, OFF_SYSTEM_FLAGS);
    EMIT(b, 0x45, 0x31, 0xcb);                   /* xor r11d, r9d */
    EMIT(b, 0x41, 0xf7, 0xc3),
        emit32(b, (EFLAGS_TF | EFLAGS_IOPL | EFLAGS_NT | EFLAGS_AC | EFLAGS_ID | EFLAGS_RF |
                   EFLAGS_VM | EFLAGS_VIF | EFLAGS_VIP) & seen);
    ways[0] = emit_jump_short(b, 0x75);               /* test r11d, ...; jnz interpret */
    EMIT(b, 0x41, 0xf7, 0xc1), emit32(b, EFLAGS_IF);
    closed = emit_jump_short(b, 0x74);                /* test r9d, IF; jz closed */
    EMIT(b, 0x41, 0x80, 0xbf), emit32(b, offsetof(struct vcpu, intr_line)), emit8(b, 0);
    ways[1] = emit_jump_short(b, 0x75);               /* cmp byte [intr_line], 0; jne interpret */
    emit_land(b, closed);
    set_flag(b, OFF_FLAG_IF, EFLAGS_IF);
    set_flag(b, OFF_FLAG_DF, EFLAGS_DF);
    EMIT(b, 0x45, 0x89, 0xcb, 0x41, 0xc1, 0xeb, 11); /* mov r11d, r9d; shr r11d, 11 */
    EMIT(b, 0x41, 0x83, 0xe3, 1);                /* and r11d, 1: OF */
    EMIT(b, 0x49, 0x89, 0xc2);                   /* mov r10, rax */
    EMIT(b, 0x44, 0x89, 0xc8, 0xc1, 0xe0, 8);    /* mov eax, r9d; shl eax, 8 */
    EMIT(b, 0x41, 0x80, 0xc3, 0x7f, 0x9e);       /* add r11b, 0x7f; sahf */
    EMIT(b, 0x4c, 0x89, 0xd0);                   /* mov rax, r10 */
}

bool rule_popf(struct builder *b, const struct insn *in)
{
    uint32_t ways[2], done;

    if ((in->opsize != 4 && !(b->key & KEY_SEG)) || !may_change_if(b, in))
        return false;
    access_at(b, RSP, 0, MEM_READ, in->opsize);
    if (in->opsize == 4)
        access_load_at(b, R9);
    else
        access_load16(b, in, R9);
    rule_load_flags(b, in->opsize, ways);
    access_move_sp(b, RSP, in->opsize);
    done = emit_jump_short(b, 0xeb);
    emit_land(b, ways[0]);
    emit_land(b, ways[1]);
    rule_callout(b, in, SITE_EXECUTE, true);
    emit_land(b, done);
    return true;
}

/* The guest's TSC is the host's plus an offset; no flag changes. */
bool rule_rdtsc(struct builder *b, const struct insn *in)
{
    bool with_aux = in->id == M_RDTSCP;

    if (!(b->key & KEY_TSC) || !b->t->bmi2 || in->prefixes & PREFIX_LOCK ||
        !cpuid_has(b->t->vcpu->model, with_aux ? CPUID_RDTSCP : CPUID_TSC))
        return false;
    EMIT(b, 0x0f, 0x31);                         /* rdtsc */
    EMIT(b, 0xc4, 0x63, 0xfb, 0xf0, 0xc2, 32);   /* rorx r8, rdx, 32 */
    EMIT(b, 0x4d, 0x8d, 0x04, 0x00);             /* lea r8, [r8 + rax] */
    /* mov r9, [tsc_offset] */
    EMIT(b, 0x4d, 0x8b, 0x8f), emit32(b, offsetof(struct vcpu, tsc_offset));
    EMIT(b, 0x4f, 0x8d, 0x04, 0x08);             /* lea r8, [r8 + r9] */
    EMIT(b, 0x44, 0x89, 0xc0);                   /* mov eax, r8d */
    EMIT(b, 0xc4, 0xc3, 0xfb, 0xf0, 0xd0, 32);   /* rorx rdx, r8, 32 */
    EMIT(b, 0x89, 0xd2);                         /* mov edx, edx */
    if (with_aux)
        emit_vcpu(b, 0x8b, RCX, offsetof(struct vcpu, tsc_aux));
    return true;
}

/* The stub that does what it remembers of them without the C (crossing.S). */
static enum thunk thunk_of(const struct builder *b, light_fn *fn)
{
    if (fn == bt_iret || (fn == bt_iret_v86 && b->key & KEY_NULLED))
        return THUNK_IRET;
    return fn == bt_int_v86 ? THUNK_INT_V86 : THUNK_LIGHT;
}

bool rule_transfer(struct builder *b, const struct insn *in, light_fn *fn)
{
    uint32_t slow;

    if (b->key & KEY_SEG) {
        EMIT(b, 0x49, 0xc7, 0x87);             /* mov qword [scratch], key */
        emit32(b, OFF_SCRATCH), emit32(b, b->key);
    }
    slow = light_call_by(b, fn, thunk_of(b, fn));
    emit_patch(b, slow, here(b));
    rule_callout(b, in, SITE_EXECUTE, false);
    return true;
}

static void store_eip(struct builder *b, uint32_t eip)
{
    EMIT(b, 0x41, 0xb9), emit32(b, eip);       /* mov r9d, eip */
    EMIT(b, 0x4d, 0x89, 0x8f), emit32(b, OFF_RIP); /* mov [rip], r9 */
}

/* A trace wants to know where: rip is not kept up to date else. */
static void store_own(struct builder *b)
{
    if (b->t->vcpu->events)
        store_eip(b, b->at);
}

static bool light_transfer(struct builder *b, const struct insn *in, light_fn *fn,
                           uint32_t argument)
{
    emit_mov_r8d_imm(b, argument);
    return rule_transfer(b, in, fn);
}

/* The same for what is left of an instruction that is in line otherwise. */
static bool light_rest(struct builder *b, const struct insn *in, light_fn *fn, uint32_t argument,
                       bool in_line)
{
    (void)light_transfer(b, in, fn, argument);
    if (in_line)
        b->insn[b->insns - 1].how = HOW_TRANSLATED;
    return true;
}

void rule_store_next(struct builder *b, const struct insn *in)
{
    store_eip(b, b->at + in->len);
}

/* From virtual-8086 mode or segmented code of protected mode. */
static bool int_segmented(struct builder *b, const struct insn *in)
{
    bool v86 = (b->key & (KEY_REAL | KEY_ODD | KEY_IOPL)) == (KEY_REAL | KEY_IOPL), in_line;

    if (in->prefixes & PREFIX_LOCK || (b->key & (KEY_REAL | KEY_ODD) && !v86))
        return false;
    in_line = !v86 && rule_int_protected(b, in);
    rule_store_next(b, in);
    return light_rest(b, in, v86 ? bt_int_v86 : bt_int_same, (uint8_t)in->imm, in_line);
}

bool rule_sysenter(struct builder *b, const struct insn *in)
{
    if (in->prefixes & PREFIX_LOCK || b->key & KEY_SEG ||
        !cpuid_has(b->t->vcpu->model, CPUID_SEP))
        return false;
    emit_vcpu(b, 0x89, RBP, offsetof(struct vcpu, gpr[RBP])); /* vcpu_note_sysenter() */
    store_own(b);
    return light_transfer(b, in, bt_sysenter, b->key);
}

bool rule_int(struct builder *b, const struct insn *in)
{
    if (b->key & KEY_SEG)
        return rule_int_real(b, in) || int_segmented(b, in);
    if (in->prefixes & PREFIX_LOCK)
        return false;
    rule_store_next(b, in);
    return light_transfer(b, in, bt_int, (uint32_t)(uint8_t)in->imm | b->key << 8);
}

bool rule_iret(struct builder *b, const struct insn *in)
{
    if (b->key & KEY_SEG && rule_iret_real(b, in))
        return true;
    if (b->key & KEY_SEG && (b->key & (KEY_REAL | KEY_ODD) || in->prefixes & PREFIX_LOCK))
        return false;
    if (b->key & KEY_SEG)
        return light_rest(b, in, in->opsize == 2 ? bt_iret_same : bt_iret_v86, 0,
                          rule_iret_protected(b, in));
    if (!kernel(b, in) || in->opsize != 4)
        return false;
    store_own(b);
    return light_transfer(b, in, bt_iret, b->key);
}

bool rule_sysexit(struct builder *b, const struct insn *in)
{
    if (!kernel(b, in) || b->key & KEY_SEG || in->opsize != 4 ||
        !cpuid_has(b->t->vcpu->model, CPUID_SEP))
        return false;
    store_own(b);
    return light_transfer(b, in, bt_sysexit, b->key);
}

/* As a kernel does for each page that it maps for a moment. */
bool rule_invlpg(struct builder *b, const struct insn *in)
{
    if (!kernel(b, in) || b->key & KEY_SEG || !in->has_mem || in->addrsize != 4 ||
        in->seg == SEG_FS || in->seg == SEG_GS)
        return false;
    store_eip(b, b->at);
    access_offset(b, in);
    light_end(b, in, light_call(b, bt_invlpg));
    return true;
}

/* What the light call is to know beside the offset is in bt.scratch. */
bool rule_load_table(struct builder *b, const struct insn *in)
{
    uint32_t what = in->seg | (in->opsize == 2 ? LIGHT_BASE24 : 0) |
                    (in->id == M_LIDT ? LIGHT_IDT : 0);

    if (!kernel(b, in) || !in->has_mem || in->addrsize > 4)
        return false;
    if (b->key & KEY_REAL) /* where the mode can become another one */
        rule_store_next(b, in);
    access_offset(b, in);
    EMIT(b, 0x49, 0xc7, 0x87), emit32(b, OFF_SCRATCH), emit32(b, what); /* mov qword [], what */
    light_end(b, in, light_call(b, bt_load_table));
    return true;
}

bool rule_mov_from_cr(struct builder *b, const struct insn *in)
{
    static const size_t at[] = {
        [0] = offsetof(struct vcpu, cr0), [2] = offsetof(struct vcpu, cr2),
        [3] = offsetof(struct vcpu, cr3), [4] = offsetof(struct vcpu, cr4),
    };

    if (!kernel(b, in) || in->reg >= sizeof(at) / sizeof(*at) || !at[in->reg])
        return false;
    emit_vcpu(b, 0x8b, in->rm, (uint32_t)at[in->reg]);
    return true;
}

/* Behind a comparison, as it has left ecx: what to do when that is not 0, else on. r10: rcx. */
static void callout_unless_zero(struct builder *b, const struct insn *in)
{
    uint32_t same = emit_jump_short(b, 0xe3);    /* jrcxz */

    EMIT(b, 0x4c, 0x89, 0xd1);                   /* mov rcx, r10 */
    rule_callout(b, in, SITE_EXECUTE, true);
    emit_land(b, same);
    EMIT(b, 0x4c, 0x89, 0xd1);
    b->site[b->sites - 1].resume = here(b);
}

/*
 * A write to CR4 that changes nothing does nothing: only a change of PGE and its like invalidates
 * (SDM 3, 4.10.4.1). NOT and LEA leave the flags alone.
 */
static void write_cr4(struct builder *b, const struct insn *in)
{
    EMIT(b, 0x49, 0x89, 0xca);                   /* mov r10, rcx */
    EMIT(b, 0x41, 0x89, 0xc0 | in->rm << 3);     /* mov r8d, reg */
    emit_vcpu(b, 0x8b, RCX, offsetof(struct vcpu, cr4));
    EMIT(b, 0xf7, 0xd1);                         /* not ecx */
    EMIT(b, 0x42, 0x8d, 0x4c, 0x01, 0x01);       /* lea ecx, [rcx + r8 + 1] */
    callout_unless_zero(b, in);
}

/* r9d: the mask of all bits of CR0 but TS. */
static void mask_without_ts(struct builder *b)
{
    EMIT(b, 0x41, 0xb9), emit32(b, ~CR0_TS);     /* mov r9d, ~TS */
}

/* The value in r8d may change PE alone: to or from protected mode. */
static void change_pe(struct builder *b, const struct insn *in)
{
    uint32_t slow;

    if (!(b->key & KEY_SEG))
        return;
    rule_store_next(b, in);
    slow = light_call(b, bt_write_cr0);
    emit_patch(b, slow, here(b));
    b->insn[b->insns - 1].how = HOW_TRANSLATED;
}

/*
 * A write to CR0 that changes nothing but TS, which is in no key, while the FPU's state is not in
 * the host's registers (U9). PEXT leaves the flags alone, too.
 */
static void write_cr0(struct builder *b, const struct insn *in)
{
    uint32_t out, loaded;

    EMIT(b, 0x49, 0x89, 0xca);                   /* mov r10, rcx */
    EMIT(b, 0x41, 0x89, 0xc0 | in->rm << 3);     /* mov r8d, reg */
    EMIT(b, 0x41, 0x0f, 0xb6, 0x8f);             /* movzx ecx, byte [fpu_loaded] */
    emit32(b, OFF_FPU_LOADED);
    out = emit_jump_short(b, 0xe3);              /* jrcxz */
    loaded = emit_jump_short(b, 0xeb);
    emit_land(b, out);
    mask_without_ts(b);
    emit_vcpu(b, 0x8b, RCX, offsetof(struct vcpu, cr0));
    EMIT(b, 0xc4, 0xc2, 0x72, 0xf5, 0xc9);       /* pext ecx, ecx, r9d */
    EMIT(b, 0xc4, 0x42, 0x3a, 0xf5, 0xd9);       /* pext r11d, r8d, r9d */
    EMIT(b, 0xf7, 0xd1);                         /* not ecx */
    EMIT(b, 0x42, 0x8d, 0x4c, 0x19, 0x01);       /* lea ecx, [rcx + r11 + 1] */
    out = emit_jump_short(b, 0xe3);
    emit_land(b, loaded);
    EMIT(b, 0x4c, 0x89, 0xd1);                   /* mov rcx, r10 */
    change_pe(b, in);
    rule_callout(b, in, SITE_EXECUTE, true);
    emit_land(b, out);
    EMIT(b, 0x4c, 0x89, 0xd1);
    emit_vcpu(b, 0x89, R8, offsetof(struct vcpu, cr0));
    b->site[b->sites - 1].resume = here(b);
}

bool rule_mov_to_cr(struct builder *b, const struct insn *in)
{
    if (!kernel(b, in) || (in->reg != 4 && (in->reg || !b->t->bmi2)))
        return false;
    if (in->reg)
        write_cr4(b, in);
    else
        write_cr0(b, in);
    b->loaded = false;
    return true;
}

/* While TS is set the FPU's state is not in the host's registers, and it is loaded when needed. */
bool rule_clts(struct builder *b, const struct insn *in)
{
    if (!kernel(b, in) || !b->t->bmi2)
        return false;
    mask_without_ts(b);
    emit_vcpu(b, 0x8b, R8, offsetof(struct vcpu, cr0));
    EMIT(b, 0xc4, 0x42, 0x3a, 0xf5, 0xc1);       /* pext r8d, r8d, r9d */
    EMIT(b, 0xc4, 0x42, 0x3b, 0xf5, 0xc1);       /* pdep r8d, r8d, r9d */
    emit_vcpu(b, 0x89, R8, offsetof(struct vcpu, cr0));
    return true;
}
