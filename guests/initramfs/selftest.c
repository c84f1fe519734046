/*
 * Work whose result says whether the CPU under it is right: each part prints
 * "SELFTEST name checksum", the same on any CPU that is an x86, so a guest's
 * output is compared with the host's own. The shell script selftest runs it.
 *
 * Parts: integers and flags, strings, x87, SSE, faults (signal, trap number,
 * error code, address), single step, code that changes, memory maps and
 * copy-on-write, timer signals against FPU state, thread-local segments,
 * segment limits.
 */
#include "guests/bench/rt.h"
#include "guests/initramfs/selftest_avx.h"

#define PAGE 4096u
#define NOINLINE __attribute__((noinline))

/* ---- The checksum: FNV-1a over the bytes mixed in ---------------------- */

static uint32_t sum;

static void mix(const void *data, size_t size)
{
    const uint8_t *p = data;

    while (size--)
        sum = (sum ^ *p++) * 16777619u;
}

static void mix32(uint32_t value)
{
    mix(&value, sizeof(value));
}

static uint32_t random_state;

static uint32_t random32(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    return random_state ^= random_state << 5;
}

/* ---- Integers and flags ------------------------------------------------ */

#define CF 0x001u
#define PF 0x004u
#define AF 0x010u
#define ZF 0x040u
#define SF 0x080u
#define OF 0x800u

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

static void part_integers(void)
{
    static const uint32_t edges[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff,
                                      0x7fffffff, 0x80000000, 0xffffffff, 0x99999999 };
    const unsigned n = sizeof(edges) / sizeof(edges[0]);

    for (unsigned i = 0; i < n * n; i++)
        integer_round(edges[i / n], edges[i % n], i % 33, i & 1 ? ARITH | 2 : 2);
    for (unsigned i = 0; i < 20000; i++)
        integer_round(random32(), random32(), random32() & 31, (random32() & ARITH) | 2);
}

static void part_cmpxchg8b(void)
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

static void part_strings(void)
{
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)random32();
    for (unsigned i = 0; i < 2000; i++)
        string_round(PAGE + random32() % 500, PAGE + random32() % 500, random32() % 1000, i & 1);
    mix(text, sizeof(text));
}

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

static void part_x87(void)
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
static void part_sse(void)
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

static void part_mmx(void)
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

/* ---- Faults ------------------------------------------------------------ */

/* Linux's frame for a handler, up to what is read here (asm/sigcontext.h). */
struct context {
    uint32_t flags, link, stack[3];
    uint32_t gs, fs, es, ds;
    uint32_t edi, esi, ebp, esp, ebx, edx, ecx, eax;
    uint32_t trapno, err, eip, cs, eflags, esp_at_signal, ss;
    uint32_t fpstate, oldmask, cr2;
};

typedef void handler(int signal, void *info, struct context *context);

#define SA_SIGINFO 4u
#define SA_ONSTACK 0x08000000u
#define SA_RESTART 0x10000000u
#define SA_NODEFER 0x40000000u
#define SIGALRM 14

/* A timer's handler is not interrupted by its own signal: on a busy host its stack would not do. */
static void on_signal(int signal, handler *handle)
{
    struct {
        handler *handle;
        uint32_t flags, restorer, mask[2];
    } action = { handle, SA_SIGINFO | SA_RESTART | SA_ONSTACK, 0, { 0, 0 } };
    static uint8_t stack[16 * PAGE];
    const struct {
        void *base;
        uint32_t flags, size;
    } elsewhere = { stack, 0, sizeof(stack) };
    long result = sys2(SYS_sigaltstack, &elsewhere, 0);

    if (signal != SIGALRM)
        action.flags |= SA_NODEFER;
    if (!result)
        result = sys4(SYS_rt_sigaction, signal, &action, 0, 8);
    if (result)
        rt_fail("rt_sigaction", result);
}

static volatile uint32_t fault_count, fault_resume, fault_base, fault_esp;

