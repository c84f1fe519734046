/*
 * Model-specific registers: see msr.h and the table msr.def. Reference: SDM volume 4; volume 3,
 * 11.11 (MTRR) and 11.12 (PAT).
 * Modelled: what 32-bit systems write and read; memory types are kept and have no effect.
 * Not yet: performance counters, machine check, debug control.
 */
#include "cpu/msr.h"

#include <stddef.h>

#include "base/log.h"
#include "cpu/cpuid.h"
#include "cpu/env.h"
#include "cpu/fault.h"
#include "cpu/paging.h"

#define ABOVE_PHYS (~((1ull << PHYS_BITS) - 1))

static bool gp(struct vcpu *vcpu)
{
    return fault_gp(vcpu, 0) == STEP_FAULT;
}

/* --- Registers with behaviour --------------------------------------------- */

uint64_t msr_tsc(const struct vcpu *vcpu)
{
    return __builtin_ia32_rdtsc() + vcpu->tsc_offset;
}

static uint64_t read_tsc(struct vcpu *vcpu, uint32_t index)
{
    (void)index;
    return msr_tsc(vcpu);
}

static bool write_tsc(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    (void)index;
    vcpu->tsc_offset = value - __builtin_ia32_rdtsc();
    return false;
}

/* The guest's own doing alone (SDM 3, 18.17.3): it must not find out that it was paused. */
static uint64_t read_tsc_adjust(struct vcpu *vcpu, uint32_t index)
{
    (void)index;
    return vcpu->tsc_offset + vcpu->tsc_paused;
}

static bool write_tsc_adjust(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    (void)index;
    vcpu->tsc_offset = value - vcpu->tsc_paused;
    return false;
}

static uint64_t read_apic_base(struct vcpu *vcpu, uint32_t index)
{
    (void)index;
    return vcpu->apic_base;
}

static bool write_apic_base(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    (void)index;
    if (value & ~0xffffff900ull)
        return gp(vcpu);
    vcpu->apic_base = value;
    if (vcpu->env->apic_base)
        vcpu->env->apic_base(vcpu->env->board, value);
    return false;
}

static uint64_t read_arch_capabilities(struct vcpu *vcpu, uint32_t index)
{
    (void)index;
    return cpuid_arch_capabilities(vcpu->model);
}

static bool write_none(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    (void)index, (void)value;
    return gp(vcpu);
}

static uint64_t read_efer(struct vcpu *vcpu, uint32_t index)
{
    (void)index;
    return vcpu->efer;
}

static bool write_efer(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    uint64_t can = 0, changed = vcpu->efer ^ value;

    (void)index;
    if (cpuid_has(vcpu->model, CPUID_SYSCALL))
        can |= EFER_SCE;
    if (cpuid_has(vcpu->model, CPUID_NX))
        can |= EFER_NXE;
    if (value & ~can)
        return gp(vcpu);
    vcpu->efer = value;
    if (changed & EFER_NXE)
        mem_mode_changed(vcpu);
    return false;
}

static uint64_t read_pat(struct vcpu *vcpu, uint32_t index)
{
    (void)index;
    return vcpu->pat;
}

static bool memory_type_ok(uint8_t type, uint8_t highest)
{
    return type != 2 && type != 3 && type <= highest;
}

static bool write_pat(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    (void)index;
    for (unsigned i = 0; i < 64; i += 8)
        if (!memory_type_ok(value >> i & 0xff, 7)) /* 7: UC- */
            return gp(vcpu);
    vcpu->pat = value;
    return false;
}

/* --- MTRRs: kept, without effect ------------------------------------------ */

#define MTRR_DEF_TYPE 0x2ff

static uint64_t *mtrr_place(struct vcpu *vcpu, uint32_t index)
{
    if (index == MTRR_DEF_TYPE)
        return &vcpu->mtrr_def_type;
    if (index < 0x250)
        return &vcpu->mtrr_var[index - 0x200];
    if (index == 0x250)
        return &vcpu->mtrr_fixed[0];
    return &vcpu->mtrr_fixed[index < 0x268 ? 1 + index - 0x258 : 3 + index - 0x268];
}

static uint64_t read_mtrr(struct vcpu *vcpu, uint32_t index)
{
    return *mtrr_place(vcpu, index);
}

/* SDM 3, 11.11.2: reserved bits and memory types. */
static bool mtrr_valid(uint32_t index, uint64_t value)
{
    if (index == MTRR_DEF_TYPE)
        return !(value & ~0xcffull) && memory_type_ok(value & 0xff, 6);
    if (index < 0x250 && index & 1)
        return !(value & (ABOVE_PHYS | 0x7ff));
    if (index < 0x250)
        return !(value & (ABOVE_PHYS | 0xf00)) && memory_type_ok(value & 0xff, 6);
    for (unsigned i = 0; i < 64; i += 8)
        if (!memory_type_ok(value >> i & 0xff, 6))
            return false;
    return true;
}

