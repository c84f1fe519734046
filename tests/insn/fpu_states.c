/* Random and special FPU states: zeros, denormals, infinities, NaNs, unnormals, every control
 * bit. */
#include "tests/insn/fpu_states.h"

#include <string.h>

#include "cpu/decode.h"
#include "cpu/fpu.h"

static uint64_t seed_state = 1;

void states_seed(uint64_t seed)
{
    seed_state = seed * 2 + 1;
}

uint64_t states_random(void)
{
    uint64_t x = seed_state += 0x9e3779b97f4a7c15u;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

#define PICK(array) ((array)[states_random() % (sizeof(array) / sizeof((array)[0]))])

/* --- Numbers ------------------------------------------------------------------------ */

static uint32_t some_float(void)
{
    static const uint32_t special[] = {
        0, 0x80000000, 1, 0x807fffff, 0x00800000, 0x3f800000, 0xbf800000, 0x40490fdb, 0x7f7fffff,
        0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffc12345, 0x4f000000, 0xcf000000,
        0x3f000000, 0x4b000001, 0x33800000, 0x7f000000, 0x42280000,
    };

    return states_random() & 1 ? PICK(special) : (uint32_t)states_random();
}

static uint64_t some_double(void)
{
    static const uint64_t special[] = {
        0, 1ull << 63, 1, 0x800fffffffffffff, 0x0010000000000000, 0x3ff0000000000000,
        0xbff0000000000000, 0x400921fb54442d18, 0x7fefffffffffffff, 0x7ff0000000000000,
        0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001, 0x41e0000000000000,
        0xc1e0000000000000, 0x43e0000000000000, 0x3fe0000000000000, 0x4330000000000001,
        0x36a0000000000000, 0x47f0000000000000,
    };

    return states_random() & 1 ? PICK(special) : states_random();
}

/* An 80-bit number, unsupported encodings included. */
static void some_extended(uint8_t *to)
{
    static const uint16_t exponent[] = {
        0, 1, 0x3c01, 0x3bcd, 0x3f6a, 0x3ffe, 0x3fff, 0x4000, 0x4001, 0x403e, 0x403d, 0x401e,
        0x407f, 0x43ff, 0x7ffe, 0x7fff,
    };
    static const uint64_t mantissa[] = {
        0, 1, 1ull << 63, 3ull << 62, 1ull << 62, ~0ull, 0x8000000000000001, 0xc90fdaa22168c235,
        0x8000010000000000, 0xb504f333f9de6484,
    };
    uint64_t m = states_random() & 1 ? PICK(mantissa) : states_random();
    uint16_t e = states_random() & 1 ? PICK(exponent) : (uint16_t)(states_random() & 0x7fff);

    if (states_random() % 4 && e)
        m |= 1ull << 63;
    if (states_random() % 4 == 0)
        e = (uint16_t)(0x3fff + states_random() % 70 - 8);
    e |= (uint16_t)(states_random() << 15);
    memcpy(to, &m, 8);
    memcpy(to + 8, &e, 2);
}

/* 16 bytes of one kind of number. */
static void some_vector(uint8_t *to)
{
    unsigned kind = states_random() % 4;

    for (unsigned i = 0; i < 16; i += 8) {
        uint64_t value = states_random();

        if (kind == 1)
            value = some_double();
        else if (kind == 2)
            value = some_float() | (uint64_t)some_float() << 32;
        memcpy(to + i, &value, 8);
    }
    if (kind == 3 && states_random() & 1)
        memset(to, states_random() & 1 ? 0 : 0xff, 16);
}

/* --- Images ------------------------------------------------------------------------------ */

static uint16_t some_cw(void)
{
    uint16_t cw = (uint16_t)(states_random() & 0x1f00); /* rounding and precision control */

    cw |= 0x7f;
    if (states_random() % 3 == 0)
        cw &= (uint16_t)(0xffc0 | states_random());
    return cw;
}

static uint32_t some_mxcsr(void)
{
    uint32_t mxcsr = 0x1f80 | (states_random() & 0x6000); /* rounding */

    if (states_random() % 4 == 0)
        mxcsr |= states_random() & 0x8040; /* FZ, DAZ */
    if (states_random() % 4 == 0)
        mxcsr &= (uint32_t)(~0x1f80u | states_random());
    if (states_random() % 4 == 0)
        mxcsr |= states_random() & 0x3f;
    return mxcsr;
}

static void some_image(uint8_t *fpu, uint64_t xcr0)
{
    uint16_t cw = some_cw(), sw = (uint16_t)(states_random() & 0x7f00), tags = 0xff;
    uint32_t mxcsr = some_mxcsr();
    uint64_t bv = states_random() % 8 ? xcr0 : states_random() & xcr0;

    uint8_t pointers[FPU_MXCSR - FPU_FOP];

    memset(fpu, 0, FPU_END);
    if (states_random() % 4 == 0)
        sw |= states_random() & cw & 0x3f; /* masked flags */
    if (states_random() % 16 == 0)
        sw |= states_random() & 0x7f; /* an error may be pending */
    if (states_random() & 1)
        tags = (uint16_t)(states_random() & 0xff);
    memcpy(fpu + FPU_CW, &cw, 2);
    memcpy(fpu + FPU_SW, &sw, 2);
    memcpy(fpu + FPU_TW, &tags, 1);
    for (unsigned i = 0; i < 8; i++)
        some_extended(fpu + FPU_ST + 16 * i);
    for (unsigned i = 0; i < 8; i++)
        some_vector(fpu + FPU_XMM + 16 * i);
    for (unsigned i = 0; i < 8 && xcr0 & XCR0_AVX; i++)
        some_vector(fpu + FPU_YMM + 16 * i);
    for (unsigned i = FPU_FOP; i < FPU_FIP + 6; i++)
        fpu[i] = (uint8_t)states_random();
    fpu[FPU_FOP + 1] &= 7;
    for (unsigned i = 0; i < 6; i++)
        fpu[FPU_FDP + i] = (uint8_t)states_random();
    memcpy(pointers, fpu + FPU_FOP, sizeof(pointers));
    memcpy(fpu + FPU_MXCSR, &mxcsr, 4);
    memcpy(fpu + FPU_XSTATE_BV, &bv, 8);
    oracle_normalize(fpu);
    if (oracle_drops_pointers() && fpu[FPU_XSTATE_BV] & XCR0_X87) /* XRSTOR loads them */
        memcpy(fpu + FPU_FOP, pointers, sizeof(pointers));
}

void states_fill(struct oracle_state *in, uint8_t *data, unsigned bytes, uint64_t xcr0)
{
    for (unsigned i = 0; i < 8; i++)
        in->gpr[i] = (uint32_t)(states_random() & 1 ? states_random() : states_random() % 20);
    in->eflags = (uint32_t)states_random();
    some_image(in->fpu, xcr0);
    for (unsigned i = 0; i < bytes; i += 16) {
        if (states_random() & 1)
            some_vector(data + i);
        else
            some_extended(data + i);
    }
}

/* --- Operands that are whole states ---------------------------------------------------------- */

static void state_operand(uint8_t *data)
{
    uint64_t bv;

    some_image(data, 7);
    memset(data + FPU_MXCSR_MASK, 0, 4); /* to see it stored */
    for (unsigned i = 288; i < 512; i++)
        data[i] = (uint8_t)states_random();
    for (unsigned i = 0; i < 8; i++)
        memset(data + FPU_ST + 16 * i + 10, (int)states_random(), 6);
    data[5] = (uint8_t)states_random();
    switch (states_random() % 16) {
    case 0: data[FPU_MXCSR + 2] = 1; break;
    case 1: data[FPU_XCOMP_BV] = 1; break;
    case 2: data[FPU_XCOMP_BV + 8] = 1; break;
    case 3: data[FPU_XCOMP_BV + 16] = 1; break;
    case 4: data[FPU_XSTATE_BV + 5] = 1; break;
    default: break;
    }
    memcpy(&bv, data + FPU_XSTATE_BV, 8);
    bv &= states_random() & 1 ? ~0ull : ~(states_random() & 7);
    memcpy(data + FPU_XSTATE_BV, &bv, 8);
    for (unsigned i = 0; i < 32 && states_random() & 1; i++) /* nothing is reserved there */
        data[i < 24 ? i : 0] = (uint8_t)states_random();
}

void states_operand(unsigned id, uint8_t *data, struct oracle_state *in)
{
    uint32_t mxcsr = some_mxcsr();

    switch (id) {
    case M_FXRSTOR:
        state_operand(data);
        break;
    case M_XRSTOR: case M_XSAVE: case M_XSAVEOPT:
        state_operand(data);
        in->gpr[RAX] = states_random() % 8;
        in->gpr[RDX] = 0;
        break;
    case M_LDMXCSR:
        if (states_random() % 8 == 0) /* not bit 17, MM: AMD's CPUs have it, guests have not */
            mxcsr |= 1u << (18 + states_random() % 14);
        memcpy(data, &mxcsr, 4);
        break;
    case M_FLDCW:
        data[0] |= states_random() & 1 ? 0x3f : 0;
        break;
    default:
        break;
    }
}
