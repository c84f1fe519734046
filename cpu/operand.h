/*
 * An instruction's operands: general registers, immediates and memory, by operand kind.
 * Reference: SDM volume 2, chapter 2 (addressing forms), appendix A.2 (operand kinds).
 *
 * Values are zero-extended to 64 bits. Functions returning bool return true when they faulted;
 * nothing has changed then. Inline because they are most of what an interpreted instruction costs.
 */
#ifndef CPU_OPERAND_H
#define CPU_OPERAND_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/decode.h"
#include "cpu/mem.h"
#include "cpu/vcpu.h"

/* Where an operand is, and how wide: operand_forms[] has one for each operand kind. */
enum operand_place {
    PLACE_NONE, /* implied, or not a general operand */
    PLACE_RM,
    PLACE_REG,
    PLACE_OPCODE, /* register in opcode bits 0 to 2 */
    PLACE_VVVV,
    PLACE_IMM,
    PLACE_MEM,    /* always memory */
    PLACE_RAX,
    PLACE_RCX,
    PLACE_RDX,
    PLACE_ONE,
};

/* Widths that are not a number of bytes. */
enum { WIDTH_V = 16, WIDTH_Z, WIDTH_Y, WIDTH_A };

struct operand_form {
    uint8_t place; /* enum operand_place */
    uint8_t width; /* bytes, or WIDTH_ */
};

extern const struct operand_form operand_forms[OPND_COUNT];

static inline uint64_t operand_mask(unsigned size)
{
    return UINT64_MAX >> (64 - 8 * size);
}

/* Sign-extends value, size bytes wide. */
static inline int64_t operand_signed(uint64_t value, unsigned size)
{
    unsigned unused = 64 - 8 * size;

    return (int64_t)(value << unused) >> unused;
}

/* Bytes of operand n. */
static inline unsigned operand_size(const struct insn *in, unsigned n)
{
    unsigned width = operand_forms[in->info->operand[n]].width;

    if (width < WIDTH_V)
        return width;
    switch (width) {
    case WIDTH_V: return in->opsize;
    case WIDTH_Z: return in->opsize == 2 ? 2 : 4;
    case WIDTH_Y: return in->opsize == 8 ? 8 : 4;
    default: return in->addrsize;
    }
}

/* --- registers --------------------------------------------------------------------------- */

/* AH, CH, DH, BH are byte registers 4 to 7 (there is no REX outside 64-bit mode). */
static inline uint64_t operand_register(const struct vcpu *vcpu, unsigned reg, unsigned size)
{
    if (size == 1)
        return reg < 4 ? (uint8_t)vcpu->gpr[reg] : (uint8_t)(vcpu->gpr[reg & 3] >> 8);
    return vcpu->gpr[reg] & operand_mask(size);
}

/* Narrow writes keep the rest of the register; 32-bit writes clear the upper half. */
static inline void operand_set_register(struct vcpu *vcpu, unsigned reg, unsigned size,
                                        uint64_t value)
{
    uint64_t *gpr = &vcpu->gpr[size == 1 ? reg & 3 : reg];

    if (size >= 4)
        *gpr = value & operand_mask(size);
    else if (size == 2)
        *gpr = (*gpr & ~0xffffull) | (value & 0xffff);
    else if (reg < 4)
        *gpr = (*gpr & ~0xffull) | (value & 0xff);
    else
        *gpr = (*gpr & ~0xff00ull) | (value & 0xff) << 8;
}

/* --- memory ------------------------------------------------------------------------------- */

/* The memory operand's offset in segment in->seg, plus more bytes; wraps in the address size. */
static inline uint64_t operand_address_plus(const struct vcpu *vcpu, const struct insn *in,
                                            uint64_t more)
{
    uint64_t offset = (uint64_t)in->disp + more;

    if (in->base < GPR_COUNT)
        offset += vcpu->gpr[in->base];
    if (in->index != REG_NONE)
        offset += vcpu->gpr[in->index] << in->scale;
    return offset & operand_mask(in->addrsize);
}

static inline uint64_t operand_address(const struct vcpu *vcpu, const struct insn *in)
{
    return operand_address_plus(vcpu, in, 0);
}

/* The memory operand itself; for operand_read() and its likes. */
MUST_CHECK bool operand_load(struct vcpu *vcpu, const struct insn *in, unsigned size,
                             uint64_t *value);
MUST_CHECK bool operand_load_modify(struct vcpu *vcpu, const struct insn *in, unsigned size,
                                    uint64_t *value);
MUST_CHECK bool operand_store(struct vcpu *vcpu, const struct insn *in, unsigned size,
                              uint64_t value);

/* --- any operand ---------------------------------------------------------------------------- */

/* The register number of an operand that is not memory, immediate or constant. */
static inline unsigned operand_register_number(const struct insn *in, enum operand_place place)
{
    switch (place) {
    case PLACE_RM: return in->rm;
    case PLACE_REG: return in->reg;
    case PLACE_OPCODE: return in->opcode & 7;
    case PLACE_VVVV: return in->vvvv;
    case PLACE_RCX: return RCX;
    case PLACE_RDX: return RDX;
    default: return RAX;
    }
}

static inline bool operand_is_memory(const struct insn *in, unsigned n)
{
    enum operand_place place = operand_forms[in->info->operand[n]].place;

    return place == PLACE_MEM || (place == PLACE_RM && in->has_mem);
}

/* Operand n of in, of its own size. True: it faulted. */
MUST_CHECK static inline bool operand_read(struct vcpu *vcpu, const struct insn *in, unsigned n,
                                           uint64_t *value)
{
    enum operand_place place = operand_forms[in->info->operand[n]].place;
    unsigned size = operand_size(in, n);

    if (operand_is_memory(in, n))
        return operand_load(vcpu, in, size, value);
    if (place == PLACE_IMM)
        *value = in->imm & operand_mask(size);
    else if (place == PLACE_ONE)
        *value = 1;
    else
        *value = operand_register(vcpu, operand_register_number(in, place), size);
    return false;
}

/* Reads a destination that will be written: memory faults as a write does, so that the
 * operand_write() that follows does not fault. */
MUST_CHECK static inline bool operand_read_modify(struct vcpu *vcpu, const struct insn *in,
                                                  unsigned n, uint64_t *value)
{
    enum operand_place place = operand_forms[in->info->operand[n]].place;
    unsigned size = operand_size(in, n);

    if (operand_is_memory(in, n))
        return operand_load_modify(vcpu, in, size, value);
    *value = operand_register(vcpu, operand_register_number(in, place), size);
    return false;
}

MUST_CHECK static inline bool operand_write(struct vcpu *vcpu, const struct insn *in, unsigned n,
                                            uint64_t value)
{
    enum operand_place place = operand_forms[in->info->operand[n]].place;
    unsigned size = operand_size(in, n);

    if (operand_is_memory(in, n))
        return operand_store(vcpu, in, size, value);
    operand_set_register(vcpu, operand_register_number(in, place), size, value);
    return false;
}

#endif
