/* Parts of selftest: x87, SSE, MMX, and vector registers of two processes. See selftest.h. */
#include "guests/initramfs/selftest.h"
#include "guests/initramfs/selftest_avx.h"

/* ---- x87 --------------------------------------------------------------- */

#define X87_1(insn)                                                                                \
    do {                                                                                           \
        long double r;                                                                             \
        __asm__ volatile(insn : "=t"(r) : "0"(x));                                                 \
        mix(&r, 10);                                                                               \
    } while (0)
#define X87_2(insn)                                                                                \
    do {                                                                                           \
        long double r;                                                                             \
        __asm__ volatile(insn : "=t"(r) : "0"(x), "u"(y) : "st(1)");                               \
        mix(&r, 10);                                                                               \
    } while (0)

static void x87_round(long double x, long double y)
{
    uint8_t bcd[10];
    uint16_t status;

    X87_1("fsqrt");
    X87_1("frndint");
    X87_1("fsin");
    X87_1("fcos");
    X87_1("fldl2e; fmulp");
    X87_2("fpatan");
    X87_2("fyl2x");
    X87_2("faddp");
    X87_2("fdivrp");
    X87_2("fmulp");
    x = x / (y + x);
    X87_1("f2xm1");
    __asm__ volatile("fbstp %0" : "=m"(bcd) : "t"(y * 1000) : "st");
    mix(bcd, sizeof(bcd));
    __asm__ volatile("fcom %2\n fnstsw %0" : "=a"(status) : "t"(x), "u"(y));
    mix32(status & 0x4500);
}

void part_x87(void)
{
    static const uint16_t controls[] = { 0x37f, 0x77f, 0xb7f, 0xf7f, 0x27f, 0x07f };

    for (unsigned i = 0; i < 3000; i++) {
        __asm__ volatile("fldcw %0" : : "m"(controls[i % 6]));
        x87_round((random32() >> 1) / 65536.0L + 0.125L, (random32() >> 1) / 1048576.0L + 1);
    }
    __asm__ volatile("fninit");
}

/* ---- SSE --------------------------------------------------------------- */

typedef float f4 __attribute__((vector_size(16)));

#define SSE(insn)                                                                                  \
    do {                                                                                           \
        f4 r = x;                                                                                  \
        __asm__ volatile(insn " %1, %0" : "+x"(r) : "x"(y));                                       \
        mix(&r, 16);                                                                               \
    } while (0)

static void sse_round(f4 x, f4 y)
{
    uint32_t mxcsr;

    SSE("addps");
    SSE("subpd");
    SSE("mulps");
    SSE("divps");
    SSE("mulsd");
    SSE("divpd");
    SSE("sqrtps");
    SSE("sqrtsd");
    SSE("maxps");
    SSE("minpd");
    SSE("cmpltps");
    SSE("cvtps2dq");
    SSE("cvttpd2dq");
    SSE("cvtdq2ps");
    SSE("cvtsd2ss");
    SSE("cvtss2sd");
    SSE("unpcklps");
    SSE("pshufd $0x39,");
    SSE("pmuludq");
    SSE("pmaddwd");
    SSE("psadbw");
    SSE("packssdw");
    SSE("paddusb");
    SSE("pcmpgtw");
    SSE("psrlq $5, %0; pxor");
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    mix32(mxcsr);
}

/* Random bits: NaNs, denormals and infinities among them; all roundings, and
 * flush to zero. */
void part_sse(void)
{
    for (unsigned i = 0; i < 5000; i++) {
        uint32_t mxcsr = 0x1f80 | (i & 3) << 13 | (i & 4) << 13;
        union {
            uint32_t word[4];
            f4 value;
        } x, y;

        for (unsigned j = 0; j < 4; j++) {
            x.word[j] = i & 8 ? random32() : random32() & 0x807fffff;
            y.word[j] = i & 16 ? random32() : (random32() & 0x3ffffff) | 0x3f000000;
        }
        __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
        sse_round(x.value, y.value);
    }
}

void part_mmx(void)
{
    uint64_t a = 1, b = 3, r = 0;

    for (unsigned i = 0; i < 10000; i++) {
        a = (a << 7 | a >> 57) ^ random32();
        b = (b << 9 | b >> 55) ^ random32();
        __asm__ volatile("movq %1, %%mm3\n movq %2, %%mm5\n paddsw %%mm3, %%mm5\n"
                         "pmulhw %%mm5, %%mm3\n punpckhbw %%mm5, %%mm3\n psubd %%mm5, %%mm3\n"
                         "movq %%mm3, %0\n emms"
                         : "=m"(r) : "m"(a), "m"(b) : "mm3", "mm5");
        mix(&r, sizeof(r));
    }
}

/* ---- AVX2 and AVX-512, two processes at once ---------------------------- */

enum { AVX_STATE = 72 }; /* words */

/* Parent and child take turns (sched_yield) with their vector registers full. */
static void vector_turns(void (*rounds)(uint32_t *state, unsigned rounds))
{
    uint32_t *shared = rt_map_at(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    uint32_t *own = shared;
    int pid = rt_fork();

    if (!pid)
        own += AVX_STATE;
    for (unsigned i = 0; i < AVX_STATE; i++)
        own[i] = i * 2654435761u + (own != shared);
    rounds(own, 3000);
    if (!pid)
        rt_exit(0);
    rt_wait(pid);
    mix(shared, 2 * AVX_STATE * sizeof(uint32_t));
}

void part_avx(void)
{
    if (avx_offered())
        vector_turns(avx_rounds);
}

void part_avx512(void)
{
    if (avx512_offered())
        vector_turns(avx512_rounds);
}
