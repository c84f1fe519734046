/*
 * An instruction that CPUID does not offer does not exist: one of each, with #UD wanted exactly
 * when its bit is clear; CR4's bits and the MSRs likewise. Run under several -cpu.
 *
 * Reference: SDM volume 2, "CPUID Feature Flag" of each page; volume 3, 2.5 (CR4); volume 4.
 */
#include "guests/lib/boot.h"
#include "guests/lib/check.h"
#include "guests/lib/code.h"
#include "guests/lib/console.h"
#include "guests/lib/trap.h"

enum word { EDX_1, ECX_1, EBX_7, EDX_X1, ECX_X1, WORDS };

static uint32_t words[WORDS], family;

static void read_words(void)
{
    struct cpuid r = cpuid(1);

    words[EDX_1] = r.edx;
    words[ECX_1] = r.ecx;
    family = r.eax >> 8 & 15;
    if (cpuid(0).eax >= 7)
        words[EBX_7] = cpuid(7).ebx;
    if (cpuid(0x80000000).eax > 0x80000000) {
        r = cpuid(0x80000001);
        words[EDX_X1] = r.edx;
        words[ECX_X1] = r.ecx;
    }
    print("cpuid: family %u, edx %08x ecx %08x ebx7 %08x edx80000001 %08x\n", family,
          words[EDX_1], words[ECX_1], words[EBX_7], words[EDX_X1]);
}

static bool has(enum word word, unsigned bit)
{
    return words[word] >> bit & 1;
}

/* --- Instructions --------------------------------------------------------- */

