/* Instructions that a model lacks: see feature.h. */
#include "cpu/feature.h"

#include "cpu/decode_table.h"

enum { FAMILY_P6 = 6 };

/*
 * Encodings that Intel's CPUs have and AMD's do not: PREFETCH with a register (APM 3, PREFETCH:
 * #UD; SDM 2, table A-3: a reserved NOP), and VPEXTRD and VPINSRD with VEX.W set outside 64-bit
 * mode (APM 4, VPEXTRD, VPINSRD: W is 0; SDM 2, PEXTRD, PINSRD: ignored there).
 */
static bool is_intels(const struct insn *in)
{
    if (in->id == M_NOP)
        return in->map == 1 && in->opcode == 0x0d && !in->has_mem;
    return (in->id == M_VPEXTRD || in->id == M_VPINSRD) && in->prefixes & PREFIX_VEX && in->w;
}

static bool has(const struct cpu_model *model, const struct insn *in)
{
    if (cpuid_is_amd(model) && is_intels(in))
        return false;
    switch (in->info->feature) {
    case CPUID__:
        /* The P6's: hints and long NOPs. Before, 0F 0D and 0F 18 to 1F are undefined. */
        return in->id != M_NOP || in->map == 0 || (cpuid_signature(model) >> 8 & 15) >= FAMILY_P6;
    case CPUID_AVXI: return cpuid_has(model, in->vl == 32 ? CPUID_AVX2 : CPUID_AVX);
    default: return cpuid_has(model, in->info->feature);
    }
}

/* Without their feature, TZCNT and LZCNT are BSF and BSR with a prefix that says nothing. */
static const struct opcode *without_prefix(const struct insn *in)
{
    const uint8_t plain[] = { 0x0f, in->opcode, 0xc0 };
    struct insn other;

    decode(&other, plain, sizeof(plain), in->mode);
    return other.info;
}

void feature_limit(const struct cpu_model *model, struct insn *in)
{
    if (has(model, in))
        return;
    in->info = in->id == M_TZCNT || in->id == M_LZCNT ? without_prefix(in) : &decode_rows[0];
    in->id = in->info->id;
}
