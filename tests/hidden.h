/* What CPUID says is not there, and is. */
#ifndef TESTS_HIDDEN_H
#define TESTS_HIDDEN_H

#include "cpu/feature.h"

/*
 * Is it an instruction that the model lacks, or is another one for it (TZCNT)? Machines with the
 * host's model refuse it. The host's CPU may execute it all the same, where a hypervisor has
 * cleared the CPUID bit: nothing else keeps SHA, GFNI, CLWB or BMI1 from a program.
 */
static inline bool hidden(const struct cpu_model *model, const struct insn *in)
{
    struct insn limited = *in;

    feature_limit(model, &limited);
    return limited.id != in->id;
}

#endif
