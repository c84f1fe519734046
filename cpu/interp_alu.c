/*
 * Arithmetic and logic, shifts and rotates, multiplication and division, decimal adjustment.
 * Reference: SDM volume 2, the instructions' pages; volume 1, 7.3.2 to 7.3.6.
 * Flags that the manual leaves undefined are as the host leaves them (host_ops.h), except after the
 * decimal instructions, which 64-bit mode lacks: there they follow Intel's processors.
 * Not yet: 8-byte operands.
 */
#include "cpu/fault.h"
#include "cpu/host_ops.h"
#include "cpu/operand.h"

#define INLINE static inline __attribute__((always_inline))

/* --- two operands ------------------------------------------------------------------ */

INLINE enum step binary(struct vcpu *vcpu, const struct insn *in, host_binary_fn *op)
{
    uint16_t flags = host_flags_pack(vcpu->eflags);
    uint64_t a, b;

    if (operand_read_modify(vcpu, in, 0, &a) || operand_read(vcpu, in, 1, &b))
        return STEP_FAULT;
    a = op(operand_size(in, 0), a, b, &flags);
    if (operand_write(vcpu, in, 0, a))
        return STEP_FAULT;
    host_flags_set(vcpu, flags);
    return STEP_NEXT;
}

/* CMP and TEST only want the flags. */
INLINE enum step compare(struct vcpu *vcpu, const struct insn *in, host_binary_fn *op)
{
    uint16_t flags = 0;
    uint64_t a, b;

    if (operand_read(vcpu, in, 0, &a) || operand_read(vcpu, in, 1, &b))
        return STEP_FAULT;
    op(operand_size(in, 0), a, b, &flags);
    host_flags_set(vcpu, flags);
    return STEP_NEXT;
}

enum step interp_add(struct vcpu *vcpu, const struct insn *in)
{
    return binary(vcpu, in, host_add);
}

enum step interp_or(struct vcpu *vcpu, const struct insn *in)
{
    return binary(vcpu, in, host_or);
}

enum step interp_adc(struct vcpu *vcpu, const struct insn *in)
{
    return binary(vcpu, in, host_adc);
}

enum step interp_sbb(struct vcpu *vcpu, const struct insn *in)
{
    return binary(vcpu, in, host_sbb);
}

enum step interp_and(struct vcpu *vcpu, const struct insn *in)
{
    return binary(vcpu, in, host_and);
}

enum step interp_sub(struct vcpu *vcpu, const struct insn *in)
{
    return binary(vcpu, in, host_sub);
}

enum step interp_xor(struct vcpu *vcpu, const struct insn *in)
{
    return binary(vcpu, in, host_xor);
}

enum step interp_cmp(struct vcpu *vcpu, const struct insn *in)
{
    return compare(vcpu, in, host_sub);
}

enum step interp_test(struct vcpu *vcpu, const struct insn *in)
{
    return compare(vcpu, in, host_and);
}

/* ADCX and ADOX add with one carry and touch no other flag; the destination is a register. */
static inline enum step add_carry(struct vcpu *vcpu, const struct insn *in, uint32_t carry)
{
    unsigned size = operand_size(in, 0);
    uint64_t a, b, sum;

    if (!__builtin_cpu_supports("adx"))
        return fault_ud(vcpu);
    if (operand_read(vcpu, in, 0, &a) || operand_read(vcpu, in, 1, &b))
        return STEP_FAULT;
    sum = a + b + (vcpu->eflags & carry ? 1 : 0);
    vcpu->eflags = (vcpu->eflags & ~carry) | (sum >> 8 * size & 1 ? carry : 0);
    return operand_write(vcpu, in, 0, sum) ? STEP_FAULT : STEP_NEXT;
}

enum step interp_adcx(struct vcpu *vcpu, const struct insn *in)
{
    return add_carry(vcpu, in, EFLAGS_CF);
}

enum step interp_adox(struct vcpu *vcpu, const struct insn *in)
{
    return add_carry(vcpu, in, EFLAGS_OF);
}

/* --- one operand ----------------------------------------------------------------------- */

INLINE enum step unary(struct vcpu *vcpu, const struct insn *in, host_unary_fn *op)
{
    uint16_t flags = host_flags_pack(vcpu->eflags);
    uint64_t a;

    if (operand_read_modify(vcpu, in, 0, &a))
        return STEP_FAULT;
    a = op(operand_size(in, 0), a, &flags);
    if (operand_write(vcpu, in, 0, a))
        return STEP_FAULT;
    host_flags_set(vcpu, flags);
    return STEP_NEXT;
}

enum step interp_inc(struct vcpu *vcpu, const struct insn *in)
{
    return unary(vcpu, in, host_inc);
}

