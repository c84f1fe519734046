/*
 * Moves, exchanges, conversions, conditional moves, flag bits, fences and hints.
 * Reference: SDM volume 2, the instructions' pages.
 * Not yet: 8-byte operands.
 */
#include "cpu/condition.h"
#include "cpu/debug.h"
#include "cpu/fault.h"
#include "cpu/host_ops.h"
#include "cpu/operand.h"

static enum step done(bool faulted)
{
    return faulted ? STEP_FAULT : STEP_NEXT;
}

/* --- moves --------------------------------------------------------------------------- */

enum step interp_mov(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t value;

    return done(operand_read(vcpu, in, 1, &value) || operand_write(vcpu, in, 0, value));
}

/* The destination is the wider one: MOVZX, and the stores that bypass caches. */
enum step interp_movzx(struct vcpu *vcpu, const struct insn *in)
{
    return interp_mov(vcpu, in);
}

enum step interp_movnti(struct vcpu *vcpu, const struct insn *in)
{
    return interp_mov(vcpu, in);
}

enum step interp_movdiri(struct vcpu *vcpu, const struct insn *in)
{
    return interp_mov(vcpu, in);
}

enum step interp_movsx(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t value;

    if (operand_read(vcpu, in, 1, &value))
        return STEP_FAULT;
    return done(operand_write(vcpu, in, 0, (uint64_t)operand_signed(value, operand_size(in, 1))));
}

/* 64 bytes from memory to ES:reg, which must be aligned (#GP). */
enum step interp_movdir64b(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t to = operand_register(vcpu, in->reg, in->addrsize), gla;
    uint8_t bytes[64];

    if (mem_read_bytes(vcpu, in->seg, operand_address(vcpu, in), bytes, sizeof(bytes)) ||
        mem_segment(vcpu, SEG_ES, to, sizeof(bytes), true, &gla))
        return STEP_FAULT;
    if (gla % sizeof(bytes))
        return fault_gp(vcpu, 0);
    return done(mem_write_bytes(vcpu, SEG_ES, to, bytes, sizeof(bytes)));
}

enum step interp_lea(struct vcpu *vcpu, const struct insn *in)
{
    operand_set_register(vcpu, in->reg, in->opsize, operand_address(vcpu, in));
    return STEP_NEXT;
}

enum step interp_xlat(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t offset = (vcpu->gpr[RBX] + (vcpu->gpr[RAX] & 0xff)) & operand_mask(in->addrsize);
    uint64_t value;

    if (mem_read(vcpu, in->seg, offset, 1, &value))
        return STEP_FAULT;
    operand_set_register(vcpu, RAX, 1, value);
    return STEP_NEXT;
}

static uint64_t swap_bytes(uint64_t value, unsigned size)
{
    return __builtin_bswap64(value) >> (64 - 8 * size);
}

enum step interp_movbe(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t value;

    if (!__builtin_cpu_supports("movbe"))
        return fault_ud(vcpu);
    if (operand_read(vcpu, in, 1, &value))
        return STEP_FAULT;
    return done(operand_write(vcpu, in, 0, swap_bytes(value, in->opsize)));
}

/* Of a 16-bit register: undefined, whatever the host does. */
enum step interp_bswap(struct vcpu *vcpu, const struct insn *in)
{
    unsigned reg = in->opcode & 7;
    uint64_t value = vcpu->gpr[reg];

    if (in->opsize == 2)
        __asm__("data16 bswap %k0" : "+r"(value));
    else
        value = swap_bytes(value, in->opsize);
    operand_set_register(vcpu, reg, in->opsize, value);
    return STEP_NEXT;
}

enum step interp_cbw(struct vcpu *vcpu, const struct insn *in)
{
    unsigned half = in->opsize / 2;
    int64_t value = operand_signed(vcpu->gpr[RAX], half);

    operand_set_register(vcpu, RAX, in->opsize, (uint64_t)value);
    return STEP_NEXT;
}

enum step interp_cwd(struct vcpu *vcpu, const struct insn *in)
{
    int64_t value = operand_signed(vcpu->gpr[RAX], in->opsize);

    operand_set_register(vcpu, RDX, in->opsize, value < 0 ? UINT64_MAX : 0);
    return STEP_NEXT;
}

/* --- exchanges --------------------------------------------------------------------------- */

enum step interp_xchg(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t a, b;

    if (operand_read_modify(vcpu, in, 0, &a) || operand_read(vcpu, in, 1, &b) ||
        operand_write(vcpu, in, 0, b))
        return STEP_FAULT;
    return done(operand_write(vcpu, in, 1, a));
}

/* Memory before the register, which may be part of the address; with two equal registers the sum
 * is what stays. */
enum step interp_xadd(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t a, b, sum;
    uint16_t flags = 0;

    if (operand_read_modify(vcpu, in, 0, &a) || operand_read(vcpu, in, 1, &b))
        return STEP_FAULT;
    sum = host_add(operand_size(in, 0), a, b, &flags);
    if (in->has_mem && operand_write(vcpu, in, 0, sum))
        return STEP_FAULT;
    host_flags_set(vcpu, flags);
    operand_set_register(vcpu, in->reg, operand_size(in, 0), a);
    if (!in->has_mem)
        operand_set_register(vcpu, in->rm, operand_size(in, 0), sum);
    return STEP_NEXT;
}