/* edi: 64 bytes of zeroes, aligned. xmm0 and mm0 are whatever they are. */
static const struct instruction {
    const char *name;
    uint8_t len, bytes[8], word, bit;
} instructions[] = {
    { "rdtsc", 2, { 0x0f, 0x31 }, EDX_1, 4 },
    { "cmpxchg8b", 3, { 0x0f, 0xc7, 0x0f }, EDX_1, 8 },
    { "cmov", 3, { 0x0f, 0x44, 0xc1 }, EDX_1, 15 },
    { "cmov with a memory operand", 3, { 0x0f, 0x45, 0x07 }, EDX_1, 15 },
    { "fcmovb", 2, { 0xda, 0xc1 }, EDX_1, 15 },
    { "fcmovnu", 2, { 0xdb, 0xd9 }, EDX_1, 15 },
    { "fcomi", 2, { 0xdb, 0xf1 }, EDX_1, 15 },
    { "fucomip", 2, { 0xdf, 0xe9 }, EDX_1, 15 },
    { "clflush", 3, { 0x0f, 0xae, 0x3f }, EDX_1, 19 },
    { "emms", 2, { 0x0f, 0x77 }, EDX_1, 23 },
    { "movd mm", 3, { 0x0f, 0x6e, 0x07 }, EDX_1, 23 },
    { "movq mm", 3, { 0x0f, 0x6f, 0x07 }, EDX_1, 23 },
    { "paddb mm", 3, { 0x0f, 0xfc, 0xc1 }, EDX_1, 23 },
    { "psrlw mm, imm", 4, { 0x0f, 0x71, 0xd0, 0x01 }, EDX_1, 23 },
    { "fxsave", 3, { 0x0f, 0xae, 0x07 }, EDX_1, 24 },
    { "sfence", 3, { 0x0f, 0xae, 0xf8 }, EDX_1, 25 },
    { "pshufw mm", 4, { 0x0f, 0x70, 0xc1, 0x1b }, EDX_1, 25 },
    { "pavgb mm", 3, { 0x0f, 0xe0, 0xc1 }, EDX_1, 25 },
    { "pmovmskb mm", 3, { 0x0f, 0xd7, 0xc0 }, EDX_1, 25 },
    { "movntq", 3, { 0x0f, 0xe7, 0x07 }, EDX_1, 25 },
    { "movaps", 3, { 0x0f, 0x28, 0xc1 }, EDX_1, 25 },
    { "movss", 4, { 0xf3, 0x0f, 0x10, 0x07 }, EDX_1, 25 },
    { "addps", 3, { 0x0f, 0x58, 0xc1 }, EDX_1, 25 },
    { "stmxcsr", 3, { 0x0f, 0xae, 0x1f }, EDX_1, 25 },
    { "lfence", 3, { 0x0f, 0xae, 0xe8 }, EDX_1, 26 },
    { "mfence", 3, { 0x0f, 0xae, 0xf0 }, EDX_1, 26 },
    { "movnti", 3, { 0x0f, 0xc3, 0x07 }, EDX_1, 26 },
    { "paddq mm", 3, { 0x0f, 0xd4, 0xc1 }, EDX_1, 26 },
    { "pmuludq mm", 3, { 0x0f, 0xf4, 0xc1 }, EDX_1, 26 },
    { "movapd", 4, { 0x66, 0x0f, 0x28, 0xc1 }, EDX_1, 26 },
    { "movdqa", 4, { 0x66, 0x0f, 0x6f, 0x07 }, EDX_1, 26 },
    { "movdqu", 4, { 0xf3, 0x0f, 0x6f, 0x07 }, EDX_1, 26 },
    { "movd xmm", 4, { 0x66, 0x0f, 0x6e, 0x07 }, EDX_1, 26 },
    { "movq xmm", 4, { 0xf3, 0x0f, 0x7e, 0x07 }, EDX_1, 26 },
    { "paddb xmm", 4, { 0x66, 0x0f, 0xfc, 0xc1 }, EDX_1, 26 },
    { "pavgb xmm", 4, { 0x66, 0x0f, 0xe0, 0xc1 }, EDX_1, 26 },
    { "addsd", 4, { 0xf2, 0x0f, 0x58, 0xc1 }, EDX_1, 26 },
    { "cvtps2pd", 3, { 0x0f, 0x5a, 0xc1 }, EDX_1, 26 },
    { "haddps", 4, { 0xf2, 0x0f, 0x7c, 0xc1 }, ECX_1, 0 },
    { "movddup", 4, { 0xf2, 0x0f, 0x12, 0x07 }, ECX_1, 0 },
    { "fisttp", 2, { 0xdb, 0x0f }, ECX_1, 0 },
    { "pclmulqdq", 6, { 0x66, 0x0f, 0x3a, 0x44, 0xc1, 0 }, ECX_1, 1 },
    { "pshufb mm", 4, { 0x0f, 0x38, 0x00, 0xc1 }, ECX_1, 9 },
    { "pabsd xmm", 5, { 0x66, 0x0f, 0x38, 0x1e, 0xc1 }, ECX_1, 9 },
    { "pextrw to memory", 6, { 0x66, 0x0f, 0x3a, 0x15, 0x07, 1 }, ECX_1, 19 },
    { "ptest", 5, { 0x66, 0x0f, 0x38, 0x17, 0xc1 }, ECX_1, 19 },
    { "crc32", 5, { 0xf2, 0x0f, 0x38, 0xf1, 0xc1 }, ECX_1, 20 },
    { "pcmpgtq", 5, { 0x66, 0x0f, 0x38, 0x37, 0xc1 }, ECX_1, 20 },
    { "movbe", 4, { 0x0f, 0x38, 0xf0, 0x07 }, ECX_1, 22 },
    { "popcnt", 4, { 0xf3, 0x0f, 0xb8, 0xc1 }, ECX_1, 23 },
    { "aesenc", 5, { 0x66, 0x0f, 0x38, 0xdc, 0xc1 }, ECX_1, 25 },
    { "rdrand", 3, { 0x0f, 0xc7, 0xf0 }, ECX_1, 30 },
    { "andn", 5, { 0xc4, 0xe2, 0x78, 0xf2, 0xc1 }, EBX_7, 3 },
    { "bzhi", 5, { 0xc4, 0xe2, 0x70, 0xf5, 0xc0 }, EBX_7, 8 },
    { "rdseed", 3, { 0x0f, 0xc7, 0xf8 }, EBX_7, 18 },
    { "adcx", 5, { 0x66, 0x0f, 0x38, 0xf6, 0xc1 }, EBX_7, 19 },
    { "clflushopt", 4, { 0x66, 0x0f, 0xae, 0x3f }, EBX_7, 23 },
    { "sha1msg2", 4, { 0x0f, 0x38, 0xca, 0xc1 }, EBX_7, 29 },
    { "rdtscp", 3, { 0x0f, 0x01, 0xf9 }, EDX_X1, 27 },
};

