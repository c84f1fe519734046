/*
 * usermode, part: signals. Frames with changed registers and FPU state, alternate stacks, signals
 * inside signals, and storms of them against string instructions, x87, SSE and AVX.
 */
#include "guests/initramfs/selftest_avx.h"
#include "guests/initramfs/usermode.h"

static volatile uint32_t signals, depth, deepest, stack_low, stack_high;

static void timer(long microseconds)
{
    const long every[4] = { 0, microseconds, 0, microseconds };

    sys3(SYS_setitimer, 0, every, 0);
}

/* ---- What sigreturn loads ------------------------------------------------- */

static void change_registers(int signal, struct info *info, struct context *context)
{
    (void)signal, (void)info;
    context->eax = 0x11111111;
    context->ebx = 0x22222222;
    context->ecx = 0x33333333;
    context->edx = 0x44444444;
    context->esi = 0x55555555;
    context->edi = 0x66666666;
    context->ebp = 0x77777777;
    context->eflags = (context->eflags & ~0xcd5u) | 0xc95; /* CF PF AF SF DF OF */
    context->eip += 2;
}

static void case_sigreturn(void)
{
    static uint32_t r[8];

    um_signal(SIGILL, change_registers, 1);
    for (unsigned i = 0; i < 100; i++) {
        __asm__ volatile("pushal\n ud2\n movl %%eax, %0\n movl %%ebx, 4+%0\n movl %%ecx, 8+%0\n"
                         "movl %%edx, 12+%0\n movl %%esi, 16+%0\n movl %%edi, 20+%0\n"
                         "movl %%ebp, 24+%0\n pushfl\n popl 28+%0\n cld\n popal"
                         : "=m"(r) : : "memory", "cc");
        r[7] &= 0xcd5;
        mix(r, sizeof(r));
    }
    see("sum", mixed());
    see("flags", r[7]);
}

/* The frame's FSAVE image, then its FXSAVE image: ST(0) is at 28 and at 112 + 32. */
static void change_fpu(int signal, struct info *info, struct context *context)
{
    uint8_t *fx = context->fpstate + 112;

    (void)signal, (void)info;
    __asm__ volatile("fninit\n fldpi\n fldpi\n pcmpeqd %%xmm1, %%xmm1\n pcmpeqd %%xmm7, %%xmm7"
                     : : : "xmm0", "xmm1", "xmm7");
    for (unsigned i = 0; i < 16; i++)
        fx[160 + i] ^= 0xa5; /* XMM0 */
    fx[32] ^= 1, context->fpstate[28] ^= 1;
    context->eip += 2;
}

static void case_frame_fpu(void)
{
    static uint32_t xmm[12] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    long double x = 3.25L;

    um_signal(SIGILL, change_fpu, 0);
    for (unsigned i = 0; i < 200; i++) {
        __asm__ volatile("movups %0, %%xmm0\n movups 16+%0, %%xmm1\n fldt %1\n ud2\n fstpt %1\n"
                         "movups %%xmm0, %0\n movups %%xmm1, 16+%0\n movups %%xmm7, 32+%0"
                         : "+m"(xmm), "+m"(x) : : "xmm0", "xmm1", "xmm7");
        mix(xmm, 32);
        mix(&x, 10);
    }
    see("sum", mixed());
}

static void spoil_avx(int signal, struct info *info, struct context *context)
{
    (void)signal, (void)info, (void)context;
    signals++;
    __asm__ volatile("fninit\n fldz\n vpcmpeqd %%ymm0, %%ymm0, %%ymm0\n"
                     "vpxor %%xmm7, %%xmm7, %%xmm7" : : : "xmm0", "xmm7");
}

/* Full vector registers while signals come whose handlers have their own. */
static void case_frame_avx(void)
{
    static uint32_t state[72];

    for (unsigned i = 0; i < 72; i++)
        state[i] = i * 2654435761u;
    if (!avx_offered()) {
        see("none", 0);
        return;
    }
    um_signal(SIGALRM, spoil_avx, 0);
    timer(2000);
    while (signals < 30) {
        for (unsigned i = 0; i < 72; i++)
            state[i] = i * 2654435761u;
        avx_rounds(state, 300);
    }
    timer(0);
    mix(state, sizeof(state));
    see("sum", mixed());
}

/* ---- Stacks ----------------------------------------------------------------- */

static uint8_t other_stack[8 * PAGE];

static void on_which(int signal, struct info *info, struct context *context)
{
    uint32_t here = (uint32_t)&signal;

    (void)info, (void)context;
    mix32(here - stack_low < stack_high - stack_low);
    depth++;
    if (depth > deepest)
        deepest = depth;
    if (depth < 4)
        __asm__ volatile("ud2");
    if (signal == SIGILL)
        context->eip += 2;
    depth--;
    signals++;
}

static void case_altstack(void)
{
    struct {
        void *base;
        uint32_t flags, size;
    } stack = { other_stack, 0, sizeof(other_stack) };

    um_signal(SIGUSR1, on_which, 0);
    um_signal(SIGILL, on_which, 0);
    sys2(SYS_sigaltstack, &stack, 0);
    stack_low = (uint32_t)other_stack;
    stack_high = stack_low + sizeof(other_stack);
    for (unsigned i = 0; i < 50; i++)
        sys2(SYS_kill, sys0(SYS_getpid), SIGUSR1);
    um_signal(SIGUSR1, on_which, 1);
    um_signal(SIGILL, on_which, 1);
    for (unsigned i = 0; i < 50; i++)
        sys2(SYS_kill, sys0(SYS_getpid), SIGUSR1);
    see("signals", signals);
    see("deepest", deepest);
    see("sum", mixed());
}