/* Notes the fault and goes on at fault_resume with the stack as it was. */
static void note_fault(int signal, void *info, struct context *context)
{
    (void)info;
    fault_count++;
    mix32((uint32_t)signal);
    mix32(context->trapno);
    mix32(context->err & 7);
    mix32(context->trapno == 14 ? context->cr2 - fault_base : 0);
    mix32(context->eip - (context->eip == context->cr2 ? fault_base : fault_resume));
    mix32(context->eflags & (CF | PF | AF | ZF | SF | OF | 0x400));
    context->eip = fault_resume;
}

/* Runs an instruction that should fault, with ebx = base, and mixes in what
 * the general registers hold afterwards. */
#define FAULT(insn, base)                                                                          \
    do {                                                                                           \
        uint32_t a = 0x11223344, c = 5, d = 0x55667788, s, t;                                      \
        fault_base = (uint32_t)(base);                                                             \
        s = t = fault_base + PAGE - 8;                                                             \
        __asm__ volatile("movl $1f, %5\n movl %%esp, %6\n cmpl %%eax, %%edx\n" insn "\n"           \
                         "1: movl %6, %%esp\n cld\n"                                               \
                         : "+a"(a), "+c"(c), "+d"(d), "+S"(s), "+D"(t), "=m"(fault_resume),        \
                           "=m"(fault_esp)                                                         \
                         : "b"(fault_base)                                                         \
                         : "cc", "memory");                                                        \
        mix32(a);                                                                                  \
        mix32(c);                                                                                  \
        mix32(d);                                                                                  \
        mix32(s - fault_base);                                                                     \
        mix32(t - fault_base);                                                                     \
    } while (0)

static void memory_faults(char *base)
{
    FAULT("movl 4096(%%ebx), %%eax", base);
    FAULT("movl %%eax, 4100(%%ebx)", base);
    FAULT("movl %%eax, 4094(%%ebx)", base); /* crosses into the hole: nothing is written */
    FAULT("addl $1, 4096(%%ebx)", base);
    FAULT("movl $4, 8192(%%ebx)", base); /* read-only */
    FAULT("lock xaddl %%eax, 8200(%%ebx)", base);
    FAULT("rep movsl", base); /* two longs, then the hole */
    FAULT("rep stosb", base + PAGE);
    FAULT("leal 4096(%%ebx), %%esp; popl %%eax", base);
    FAULT("leal 8192(%%ebx), %%esp; pushl %%eax", base);
    FAULT("leal 8194(%%ebx), %%esp; pushal", base);
    FAULT("leal 4096(%%ebx), %%esp; popal", base);
    FAULT("leal 4094(%%ebx), %%esp; popl (%%ebx)", base);
    FAULT("leal 8192(%%ebx), %%esp; call *%%ebx", base);
    FAULT("leal 4096(%%ebx), %%esp; ret", base);
    FAULT("leal 4096(%%ebx), %%esp; popfl", base);
    FAULT("leal 4096(%%ebx), %%edi; jmp *%%edi", base);
    FAULT("fldl 4092(%%ebx)", base);
    FAULT("movups 4088(%%ebx), %%xmm0", base);
    FAULT("cmpxchg8b 4092(%%ebx)", base);
}

static void part_faults(void)
{
    char *base = rt_map(4 * PAGE, PROT_READ | PROT_WRITE);

    for (int signal = 4; signal <= 11; signal++)
        if (signal != 6 && signal != 9 && signal != 10)
            on_signal(signal, note_fault);
    sys3(SYS_mprotect, base + PAGE, PAGE, PROT_NONE);
    sys3(SYS_mprotect, base + 2 * PAGE, PAGE, PROT_READ);
    for (unsigned i = 0; i < 100; i++) {
        memory_faults(base);
        FAULT("xorl %%ecx, %%ecx; divl %%ecx", base);
        FAULT("movl $2, %%ecx; movl $7, %%edx; divl %%ecx", base);
        FAULT("ud2", base);
        FAULT("int3", base);
        FAULT("movl $0x7fffffff, %%eax; addl $1, %%eax; into", base);
        FAULT("movl $0x80808080, %%eax; boundl %%eax, (%%ebx)", base);
        FAULT("hlt", base);
        FAULT("cli", base);
        FAULT("inb $0x80, %%al", base);
        FAULT("movl %%cr0, %%eax", base);
        FAULT("lgdt (%%ebx)", base);
        FAULT("int $0x40", base);
        FAULT("movl $0xffff, %%eax; movl %%eax, %%fs", base);
        FAULT("movaps 4(%%ebx), %%xmm0", base);
    }
    mix(base, PAGE);
    mix32(fault_count);
}

