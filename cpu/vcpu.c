/* A vcpu's life and its state after RESET#: SDM volume 3, table 9-1. */
#include "cpu/vcpu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/debug.h"
#include "cpu/fpu.h"
#include "cpu/interp_cache.h"
#include "cpu/mem.h"
#include "cpu/msr.h"
#include "cpu/segment.h"
#include "cpu/stops.h"

struct vcpu *vcpu_create(void)
{
    size_t size = (sizeof(struct vcpu) + 63) & ~(size_t)63;
    struct vcpu *vcpu = aligned_alloc(64, size);

    if (!vcpu)
        return NULL;
    memset(vcpu, 0, size);
    if (interp_cache_create(vcpu) || fpu_create(vcpu)) {
        int err = errno; /* the caller tells what is missing by it */

        vcpu_destroy(vcpu);
        errno = err;
        return NULL;
    }
    return vcpu;
}

void vcpu_destroy(struct vcpu *vcpu)
{
    if (!vcpu)
        return;
    fpu_destroy(vcpu);
    interp_cache_destroy(vcpu);
    stops_destroy(vcpu);
    free(vcpu->transfers);
    free(vcpu);
}

static void reset_segments(struct vcpu *vcpu)
{
    for (unsigned i = 0; i < SEG_COUNT; i++)
        vcpu->seg[i] = (struct segment){ .attr = ATTR_REAL, .limit = 0xffff };
    vcpu->seg[SEG_CS] = (struct segment){ 0xf000, ATTR_REAL | SEG_CODE, 0xffff, 0xffff0000 };
    vcpu->ldtr = (struct segment){ .attr = SEG_P | DESC_LDT, .limit = 0xffff };
    vcpu->tr = (struct segment){ .attr = SEG_P | DESC_TSS32_BUSY, .limit = 0xffff };
    vcpu->gdtr = vcpu->idtr = (struct table_register){ .limit = 0xffff };
}

static void reset_control(struct vcpu *vcpu)
{
    vcpu->cr0 = CR0_CD | CR0_NW | CR0_ET;
    vcpu->cr2 = vcpu->cr3 = vcpu->cr4 = vcpu->cr8 = vcpu->efer = 0;
    vcpu->xcr0 = 1;
    memset(vcpu->pdpte, 0, sizeof(vcpu->pdpte));
    memset(vcpu->dr, 0, sizeof(vcpu->dr));
    vcpu->dr[6] = DR6_RESET;
    vcpu->dr[7] = DR7_RESET;
}

void vcpu_reset(struct vcpu *vcpu)
{
    memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
    vcpu->gpr[RDX] = cpuid_signature(vcpu->model);
    vcpu->rip = 0xfff0;
    vcpu->eflags = EFLAGS_R1;
    vcpu->cpl = 0;
    reset_segments(vcpu);
    reset_control(vcpu);
    msr_reset(vcpu);
    fpu_reset(vcpu);
    vcpu->intr_shadow = vcpu->debug_shadow = vcpu->halted = vcpu->shutdown = false;
    vcpu->nmi_pending = vcpu->nmi_blocked = false;
    vcpu->debug_pending = 0;
    vcpu->fault = vcpu->first_fault = (struct fault){ 0 };
    vcpu->first_fault_rip = 0;
    if (vcpu->mmu)
        mem_mode_changed(vcpu);
}
