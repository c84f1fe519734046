/*
 * Which instructions a model has: opcodes.def's column "feature" against the model's CPUID, and the
 * few encodings that one vendor's CPUs have. Reference: SDM volume 2, the column "CPUID Feature
 * Flag" of each instruction's page; AMD APM volumes 3 and 4.
 */
#ifndef CPU_FEATURE_H
#define CPU_FEATURE_H

#include "cpu/cpuid.h"
#include "cpu/decode.h"

/* Values of struct opcode's feature beside enum cpuid_feature. */
enum {
    CPUID__ = CPUID_FEATURE_COUNT, /* all CPUs */
    CPUID_AVXI,                    /* AVX; AVX2 with 256 bits */
};

/*
 * Makes *in what a CPU of this model sees in these bytes: undefined where it has no such
 * instruction, BSF and BSR where it does not know TZCNT and LZCNT. To be called once for each
 * instruction decoded: what is cached afterwards is right for good, a model does not change.
 */
void feature_limit(const struct cpu_model *model, struct insn *in);

#endif
