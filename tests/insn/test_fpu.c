/*
 * x87, MMX, SSE and AVX instructions: the interpreter against the CPU.
 *
 * Every encoding whose row of opcodes.def is the FPU's is executed with random and special states:
 * by the interpreter, and by this process in compatibility mode (a far jump to the 32-bit code
 * segment and back), with code, data and states below 4 GiB. Registers, flags, memory, the XSAVE
 * image and the exception must be equal.
 *
 * test_fpu [rounds [seed]]: states per encoding.
 */
#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/hidden.h"
#include "tests/insn/fpu_oracle.h"
#include "tests/insn/fpu_states.h"

#include "cpu/cpuid.h"
#include "cpu/fault.h"
#include "cpu/fpu.h"
#include "cpu/mem.h"
#include "cpu/operand.h"
#include "cpu/paging.h"

#define DATA_BYTES 8192
#define READ_ONLY (ORACLE_DATA + DATA_BYTES) /* a page; the next one is absent */
#define TABLES 0x1000u                       /* the machine's page directory and table */
#define MXCSR_MM 0x20000u
#define FLAT_CODE 0xc09bu
#define FLAT_DATA 0xc093u

struct test {
    struct vcpu *vcpu;
    struct physmem mem;
    struct oracle_state in, real;
    uint8_t data[DATA_BYTES];  /* before */
    unsigned long cases, faults, differences;
    uint64_t xcr0;
    struct cpu_model *model;
    bool lacks; /* the case's instruction */
};

/* --- Which instructions ----------------------------------------------------------- */

static bool is_fpu(const struct insn *in)
{
    interp_fn *fn = in->info->interp;

    return fn == interp_x87 || fn == interp_sse || fn == interp_fwait || fn == interp_fxsave ||
           fn == interp_fxrstor || fn == interp_ldmxcsr || fn == interp_stmxcsr ||
           fn == interp_xsave || fn == interp_xsaveopt || fn == interp_xrstor ||
           (fn == interp_avx && !(in->info->attr & A_MASK));
}

/* EDX:EAX selects components. */
static bool takes_mask(const struct insn *in)
{
    return in->id == M_XSAVE || in->id == M_XSAVEOPT || in->id == M_XRSTOR;
}

/* --- The guest ----------------------------------------------------------------------- */

static void put32(struct test *t, uint64_t gpa, uint32_t value)
{
    physmem_write(&t->mem, gpa, &value, 4);
}

/* One to one around the oracle's addresses, with its rights. */
static void guest_tables(struct test *t)
{
    put32(t, TABLES + 4 * (ORACLE_CODE >> 22), (TABLES + PAGE_SIZE) | PTE_P | PTE_W | PTE_U);
    for (uint32_t page = 0; page < 1024; page++) {
        uint32_t at = (ORACLE_CODE & 0xffc00000) + (page << PAGE_SHIFT), rights = PTE_P | PTE_U;

        if (at != READ_ONLY)
            rights |= PTE_W;
        put32(t, TABLES + PAGE_SIZE + 4 * page, at == READ_ONLY + PAGE_SIZE ? 0 : at | rights);
    }
}

static void guest_setup(struct test *t)
{
    struct vcpu *vcpu = t->vcpu;

    guest_tables(t);
    vcpu->cr3 = TABLES;
    vcpu->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG | CR0_WP;
    vcpu->cpl = 3;
    vcpu->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    vcpu->xcr0 = t->xcr0;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        vcpu->seg[i] = (struct segment){ 0x2b, FLAT_DATA, UINT32_MAX, 0 };
    vcpu->seg[SEG_CS] = (struct segment){ 0x23, FLAT_CODE, UINT32_MAX, 0 };
    mem_mode_changed(vcpu);
}

static void guest_load(struct test *t)
{
    struct vcpu *vcpu = t->vcpu;

    for (unsigned i = 0; i < 8; i++)
        vcpu->gpr[i] = t->in.gpr[i];
    vcpu->eflags = (t->in.eflags & EFLAGS_ARITH) | EFLAGS_R1;
    vcpu->rip = ORACLE_INSN;
    oracle_to_image(t->in.fpu, vcpu->fpu);
    memcpy(physmem_ptr(&t->mem, ORACLE_DATA), t->data, DATA_BYTES);
}

/* --- Comparing --------------------------------------------------------------------------- */