/* ---- Single step ------------------------------------------------------- */

static uint32_t step_start;

static void note_step(int signal, void *info, struct context *context)
{
    (void)signal, (void)info;
    mix32(context->eip - step_start);
    mix32(context->trapno);
    fault_count++;
}

static NOINLINE void stepped(void)
{
    __asm__ volatile("movl $1f, %0\n pushfl\n orl $0x100, (%%esp)\n popfl\n"
                     "1: movl $5, %%ecx\n"
                     "2: decl %%ecx\n jnz 2b\n"
                     "movl $3, %%ecx\n rep lodsb\n"
                     "call 3f\n jmp 4f\n 3: ret\n"
                     "4: pushfl\n andl $~0x100, (%%esp)\n popfl\n nop\n"
                     : "=m"(step_start) : "S"(text) : "eax", "ecx", "cc", "memory");
}

static void part_step(void)
{
    on_signal(5, note_step);
    for (unsigned i = 0; i < 50; i++)
        stepped();
    mix32(fault_count);
}

/* ---- Code that changes ------------------------------------------------- */

typedef uint32_t code(uint32_t value);

static const uint8_t template[] = {
    0x8b, 0x44, 0x24, 0x04, /* mov eax, [esp+4] */
    0x05, 0, 0, 0, 0,       /* add eax, imm32 at 5 */
    0xc3,                   /* ret */
};

static void put_code(uint8_t *at, uint32_t addend)
{
    for (unsigned i = 0; i < sizeof(template); i++)
        at[i] = template[i];
    *(uint32_t *)(at + 5) = addend;
}

/* Writes through the mapping it runs from, across a page's end, and through
 * a second mapping of the same memory. */
