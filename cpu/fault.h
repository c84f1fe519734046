/*
 * Exceptions and interrupts: raising them inside an instruction, delivering them between two.
 * Reference: SDM volume 3, chapter 6.
 */
#ifndef CPU_FAULT_H
#define CPU_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/decode.h"
#include "cpu/vcpu.h"

/* Fill in vcpu->fault; all return STEP_FAULT, so that "return fault_gp(vcpu, 0);" reads well. */
enum step fault_raise(struct vcpu *vcpu, uint8_t vector);
enum step fault_raise_error(struct vcpu *vcpu, uint8_t vector, uint32_t error);
enum step fault_page(struct vcpu *vcpu, uint64_t gla, uint32_t error);

static inline enum step fault_ud(struct vcpu *vcpu)
{
    return fault_raise(vcpu, VEC_UD);
}

static inline enum step fault_gp(struct vcpu *vcpu, uint32_t error)
{
    return fault_raise_error(vcpu, VEC_GP, error);
}

/*
 * Delivers vcpu->fault through the IDT (or the IVT): pushes the frame, loads CS:rip, raises double
 * faults (SDM 3, table 6-5) and ends in shutdown after a third: vcpu->shutdown is then set and
 * vcpu->stop is told VM_TRIPLE_FAULT with vcpu->first_fault kept. rip must be that of the faulting
 * instruction (of the next one for traps).
 */
void fault_deliver(struct vcpu *vcpu);

/* Delivers an external interrupt (hardware) of this vector, or NMI; clears vcpu->halted. */
void fault_interrupt(struct vcpu *vcpu, uint8_t vector);

/*
 * INT n, INT3, INTO, INT1 executed by an instruction whose next instruction is at next_rip. Returns
 * STEP_JUMPED, or STEP_FAULT when the delivery itself faulted (rip unchanged).
 */
enum step fault_software(struct vcpu *vcpu, uint8_t vector, uint64_t next_rip);

#endif