static void print_bytes(const char *what, const uint8_t *p, unsigned from, unsigned to)
{
    printf("  %-8s", what);
    for (unsigned i = from; i < to; i++)
        printf("%02x%s", p[i], i % 4 == 3 ? " " : "");
    printf("\n");
}

/* Compares [from, to) of two areas; prints and counts a difference. */
static bool same(const char *what, const void *got, const void *want, const void *before,
                 unsigned from, unsigned to)
{
    if (!memcmp((const uint8_t *)got + from, (const uint8_t *)want + from, to - from))
        return true;
    for (unsigned i = from & ~15u; i < to; i += 16) {
        if (!memcmp((const uint8_t *)got + i, (const uint8_t *)want + i, 16))
            continue;
        printf(" %s +%u\n", what, i);
        print_bytes("before", before, i, i + 16);
        print_bytes("novt", got, i, i + 16);
        print_bytes("cpu", want, i, i + 16);
    }
    return false;
}

static bool same_registers(const struct test *t)
{
    bool ok = true;

    for (unsigned i = 0; i < 8; i++) {
        if ((uint32_t)t->vcpu->gpr[i] == t->real.gpr[i])
            continue;
        printf(" gpr[%u] novt %lx cpu %x\n", i, (unsigned long)t->vcpu->gpr[i], t->real.gpr[i]);
        ok = false;
    }
    if ((t->vcpu->eflags ^ t->real.eflags) & EFLAGS_ARITH) {
        printf(" eflags novt %x cpu %x\n", t->vcpu->eflags, t->real.eflags);
        ok = false;
    }
    return ok;
}

static bool same_state(const struct test *t)
{
    static uint8_t got[ORACLE_FPU];
    const uint8_t *want = t->real.fpu;
    bool ok = same_registers(t);

    oracle_from_image(t->vcpu->fpu, got);
    ok &= same("x87", got, want, t->in.fpu, 0, 160);
    ok &= same("xmm", got, want, t->in.fpu, 160, 288);
    if (t->xcr0 & XCR0_AVX)
        ok &= same("ymm", got, want, t->in.fpu, 576, 704);
    ok &= same("memory", physmem_ptr(&t->mem, ORACLE_DATA), (void *)ORACLE_DATA, t->data, 0,
               DATA_BYTES);
    return ok;
}

/* The components in set hold what they hold after XRSTOR of none: the CPU may call them used or
 * not (SDM 1, 13.6), and does either from run to run, of XMM registers that are 0. */
static bool are_initial(const uint8_t *fpu, uint64_t set)
{
    static const uint8_t zero[128];

    return !(set & ~(uint64_t)(XCR0_SSE | XCR0_AVX)) &&
           (!(set & XCR0_SSE) || !memcmp(fpu + 160, zero, sizeof(zero))) &&
           (!(set & XCR0_AVX) || !memcmp(fpu + 576, zero, sizeof(zero)));
}

static bool same_used(const struct test *t)
{
    uint64_t got, want;

    memcpy(&got, t->vcpu->fpu + 512, sizeof(got));
    memcpy(&want, t->real.fpu + 512, sizeof(want));
    return are_initial(t->real.fpu, got ^ want);
}

/*
 * XSTATE_BV: which components are in use. A signal's way through the kernel marks some, and so does
 * being preempted between loading and storing: one right answer in a few tries is right.
 */
static bool same_use(struct test *t, const struct insn *in)
{
    for (unsigned i = 0; i < 4; i++) {
        if (t->real.vector >= 0 || same_used(t))
            return true;
        guest_load(t);
        memcpy((void *)ORACLE_DATA, t->data, DATA_BYTES);
        oracle_run(in->bytes, in->len, &t->in, &t->real);
        if (in->info->interp(t->vcpu, in) == STEP_FAULT)
            return false;
    }
    return same("header", t->vcpu->fpu, t->real.fpu, t->in.fpu, 512, 520);
}

static void print_case(const struct test *t, const struct insn *in, enum step step)
{
    printf("%s", in->info->mnemonic);
    for (unsigned i = 0; i < in->len; i++)
        printf(" %02x", in->bytes[i]);
    printf(": novt %s %u, cpu fault %d, cw %04x sw %04x mxcsr %x\n",
           step == STEP_FAULT ? "fault" : "ok", step == STEP_FAULT ? t->vcpu->fault.vector : 0,
           t->real.vector, t->in.fpu[0] | t->in.fpu[1] << 8, t->in.fpu[2] | t->in.fpu[3] << 8,
           *(const uint32_t *)(const void *)(t->in.fpu + 24));
}