/* The stack has no room: a fault on it goes to the other one. */
static void leave_overflow(int signal, struct info *info, struct context *context)
{
    (void)signal;
    mix32((uint32_t)info->code);
    mix32(context->trapno);
    signals++;
    context->esp = um_esp;
    context->eip = um_resume;
}

static void case_overflow(void)
{
    char *low = rt_map(3 * PAGE, PROT_READ | PROT_WRITE);

    sys3(SYS_mprotect, low, PAGE, PROT_NONE);
    um_signal(SIGSEGV, leave_overflow, 0);
    for (unsigned i = 0; i < 20; i++)
        __asm__ volatile("pushal\n movl %%esp, um_esp\n movl $2f, um_resume\n movl %0, %%esp\n"
                         "1: call 1b\n 2: popal" : : "r"(low + 3 * PAGE) : "memory");
    see("signals", signals);
    see("sum", mixed());
}

/* ---- Storms ------------------------------------------------------------------ */

static void count_signal(int signal, struct info *info, struct context *context)
{
    (void)signal, (void)info, (void)context;
    signals++;
}

/* A string instruction over 4 MiB is interrupted in its middle and goes on. */
static void case_strings(void)
{
    const uint32_t size = 4 << 20;
    uint8_t *from = rt_map(size, PROT_READ | PROT_WRITE);
    uint8_t *to = rt_map(size, PROT_READ | PROT_WRITE);
    uint32_t s, d, c, wrong = 0;

    for (uint32_t i = 0; i < size / 4; i++)
        ((uint32_t *)from)[i] = i * 2654435761u;
    um_signal(SIGALRM, count_signal, 0);
    timer(1000);
    for (unsigned round = 0; round < 20 || signals < 20; round++) {
        s = (uint32_t)from, d = (uint32_t)to, c = round & 1 ? size : size / 4;
        if (round & 1)
            __asm__ volatile("rep movsb" : "+S"(s), "+D"(d), "+c"(c) : : "memory");
        else
            __asm__ volatile("rep movsl" : "+S"(s), "+D"(d), "+c"(c) : : "memory");
        wrong += c != 0 || s != (uint32_t)from + size || d != (uint32_t)to + size;
        s = (uint32_t)from, d = (uint32_t)to, c = size / 4;
        __asm__ volatile("repe cmpsl" : "+S"(s), "+D"(d), "+c"(c) : : "memory", "cc");
        wrong += c != 0;
        d = (uint32_t)to, c = size;
        __asm__ volatile("rep stosb" : "+D"(d), "+c"(c) : "a"(round) : "memory");
        wrong += to[size - 1] != (uint8_t)round;
    }
    timer(0);
    see("wrong", wrong);
}

static void open_page(int signal, struct info *info, struct context *context)
{
    (void)signal;
    mix32(info->addr - um_base);
    mix32(context->ecx);
    mix32(context->esi - um_base);
    signals++;
    sys3(SYS_mprotect, info->addr & -PAGE, PAGE, PROT_READ | PROT_WRITE);
}

/* REP MOVS into and out of pages that are opened one by one by the fault's handler. */
static void case_string_faults(void)
{
    uint8_t *base = rt_map(64 * PAGE, PROT_NONE);
    uint32_t s, d, c;

    um_base = (uint32_t)base;
    um_signal(SIGSEGV, open_page, 0);
    for (unsigned round = 0; round < 6; round++) {
        sys3(SYS_mprotect, base, 64 * PAGE, PROT_NONE);
        s = um_base + 2, d = um_base + 30 * PAGE + 5, c = 20 * PAGE;
        if (round & 1) {
            s += c - 1, d += c - 1;
            __asm__ volatile("std\n rep movsb\n cld" : "+S"(s), "+D"(d), "+c"(c) : : "memory");
        } else if (round & 2) {
            c /= 4;
            __asm__ volatile("rep movsl" : "+S"(s), "+D"(d), "+c"(c) : : "memory");
        } else {
            __asm__ volatile("rep movsb" : "+S"(s), "+D"(d), "+c"(c) : : "memory");
        }
        mix32(c);
        mix32(s - um_base);
    }
    see("signals", signals);
    see("sum", mixed());
}

static void case_masked(void)
{
    uint32_t set[2] = { 1u << (SIGUSR1 - 1) | 1u << (SIGUSR2 - 1), 0 }, none[2] = { 0, 0 };

    um_signal(SIGUSR1, count_signal, 0);
    um_signal(SIGUSR2, count_signal, 0);
    for (unsigned i = 0; i < 100; i++) {
        sys4(NR_rt_sigprocmask, 2, set, 0, 8);
        sys2(SYS_kill, sys0(SYS_getpid), SIGUSR1);
        sys2(SYS_kill, sys0(SYS_getpid), SIGUSR2);
        mix32(signals);
        sys4(NR_rt_sigprocmask, 2, none, 0, 8);
        mix32(signals);
    }
    see("sum", mixed());
}

const struct um_case um_signal_cases[] = {
    { "sigreturn", case_sigreturn },
    { "frame-fpu", case_frame_fpu },
    { "frame-avx", case_frame_avx },
    { "altstack", case_altstack },
    { "overflow", case_overflow },
    { "strings", case_strings },
    { "string-faults", case_string_faults },
    { "masked", case_masked },
    { 0, 0 },
};
