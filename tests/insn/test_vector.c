/*
 * VEX- and EVEX-encoded vector instructions: an engine against the CPU, in user code behind page
 * tables, with operands that reach into pages that may not be read or written.
 *
 *     test_vector [--engine interp|bt|window] [--rounds N] [--seed N] [--only MNEMONIC]
 *
 * Every encoding whose row of opcodes.def is A_AVX runs with random and special states: registers,
 * flags, memory, vector and mask registers, MXCSR, the exception and its page must be equal.
 * window: the translator, with a window from the start; bt: with the software TLB.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cpu/decode.h"
#include "cpu/fault.h"
#include "cpu/fpu.h"
#include "tests/hidden.h"
#include "tests/insn/fpu_states.h"
#include "tests/insn/vector_guest.h"

#define DATA_BYTES (4096 * (VECTOR_PAGES - 1))
#define PF_ERROR 7u /* present, write, user */
#define MAX_SHOWN 20

static struct fpu_layout layout;

struct test {
    struct oracle_state in, real, got;
    uint8_t data[DATA_BYTES];
    uint64_t xcr0;
    const char *only;
    unsigned long cases, faults, differences;
};

/* --- Memory ------------------------------------------------------------------ */

static uint8_t *real_data(void)
{
    return (uint8_t *)(uintptr_t)ORACLE_DATA;
}

static void protect(bool on)
{
    uint8_t *at = real_data() + 4096 * VECTOR_WRITABLE;

    mprotect(at, 4096, on ? PROT_READ : PROT_READ | PROT_WRITE);
    mprotect(at + 4096, 4096, on ? PROT_NONE : PROT_READ | PROT_WRITE);
}

/* --- Comparing --------------------------------------------------------------- */

static void print_bytes(const char *what, const uint8_t *p)
{
    printf("  %-8s", what);
    for (unsigned i = 0; i < 16; i++)
        printf("%02x%s", p[i], i % 4 == 3 ? " " : "");
    printf("\n");
}

static bool same(const char *what, const void *got_, const void *want_, const void *before_,
                 unsigned from, unsigned to)
{
    const uint8_t *got = got_, *want = want_, *before = before_;

    if (!memcmp(got + from, want + from, to - from))
        return true;
    for (unsigned i = from & ~15u; i < to; i += 16) {
        if (!memcmp(got + i, want + i, 16))
            continue;
        printf(" %s +%u\n", what, i);
        print_bytes("before", before + i);
        print_bytes("novt", got + i);
        print_bytes("cpu", want + i);
    }
    return false;
}

static bool same_registers(const struct test *t)
{
    bool ok = true;

    for (unsigned i = 0; i < 8; i++) {
        if (t->got.gpr[i] == t->real.gpr[i])
            continue;
        printf(" gpr[%u] novt %x cpu %x\n", i, t->got.gpr[i], t->real.gpr[i]);
        ok = false;
    }
    if ((t->got.eflags ^ t->real.eflags) & EFLAGS_ARITH) {
        printf(" eflags novt %x cpu %x\n", t->got.eflags, t->real.eflags);
        ok = false;
    }
    return ok;
}

static bool same_exception(const struct test *t)
{
    if (t->got.vector != t->real.vector)
        return false;
    if (t->got.vector != VEC_PF)
        return true;
    return !((t->got.cr2 ^ t->real.cr2) >> 12) && !((t->got.error ^ t->real.error) & PF_ERROR);
}

/* Registers beyond the eighth are out of reach in 32-bit code. */
static bool same_state(const struct test *t)
{
    const uint8_t *got = t->got.fpu, *want = t->real.fpu, *before = t->in.fpu;
    bool ok = same_registers(t);

    ok &= same("x87", got, want, before, 0, FPU_XMM);
    ok &= same("xmm", got, want, before, FPU_XMM, FPU_XMM + 8 * 16);
    if (t->xcr0 & XCR0_AVX)
        ok &= same("ymm", got, want, before, FPU_YMM, FPU_YMM + 8 * 16);
    if (t->xcr0 & XCR0_AVX512) {
        unsigned mask = layout.offset[STATE_MASK], zmm = layout.offset[STATE_ZMM];

        ok &= same("mask", got, want, before, mask, mask + 8 * 8);
        ok &= same("zmm", got, want, before, zmm, zmm + 8 * 32);
    }
    return ok & same("memory", vector_guest_data(), real_data(), t->data, 0, DATA_BYTES);
}