static void part_code(void)
{
    uint8_t *own = rt_map(2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC), *run, *alias;
    long fd = sys2(SYS_memfd_create, "code", 0);

    if (fd < 0)
        rt_fail("memfd_create", fd);
    for (unsigned i = 0; i < 5000; i++) {
        uint8_t *at = own + (i & 1 ? PAGE - 7 : i % 64);

        put_code(at, i * 2654435761u);
        mix32(((code *)at)(i));
        *(uint32_t *)(at + 5) ^= 0x5a5a5a5a;
        mix32(((code *)at)(i));
    }
    sys3(SYS_write, fd, text, PAGE);
    run = rt_map_at(0, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd);
    alias = rt_map_at(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    for (unsigned i = 0; i < 5000; i++) {
        put_code(alias + i % 50, i * 40503);
        mix32(((code *)(run + i % 50))(i));
    }
    /* The instruction after the one that writes it. */
    for (unsigned i = 0; i < 1000; i++) {
        uint32_t got;
        static const uint8_t self[] = { 0x8b, 0x44, 0x24, 0x04,       /* mov eax, [esp+4] */
                                        0xe8, 0, 0, 0, 0, 0x59,       /* call 1f; 1: pop ecx */
                                        0x89, 0x41, 0x05, 0x90,       /* mov [ecx+5], eax; nop */
                                        0xb8, 0, 0, 0, 0, 0xc3 };     /* mov eax, 0; ret */

        for (unsigned j = 0; j < sizeof(self); j++)
            own[j] = self[j];
        own[12] = 6;
        got = ((code *)own)(i * 77777);
        mix32(got);
    }
}

/* ---- Memory maps ------------------------------------------------------- */

static void grow(int signal, void *info, struct context *context)
{
    (void)signal, (void)info;
    mix32(context->err & 7);
    mix32(context->cr2 - fault_base);
    fault_count++;
    sys3(SYS_mprotect, context->cr2 & -PAGE, PAGE, PROT_READ | PROT_WRITE);
}

/* 4 MiB a round: reserved, opened page by page by its own fault handler,
 * shared with a child that writes to its copy, moved, and given back. */
static void part_maps(void)
{
    const unsigned pages = 1024, size = pages * PAGE;

    on_signal(11, grow);
    for (unsigned round = 0; round < 4; round++) {
        uint32_t *base = rt_map(size, PROT_NONE);
        long moved;
        int pid;

        fault_base = (uint32_t)base;
        for (unsigned i = 0; i < pages; i++)
            base[i * 1024 + i] = i * round;
        pid = rt_fork();
        for (unsigned i = 0; !pid && i < pages; i++)
            base[i * 1024 + 5] = ~i;
        if (!pid)
            rt_exit(0);
        rt_wait(pid);
        moved = sys4(SYS_mremap, base, size, 2 * size, 1);
        if ((unsigned long)moved > -4096ul)
            rt_fail("mremap", moved);
        for (unsigned i = 0; i < 2 * pages; i++)
            mix((uint32_t *)moved + i * 1024, 64);
        sys2(SYS_munmap, moved, 2 * size);
    }
    mix32(fault_count);
}

/* ---- Timer signals against FPU state ----------------------------------- */

static void spoil_fpu(int signal, void *info, struct context *context)
{
    (void)signal, (void)info, (void)context;
    __asm__ volatile("fninit\n fldpi\n fldz\n xorps %%xmm0, %%xmm0\n xorps %%xmm1, %%xmm1\n"
                     "pcmpeqd %%xmm2, %%xmm2" : : : "xmm0", "xmm1", "xmm2");
    fault_count++;
}

static void part_timer(void)
{
    const long on[4] = { 0, 1000, 0, 1000 }, off[4] = { 0, 0, 0, 0 };
    long double x = 0.4L;
    double y = 0.6;

    on_signal(SIGALRM, spoil_fpu);
    sys3(SYS_setitimer, 0, on, 0);
    /* A thousand rounds at least, and until enough signals came: the map
     * starts again each round, so the number of rounds does not show. */
    for (unsigned round = 0; round < 1000 || fault_count < 50; round++) {
        x = 0.4L, y = 0.6;
        for (unsigned i = 0; i < 1000; i++) {
            x = 3.9L * x * (1 - x);
            __asm__ volatile("movsd %0, %%xmm1\n mulsd %%xmm1, %%xmm1\n subsd %0, %%xmm1\n"
                             "addsd %%xmm1, %%xmm1\n movsd %%xmm1, %0" : "+m"(y) : : "xmm1");
            if (y < -0.9 || y > 0.9)
                y *= 0.5;
        }
    }
    sys3(SYS_setitimer, 0, off, 0);
    mix(&x, 10);
    mix(&y, sizeof(y));
}

/* ---- Threads and segments ---------------------------------------------- */

struct descriptor {
    uint32_t entry, base, limit, flags;
};

enum { DESC_32BIT = 1, DESC_DATA = 0, DESC_EXPAND_DOWN = 1 << 1, DESC_PAGES = 1 << 4,
       DESC_USABLE = 1 << 6 };

/* A descriptor of the GDT that the kernel swaps with the thread, behind gs. */
static void part_tls(void)
{
    struct descriptor d = { (uint32_t)-1, (uint32_t)text, 0xfffff,
                            DESC_32BIT | DESC_PAGES | DESC_USABLE };
    uint32_t got;
    int pid;

    if (sys1(SYS_set_thread_area, &d))
        rt_fail("set_thread_area", -1);
    __asm__ volatile("movw %w0, %%gs" : : "r"(d.entry << 3 | 3));
    for (unsigned i = 0; i < 256; i++)
        text[i] = (uint8_t)(i * 7);
    pid = rt_fork();
    for (unsigned i = 0; i < 252; i++) {
        __asm__ volatile("movl %%gs:(%1), %0" : "=r"(got) : "r"(i));
        mix32(got);
        __asm__ volatile("movl %0, %%gs:(%1)" : : "r"(got + (uint32_t)pid % 1), "r"(i) : "memory");
        sys0(SYS_getppid);
    }
    if (!pid)
        rt_exit(0);
    rt_wait(pid);
    __asm__ volatile("movw %w0, %%gs" : : "r"(0));
}

static void note_limit(int signal, void *info, struct context *context)
{
    (void)info;
    mix32((uint32_t)signal << 16 | context->trapno);
    mix32(context->err);
    fault_count++;
    context->eip = fault_resume;
}

static void set_ldt(unsigned entry, uint32_t limit, uint32_t flags)
{
    struct descriptor d = { entry, (uint32_t)text, limit, flags };
    long result = sys3(SYS_modify_ldt, 1, &d, sizeof(d));

    if (result)
        rt_fail("modify_ldt", result);
}

static uint32_t read_fs(uint32_t offset)
{
    uint32_t got = 0xdead;

    __asm__ volatile("movl $1f, %1\n movl %%fs:(%2), %0\n 1:"
                     : "+r"(got), "=m"(fault_resume) : "r"(offset) : "memory");
    return got;
}

/* Limits of an LDT's segments: byte granular, and expand-down. */
static void part_limits(void)
{
    on_signal(11, note_limit);
    set_ldt(0, 99, DESC_32BIT | DESC_USABLE);
    set_ldt(1, 99, DESC_32BIT | DESC_EXPAND_DOWN | DESC_USABLE);
    for (unsigned entry = 0; entry < 2; entry++) {
        __asm__ volatile("movw %w0, %%fs" : : "r"(entry << 3 | 7));
        for (unsigned i = 90; i < 110; i++)
            mix32(read_fs(i));
        mix32(read_fs(0xffffffff));
    }
    __asm__ volatile("movw %w0, %%fs" : : "r"(0));
    mix32(fault_count);
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

static void part_avx(void)
{
    if (avx_offered())
        vector_turns(avx_rounds);
}

static void part_avx512(void)
{
    if (avx512_offered())
        vector_turns(avx512_rounds);
}

/* ---- The list ---------------------------------------------------------- */

static const struct part {
    const char *name;
    void (*run)(void);
} parts[] = {
    { "integers", part_integers },
    { "cmpxchg8b", part_cmpxchg8b },
    { "strings", part_strings },
    { "x87", part_x87 },
    { "sse", part_sse },
    { "avx", part_avx },
    { "avx512", part_avx512 },
    { "mmx", part_mmx },
    { "faults", part_faults },
    { "step", part_step },
    { "code", part_code },
    { "maps", part_maps },
    { "timer", part_timer },
    { "tls", part_tls },
    { "limits", part_limits },
};

/* Each part in a process of its own, so a crash ends only its own line. */
static void run_part(const struct part *part)
{
    int pid = rt_fork(), status;

    if (!pid) {
        sum = 2166136261u;
        random_state = 88172645;
        part->run();
        rt_print("SELFTEST ");
        rt_print(part->name);
        rt_print(" ");
        rt_print_unsigned(sum, 16, 8);
        rt_print("\n");
        rt_exit(0);
    }
    sys4(SYS_wait4, pid, &status, 0, 0);
    if (status) {
        rt_print("SELFTEST ");
        rt_print(part->name);
        rt_print(" died with status ");
        rt_print_unsigned((unsigned)status, 10, 1);
        rt_print("\n");
    }
}

int rt_main(int argc, char **argv, char **envp)
{
    (void)envp;
    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (argc < 2 || rt_equal(argv[1], parts[i].name))
            run_part(&parts[i]);
    return 0;
}