static uint8_t data[512] __attribute__((aligned(64)));
static uint8_t code_room[32];

static struct frame run_bytes(const uint8_t *bytes, unsigned len, unsigned ring)
{
    struct code c = { code_room };
    struct frame f = trap_frame((uint32_t)code_room, ring);

    for (unsigned i = 0; i < len; i++)
        code_byte(&c, bytes[i]);
    code_end(&c);
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = 0;
    f.edi = (uint32_t)data;
    trap_run(&f);
    __asm__ volatile("fninit");
    return f;
}

static void run_instruction(const struct instruction *in, unsigned ring)
{
    struct frame f = run_bytes(in->bytes, in->len, ring);
    uint32_t want = has(in->word, in->bit) ? (uint32_t)TRAP_END : (uint32_t)VEC_UD;

    check_that(f.vector == want, "%s, ring %u: trap %u, want %u", in->name, ring, f.vector, want);
}

static void all_instructions(void)
{
    check_begin("instructions");
    for (unsigned i = 0; i < ARRAY_SIZE(instructions); i++)
        for (unsigned ring = 0; ring < 4; ring += 3)
            run_instruction(&instructions[i], ring);
    check_end();
}

/* What needs XCR0: VEX-encoded vector instructions. */
static void vector_instructions(void)
{
    static const struct instruction vectors[] = {
        { "vaddps xmm", 4, { 0xc5, 0xf0, 0x58, 0xc1 }, ECX_1, 28 },
        { "vaddps ymm", 4, { 0xc5, 0xf4, 0x58, 0xc1 }, ECX_1, 28 },
        { "vpaddd xmm", 4, { 0xc5, 0xf1, 0xfe, 0xc1 }, ECX_1, 28 },
        { "vpaddd ymm", 4, { 0xc5, 0xf5, 0xfe, 0xc1 }, EBX_7, 5 },
        { "vptest ymm", 5, { 0xc4, 0xe2, 0x7d, 0x17, 0xc1 }, ECX_1, 28 },
        { "vpbroadcastb", 5, { 0xc4, 0xe2, 0x79, 0x78, 0xc1 }, EBX_7, 5 },
        { "vfmadd132ps", 5, { 0xc4, 0xe2, 0x71, 0x98, 0xc1 }, ECX_1, 12 },
        { "vcvtph2ps", 5, { 0xc4, 0xe2, 0x79, 0x13, 0xc1 }, ECX_1, 29 },
    };
    bool avx = has(ECX_1, 28);

    if (!has(ECX_1, 26)) {
        check_skip("vector-instructions", "the CPU has no XSAVE");
        return;
    }
    check_begin("vector-instructions");
    for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++) /* CR4.OSXSAVE is clear */
        check_equal(vectors[i].name, run_bytes(vectors[i].bytes, vectors[i].len, 3).vector, VEC_UD);
    write_cr4(read_cr4() | 1u << 18);
    __asm__ volatile("xsetbv" : : "a"(avx ? 7 : 3), "d"(0), "c"(0));
    for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++)
        run_instruction(&vectors[i], 3);
    write_cr4(read_cr4() & ~(1u << 18));
    check_end();
}