static void print_case(const struct test *t, const struct insn *in)
{
    printf("%s", in->info->mnemonic);
    for (unsigned i = 0; i < in->len; i++)
        printf(" %02x", in->bytes[i]);
    printf(": novt %d %x %x, cpu %d %x %x, mxcsr %x\n", t->got.vector, t->got.error, t->got.cr2,
           t->real.vector, t->real.error, t->real.cr2,
           *(const uint32_t *)(const void *)(t->in.fpu + FPU_MXCSR));
}

/* Whether bytes that the mask excludes are asked for rights is the CPU's choice (SDM 2,
 * MASKMOVDQU). */
static bool is_choice(const struct test *t, const struct insn *in)
{
    return in->id == M_VMASKMOVDQU && t->real.vector == VEC_PF &&
           (t->got.vector < 0 || t->got.vector == VEC_PF);
}

/* Vector instructions leave the x87's pointers alone; a signal or another task of the host may have
 * made them 0 (cpu/fpu.h, F5). */
static void forgive_lost(const struct test *t, struct oracle_state *state)
{
    static const uint8_t none[FPU_MXCSR - FPU_FOP];
    uint8_t *fpu = state->fpu;

    if (!oracle_drops_pointers())
        return;
    if (!(fpu[FPU_SW] & 0x80) && !memcmp(fpu + FPU_FOP, none, sizeof(none)))
        memcpy(fpu + FPU_FOP, t->in.fpu + FPU_FOP, sizeof(none));
    for (unsigned at = FPU_FIP + 4; at < FPU_MXCSR; at += 8) /* selectors are always lost */
        if (!memcmp(fpu + at, none, 2))
            memcpy(fpu + at, t->in.fpu + at, 2);
}

static void run_case(struct test *t, const struct insn *in)
{
    bool ok;

    memcpy(real_data(), t->data, 4096 * VECTOR_WRITABLE);
    memcpy(vector_guest_data(), t->data, DATA_BYTES);
    oracle_run(in->bytes, in->len, &t->in, &t->real);
    vector_guest_run(in->bytes, in->len, &t->in, &t->got);
    if (hidden(vector_guest_vcpu()->model, in) && t->real.vector != VEC_UD)
        return;
    forgive_lost(t, &t->real);
    forgive_lost(t, &t->got);
    ok = same_exception(t);
    ok = is_choice(t, in) || (same_state(t) && ok);
    if (!ok) {
        print_case(t, in);
        t->differences++;
    }
    t->cases++;
    t->faults += t->real.vector >= 0;
}

/* --- Making cases -------------------------------------------------------------- */

/* Where the memory operand is: aligned mostly, across a page end or without rights sometimes. */
static uint32_t pick_target(void)
{
    static const uint16_t base[] = { 0x100, 0x240, 0x400, 0xfc0, 0xff8, 0x1fc0, 0x1fe0, 0x2100,
                                     0x2fc0, 0x2ff0, 0x3000 };
    unsigned pick = states_random() % 3 ? states_random() % 3 : states_random() % 11;
    uint32_t target = ORACLE_DATA + base[pick];

    return states_random() % 4 ? target & ~63u : target + states_random() % 64;
}

/* The register's elements become indices near 0, now and then far away. */
static void put_indices(struct test *t, unsigned n)
{
    unsigned size = states_random() & 1 ? 4 : 8;

    for (unsigned i = 0; i < 32; i += size) {
        int64_t value = (int64_t)(states_random() % 64) * 8 - 256;

        if (states_random() % 64 == 0)
            value = (int64_t)states_random();
        memcpy(t->in.fpu + (i < 16 ? FPU_XMM : FPU_YMM - 16) + 16 * n + i, &value, size);
    }
    t->in.fpu[FPU_XSTATE_BV] |= XCR0_SSE | XCR0_AVX;
}

/* With a SIB byte: what a gather reads, or target itself. */
static unsigned put_sib(struct test *t, uint8_t *code, uint8_t modrm, uint32_t target, bool gather)
{
    unsigned base = states_random() & 7, index = gather ? states_random() & 7 : 4;

    if (gather)
        put_indices(t, index);
    t->in.gpr[base] = target;
    code[0] = (modrm & 0x38) | 0x84;
    code[1] = (uint8_t)(states_random() << 6 | index << 3 | base);
    memset(code + 2, 0, 4);
    return 6;
}

