/*
 * Bits: tests, scans, counts, CRC, BMI, random numbers. Reference: SDM volume 2, the instructions'
 * pages; volume 1, 3.2.1 (bit strings in memory).
 *
 * What the host CPU lacks is #UD here, or what older CPUs did with the encoding; the guest's CPUID
 * only advertises.
 * Not yet: 8-byte operands.
 */
#include "cpu/fault.h"
#include "cpu/host_ops.h"
#include "cpu/operand.h"

#define INLINE static inline __attribute__((always_inline))

/* --- bit tests ---------------------------------------------------------------------------- */

/*
 * Where in memory the bit is: a bit offset in a register is signed and reaches anywhere, an
 * immediate stays inside the operand.
 */
static uint64_t bit_address(const struct vcpu *vcpu, const struct insn *in, uint64_t bit)
{
    unsigned size = in->opsize;
    int64_t words = 0;

    if (in->info->operand[1] != OPND_Ib)
        words = operand_signed(bit, size) >> (size == 2 ? 4 : 5);
    return operand_address_plus(vcpu, in, (uint64_t)(words * (int64_t)size));
}

INLINE enum step bit_test(struct vcpu *vcpu, const struct insn *in, host_binary_fn *op, bool write)
{
    uint16_t flags = host_flags_pack(vcpu->eflags);
    unsigned size = in->opsize;
    uint64_t value, bit, at = 0;

    if (operand_read(vcpu, in, 1, &bit))
        return STEP_FAULT;
    if (!in->has_mem) {
        value = operand_register(vcpu, in->rm, size);
    } else {
        at = bit_address(vcpu, in, bit);
        if (write ? mem_read_modify(vcpu, in->seg, at, size, &value)
                  : mem_read(vcpu, in->seg, at, size, &value))
            return STEP_FAULT;
    }
    value = op(size, value, bit & (8 * size - 1), &flags);
    if (write && !in->has_mem)
        operand_set_register(vcpu, in->rm, size, value);
    else if (write && mem_write(vcpu, in->seg, at, size, value))
        return STEP_FAULT;
    host_flags_set(vcpu, flags);
    return STEP_NEXT;
}

enum step interp_bt(struct vcpu *vcpu, const struct insn *in)
{
    return bit_test(vcpu, in, host_bt, false);
}

enum step interp_bts(struct vcpu *vcpu, const struct insn *in)
{
    return bit_test(vcpu, in, host_bts, true);
}

enum step interp_btr(struct vcpu *vcpu, const struct insn *in)
{
    return bit_test(vcpu, in, host_btr, true);
}

enum step interp_btc(struct vcpu *vcpu, const struct insn *in)
{
    return bit_test(vcpu, in, host_btc, true);
}

/* --- scans and counts ------------------------------------------------------------------------ */

/* reg from r/m; the old value of reg goes in because BSF and BSR of 0 leave it. */
INLINE enum step scan(struct vcpu *vcpu, const struct insn *in, host_binary_fn *op)
{
    uint16_t flags = host_flags_pack(vcpu->eflags);
    unsigned size = in->opsize;
    uint64_t source;

    if (operand_read(vcpu, in, 1, &source))
        return STEP_FAULT;
    operand_set_register(vcpu, in->reg, size,
                         op(size, operand_register(vcpu, in->reg, size), source, &flags));
    host_flags_set(vcpu, flags);
    return STEP_NEXT;
}

enum step interp_bsf(struct vcpu *vcpu, const struct insn *in)
{
    return scan(vcpu, in, host_bsf);
}

enum step interp_bsr(struct vcpu *vcpu, const struct insn *in)
{
    return scan(vcpu, in, host_bsr);
}

/* Where the host lacks TZCNT and LZCNT, it too executes BSF and BSR. */
enum step interp_tzcnt(struct vcpu *vcpu, const struct insn *in)
{
    return scan(vcpu, in, host_tzcnt);
}

enum step interp_lzcnt(struct vcpu *vcpu, const struct insn *in)
{
    return scan(vcpu, in, host_lzcnt);
}

enum step interp_popcnt(struct vcpu *vcpu, const struct insn *in)
{
    if (!__builtin_cpu_supports("popcnt"))
        return fault_ud(vcpu);
    return scan(vcpu, in, host_popcnt);
}

enum step interp_crc32(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t crc = (uint32_t)vcpu->gpr[in->reg], data;

    if (!__builtin_cpu_supports("sse4.2"))
        return fault_ud(vcpu);
    if (operand_read(vcpu, in, 1, &data))
        return STEP_FAULT;
    switch (operand_size(in, 1)) {
    case 1: __asm__("crc32b %b1, %k0" : "+r"(crc) : "r"(data)); break;
    case 2: __asm__("crc32w %w1, %k0" : "+r"(crc) : "r"(data)); break;
    default: __asm__("crc32l %k1, %k0" : "+r"(crc) : "r"(data)); break;
    }
    vcpu->gpr[in->reg] = (uint32_t)crc;
    return STEP_NEXT;
}

/* --- BMI: VEX-encoded ------------------------------------------------------------------------- */

/* Real and virtual-8086 mode have no VEX (SDM 2, 2.7.14, exceptions type 13). */
static bool vex_allowed(const struct vcpu *vcpu)
{
    return vcpu_protected(vcpu) && !vcpu_v86(vcpu);
}