/* #UD comes before the privilege's #GP. */
static void system_instructions(void)
{
    static const uint8_t sysenter[] = { 0x0f, 0x34 }, sysexit[] = { 0x0f, 0x35 };
    static const uint8_t rdmsr_code[] = { 0x0f, 0x32 }, wrmsr_code[] = { 0x0f, 0x30 };
    static const uint8_t syscall[] = { 0x0f, 0x05 };
    bool sep = has(EDX_1, 11), msr = has(EDX_1, 5);
    struct frame f;

    check_begin("system-instructions");
    if (sep)
        wrmsr(MSR_SYSENTER_CS, 0);
    f = run_bytes(sysenter, 2, 3);
    check_equal("sysenter", f.vector, sep ? VEC_GP : VEC_UD);
    f = run_bytes(sysexit, 2, 0);
    check_equal("sysexit", f.vector, sep ? VEC_GP : VEC_UD);
    f = run_bytes(rdmsr_code, 2, 3);
    check_equal("rdmsr, ring 3", f.vector, msr ? VEC_GP : VEC_UD);
    f = run_bytes(wrmsr_code, 2, 3);
    check_equal("wrmsr, ring 3", f.vector, msr ? VEC_GP : VEC_UD);
    f = run_bytes(syscall, 2, 3); /* EFER.SCE is clear */
    check_equal("syscall", f.vector, VEC_UD);
    check_end();
}

/* What is another instruction on CPUs that do not know it. */
static void fallbacks(void)
{
    static const uint8_t tzcnt[] = { 0x31, 0xc9, 0xb8, 7, 0, 0, 0, 0xf3 };
    static const uint8_t long_nop[] = { 0x0f, 0x1f, 0x07 }, hint[] = { 0x0f, 0x18, 0x0f };
    static const uint8_t endbr[] = { 0xf3, 0x0f, 0x1e, 0xfb }, pause[] = { 0xf3, 0x90 };
    uint8_t bytes[12];
    struct frame f;

    check_begin("fallbacks");
    for (unsigned i = 0; i < 2; i++) { /* ecx = 0, eax = 7; tzcnt or lzcnt of ecx to eax */
        bool known = i ? has(ECX_X1, 5) : has(EBX_7, 3);

        for (unsigned j = 0; j < sizeof(tzcnt); j++)
            bytes[j] = tzcnt[j];
        bytes[8] = 0x0f;
        bytes[9] = 0xbc + i;
        bytes[10] = 0xc1;
        f = run_bytes(bytes, 11, 3);
        check_equal(i ? "lzcnt" : "tzcnt", f.vector, TRAP_END);
        check_equal("of 0", f.eax, known ? 32 : 7);
        check_equal("CF or ZF", f.eflags & (FL_CF | FL_ZF) ? 1 : 0, 1);
        check_equal("ZF", f.eflags & FL_ZF, known ? 0 : FL_ZF);
    }
    f = run_bytes(long_nop, 3, 3);
    check_equal("long nop", f.vector, family >= 6 ? (uint32_t)TRAP_END : (uint32_t)VEC_UD);
    f = run_bytes(hint, 3, 3);
    check_equal("prefetch", f.vector, family >= 6 ? (uint32_t)TRAP_END : (uint32_t)VEC_UD);
    f = run_bytes(endbr, 4, 3);
    check_equal("endbr32", f.vector, family >= 6 ? (uint32_t)TRAP_END : (uint32_t)VEC_UD);
    f = run_bytes(pause, 2, 3);
    check_equal("pause", f.vector, TRAP_END);
    check_end();
}

/* --- Registers ------------------------------------------------------------ */

