/*
 * CPUID: the models a guest can be given and what each says. Reference: SDM volume 2, CPUID.
 *
 * cpuid.def is the table of features, models.def the table of models; a model offers only what the
 * interpreter implements.
 */
#ifndef CPU_CPUID_H
#define CPU_CPUID_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;
struct cpu_model;

/* The words of CPUID output that hold feature bits: leaf and register. */
enum cpuid_word {
    WORD_1_EDX,
    WORD_1_ECX,
    WORD_7_EBX,
    WORD_7_ECX,
    WORD_7_EDX,
    WORD_D1_EAX, /* leaf 0xd, subleaf 1 */
    WORD_X1_ECX, /* leaf 0x80000001 */
    WORD_X1_EDX,
    WORD_X7_EDX, /* leaf 0x80000007 */
    WORD_X8_EBX, /* leaf 0x80000008 */
    WORD_X21_EAX, /* leaf 0x80000021 */
    WORD_X21_ECX,
    WORD_COUNT,
};

enum cpuid_feature {
#define CPUID_FEATURE(id, word, bit, name, implemented) CPUID_##id,
#include "cpu/cpuid.def"
    CPUID_FEATURE_COUNT
};

/*
 * Makes the model that spec names: "MODEL[,+feature|-feature]...". 0, or -EINVAL or -ENOMEM with
 * *error a sentence that names the nearest right one (the caller frees it).
 */
int cpu_model_parse(const char *spec, struct cpu_model **model, const char **error);
void cpu_model_destroy(struct cpu_model *model);

/* Calls put for each model's name and description, for -cpu help. */
void cpu_model_list(void (*put)(void *arg, const char *name, const char *text), void *arg);

/* The model is the host's own CPU, nothing taken away or added. So is none (NULL). */
bool cpuid_is_hosts(const struct cpu_model *model);

/* No model (NULL) has everything that is implemented. */
bool cpuid_has(const struct cpu_model *model, enum cpuid_feature feature);

/* Leaf 1's EAX: what EDX holds after a reset. */
uint32_t cpuid_signature(const struct cpu_model *model);

/* What CPUID returns: eax, ebx, ecx, edx. */
void cpuid_read(const struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);

/* False for no model (NULL). */
bool cpuid_is_amd(const struct cpu_model *model);

/* IA32_ARCH_CAPABILITIES. */
uint64_t cpuid_arch_capabilities(const struct cpu_model *model);

/* XCR0's bits that the model has. */
uint64_t cpuid_xcr0_bits(const struct cpu_model *model);

#endif
