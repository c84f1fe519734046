/* Model-specific registers, by the table msr.def. Reference: SDM volume 4; volume 3, 11.11. */
#ifndef CPU_MSR_H
#define CPU_MSR_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/mem.h"
#include "cpu/vcpu.h"

#define MSR_APIC_ENABLED 0x800u /* in IA32_APIC_BASE */

/* Memory types; IA32_MTRR_DEF_TYPE; IA32_MTRR_PHYSMASKn */
#define MTRR_UNCACHEABLE   0u
#define MTRR_WRITE_PROTECT 5u
#define MTRR_WRITE_BACK    6u
#define MTRR_ENABLE_FIXED  0x400u
#define MTRR_ENABLE        0x800u
#define MTRR_MASK_VALID    0x800u

/* RDMSR and WRMSR without the privilege's check. True when they faulted (#GP(0)). */
MUST_CHECK bool msr_read(struct vcpu *vcpu, uint32_t index, uint64_t *value);
MUST_CHECK bool msr_write(struct vcpu *vcpu, uint32_t index, uint64_t value);

/* The values after RESET#. */
void msr_reset(struct vcpu *vcpu);

/* The guest's time-stamp counter. */
uint64_t msr_tsc(const struct vcpu *vcpu);

#endif
