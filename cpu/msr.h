/* Model-specific registers, by the table msr.def. Reference: SDM volume 4; volume 3, 11.11. */
#ifndef CPU_MSR_H
#define CPU_MSR_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/mem.h"
#include "cpu/vcpu.h"

#define MSR_APIC_ENABLED 0x800u /* in IA32_APIC_BASE */

/* RDMSR and WRMSR without the privilege's check. True when they faulted (#GP(0)). */
MUST_CHECK bool msr_read(struct vcpu *vcpu, uint32_t index, uint64_t *value);
MUST_CHECK bool msr_write(struct vcpu *vcpu, uint32_t index, uint64_t value);

/* The values after RESET#. */
void msr_reset(struct vcpu *vcpu);

/* The guest's time-stamp counter. */
uint64_t msr_tsc(const struct vcpu *vcpu);

#endif