/* ModRM and what follows for a memory operand at target: absolute or by a register. Returns the
 * bytes. */
static unsigned put_memory(struct test *t, uint8_t *code, uint8_t modrm, uint32_t target,
                           bool gather)
{
    unsigned base = states_random() & 7;

    if ((modrm & 7) == 4)
        return put_sib(t, code, modrm, target, gather);
    if (base == RSP || base == RBP) {
        code[0] = (modrm & 0x38) | 5;
        memcpy(code + 1, &target, 4);
        return 5;
    }
    t->in.gpr[base] = target;
    code[0] = (uint8_t)((modrm & 0x38) | base);
    if (states_random() % 4)
        return 1;
    code[0] |= 0x40; /* a displacement of one byte, which EVEX scales */
    code[1] = (uint8_t)(states_random() % 5 - 2);
    return 2;
}

static bool is_gather(const uint8_t *head, unsigned count)
{
    unsigned opcode = head[count - 1] & 0xfc;

    return (head[0] == 0xc4 || head[0] == 0x62) && (head[1] & 7) == 2 &&
           (opcode == 0x90 || (opcode == 0xa0 && head[0] == 0x62));
}

/* Mask registers with few bits, with many, with none; random halves of ZMM. */
static void fill_avx512(struct test *t)
{
    uint8_t *mask = t->in.fpu + layout.offset[STATE_MASK];
    uint8_t *zmm = t->in.fpu + layout.offset[STATE_ZMM];

    if (!(t->xcr0 & XCR0_AVX512))
        return;
    for (unsigned i = 0; i < 8; i++) {
        uint64_t bits = states_random(), kind = states_random() % 4;

        bits &= kind ? ~0ull : states_random() & states_random();
        bits = kind == 3 ? 0 : kind == 2 ? ~0ull : bits;
        memcpy(mask + 8 * i, &bits, 8);
    }
    memcpy(zmm, t->data, 8 * 32);
    t->in.fpu[FPU_XSTATE_BV] |= 0x67;
}

static bool is_undefined(const uint8_t *head, unsigned count, uint8_t modrm)
{
    uint8_t code[INSN_MAX] = { 0 };
    struct insn in;

    memcpy(code, head, count);
    code[count] = modrm;
    return decode(&in, code, INSN_MAX, MODE_32) <= 0 || !(in.info->attr & A_AVX);
}

static void one_case(struct test *t, const uint8_t *head, unsigned count, uint8_t modrm)
{
    uint8_t code[INSN_MAX];
    uint32_t target = pick_target();
    struct insn in;
    unsigned n = count;

    if (is_undefined(head, count, modrm))
        return;
    states_fill(&t->in, t->data, 4096 * VECTOR_WRITABLE, t->xcr0 & 7);
    fill_avx512(t);
    t->in.gpr[RDI] = target;
    memcpy(code, head, count);
    if (modrm < 0xc0)
        n += put_memory(t, code + n, modrm, target, is_gather(head, count));
    else
        code[n++] = modrm;
    for (unsigned i = n; i < INSN_MAX; i++)
        code[i] = (uint8_t)states_random();
    if (decode(&in, code, INSN_MAX, MODE_32) <= 0 || !(in.info->attr & A_AVX) ||
        (t->only && strcmp(t->only, in.info->mnemonic)))
        return;
    states_operand(in.id, t->data + (target & 0xfff), &t->in);
    run_case(t, &in);
}

/* Every ModRM byte that means something else: reg with memory (with and without SIB), and all
 * registers. */
static void all_modrm(struct test *t, const uint8_t *head, unsigned count, unsigned rounds)
{
    for (unsigned modrm = 0; modrm < 0x40; modrm += 4)
        for (unsigned i = 0; i < rounds; i++)
            one_case(t, head, count, (uint8_t)modrm);
    for (unsigned modrm = 0xc0; modrm < 0x100; modrm++)
        for (unsigned i = 0; i < (rounds + 7) / 8; i++)
            one_case(t, head, count, (uint8_t)modrm);
}

