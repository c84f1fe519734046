/*
 * Control registers: see control.h. Reference: SDM volume 2, MOV to control registers; volume 3,
 * 2.5 and 4.4.1 (PDPTE registers).
 * Modelled: CR0, CR3, CR4 to the level of 32-bit paging and PAE. Not yet: long mode, PCID, PKE.
 */
#include "cpu/control.h"

#include "base/log.h"
#include "cpu/cpuid.h"
#include "cpu/event.h"
#include "cpu/fault.h"
#include "cpu/paging.h"

#define CR0_BITS                                                                                   \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD |     \
     CR0_PG)

/* A present PDPTE's reserved bits, SDM 3, table 4-8. */
#define PDPTE_RESERVED (~((1ull << PHYS_BITS) - 1) | 0x1e6)

static bool gp(struct vcpu *vcpu)
{
    return fault_gp(vcpu, 0) == STEP_FAULT;
}

static uint64_t pdpte_read(const struct vcpu *vcpu, uint64_t gpa)
{
    uint64_t value;

    if (vcpu->a20_masked)
        gpa &= ~(1ull << 20);
    if (!physmem_is_ram(vcpu->mem, gpa))
        return UINT64_MAX;
    __builtin_memcpy(&value, physmem_ptr(vcpu->mem, gpa), 8);
    return value;
}

/* Loads the four PDPTE registers; a reserved bit in a present one is #GP(0) (SDM 3, 4.4.1). */
static bool load_pdptes(struct vcpu *vcpu, uint32_t cr3)
{
    uint64_t pdpte[4];

    for (unsigned i = 0; i < 4; i++) {
        pdpte[i] = pdpte_read(vcpu, (cr3 & 0xffffffe0) + 8 * i);
        if (pdpte[i] & PTE_P && pdpte[i] & PDPTE_RESERVED)
            return gp(vcpu);
    }
    for (unsigned i = 0; i < 4; i++)
        vcpu->pdpte[i] = pdpte[i];
    return false;
}

static bool pae_paging(uint64_t cr0, uint64_t cr4)
{
    return cr0 & CR0_PG && cr4 & CR4_PAE;
}

bool control_write_cr0(struct vcpu *vcpu, uint32_t value)
{
    uint32_t old = (uint32_t)vcpu->cr0, changed;

    value = (value & CR0_BITS) | CR0_ET;
    if ((value & (CR0_PG | CR0_PE)) == CR0_PG || (value & (CR0_NW | CR0_CD)) == CR0_NW)
        return gp(vcpu);
    changed = old ^ value;
    if (changed & (CR0_PG | CR0_CD | CR0_NW) && pae_paging(value, vcpu->cr4) &&
        load_pdptes(vcpu, (uint32_t)vcpu->cr3))
        return true;
    vcpu->cr0 = value;
    if (changed & CR0_PE)
        vcpu->cpl = 0;
    if (changed & (CR0_PG | CR0_WP | CR0_PE) ||
        (changed & (CR0_CD | CR0_NW) && pae_paging(value, vcpu->cr4))) /* other PDPTEs */
        mem_mode_changed(vcpu);
    return false;
}

bool control_load_root(struct vcpu *vcpu, uint32_t cr3)
{
    if (pae_paging(vcpu->cr0, vcpu->cr4) && load_pdptes(vcpu, cr3))
        return true;
    log_print(LOG_mmu, "root %08llx -> %08x\n", (unsigned long long)vcpu->cr3, cr3);
    event_tell(vcpu, EVENT_cr3, vcpu->cr3, cr3, 0);
    vcpu->cr3 = cr3;
    vcpu->stats.cr3_writes++;
    mem_root_changed(vcpu);
    return false;
}

bool control_write_cr3(struct vcpu *vcpu, uint32_t value)
{
    return control_load_root(vcpu, value);
}

/* Which feature brings which bit (SDM 3, 2.5). */
static const struct {
    uint32_t bit;
    enum cpuid_feature feature;
} cr4_bits[] = {
    { CR4_VME, CPUID_VME },        { CR4_PVI, CPUID_VME },          { CR4_TSD, CPUID_TSC },
    { CR4_DE, CPUID_DE },          { CR4_PSE, CPUID_PSE },          { CR4_PAE, CPUID_PAE },
    { CR4_MCE, CPUID_MCE },        { CR4_PGE, CPUID_PGE },          { CR4_PCE, CPUID_MMX },
    { CR4_OSFXSR, CPUID_FXSR },    { CR4_OSXMMEXCPT, CPUID_SSE },   { CR4_UMIP, CPUID_UMIP },
    { CR4_FSGSBASE, CPUID_FSGSBASE }, { CR4_OSXSAVE, CPUID_XSAVE }, { CR4_SMEP, CPUID_SMEP },
    { CR4_SMAP, CPUID_SMAP },
};

uint32_t control_cr4_bits(const struct vcpu *vcpu)
{
    uint32_t bits = 0;

    for (unsigned i = 0; i < sizeof(cr4_bits) / sizeof(cr4_bits[0]); i++)
        if (cpuid_has(vcpu->model, cr4_bits[i].feature))
            bits |= cr4_bits[i].bit;
    return bits;
}

bool control_write_cr4(struct vcpu *vcpu, uint32_t value)
{
    uint32_t changed = (uint32_t)vcpu->cr4 ^ value;
    const uint32_t paging = CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP;

    if (changed && value & ~control_cr4_bits(vcpu)) {
        log_print(LOG_guest_errors, "mov cr4, %08x: reserved bits %08x\n", value,
                  value & ~control_cr4_bits(vcpu));
        return gp(vcpu);
    }
    if (changed & paging && pae_paging(vcpu->cr0, value) && load_pdptes(vcpu, (uint32_t)vcpu->cr3))
        return true;
    vcpu->cr4 = value;
    if (changed & (paging | CR4_SMAP))
        mem_mode_changed(vcpu);
    return false;
}