/* The destination is always written: with its old value when the comparison fails. */
enum step interp_cmpxchg(struct vcpu *vcpu, const struct insn *in)
{
    unsigned size = operand_size(in, 0);
    uint64_t old, desired, expected = operand_register(vcpu, RAX, size);
    uint16_t flags = 0;

    if (operand_read_modify(vcpu, in, 0, &old) || operand_read(vcpu, in, 1, &desired))
        return STEP_FAULT;
    host_sub(size, expected, old, &flags);
    if (operand_write(vcpu, in, 0, old == expected ? desired : old))
        return STEP_FAULT;
    if (old != expected)
        operand_set_register(vcpu, RAX, size, old);
    host_flags_set(vcpu, flags);
    return STEP_NEXT;
}

enum step interp_cmpxchg8b(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t expected = vcpu->gpr[RDX] << 32 | (uint32_t)vcpu->gpr[RAX];
    uint64_t desired = vcpu->gpr[RCX] << 32 | (uint32_t)vcpu->gpr[RBX];
    uint64_t old;

    if (operand_load_modify(vcpu, in, 8, &old) ||
        operand_store(vcpu, in, 8, old == expected ? desired : old))
        return STEP_FAULT;
    if (old == expected) {
        vcpu->eflags |= EFLAGS_ZF;
        return STEP_NEXT;
    }
    vcpu->eflags &= ~EFLAGS_ZF;
    vcpu->gpr[RAX] = (uint32_t)old;
    vcpu->gpr[RDX] = old >> 32;
    return STEP_NEXT;
}

/* --- conditions ----------------------------------------------------------------------------- */

enum step interp_setcc(struct vcpu *vcpu, const struct insn *in)
{
    return done(operand_write(vcpu, in, 0, condition_holds(vcpu->eflags, in->opcode)));
}

/* The source is read whether or not it is moved. */
enum step interp_cmovcc(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t value;

    if (operand_read(vcpu, in, 1, &value))
        return STEP_FAULT;
    if (condition_holds(vcpu->eflags, in->opcode))
        operand_set_register(vcpu, in->reg, in->opsize, value);
    return STEP_NEXT;
}

enum step interp_salc(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    operand_set_register(vcpu, RAX, 1, vcpu->eflags & EFLAGS_CF ? 0xff : 0);
    return STEP_NEXT;
}

/* --- flags ----------------------------------------------------------------------------------- */

#define FLAGS_IN_AH (EFLAGS_SF | EFLAGS_ZF | EFLAGS_AF | EFLAGS_PF | EFLAGS_CF)

enum step interp_lahf(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    operand_set_register(vcpu, RAX + 4, 1, (vcpu->eflags & FLAGS_IN_AH) | EFLAGS_R1);
    return STEP_NEXT;
}

enum step interp_sahf(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    vcpu->eflags = (vcpu->eflags & ~FLAGS_IN_AH) |
                   ((uint32_t)operand_register(vcpu, RAX + 4, 1) & FLAGS_IN_AH);
    return STEP_NEXT;
}

enum step interp_cmc(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    vcpu->eflags ^= EFLAGS_CF;
    return STEP_NEXT;
}

enum step interp_clc(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    vcpu->eflags &= ~EFLAGS_CF;
    return STEP_NEXT;
}

enum step interp_stc(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    vcpu->eflags |= EFLAGS_CF;
    return STEP_NEXT;
}

enum step interp_cld(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    vcpu->eflags &= ~EFLAGS_DF;
    return STEP_NEXT;
}

enum step interp_std(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    vcpu->eflags |= EFLAGS_DF;
    return STEP_NEXT;
}

/* --- what a single CPU need not do ----------------------------------------------------------- */

enum step interp_nop(struct vcpu *vcpu, const struct insn *in)
{
    (void)vcpu;
    (void)in;
    return STEP_NEXT;
}

enum step interp_lfence(struct vcpu *vcpu, const struct insn *in)
{
    return interp_nop(vcpu, in);
}

enum step interp_mfence(struct vcpu *vcpu, const struct insn *in)
{
    return interp_nop(vcpu, in);
}

enum step interp_sfence(struct vcpu *vcpu, const struct insn *in)
{
    return interp_nop(vcpu, in);
}

/* Flushes fault as a read of one byte does, and hit a breakpoint as it does. */
static enum step flush(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t offset = operand_address(vcpu, in);

    if (mem_probe(vcpu, in->seg, offset, 1, false))
        return STEP_FAULT;
    if (debug_armed(vcpu))
        debug_data_access(vcpu, (vcpu->seg[in->seg].base + offset) & UINT32_MAX, 1, false);
    return STEP_NEXT;
}

enum step interp_clflush(struct vcpu *vcpu, const struct insn *in)
{
    return flush(vcpu, in);
}

enum step interp_clflushopt(struct vcpu *vcpu, const struct insn *in)
{
    return flush(vcpu, in);
}

enum step interp_clwb(struct vcpu *vcpu, const struct insn *in)
{
    return flush(vcpu, in);
}