static void vex_cases(struct test *t, unsigned rounds)
{
    for (unsigned map = 1; map < 4; map++)
        for (unsigned op = 0; op < 256; op++)
            for (unsigned i = 0; i < 16; i++) { /* W, L, pp */
                uint8_t vvvv = (uint8_t)(states_random() % 3 ? states_random() << 3 & 0x38 : 0x38);
                uint8_t head[4] = { 0xc4, (uint8_t)(0xe0 | map) };

                head[2] = (uint8_t)((i & 7) | (i & 8) << 4 | 0x40 | vvvv);
                head[3] = (uint8_t)op;
                all_modrm(t, head, 4, rounds);
                head[2] |= 0x38;
                all_modrm(t, head, 4, rounds);
            }
}

/* Two-byte prefixes. */
static void short_vex_cases(struct test *t, unsigned rounds)
{
    for (unsigned op = 0; op < 256; op++)
        for (unsigned i = 0; i < 8; i++) {
            uint8_t head[3] = { 0xc5, (uint8_t)(0xf8 | i), (uint8_t)op };

            all_modrm(t, head, 3, rounds);
        }
}

static void evex_cases(struct test *t, unsigned rounds)
{
    for (unsigned i = 0; i < 3 * 256 * 8 * 4; i++) { /* map, opcode, W and pp, L'L */
        uint8_t head[5] = { 0x62, (uint8_t)(0xf1 + i % 3), 0, 0, (uint8_t)(i / 3) };

        for (unsigned k = 0; k < 2; k++) {
            head[2] = (uint8_t)((i / 768 & 4) << 5 | (i / 768 & 3) | 0x7c);
            head[3] = (uint8_t)((i / 6144 & 3) << 5 | 8 | (states_random() & 0x97));
            if (k & 1)
                head[2] &= (uint8_t)(states_random() << 3 | 0xc7);
            if (states_random() & 1)
                head[3] &= 0x6f;
            for (unsigned m = 0; m < 6 * rounds; m++) /* half of them with memory */
                one_case(t, head, 5, (uint8_t)(states_random() & 0x3f) | (m & 1 ? 0xc0 : 0));
        }
    }
}

/* --- Life -------------------------------------------------------------------------- */

static bool parse(int argc, char **argv, struct test *t, const struct engine **engine,
                  bool *window, unsigned *rounds)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];

        if (!strcmp(argv[i], "--rounds"))
            *rounds = (unsigned)atoi(value);
        else if (!strcmp(argv[i], "--seed"))
            states_seed(strtoull(value, NULL, 0));
        else if (!strcmp(argv[i], "--only"))
            t->only = value;
        else if (strcmp(argv[i], "--engine"))
            return false;
        else if (!strcmp(value, "interp"))
            *engine = &engine_interp;
#ifdef HAVE_TRANSLATOR
        else if (!strcmp(value, "bt") || !strcmp(value, "window")) {
            *engine = &engine_translator;
            *window = value[0] == 'w';
        }
#endif
        else
            return false;
    }
    return argc % 2;
}

static void put_stat(void *arg, const char *name, uint64_t value)
{
    (void)arg;
    if (!strcmp(name, "windows_made") || !strcmp(name, "window_faults") ||
        !strcmp(name, "callouts"))
        printf("%s %llu\n", name, (unsigned long long)value);
}

int main(int argc, char **argv)
{
    static struct test test;
    const struct engine *engine = &engine_interp;
    struct test *t = &test;
    bool window = false;
    unsigned rounds = 1;

    states_seed(1);
    if (!parse(argc, argv, t, &engine, &window, &rounds))
        return 2;
    t->xcr0 = fpu_offered_xcr0();
    if (!(t->xcr0 & XCR0_AVX)) {
        printf("SKIPPED: the host has no AVX\n");
        return 0;
    }
    fpu_host_layout(&layout);
    if (oracle_create() || vector_guest_create(engine, t->xcr0, window)) {
        printf("cannot set up\n");
        return 1;
    }
    protect(true);
    vex_cases(t, rounds);
    short_vex_cases(t, rounds);
    if (t->xcr0 & XCR0_AVX512)
        evex_cases(t, rounds);
    engine->stats ? engine->stats(vector_guest_vcpu(), put_stat, NULL) : (void)0;
    printf("%s, xcr0 %lx: %lu cases, %lu faults, %lu differences\n",
           window ? "window" : engine->name, (unsigned long)t->xcr0, t->cases, t->faults,
           t->differences);
    return t->differences != 0 || (!t->only && t->cases < 1000);
}
