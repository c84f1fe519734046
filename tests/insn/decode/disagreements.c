/* See disagreements.h. */
#include "disagreements.h"

#include <stddef.h>

#include "cpu/decode.h"

/* Maps, as bits. */
enum { ONE = 1, TWO = 2, T38 = 4, T3A = 8, VEX = 16, EVEX = 32, LONG = 64, ALL_MAPS = 127 };
enum { M16 = 1, M32 = 2, BOTH = 3 };
enum { MEM = 1, REG = 2, ANY = 3 };
/* Sets of mandatory prefixes; LOCKED: and LOCK must be there. ALL: whatever there is. VVVV:
 * VEX.vvvv must be other than 1111. */
enum { NP = 1, P66 = 2, F3 = 4, F2 = 8, LOCKED = 16, VVVV = 32, ALL = 255 };

const struct disagreement disagreements[] = {
#define ROW(who, verdict, modes, map, first, last, regs, mods, prefixes, cpu, why)                 \
    {who, verdict, modes, map, first, last, regs, mods, prefixes, cpu, why},
#include "disagreements.def"
};

const unsigned disagreement_count = sizeof(disagreements) / sizeof(disagreements[0]);

static unsigned map_of(const struct insn *in, bool too_long)
{
    if (too_long)
        return LONG;
    if (in->prefixes & (PREFIX_VEX | PREFIX_EVEX))
        return in->prefixes & PREFIX_VEX ? VEX : EVEX;
    return 1u << in->map;
}

static unsigned prefix_of(const struct insn *in)
{
    unsigned prefix = in->prefixes & PREFIX_REPNE    ? F2
                      : in->prefixes & PREFIX_REP    ? F3
                      : in->prefixes & PREFIX_OPSIZE ? P66
                                                     : NP;

    return prefix | (in->prefixes & PREFIX_LOCK ? LOCKED : 0);
}

static bool has_vvvv(const struct insn *in)
{
    return in->prefixes & PREFIX_VEX && (in->bytes[in->opcode_at - 1] & 0x78) != 0x78;
}

static bool matches(const struct disagreement *row, const struct insn *in, bool too_long)
{
    unsigned prefix = prefix_of(in), reg = in->has_modrm ? 1u << (in->reg & 7) : 0xff;
    unsigned mod = !in->has_modrm ? ANY : in->mod == 3 ? REG : MEM;

    if (row->prefixes != ALL && (prefix ^ row->prefixes) & LOCKED)
        return false;
    if (row->prefixes != ALL && row->prefixes & VVVV && !has_vvvv(in))
        return false;
    return row->modes & (in->mode == MODE_16 ? M16 : M32) && row->map & map_of(in, too_long) &&
           in->opcode >= row->first && in->opcode <= row->last && row->regs & reg &&
           row->mods & mod && (prefix & row->prefixes) == prefix;
}

const struct disagreement *disagreements_find(unsigned who, enum verdict verdict,
                                              const struct insn *in, bool too_long)
{
    for (unsigned i = 0; i < disagreement_count; i++)
        if (disagreements[i].who & who && disagreements[i].verdict == verdict &&
            matches(&disagreements[i], in, too_long))
            return &disagreements[i];
    return NULL;
}