enum step interp_dec(struct vcpu *vcpu, const struct insn *in)
{
    return unary(vcpu, in, host_dec);
}

enum step interp_not(struct vcpu *vcpu, const struct insn *in)
{
    return unary(vcpu, in, host_not);
}

enum step interp_neg(struct vcpu *vcpu, const struct insn *in)
{
    return unary(vcpu, in, host_neg);
}

/* --- shifts and rotates ------------------------------------------------------------------- */

/* Does this CPU leave OF alone where it rotates a register by an immediate other than 1? Intel's
 * do; in memory or by CL they compute it. */
static bool immediate_keeps_of(void)
{
    uint16_t packed = 1, *flags = &packed; /* OF */
    uint64_t a = 0;

    HOST_ASM_UNARY("roll $2, %k0");
    return packed & 1;
}

INLINE enum step rotate(struct vcpu *vcpu, const struct insn *in, host_binary_fn *op)
{
    uint32_t of = vcpu->eflags & EFLAGS_OF;
    enum step step = binary(vcpu, in, op);

    if (!in->has_mem && in->info->operand[1] == OPND_Ib && (in->imm & 31) != 1 &&
        immediate_keeps_of())
        vcpu->eflags = (vcpu->eflags & ~EFLAGS_OF) | of;
    return step;
}

enum step interp_rol(struct vcpu *vcpu, const struct insn *in)
{
    return rotate(vcpu, in, host_rol);
}

enum step interp_ror(struct vcpu *vcpu, const struct insn *in)
{
    return rotate(vcpu, in, host_ror);
}

enum step interp_rcl(struct vcpu *vcpu, const struct insn *in)
{
    return binary(vcpu, in, host_rcl);
}

enum step interp_rcr(struct vcpu *vcpu, const struct insn *in)
{
    return binary(vcpu, in, host_rcr);
}

enum step interp_shl(struct vcpu *vcpu, const struct insn *in)
{
    return binary(vcpu, in, host_shl);
}

enum step interp_shr(struct vcpu *vcpu, const struct insn *in)
{
    return binary(vcpu, in, host_shr);
}

enum step interp_sar(struct vcpu *vcpu, const struct insn *in)
{
    return binary(vcpu, in, host_sar);
}

typedef uint64_t host_double_fn(unsigned size, uint64_t a, uint64_t b, uint64_t count,
                                uint16_t *flags);

INLINE enum step double_shift(struct vcpu *vcpu, const struct insn *in, host_double_fn *op)
{
    uint16_t flags = host_flags_pack(vcpu->eflags);
    uint64_t a, b, count;

    if (operand_read_modify(vcpu, in, 0, &a) || operand_read(vcpu, in, 1, &b) ||
        operand_read(vcpu, in, 2, &count))
        return STEP_FAULT;
    a = op(operand_size(in, 0), a, b, count, &flags);
    if (operand_write(vcpu, in, 0, a))
        return STEP_FAULT;
    host_flags_set(vcpu, flags);
    return STEP_NEXT;
}

enum step interp_shld(struct vcpu *vcpu, const struct insn *in)
{
    return double_shift(vcpu, in, host_shld);
}

enum step interp_shrd(struct vcpu *vcpu, const struct insn *in)
{
    return double_shift(vcpu, in, host_shrd);
}

/* --- multiplication and division ----------------------------------------------------------- */

/* What MUL, IMUL, DIV and IDIV work on: AX for bytes, else DX:AX or EDX:EAX. */
struct wide {
    uint64_t low, high;
};

static struct wide wide_read(const struct vcpu *vcpu, unsigned size)
{
    if (size == 1)
        return (struct wide){operand_register(vcpu, RAX, 2), 0};
    return (struct wide){operand_register(vcpu, RAX, size), operand_register(vcpu, RDX, size)};
}

static void wide_write(struct vcpu *vcpu, unsigned size, struct wide w)
{
    operand_set_register(vcpu, RAX, size == 1 ? 2 : size, w.low);
    if (size != 1)
        operand_set_register(vcpu, RDX, size, w.high);
}

/* The flags go in before RAX and RDX are loaded, which leaves them as they are. */
#define HOST_WIDE_ASM(text, w, by, flags)                                                          \
    __asm__("movzwl %w[flags_in], %%eax\n\t" HOST_FLAGS_LOAD                                       \
            "movq %[low_in], %%rax\n\tmovq %[high_in], %%rdx\n\t" text                             \
            "\n\tmovq %%rax, %[low]" HOST_FLAGS_STORE                                              \
            : [low] "=&r"((w)->low), "=&d"((w)->high), "=&a"(*(flags))                             \
            : [flags_in] "r"(*(flags)), [low_in] "r"((w)->low), [high_in] "r"((w)->high),          \
              [by] "r"(by)                                                                         \
            : "cc")

