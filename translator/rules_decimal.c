/*
 * Decimal adjustment, SALC and INTO, which 64-bit mode has not. Undefined flags are those of
 * cpu/interp_decimal.c, which DAA, DAS, AAA and AAS are light calls of. Reference: SDM 2.
 */
#include "cpu/host_flags.h"
#include "cpu/interp.h"
#include "translator/rules.h"

static bool plain(const struct insn *in)
{
    return !(in->prefixes & PREFIX_LOCK);
}

/* AL's quotient and remainder; #DE is the interpreter's. */
bool rule_aam(struct builder *b, const struct insn *in)
{
    if (!plain(in) || !(in->imm & 0xff))
        return false;
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

bool bt_adjust(struct vcpu *vcpu, uint32_t opcode)
{
    static const struct insn none;

    host_flags_set(vcpu, (uint16_t)vcpu->bt.light_flags);
    switch (opcode) {
    case 0x27: (void)interp_daa(vcpu, &none); break;
    case 0x2f: (void)interp_das(vcpu, &none); break;
    case 0x37: (void)interp_aaa(vcpu, &none); break;
    default: (void)interp_aas(vcpu, &none); break;
    }
    vcpu->bt.light_flags = host_flags_pack(vcpu->eflags);
    return true;
}

bool rule_adjust(struct builder *b, const struct insn *in)
{
    if (!plain(in))
        return false;
    emit_mov_r8d_imm(b, in->opcode);
    light_end(b, in, light_call(b, bt_adjust));
    return true;
}