static void cr4_bits(void)
{
    static const uint8_t load[] = { 0x0f, 0x22, 0xe0 }; /* mov %eax, %cr4 */
    static const struct {
        uint8_t number, word, bit;
    } bits[] = {
        { 0, EDX_1, 1 }, { 1, EDX_1, 1 }, { 2, EDX_1, 4 }, { 3, EDX_1, 2 }, { 4, EDX_1, 3 },
        { 5, EDX_1, 6 }, { 6, EDX_1, 7 }, { 7, EDX_1, 13 }, { 9, EDX_1, 24 }, { 10, EDX_1, 25 },
        { 18, ECX_1, 26 },
    };

    check_begin("cr4");
    for (unsigned i = 0; i < 32; i++) {
        uint32_t old = read_cr4();
        struct code c = { code_room };
        struct frame f = trap_frame((uint32_t)code_room, 0);
        bool wanted = false, known = i != 8 && i != 11 && i != 16 && i != 20 && i != 21;

        for (unsigned j = 0; j < ARRAY_SIZE(bits); j++)
            if (bits[j].number == i)
                wanted = has(bits[j].word, bits[j].bit);
        for (unsigned j = 0; j < 3; j++)
            code_byte(&c, load[j]);
        code_end(&c);
        f.eax = old ^ 1u << i;
        trap_run(&f);
        write_cr4(old);
        if (known) /* the others: PCE, UMIP, FSGSBASE, SMEP, SMAP by bits not looked at here */
            check_that(f.vector == (wanted ? (uint32_t)TRAP_END : (uint32_t)VEC_GP),
                       "bit %u: trap %u, CPUID says %u", i, f.vector, wanted);
    }
    check_end();
}

static uint32_t msr_trap(unsigned opcode, uint32_t number)
{
    struct code c = { code_room };
    struct frame f = trap_frame((uint32_t)code_room, 0);

    code_bytes(&c, 2, 0x0f | opcode << 8);
    code_end(&c);
    f.ecx = number;
    trap_run(&f);
    return f.vector;
}

static void msrs(void)
{
    enum { WRMSR = 0x30, RDMSR = 0x32 };
    static const struct {
        uint32_t number;
        uint8_t word, bit;
    } registers[] = {
        { 0x10, EDX_1, 4 }, { 0x174, EDX_1, 11 }, { 0x175, EDX_1, 11 }, { 0x176, EDX_1, 11 },
        { 0xfe, EDX_1, 12 }, { 0x200, EDX_1, 12 }, { 0x250, EDX_1, 12 }, { 0x2ff, EDX_1, 12 },
        { 0x277, EDX_1, 16 }, { 0xc0000103, EDX_X1, 27 }, { 0xc0000081, EDX_X1, 11 },
    };
    /* IA32_MTRRCAP, _MCG_CAP, _PLATFORM_ID, MSR_PLATFORM_INFO, IA32_FEATURE_CONTROL (locked) */
    static const uint32_t read_only[] = { 0xfe, 0x179, 0x17, 0xce, 0x3a };

    if (!has(EDX_1, 5)) {
        check_skip("msrs", "the CPU has none");
        return;
    }
    check_begin("msrs");
    for (unsigned i = 0; i < ARRAY_SIZE(registers); i++) {
        uint32_t want = has(registers[i].word, registers[i].bit) ? (uint32_t)TRAP_END
                                                                 : (uint32_t)VEC_GP;
        uint32_t got = msr_trap(RDMSR, registers[i].number);

        check_that(got == want, "%x: trap %u, want %u", registers[i].number, got, want);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(read_only); i++) /* whether it is there or not */
        check_equal("write to a read-only MSR", msr_trap(WRMSR, read_only[i]), VEC_GP);
    check_end();
}

unsigned guest_main(void)
{
    write_cr0(CR0_PE | CR0_MP | CR0_NE);
    read_words();
    if (has(EDX_1, 24)) /* SSE instructions are #UD without it anyway */
        write_cr4(CR4_OSFXSR);
    all_instructions();
    vector_instructions();
    system_instructions();
    fallbacks();
    cr4_bits();
    msrs();
    return check_done();
}
