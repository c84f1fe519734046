/*
 * The host computes the guest's arithmetic flags: it is the same instruction set, so that even the
 * bits that the manual calls undefined come out as this CPU leaves them.
 *
 * Flags travel in AX as LAHF and SETO have them: AH SF ZF 0 AF 0 PF 1 CF, AL OF. Adding 7Fh to an
 * AL of 0 or 1 sets OF, SAHF the others: no stack, no POPF.
 */
#ifndef CPU_HOST_FLAGS_H
#define CPU_HOST_FLAGS_H

#include <stdint.h>

#include "cpu/vcpu.h"

#define HOST_FLAGS_LOAD "addb $0x7f, %%al\n\tsahf\n\t"
#define HOST_FLAGS_STORE "\n\tlahf\n\tseto %%al"

static inline uint16_t host_flags_pack(uint32_t eflags)
{
    return (uint16_t)((eflags & 0xff) << 8 | (eflags >> 11 & 1));
}

static inline uint32_t host_flags_unpack(uint16_t ax)
{
    return (ax >> 8 & (EFLAGS_ARITH & 0xff)) | (uint32_t)(ax & 1) << 11;
}

static inline void host_flags_set(struct vcpu *vcpu, uint16_t ax)
{
    vcpu->eflags = (vcpu->eflags & ~EFLAGS_ARITH) | host_flags_unpack(ax);
}

#endif
