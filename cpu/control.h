/*
 * Control registers and what follows from changing them. Reference: SDM volume 3, 2.5.
 * Functions returning bool return true when they faulted; nothing has changed then.
 */
#ifndef CPU_CONTROL_H
#define CPU_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/mem.h"
#include "cpu/vcpu.h"

/* MOV CRn with every check but the privilege's. */
MUST_CHECK bool control_write_cr0(struct vcpu *vcpu, uint32_t value);
MUST_CHECK bool control_write_cr3(struct vcpu *vcpu, uint32_t value);
MUST_CHECK bool control_write_cr4(struct vcpu *vcpu, uint32_t value);

/* CR3 as a task switch loads it. */
MUST_CHECK bool control_load_root(struct vcpu *vcpu, uint32_t cr3);

/* CR4's bits that the model has. */
uint32_t control_cr4_bits(const struct vcpu *vcpu);

#endif