static bool write_mtrr(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    if (!mtrr_valid(index, value))
        return gp(vcpu);
    *mtrr_place(vcpu, index) = value;
    return false;
}

/* --- The table ------------------------------------------------------------ */

/* Who has a register: a feature, everybody, or a vendor. */
enum { ANY = CPUID_FEATURE_COUNT, INTEL, AMD };
#define F(feature) CPUID_##feature

enum msr_kind { KIND_FIELD, KIND_FIXED, KIND_CONST, KIND_CALL };

static const struct msr {
    uint32_t first, last;
    const char *name;
    uint8_t who, kind;
    uint16_t offset;
    uint64_t value; /* FIXED, CONST: what is read; FIELD: the reserved bits */
    uint64_t (*read)(struct vcpu *vcpu, uint32_t index);
    bool (*write)(struct vcpu *vcpu, uint32_t index, uint64_t value);
} table[] = {
#define MSR_FIELD(first, last, name, who, field, reserved)                                         \
    { first, last, name, who, KIND_FIELD, offsetof(struct vcpu, field), reserved, NULL, NULL },
#define MSR_FIXED(first, last, name, who, value)                                                   \
    { first, last, name, who, KIND_FIXED, 0, value, NULL, NULL },
#define MSR_CONST(first, last, name, who, value)                                                   \
    { first, last, name, who, KIND_CONST, 0, value, NULL, NULL },
#define MSR_CALL(first, last, name, who, read, write)                                              \
    { first, last, name, who, KIND_CALL, 0, 0, read, write },
#include "cpu/msr.def"
};

static bool exists(const struct vcpu *vcpu, const struct msr *m)
{
    if (m->who == INTEL || m->who == AMD)
        return cpuid_is_amd(vcpu->model) == (m->who == AMD);
    return m->who == ANY || cpuid_has(vcpu->model, m->who);
}

static const struct msr *find(const struct vcpu *vcpu, uint32_t index)
{
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (index >= table[i].first && index <= table[i].last)
            return exists(vcpu, &table[i]) ? &table[i] : NULL;
    return NULL;
}

static uint64_t *field(struct vcpu *vcpu, const struct msr *m, uint32_t index)
{
    return (uint64_t *)((uint8_t *)vcpu + m->offset) + (index - m->first);
}

bool msr_read(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    const struct msr *m = find(vcpu, index);

    if (!m) {
        log_print(LOG_guest_errors, "rdmsr %08x: no such register, #GP\n", index);
        return gp(vcpu);
    }
    switch ((enum msr_kind)m->kind) {
    case KIND_FIELD: *value = *field(vcpu, m, index); break;
    case KIND_FIXED:
    case KIND_CONST: *value = m->value; break;
    case KIND_CALL: *value = m->read(vcpu, index); break;
    }
    return false;
}

bool msr_write(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    const struct msr *m = find(vcpu, index);

    if (!m) {
        log_print(LOG_guest_errors, "wrmsr %08x, %016llx: no such register, #GP\n", index,
                  (unsigned long long)value);
        return gp(vcpu);
    }
    switch ((enum msr_kind)m->kind) {
    case KIND_FIELD:
        if (value & m->value)
            return gp(vcpu);
        *field(vcpu, m, index) = value;
        break;
    case KIND_FIXED: break;
    case KIND_CONST: return gp(vcpu);
    case KIND_CALL: return m->write(vcpu, index, value);
    }
    return false;
}

void msr_reset(struct vcpu *vcpu)
{
    vcpu->sysenter_cs = vcpu->sysenter_esp = vcpu->sysenter_eip = 0;
    vcpu->sysenter_ways = 0;
    vcpu->syscall_lost = false;
    vcpu->star = vcpu->lstar = vcpu->cstar = vcpu->sfmask = vcpu->kernel_gs_base = 0;
    vcpu->tsc_aux = vcpu->tsc_offset = vcpu->tsc_paused = 0;
    vcpu->pat = 0x0007040600070406;
    vcpu->apic_base = 0xfee00900;
    vcpu->misc_enable = 0x1801; /* fast strings; no BTS, no PEBS */
    vcpu->mtrr_def_type = 0;
    for (unsigned i = 0; i < 11; i++)
        vcpu->mtrr_fixed[i] = 0;
    for (unsigned i = 0; i < 16; i++)
        vcpu->mtrr_var[i] = 0;
}
