/* Instructions that a model lacks: see feature.h. */
#include "cpu/feature.h"

#include "cpu/decode_table.h"

enum { FAMILY_P6 = 6 };

static bool has(const struct cpu_model *model, const struct insn *in)
{
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