static void host_multiply(unsigned size, bool is_signed, struct wide *w, uint64_t by,
                          uint16_t *flags)
{
    switch (size << 1 | is_signed) {
    case 2: HOST_WIDE_ASM("mulb %b[by]", w, by, flags); break;
    case 3: HOST_WIDE_ASM("imulb %b[by]", w, by, flags); break;
    case 4: HOST_WIDE_ASM("mulw %w[by]", w, by, flags); break;
    case 5: HOST_WIDE_ASM("imulw %w[by]", w, by, flags); break;
    case 8: HOST_WIDE_ASM("mull %k[by]", w, by, flags); break;
    default: HOST_WIDE_ASM("imull %k[by]", w, by, flags); break;
    }
}

static void host_divide(unsigned size, bool is_signed, struct wide *w, uint64_t by,
                        uint16_t *flags)
{
    switch (size << 1 | is_signed) {
    case 2: HOST_WIDE_ASM("divb %b[by]", w, by, flags); break;
    case 3: HOST_WIDE_ASM("idivb %b[by]", w, by, flags); break;
    case 4: HOST_WIDE_ASM("divw %w[by]", w, by, flags); break;
    case 5: HOST_WIDE_ASM("idivw %w[by]", w, by, flags); break;
    case 8: HOST_WIDE_ASM("divl %k[by]", w, by, flags); break;
    default: HOST_WIDE_ASM("idivl %k[by]", w, by, flags); break;
    }
}

static enum step multiply(struct vcpu *vcpu, const struct insn *in, bool is_signed)
{
    uint16_t flags = host_flags_pack(vcpu->eflags);
    unsigned size = operand_size(in, 0);
    struct wide w = wide_read(vcpu, size);
    uint64_t by;

    if (operand_read(vcpu, in, 0, &by))
        return STEP_FAULT;
    host_multiply(size, is_signed, &w, by, &flags);
    wide_write(vcpu, size, w);
    host_flags_set(vcpu, flags);
    return STEP_NEXT;
}

enum step interp_mul(struct vcpu *vcpu, const struct insn *in)
{
    return multiply(vcpu, in, false);
}

static enum step multiply_to(struct vcpu *vcpu, const struct insn *in, unsigned left,
                             unsigned right)
{
    uint16_t flags = host_flags_pack(vcpu->eflags);
    uint64_t a, b;

    if (operand_read(vcpu, in, left, &a) || operand_read(vcpu, in, right, &b))
        return STEP_FAULT;
    operand_set_register(vcpu, in->reg, in->opsize, host_imul(in->opsize, a, b, &flags));
    host_flags_set(vcpu, flags);
    return STEP_NEXT;
}

enum step interp_imul(struct vcpu *vcpu, const struct insn *in)
{
    if (in->info->operand[1] == OPND_NONE)
        return multiply(vcpu, in, true);
    if (in->info->operand[2] == OPND_NONE)
        return multiply_to(vcpu, in, 0, 1);
    return multiply_to(vcpu, in, 1, 2);
}

/* Does the quotient fit (SDM 2, DIV and IDIV: else #DE)? */
static bool quotient_fits(unsigned size, struct wide w, uint64_t by)
{
    uint64_t dividend = size == 1 ? w.low : w.high << 8 * size | w.low;

    return by && dividend / by <= operand_mask(size);
}

static bool signed_quotient_fits(unsigned size, struct wide w, uint64_t by)
{
    uint64_t bits = size == 1 ? w.low : w.high << 8 * size | w.low;
    int64_t dividend = operand_signed(bits, 2 * size), divisor = operand_signed(by, size), q;

    if (!divisor || (dividend == INT64_MIN && divisor == -1))
        return false;
    q = dividend / divisor;
    return q == operand_signed((uint64_t)q, size);
}

static enum step divide(struct vcpu *vcpu, const struct insn *in, bool is_signed)
{
    uint16_t flags = host_flags_pack(vcpu->eflags);
    unsigned size = operand_size(in, 0);
    struct wide w = wide_read(vcpu, size);
    uint64_t by;

    if (operand_read(vcpu, in, 0, &by))
        return STEP_FAULT;
    if (!(is_signed ? signed_quotient_fits(size, w, by) : quotient_fits(size, w, by)))
        return fault_raise(vcpu, VEC_DE);
    host_divide(size, is_signed, &w, by, &flags);
    wide_write(vcpu, size, w);
    host_flags_set(vcpu, flags);
    return STEP_NEXT;
}

enum step interp_div(struct vcpu *vcpu, const struct insn *in)
{
    return divide(vcpu, in, false);
}

enum step interp_idiv(struct vcpu *vcpu, const struct insn *in)
{
    return divide(vcpu, in, true);
}
