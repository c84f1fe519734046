/*
 * The r/m operand of system instructions: plain 16-, 32-bit registers or memory, no flags, no LOCK.
 * Functions returning bool return true when they faulted.
 */
#ifndef CPU_RM_H
#define CPU_RM_H

#include "cpu/decode.h"
#include "cpu/mem.h"
#include "cpu/vcpu.h"

/* The memory operand's offset in its segment, plus more bytes; wraps in the address size. */
static inline uint64_t rm_offset(const struct vcpu *vcpu, const struct insn *in, unsigned more)
{
    uint64_t offset = (uint64_t)in->disp + more;

    if (in->base != REG_NONE)
        offset += vcpu->gpr[in->base];
    if (in->index != REG_NONE)
        offset += vcpu->gpr[in->index] << in->scale;
    return offset & (in->addrsize == 2 ? UINT16_MAX : UINT32_MAX);
}

/* A 16-bit write keeps the upper half. */
static inline void rm_set_register(struct vcpu *vcpu, unsigned reg, unsigned size, uint64_t value)
{
    if (size == 2)
        value = (vcpu->gpr[reg] & 0xffff0000) | (value & 0xffff);
    vcpu->gpr[reg] = value & UINT32_MAX;
}

MUST_CHECK static inline bool rm_read(struct vcpu *vcpu, const struct insn *in, unsigned size,
                                      uint64_t *value)
{
    if (in->has_mem)
        return mem_read(vcpu, in->seg, rm_offset(vcpu, in, 0), size, value);
    *value = vcpu->gpr[in->rm] & (size == 2 ? UINT16_MAX : UINT32_MAX);
    return false;
}

MUST_CHECK static inline bool rm_write(struct vcpu *vcpu, const struct insn *in, unsigned size,
                                       uint64_t value)
{
    if (in->has_mem)
        return mem_write(vcpu, in->seg, rm_offset(vcpu, in, 0), size, value);
    rm_set_register(vcpu, in->rm, size, value);
    return false;
}

/* Reads value n of a pair in memory (far pointers, bounds). */
MUST_CHECK static inline bool rm_read_at(struct vcpu *vcpu, const struct insn *in, unsigned more,
                                         unsigned size, uint64_t *value)
{
    return mem_read(vcpu, in->seg, rm_offset(vcpu, in, more), size, value);
}

#endif
