/*
 * Decimal adjustment, SALC and INTO, which 64-bit mode has not. DAA, DAS, AAA, AAS, and AAM of base
 * 10, go by tables of what cpu/interp_decimal.c does, undefined flags and all. Reference: SDM 2.
 */
#include <stdlib.h>

#include "cpu/host_flags.h"
#include "cpu/interp.h"
#include "translator/rules.h"

static bool plain(const struct insn *in)
{
    return !(in->prefixes & PREFIX_LOCK);
}

/* --- Tables --------------------------------------------------------------------------------- */

typedef enum step decimal_fn(struct vcpu *vcpu, const struct insn *in);

static decimal_fn *const functions[DECIMAL_TABLES] = { interp_daa, interp_das, interp_aaa,
                                                       interp_aas, interp_aam };

/*
 * By AL, and CF and AF above it as LAHF leaves them: the flags as SAHF wants them in bits 8 to 15,
 * and in the upper half what is added to AX, for AAM what AX becomes. AH does not matter.
 */
static uint32_t entry_of(struct vcpu *vcpu, const struct insn *in, enum decimal_table which,
                         unsigned index)
{
    vcpu->gpr[RAX] = index & 0xff;
    host_flags_set(vcpu, index & 0xff00);
    (void)functions[which](vcpu, in);
    return (host_flags_pack(vcpu->eflags) & 0xff00u) |
           (uint32_t)(vcpu->gpr[RAX] - (which == DECIMAL_AAM ? 0 : index & 0xff)) << 16;
}

/* NULL: no memory. */
static const uint32_t *table(struct translator *t, const struct insn *in, enum decimal_table which)
{
    struct vcpu *vcpu = t->vcpu;
    uint64_t rax = vcpu->gpr[RAX];
    uint32_t eflags = vcpu->eflags;

    if (t->decimal[which])
        return t->decimal[which];
    t->decimal[which] = calloc(DECIMAL_INDEX + 1, sizeof(uint32_t));
    for (unsigned i = 0; t->decimal[which] && i <= DECIMAL_INDEX; i++)
        if (!(i & ~DECIMAL_INDEX))
            t->decimal[which][i] = entry_of(vcpu, in, which, i);
    vcpu->gpr[RAX] = rax;
    vcpu->eflags = eflags;
    return t->decimal[which];
}

static bool by_table(struct builder *b, const struct insn *in, enum decimal_table which)
{
    const uint32_t *entries = b->t->bmi2 ? table(b->t, in, which) : NULL;
    bool aam = which == DECIMAL_AAM;

    if (!entries)
        return false;
    EMIT(b, 0x49, 0x89, 0xc3, 0x9f);           /* mov r11, rax; lahf */
    EMIT(b, 0x41, 0x89, 0xc0);                 /* mov r8d, eax */
    EMIT(b, 0x41, 0x81, 0xe0), emit32(b, aam ? 0xff : DECIMAL_INDEX); /* and r8d: OF is 0 */
    EMIT(b, 0x49, 0xb9), emit64(b, (uint64_t)(uintptr_t)entries); /* mov r9, entries */
    EMIT(b, 0x47, 0x8b, 0x0c, 0x81);           /* mov r9d, [r9 + r8*4] */
    EMIT(b, 0x44, 0x89, 0xc8, 0x9e);           /* mov eax, r9d; sahf */
    EMIT(b, 0x4c, 0x89, 0xd8);                 /* mov rax, r11 */
    EMIT(b, 0xc4, 0x43, 0x7b, 0xf0, 0xc9, 16); /* rorx r9d, r9d, 16 */
    if (aam)
        EMIT(b, 0x66, 0x44, 0x89, 0xc8);       /* mov ax, r9w */
    else
        EMIT(b, 0x66, 0x42, 0x8d, 0x04, 0x08); /* lea ax, [rax + r9] */
    return true;
}

bool rule_adjust(struct builder *b, const struct insn *in)
{
    static const enum decimal_table tables[] = { DECIMAL_DAA, DECIMAL_DAS, DECIMAL_AAA,
                                                 DECIMAL_AAS };

    return plain(in) && by_table(b, in, tables[(in->opcode - 0x27) >> 3]);
}

/* --- The rest ------------------------------------------------------------------------------- */

/* AL's quotient and remainder; #DE is the interpreter's. */
bool rule_aam(struct builder *b, const struct insn *in)
{
    if (!plain(in) || !(in->imm & 0xff))
        return false;
    if ((in->imm & 0xff) == 10 && by_table(b, in, DECIMAL_AAM))
        return true;
    emit_mov_r8d_imm(b, in->imm & 0xff);
    EMIT(b, 0x66, 0x0f, 0xb6, 0xc0);           /* movzx ax, al */
    EMIT(b, 0x41, 0xf6, 0xf0);                 /* div r8b */
    EMIT(b, 0x86, 0xe0, 0x24, 0xff);           /* xchg al, ah; and al, ff */
    return true;
}

bool rule_aad(struct builder *b, const struct insn *in)
{
    if (!plain(in) || !b->t->bmi2)
        return false;
    EMIT(b, 0xc4, 0x63, 0x7b, 0xf0, 0xc0, 8);  /* rorx r8d, eax, 8 */
    EMIT(b, 0x45, 0x0f, 0xb6, 0xc0);           /* movzx r8d, r8b */
    if ((in->imm & 0xff) == 10)                /* lea r8d, [r8 + r8*4]; lea r8d, [r8 + r8] */
        EMIT(b, 0x47, 0x8d, 0x04, 0x80, 0x47, 0x8d, 0x04, 0x00);
    else
        EMIT(b, 0x45, 0x69, 0xc0), emit32(b, in->imm & 0xff); /* imul r8d, r8d, imm */
    EMIT(b, 0x44, 0x00, 0xc0);                 /* add al, r8b */
    EMIT(b, 0x66, 0x0f, 0xb6, 0xc0);           /* movzx ax, al */
    return true;
}

bool rule_salc(struct builder *b, const struct insn *in)
{
    if (!plain(in))
        return false;
    EMIT(b, 0x41, 0x0f, 0x92, 0xc0);           /* setc r8b */
    EMIT(b, 0x45, 0x0f, 0xb6, 0xc0);           /* movzx r8d, r8b */
    EMIT(b, 0x41, 0xf7, 0xd0);                 /* not r8d */
    EMIT(b, 0x45, 0x8d, 0x40, 1);              /* lea r8d, [r8 + 1] */
    EMIT(b, 0x44, 0x88, 0xc0);                 /* mov al, r8b */
    return true;
}

bool rule_into(struct builder *b, const struct insn *in)
{
    uint32_t none;

    if (!plain(in))
        return false;
    none = emit_jump_short(b, 0x71);           /* jno */
    rule_callout(b, in, SITE_EXECUTE, true);
    emit_land(b, none);
    return true;
}