/* The CPU's MXCSR_MASK, if in has stored it, becomes the guest's, which has no MM (fpu.h). */
static void hide_mm(const struct test *t, const struct insn *in)
{
    uint64_t at = operand_address(t->vcpu, in) + FPU_MXCSR_MASK;
    uint32_t *field = (uint32_t *)(uintptr_t)at;

    if (t->real.vector < 0 && at < READ_ONLY && *field == (fpu_mxcsr_mask(t->vcpu) | MXCSR_MM))
        *field &= ~MXCSR_MM;
}

static bool same_pointers(const struct test *t)
{
    static uint8_t got[ORACLE_FPU];

    oracle_from_image(t->vcpu->fpu, got);
    return !memcmp(got + FPU_FOP, t->real.fpu + FPU_FOP, FPU_MXCSR - FPU_FOP);
}

/* Both, and again when the host's kernel may have lost pointers. */
static enum step run_both(struct test *t, const struct insn *in)
{
    enum step step = STEP_NEXT;

    for (unsigned i = 0; i < 4; i++) {
        guest_load(t);
        memcpy((void *)ORACLE_DATA, t->data, DATA_BYTES);
        oracle_run(in->bytes, in->len, &t->in, &t->real);
        if (in->id == M_FXSAVE || in->id == M_XSAVE || in->id == M_XSAVEOPT)
            hide_mm(t, in);
        step = in->info->attr & A_UNDEFINED ? fault_ud(t->vcpu) : in->info->interp(t->vcpu, in);
        if (!oracle_drops_pointers() || same_pointers(t))
            break;
    }
    return step;
}

static void run_case(struct test *t, const struct insn *in)
{
    enum step step = run_both(t, in);
    bool ok;

    if (t->lacks && t->real.vector != VEC_UD)
        return;
    ok = step == STEP_FAULT ? t->vcpu->fault.vector == t->real.vector : t->real.vector < 0;
    if (!ok)
        print_case(t, in, step);
    ok = same_state(t) && ok && same_use(t, in);
    if (!ok) {
        print_case(t, in, step);
        t->differences++;
    }
    t->cases++;
    t->faults += step == STEP_FAULT;
}

/* --- Making cases ---------------------------------------------------------------------------- */

/*
 * Where the memory operand is: aligned mostly, across the page end sometimes; now and then where it
 * may not be written, or not be read, or only in part.
 */
static uint32_t pick_target(void)
{
    static const uint16_t base[] = { 0x100, 0x100, 0x240, 0xfc0, 0xff8 };
    static const uint16_t faulting[] = { 0x1fc0, 0x1ffc, 0x2000, 0x2fc0, 0x2ffc, 0x3000, 0x3100 };
    uint32_t target = ORACLE_DATA + base[states_random() % 5];

    if (states_random() % 6 == 0)
        target = ORACLE_DATA + faulting[states_random() % 7];

    return states_random() % 4 ? target & ~63u : target + states_random() % 64;
}

/* Gives insn bytes at code a memory operand: at target, or by the register base. */
static unsigned put_memory(uint8_t *code, uint8_t modrm, uint32_t target, unsigned base)
{
    if (base == RSP || base == RBP) {
        code[0] = (modrm & 0x38) | 5;
        memcpy(code + 1, &target, 4);
        return 5;
    }
    code[0] = (uint8_t)((modrm & 0x38) | base);
    return 1;
}

/* The encoding head[0..count) and modrm, its memory at target or by base; random bytes follow.
 * Whether it is one of the FPU's or of vectors. */
static bool make_insn(struct insn *in, const uint8_t *head, unsigned count, uint8_t modrm,
                      uint32_t target, unsigned base)
{
    uint8_t code[INSN_MAX];
    unsigned n = count;

    memcpy(code, head, count);
    if (modrm < 0xc0)
        n += put_memory(code + n, modrm, target, base);
    else
        code[n++] = modrm;
    for (unsigned i = n; i < INSN_MAX; i++)
        code[i] = (uint8_t)states_random();
    if (decode(in, code, INSN_MAX, MODE_32) <= 0 || !is_fpu(in))
        return false;
    /* The mask would ask for components that only the host has. */
    return !takes_mask(in) || (in->base != RAX && in->base != RDX);
}

