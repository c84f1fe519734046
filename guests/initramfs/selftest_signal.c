/* Parts of selftest: faults, single step, timer signals against FPU state. See selftest.h. */
#include "guests/initramfs/selftest.h"

/* ---- Faults ------------------------------------------------------------ */

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

void part_faults(void)
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

static uint8_t text[3]; /* loaded from */
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

void part_step(void)
{
    on_signal(5, note_step);
    for (unsigned i = 0; i < 50; i++)
        stepped();
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

void part_timer(void)
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
