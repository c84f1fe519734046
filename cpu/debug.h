/*
 * Debug registers: breakpoints, single step, #DB. Reference: SDM volume 3, chapter 17.
 *
 * Traps collect in vcpu->debug_pending as the DR6 bits they will set, and are delivered after the
 * instruction (interp_step and interp_one do).
 */
#ifndef CPU_DEBUG_H
#define CPU_DEBUG_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/mem.h"
#include "cpu/vcpu.h"

#define DR6_BD 0x2000u
#define DR6_BS 0x4000u
#define DR6_BT 0x8000u
#define DR6_RESET 0xffff0ff0u
#define DR7_ENABLE 0xffu /* L0, G0 to L3, G3 */
#define DR7_GD 0x2000u
#define DR7_RESET 0x400u

static inline void debug_pend(struct vcpu *vcpu, uint32_t dr6_bits)
{
    vcpu->debug_pending |= dr6_bits;
}

/* Any breakpoint at all is enabled. */
static inline bool debug_armed(const struct vcpu *vcpu)
{
    return vcpu->dr[7] & DR7_ENABLE;
}

/* An instruction breakpoint is at the linear address of CS:rip: #DB is raised (a fault). */
bool debug_code_hit(struct vcpu *vcpu);

/* Data and I/O breakpoints: pend the traps of an access that has been made. */
void debug_data_access(struct vcpu *vcpu, uint64_t gla, unsigned size, bool write);
void debug_port_access(struct vcpu *vcpu, uint16_t port, unsigned size);

/* Is an enabled data breakpoint in gla's page? Such pages must not enter a TLB. */
bool debug_page_watched(const struct vcpu *vcpu, uint64_t gla);

/* Moves the pending bits to DR6 and makes vcpu->fault the #DB trap. */
void debug_raise_pending(struct vcpu *vcpu);

/* MOV DRn with its checks already made; number 0 to 3, 6 or 7. */
void debug_write(struct vcpu *vcpu, unsigned number, uint32_t value);

/* DR6 and DR7 as delivering any #DB leaves them: GD is cleared. */
void debug_delivered(struct vcpu *vcpu);

#endif