/* One state for the encoding. Most are none of ours, and a state takes long to make. */
static void one_case(struct test *t, const uint8_t *head, unsigned count, uint8_t modrm)
{
    uint32_t target = pick_target();
    unsigned base = states_random() & 7;
    struct insn in;

    if (!make_insn(&in, head, count, modrm, target, base))
        return;
    states_fill(&t->in, t->data, DATA_BYTES, t->xcr0);
    t->in.gpr[RDI] = target;
    if (modrm < 0xc0 && base != RSP && base != RBP)
        t->in.gpr[base] = target;
    states_operand(in.id, t->data + (target < ORACLE_DATA + 0x1000 ? target - ORACLE_DATA : 0),
                   &t->in);
    t->lacks = hidden(t->model, &in);
    feature_limit(t->model, &in);
    run_case(t, &in);
}

/* Every ModRM byte that means something else: reg with memory, and all registers. */
static void all_modrm(struct test *t, const uint8_t *head, unsigned count, unsigned rounds)
{
    for (unsigned modrm = 0; modrm < 0xc0; modrm += 8) {
        for (unsigned i = 0; i < rounds && modrm < 0x40; i++)
            one_case(t, head, count, (uint8_t)modrm);
    }
    for (unsigned modrm = 0xc0; modrm < 0x100; modrm++) {
        for (unsigned i = 0; i < (rounds + 7) / 8; i++)
            one_case(t, head, count, (uint8_t)modrm);
    }
}

static void legacy_cases(struct test *t, unsigned rounds)
{
    static const uint8_t prefix[] = { 0, 0x66, 0xf3, 0xf2 };

    for (unsigned p = 0; p < 4; p++) {
        for (unsigned op = 0; op < 256; op++) {
            uint8_t head[4] = { prefix[p], 0x0f };
            unsigned at = p ? 0 : 1;

            head[2] = (uint8_t)op;
            if (op != 0x38 && op != 0x3a)
                all_modrm(t, head + at, 3 - at, rounds);
            head[3] = (uint8_t)op;
            head[2] = 0x38;
            all_modrm(t, head + at, 4 - at, rounds);
            head[2] = 0x3a;
            all_modrm(t, head + at, 4 - at, rounds);
        }
    }
}

static void x87_cases(struct test *t, unsigned rounds)
{
    for (unsigned op = 0xd8; op < 0xe0; op++) {
        uint8_t head[2] = { 0x66, (uint8_t)op };

        all_modrm(t, head + 1, 1, rounds * 4);
        all_modrm(t, head, 2, rounds); /* the 16-bit environment */
    }
    for (unsigned i = 0; i < rounds * 8; i++)
        one_case(t, &(uint8_t){ 0x9b }, 1, 0xc0);
}

static void vex_cases(struct test *t, unsigned rounds)
{
    for (unsigned map = 1; map < 4; map++) {
        for (unsigned op = 0; op < 256; op++) {
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
    }
}

/* --- Life ----------------------------------------------------------------- */

static int setup(struct test *t)
{
    const char *error;

    if (physmem_init(&t->mem, 0x11000000) || oracle_create())
        return -1;
    t->vcpu = vcpu_create();
    if (!t->vcpu)
        return -1;
    t->vcpu->mem = &t->mem;
    if (cpu_model_parse("host", &t->model, &error))
        return -1;
    t->vcpu->model = t->model; /* of the host's vendor */
    if (mem_create(t->vcpu))
        return -1;
    t->xcr0 = fpu_offered_xcr0() & 7; /* AVX-512: test_vector */
    guest_setup(t);
    if (mprotect((void *)(uintptr_t)READ_ONLY, PAGE_SIZE, PROT_READ))
        return -1;
    return mprotect((void *)(uintptr_t)(READ_ONLY + PAGE_SIZE), PAGE_SIZE, PROT_NONE);
}

int main(int argc, char **argv)
{
    static struct test test;
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 16;
    struct test *t = &test;

    states_seed(argc > 2 ? strtoull(argv[2], NULL, 0) : 1);
    if (setup(t)) {
        printf("cannot set up\n");
        return 1;
    }
    if (!t->xcr0) {
        printf("SKIPPED: the host has no XSAVE\n");
        return 0;
    }
    x87_cases(t, rounds);
    legacy_cases(t, rounds);
    if (t->xcr0 & XCR0_AVX)
        vex_cases(t, (rounds + 7) / 8);
    printf("xcr0 %lx: %lu cases, %lu faults, %lu differences\n", (unsigned long)t->xcr0, t->cases,
           t->faults, t->differences);
    return t->differences != 0 || t->cases < 1000;
}