static bool has_bmi1(const struct vcpu *vcpu)
{
    return vex_allowed(vcpu) && __builtin_cpu_supports("bmi");
}

static bool has_bmi2(const struct vcpu *vcpu)
{
    return vex_allowed(vcpu) && __builtin_cpu_supports("bmi2");
}

/* Operand 0 from operand 1. */
INLINE enum step vex2(struct vcpu *vcpu, const struct insn *in, bool has, host_unary_fn *op)
{
    uint16_t flags = host_flags_pack(vcpu->eflags);
    uint64_t a;

    if (!has)
        return fault_ud(vcpu);
    if (operand_read(vcpu, in, 1, &a) || operand_write(vcpu, in, 0, op(4, a, &flags)))
        return STEP_FAULT;
    host_flags_set(vcpu, flags);
    return STEP_NEXT;
}

/* Operand 0 from operands 1 and 2. */
INLINE enum step vex3(struct vcpu *vcpu, const struct insn *in, bool has, host_binary_fn *op)
{
    uint16_t flags = host_flags_pack(vcpu->eflags);
    uint64_t a, b;

    if (!has)
        return fault_ud(vcpu);
    if (operand_read(vcpu, in, 1, &a) || operand_read(vcpu, in, 2, &b) ||
        operand_write(vcpu, in, 0, op(4, a, b, &flags)))
        return STEP_FAULT;
    host_flags_set(vcpu, flags);
    return STEP_NEXT;
}

enum step interp_blsr(struct vcpu *vcpu, const struct insn *in)
{
    return vex2(vcpu, in, has_bmi1(vcpu), host_blsr);
}

enum step interp_blsmsk(struct vcpu *vcpu, const struct insn *in)
{
    return vex2(vcpu, in, has_bmi1(vcpu), host_blsmsk);
}

enum step interp_blsi(struct vcpu *vcpu, const struct insn *in)
{
    return vex2(vcpu, in, has_bmi1(vcpu), host_blsi);
}

enum step interp_andn(struct vcpu *vcpu, const struct insn *in)
{
    return vex3(vcpu, in, has_bmi1(vcpu), host_andn);
}

enum step interp_bextr(struct vcpu *vcpu, const struct insn *in)
{
    return vex3(vcpu, in, has_bmi1(vcpu), host_bextr);
}

enum step interp_bzhi(struct vcpu *vcpu, const struct insn *in)
{
    return vex3(vcpu, in, has_bmi2(vcpu), host_bzhi);
}

enum step interp_pext(struct vcpu *vcpu, const struct insn *in)
{
    return vex3(vcpu, in, has_bmi2(vcpu), host_pext);
}

enum step interp_pdep(struct vcpu *vcpu, const struct insn *in)
{
    return vex3(vcpu, in, has_bmi2(vcpu), host_pdep);
}

enum step interp_shlx(struct vcpu *vcpu, const struct insn *in)
{
    return vex3(vcpu, in, has_bmi2(vcpu), host_shlx);
}

enum step interp_sarx(struct vcpu *vcpu, const struct insn *in)
{
    return vex3(vcpu, in, has_bmi2(vcpu), host_sarx);
}

enum step interp_shrx(struct vcpu *vcpu, const struct insn *in)
{
    return vex3(vcpu, in, has_bmi2(vcpu), host_shrx);
}

enum step interp_rorx(struct vcpu *vcpu, const struct insn *in)
{
    unsigned count = in->imm & 31;
    uint64_t value;

    if (!has_bmi2(vcpu))
        return fault_ud(vcpu);
    if (operand_read(vcpu, in, 1, &value))
        return STEP_FAULT;
    value |= value << 32;
    vcpu->gpr[in->reg] = (uint32_t)(value >> count);
    return STEP_NEXT;
}

enum step interp_mulx(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t by, product;

    if (!has_bmi2(vcpu))
        return fault_ud(vcpu);
    if (operand_read(vcpu, in, 2, &by))
        return STEP_FAULT;
    product = (uint32_t)vcpu->gpr[RDX] * by;
    vcpu->gpr[in->vvvv] = (uint32_t)product;
    vcpu->gpr[in->reg] = product >> 32;
    return STEP_NEXT;
}

/* --- random numbers ------------------------------------------------------- */

/* Clears all arithmetic flags but CF, which tells success; a failure gives 0. */
static enum step random_number(struct vcpu *vcpu, const struct insn *in, uint64_t value, bool ok)
{
    vcpu->eflags = (vcpu->eflags & ~EFLAGS_ARITH) | (ok ? EFLAGS_CF : 0);
    operand_set_register(vcpu, in->rm, in->opsize, ok ? value : 0);
    return STEP_NEXT;
}

enum step interp_rdrand(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t value;
    bool ok;

    if (!__builtin_cpu_supports("rdrnd"))
        return fault_ud(vcpu);
    __asm__ volatile("rdrand %0" : "=r"(value), "=@ccc"(ok));
    return random_number(vcpu, in, value, ok);
}

enum step interp_rdseed(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t value;
    bool ok;

    if (!__builtin_cpu_supports("rdseed"))
        return fault_ud(vcpu);
    __asm__ volatile("rdseed %0" : "=r"(value), "=@ccc"(ok));
    return random_number(vcpu, in, value, ok);
}
