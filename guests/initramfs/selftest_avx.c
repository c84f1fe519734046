/* See selftest_avx.h. Integer arithmetic, shuffles, a gather and a masked store. */
#include "guests/initramfs/selftest_avx.h"

static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
                     : "a"(leaf), "c"(subleaf));
}

int avx_offered(void)
{
    uint32_t r[4], xcr0, high;

    cpuid(0, 0, r);
    if (r[0] < 7)
        return 0;
    cpuid(1, 0, r);
    if (~r[2] & (1u << 27 | 1u << 28)) /* OSXSAVE, AVX */
        return 0;
    __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
    cpuid(7, 0, r);
    return (xcr0 & 6) == 6 && r[1] >> 5 & 1;
}

#define ALL(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)
#define LOAD(n) "vmovdqu " #n "*32(%%esi), %%ymm" #n "\n"
#define STORE(n) "vmovdqu %%ymm" #n ", " #n "*32(%%esi)\n"

static void one_round(uint32_t state[64])
{
    __asm__ volatile(
        ALL(LOAD)
        "vpaddd %%ymm1, %%ymm0, %%ymm0\n vpmulld %%ymm2, %%ymm1, %%ymm1\n"
        "vpshufb %%ymm3, %%ymm2, %%ymm2\n vpermd %%ymm4, %%ymm3, %%ymm3\n"
        "vpsrlvd %%ymm5, %%ymm4, %%ymm6\n vpxor %%ymm6, %%ymm5, %%ymm5\n"
        "vpalignr $5, %%ymm7, %%ymm0, %%ymm7\n vperm2i128 $0x21, %%ymm1, %%ymm6, %%ymm6\n"
        "movl $158, %%eax\n int $0x80\n" /* sched_yield */
        "vpaddq %%ymm7, %%ymm4, %%ymm4\n vpcmpeqd %%ymm6, %%ymm6, %%ymm7\n"
        "vpsrld $27, %%ymm1, %%ymm6\n" /* indices 0 to 31 */
        "vpxor %%xmm5, %%xmm5, %%xmm5\n"
        "vpgatherdd %%ymm7, (%%esi, %%ymm6, 4), %%ymm5\n"
        "vpmaskmovd %%ymm2, %%ymm0, 96(%%esi)\n vpaddd 96(%%esi), %%ymm3, %%ymm3\n"
        "vpsadbw %%ymm0, %%ymm2, %%ymm7\n vpaddd %%ymm5, %%ymm7, %%ymm7\n"
        ALL(STORE)
        "vzeroupper\n"
        : : "S"(state) : "eax", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
          "xmm6", "xmm7");
}

int avx512_offered(void)
{
    uint32_t r[4], xcr0, high;

    if (!avx_offered())
        return 0;
    __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
    cpuid(7, 0, r);
    return (xcr0 & 0xe6) == 0xe6 && (r[1] >> 16 & 1) && (r[1] >> 30 & 1);
}

#define LOAD64(n) "vmovdqu32 " #n "*32(%%esi), %%zmm" #n "\n"
#define STORE64(n) "vmovdqu32 %%zmm" #n ", " #n "*32(%%esi)\n"

/* Registers overlap in memory by halves. Masks, a compress, a scatter, a broadcast. */
static void one_round512(uint32_t state[72])
{
    __asm__ volatile(
        ALL(LOAD64)
        "vpcmpgtd %%zmm1, %%zmm0, %%k1\n vptestmb %%zmm3, %%zmm2, %%k2\n kandw %%k1, %%k2, %%k3\n"
        "vpaddd %%zmm1, %%zmm0, %%zmm0 %{%%k1%}\n vpmulld 64(%%esi)%{1to16%}, %%zmm4, %%zmm4\n"
        "vpermd %%zmm5, %%zmm4, %%zmm5 %{%%k3%}%{z%}\n vprold $7, %%zmm6, %%zmm6\n"
        "movl $158, %%eax\n int $0x80\n" /* sched_yield */
        "vpternlogd $0x96, %%zmm4, %%zmm5, %%zmm7\n vpaddb %%zmm3, %%zmm2, %%zmm2 %{%%k2%}\n"
        "kmovd %%k1, %%eax\n movl %%eax, 256(%%esi)\n kmovd %%k2, %%eax\n"
        "addl %%eax, 260(%%esi)\n"
        ALL(STORE64)
        "vpcompressd %%zmm7, (%%esi) %{%%k1%}\n vpsrld $27, %%zmm1, %%zmm6\n"
        "vpscatterdd %%zmm0, (%%esi, %%zmm6, 4) %{%%k3%}\n"
        "vzeroupper\n"
        : : "S"(state) : "eax", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
          "xmm6", "xmm7");
}

void avx512_rounds(uint32_t state[72], unsigned rounds)
{
    while (rounds--)
        one_round512(state);
}

void avx_rounds(uint32_t state[64], unsigned rounds)
{
    while (rounds--)
        one_round(state);
}
