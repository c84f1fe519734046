/*
 * The r/m operand of system instructions, whose width is not that of their operand kind (16 bits in
 * memory, the operand size in a register). Functions returning bool return true when they faulted.
 */
#ifndef CPU_RM_H
#define CPU_RM_H

#include "cpu/mem.h"
#include "cpu/operand.h"

MUST_CHECK static inline bool rm_read(struct vcpu *vcpu, const struct insn *in, unsigned size,
                                      uint64_t *value)
{
    if (in->has_mem)
        return operand_load(vcpu, in, size, value);
    *value = operand_register(vcpu, in->rm, size);
    return false;
}

MUST_CHECK static inline bool rm_write(struct vcpu *vcpu, const struct insn *in, unsigned size,
                                       uint64_t value)
{
    if (in->has_mem)
        return operand_store(vcpu, in, size, value);
    operand_set_register(vcpu, in->rm, size, value);
    return false;
}

/* Reads a value more bytes behind the memory operand (far pointers, bounds). */
MUST_CHECK static inline bool rm_read_at(struct vcpu *vcpu, const struct insn *in, unsigned more,
                                         unsigned size, uint64_t *value)
{
    return mem_read(vcpu, in->seg, operand_address_plus(vcpu, in, more), size, value);
}

#endif
