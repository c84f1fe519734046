/* Parts of selftest: integers and their flags, CMPXCHG8B, strings. See selftest.h. */
#include "guests/initramfs/selftest.h"

/* ---- Integers and flags ------------------------------------------------ */

/* One instruction on a and b; what it leaves in a, b and the flags it defines. */
#define INTEGER(text, defined)                                                                     \
    do {                                                                                           \
        uint32_t x = a, y = b, flags;                                                              \
        __asm__ volatile("pushl %3\n popfl\n" text "\n pushfl\n popl %2"                           \
                         : "+a"(x), "+d"(y), "=r"(flags)                                           \
                         : "r"(start), "c"(shift)                                                  \
                         : "cc", "memory");                                                        \
        mix32(x);                                                                                  \
        mix32(y);                                                                                  \
        mix32(flags & (defined));                                                                  \
    } while (0)

#define ARITH (CF | PF | AF | ZF | SF | OF)
#define LOGIC (CF | PF | ZF | SF | OF)

static void integer_round(uint32_t a, uint32_t b, uint32_t shift, uint32_t start)
{
    INTEGER("addl %%edx, %%eax", ARITH);
    INTEGER("adcl %%edx, %%eax", ARITH);
    INTEGER("subw %%dx, %%ax", ARITH);
    INTEGER("sbbb %%dh, %%al", ARITH);
    INTEGER("cmpl %%edx, %%eax", ARITH);
    INTEGER("incl %%eax", ARITH);
    INTEGER("decw %%ax", ARITH);
    INTEGER("negl %%eax", ARITH);
    INTEGER("andl %%edx, %%eax", LOGIC);
    INTEGER("xorw %%dx, %%ax", LOGIC);
    INTEGER("testb %%dl, %%ah", LOGIC);
    INTEGER("imull %%edx", CF | OF);
    INTEGER("mull %%edx", CF | OF);
    INTEGER("imulw %%dx, %%ax", CF | OF);
    INTEGER("rcll $1, %%eax", CF | OF);
    INTEGER("rcrw $1, %%ax", CF | OF);
    INTEGER("roll %%cl, %%eax", CF);
    INTEGER("rorb %%cl, %%al", shift ? CF : 0);
    INTEGER("rclb %%cl, %%ah", 0);
    INTEGER("shll %%cl, %%eax", shift ? CF | PF | ZF | SF : ARITH);
    INTEGER("sarl %%cl, %%eax", shift ? CF | PF | ZF | SF : ARITH);
    INTEGER("shldl %%cl, %%edx, %%eax", shift ? CF | PF | ZF | SF : ARITH);
    INTEGER("shrdl $7, %%edx, %%eax", CF | PF | ZF | SF);
    INTEGER("xaddl %%edx, %%eax", ARITH);
    INTEGER("bswap %%eax", 0);
    INTEGER("btcl %%edx, %%eax", CF);
    INTEGER("orl $1, %%edx; bsfl %%edx, %%eax", ZF);
    INTEGER("orl $1, %%edx; bsrl %%edx, %%eax", ZF);
    INTEGER("daa", CF | PF | AF | ZF | SF);
    INTEGER("das", CF | PF | AF | ZF | SF);
    INTEGER("aaa", CF | AF);
    INTEGER("aas", CF | AF);
    INTEGER("aam", PF | ZF | SF);
    INTEGER("aad", PF | ZF | SF);
    INTEGER("cmovbl %%edx, %%eax", ARITH);
    INTEGER("cmovgl %%edx, %%eax", ARITH);
    INTEGER("setle %%al; setp %%ah; sets %%dl", ARITH);
    INTEGER("lahf", ARITH);
    INTEGER("sahf", ARITH);
    INTEGER("cwtl; cltd", ARITH);
    INTEGER("pushal; popal", ARITH);
    INTEGER("std; pushfl; cld; leal 4(%%esp), %%esp", ARITH);
    INTEGER("movl $0x10000, %%ecx; orl %%edx, %%ecx; xorl %%edx, %%edx; divl %%ecx; "
            "movl $1, %%ecx", 0);
}

void part_integers(void)
{
    static const uint32_t edges[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff,
                                      0x7fffffff, 0x80000000, 0xffffffff, 0x99999999 };
    const unsigned n = sizeof(edges) / sizeof(edges[0]);

    for (unsigned i = 0; i < n * n; i++)
        integer_round(edges[i / n], edges[i % n], i % 33, i & 1 ? ARITH | 2 : 2);
    for (unsigned i = 0; i < 20000; i++)
        integer_round(random32(), random32(), random32() & 31, (random32() & ARITH) | 2);
}

void part_cmpxchg8b(void)
{
    static uint64_t cell;

    for (unsigned i = 0; i < 10000; i++) {
        uint32_t lo = (uint32_t)cell, hi = (uint32_t)(cell >> 32);
        uint8_t equal;

        if (i % 3 == 0)
            lo ^= 1;
        __asm__ volatile("lock cmpxchg8b %3\n sete %2"
                         : "+a"(lo), "+d"(hi), "=m"(equal), "+m"(cell)
                         : "b"(random32()), "c"(random32()) : "cc");
        mix32(lo);
        mix32(hi);
        mix32(equal);
    }
    mix(&cell, sizeof(cell));
}

/* ---- Strings ----------------------------------------------------------- */

static uint8_t text[3 * PAGE];

static void string_round(unsigned from, unsigned to, unsigned count, int backwards)
{
    uint32_t s = (uint32_t)(text + from), d = (uint32_t)(text + to), c = count;

    if (backwards)
        __asm__ volatile("std\n rep movsb\n cld" : "+S"(s), "+D"(d), "+c"(c) : : "memory");
    else
        __asm__ volatile("rep movsw" : "+S"(s), "+D"(d), "+c"(c) : : "memory");
    mix32(s - (uint32_t)text);
    mix32(d - (uint32_t)text);
    d = (uint32_t)(text + from), c = count;
    __asm__ volatile("repne scasb" : "+D"(d), "+c"(c) : "a"(count) : "cc", "memory");
    mix32(c);
    s = (uint32_t)(text + from), d = (uint32_t)(text + to), c = count / 4;
    __asm__ volatile("repe cmpsl" : "+S"(s), "+D"(d), "+c"(c) : : "cc", "memory");
    mix32(c);
}

void part_strings(void)
{
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)random32();
    for (unsigned i = 0; i < 2000; i++)
        string_round(PAGE + random32() % 500, PAGE + random32() % 500, random32() % 1000, i & 1);
    mix(text, sizeof(text));
}
