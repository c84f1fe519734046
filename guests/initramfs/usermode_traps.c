/*
 * usermode, part: exceptions and what user code may not do. Interrupts and traps, #DE, #UD, #GP of
 * privileged instructions, #AC, x87 and SSE exceptions, single step, EFLAGS' images, system calls.
 */
#include "guests/initramfs/usermode.h"

static void case_interrupts(void)
{
    um_traps();
    TRAP("int3", "int3");
    TRAP("cd03", ".byte 0xcd, 3");
    TRAP("into", "movl $0x7fffffff, %%eax; incl %%eax; into");
    TRAP("into-not", "xorl %%eax, %%eax; into");
    TRAP("int4", "int $4");
    TRAP("bound", "movl $9, (%%ebx); movl $11, 4(%%ebx); movl $8, %%eax; boundl %%eax, (%%ebx)");
    TRAP("bound-in", "movl $9, %%eax; boundl %%eax, (%%ebx)");
    TRAP("bound-pf", "movl $9, %%eax; boundl %%eax, 4092(%%ebx)");
    TRAP("icebp", ".byte 0xf1");
    TRAP("int0", "int $0");
    TRAP("int1", "int $1");
    TRAP("int2", "int $2");
    TRAP("int5", "int $5");
    TRAP("int8", "int $8");
    TRAP("int14", "int $14");
    TRAP("int32", "int $32");
    TRAP("int127", "int $127");
    TRAP("int129", "int $129");
    TRAP("int255", "int $255");
}

static void case_divide(void)
{
    um_traps();
    TRAP("div0", "xorl %%ecx, %%ecx; divl %%ecx");
    TRAP("div-large", "movl $2, %%ecx; movl $2, %%edx; divl %%ecx");
    TRAP("idiv-min", "movl $0x80000000, %%eax; cltd; movl $-1, %%ecx; idivl %%ecx");
    TRAP("idivb", "movl $0x8000, %%eax; movb $-1, %%cl; idivb %%cl");
    TRAP("divw-memory", "movw $0, (%%ebx); divw (%%ebx)");
    TRAP("aam0", "aam $0");
    TRAP("div-pf", "divl 4096(%%ebx)");
}

static void case_privileged(void)
{
    um_traps();
    TRAP("hlt", "hlt");
    TRAP("cli", "cli");
    TRAP("sti", "sti");
    TRAP("inb", "inb $0x80, %%al");
    TRAP("inl-dx", "movl $0xcf8, %%edx; inl %%dx, %%eax");
    TRAP("outb", "outb %%al, $0x80");
    TRAP("insb", "movl %%ebx, %%edi; movl $0x60, %%edx; insb");
    TRAP("rep-outsb", "movl %%ebx, %%esi; movl $9, %%ecx; rep outsb");
    TRAP("lgdt", "lgdt (%%ebx)");
    TRAP("lidt", "lidt (%%ebx)");
    TRAP("lldt", "xorl %%eax, %%eax; lldt %%ax");
    TRAP("ltr", "xorl %%eax, %%eax; ltr %%ax");
    TRAP("lmsw", "xorl %%eax, %%eax; lmsw %%ax");
    TRAP("clts", "clts");
    TRAP("from-cr0", "movl %%cr0, %%eax");
    TRAP("to-cr0", "movl %%eax, %%cr0");
    TRAP("from-cr3", "movl %%cr3, %%eax");
    TRAP("to-cr4", "movl %%eax, %%cr4");
    TRAP("from-dr7", "movl %%dr7, %%eax");
    TRAP("to-dr0", "movl %%eax, %%dr0");
    TRAP("rdmsr", "movl $0x10, %%ecx; rdmsr");
    TRAP("wrmsr", "movl $0x174, %%ecx; wrmsr");
    TRAP("invd", "invd");
    TRAP("wbinvd", "wbinvd");
    TRAP("invlpg", "invlpg (%%ebx)");
    TRAP("sysexit", ".byte 0x0f, 0x35");
    TRAP("xsetbv", "xorl %%ecx, %%ecx; xorl %%edx, %%edx; movl $1, %%eax; .byte 0x0f, 0x01, 0xd1");
    TRAP("lcall-null", "lcall $0, $0x1000");
    TRAP("ljmp-null", "ljmp $3, $0x1000");
    TRAP("ljmp-kernel", "ljmp $0x10, $0x1000");
    TRAP("lret-null", "pushl $0; pushl $0x1000; lret");
    TRAP("iret-null", "pushfl; pushl $0; pushl $0x1000; iretl");
    TRAP("int80-after", "movl $20, %%eax; int $0x80; hlt");
}

/* Ports that the kernel has opened for this program alone, where it may ask for that. */
static void case_ports(void)
{
    um_traps();
    for (unsigned i = 0; i < 3 && !sys3(NR_ioperm, 0x80, 1, 1); i++) {
        CATCH("outb %%al, $0x80");
        expect("open", um_caught(), 0);
        CATCH("outb %%al, $0xed");
        expect("closed", um_caught(), SIGSEGV);
        CATCH("outw %%ax, $0x80");
        expect("half", um_caught(), SIGSEGV);
        sys3(NR_ioperm, 0x80, 1, 0);
        CATCH("outb %%al, $0x80");
        expect("closed-again", um_caught(), SIGSEGV);
        sys1(NR_iopl, 3);
        CATCH("outb %%al, $0xed");
        expect("all-open", um_caught(), 0);
        sys1(NR_iopl, 0);
        CATCH("outb %%al, $0xed");
        expect("all-closed", um_caught(), SIGSEGV);
    }
    see("done", 1);
}

/* The time stamp counter, refused to this program alone. */
static void case_counter(void)
{
    enum { SET_TSC = 26, GIVE = 1, REFUSE };

    um_traps();
    for (unsigned i = 0; i < 2; i++) {
        sys2(NR_prctl, SET_TSC, REFUSE);
        TRAP("refused", "rdtsc");
        sys0(NR_sched_yield);
        TRAP("still", "rdtsc");
        sys2(NR_prctl, SET_TSC, GIVE);
        TRAP("given", "rdtsc");
    }
}

static void case_invalid(void)
{
    um_traps();
    TRAP("ud2", "ud2");
    TRAP("ud1", ".byte 0x0f, 0xb9, 0xc0");
    TRAP("lock-nop", ".byte 0xf0, 0x90");
    TRAP("lock-mov", ".byte 0xf0, 0x89, 0x03");
    TRAP("lea-reg", ".byte 0x8d, 0xc0");
    TRAP("to-cs", ".byte 0x8e, 0xc8");
    TRAP("les-reg", ".byte 0xc4, 0xc0");
    TRAP("ff-7", ".byte 0xff, 0xf8");
    TRAP("fe-2", ".byte 0xfe, 0xd0");
    TRAP("swapgs", ".byte 0x0f, 0x01, 0xf8");
    TRAP("rsm", ".byte 0x0f, 0xaa");
    TRAP("monitor", ".byte 0x0f, 0x01, 0xc8");
    TRAP("15-bytes", ".fill 14, 1, 0x66; nop");
    TRAP("16-bytes", ".fill 15, 1, 0x66; nop");
    TRAP("stac", ".byte 0x0f, 0x01, 0xcb");
    TRAP("movaps", "movaps 4(%%ebx), %%xmm0");
    TRAP("movdqa-pf", "movdqa %%xmm0, 4096(%%ebx)");
    TRAP("mxcsr", "movl $-1, (%%ebx); ldmxcsr (%%ebx)");
}

static void case_alignment(void)
{
    um_traps();
#define AC_ON "pushfl; orl $0x40000, (%%esp); popfl; "
    TRAP("movl", AC_ON "movl 1(%%ebx), %%eax");
    TRAP("movw", AC_ON "movw %%ax, 3(%%ebx)");
    TRAP("byte", AC_ON "movb 1(%%ebx), %%al; pushfl; andl $~0x40000, (%%esp); popfl");
    TRAP("push", AC_ON "leal 2(%%ebx), %%esp; addl $64, %%esp; pushl %%eax");
    TRAP("movsl", AC_ON "leal 4(%%ebx), %%esi; leal 17(%%ebx), %%edi; movl $5, %%ecx; rep movsl");
    TRAP("fldl", AC_ON "fldl 4(%%ebx)");
    TRAP("pf", AC_ON "movl 4097(%%ebx), %%eax");
}

/* ---- x87 and SSE -------------------------------------------------------- */

#define X87_ON(mask) "fninit; movw $" #mask ", (%%ebx); fldcw (%%ebx); "

static void case_x87(void)
{
    um_traps();
    TRAP("masked", "fninit; fld1; fldz; fdivrp; fwait");
    TRAP("zero", X87_ON(0x37b) "fld1; fldz; fdivrp; fwait");
    TRAP("zero-next", X87_ON(0x37b) "fld1; fldz; fdivrp; nop; fld1");
    TRAP("invalid", X87_ON(0x37e) "fldz; fldz; fdivp; fwait");
    TRAP("stack", X87_ON(0x37e) "fstp %%st(0); fwait");
    TRAP("denormal", X87_ON(0x37d) "movl $1, 4(%%ebx); flds 4(%%ebx); fadd %%st(0); fwait");
    TRAP("precision", X87_ON(0x35f) "fld1; fldpi; fdivrp; fwait");
    TRAP("overflow", X87_ON(0x377) "movl $0x7f000000, 4(%%ebx); flds 4(%%ebx); fmul %%st(0);"
         "fmul %%st(0); fmul %%st(0); fmul %%st(0); fmul %%st(0); fmul %%st(0); fmul %%st(0);"
         "fmul %%st(0); fmul %%st(0); fwait");
    TRAP("fnstsw", X87_ON(0x37b) "fld1; fldz; fdivrp; fnstsw %%ax; fnclex; fwait");
    __asm__ volatile("fninit");
}

#define SSE_ON(mask) "movl $" #mask ", 16(%%ebx); ldmxcsr 16(%%ebx); "

static void case_sse(void)
{
    static const uint32_t usual = 0x1f80;

    um_traps();
    for (unsigned i = 0; i < 4; i++)
        ((float *)um_base)[i] = (float)i + 3, ((float *)um_base)[i + 8] = 0;
    TRAP("zero", SSE_ON(0x1d80) "movaps (%%ebx), %%xmm0; divps 32(%%ebx), %%xmm0");
    TRAP("invalid", SSE_ON(0x1f00) "xorps %%xmm0, %%xmm0; divps 32(%%ebx), %%xmm0");
    TRAP("inexact", SSE_ON(0x0f80) "movaps (%%ebx), %%xmm0; divss 4(%%ebx), %%xmm0");
    TRAP("sqrt", SSE_ON(0x1f00) "movl $0xbf800000, 20(%%ebx); sqrtss 20(%%ebx), %%xmm0");
    TRAP("fit", SSE_ON(0x1f00) "movl $0x7f000000, 20(%%ebx); cvttss2si 20(%%ebx), %%eax");
    TRAP("masked", SSE_ON(0x1f80) "movaps (%%ebx), %%xmm0; divps 32(%%ebx), %%xmm0");
    __asm__ volatile("ldmxcsr %0" : : "m"(usual));
}

/* ---- Single step -------------------------------------------------------- */

static volatile uint32_t steps;

static void note_step(int signal, struct info *info, struct context *context)
{
    mix32((uint32_t)signal);
    mix32((uint32_t)info->code);
    mix32(info->addr - um_start);
    mix32(context->trapno);
    mix32(context->eip - um_start);
    mix32(context->eflags & 0xfff);
    steps++;
}

#define STEPPED(name, insns)                                                                       \
    do {                                                                                           \
        steps = 0;                                                                                 \
        __asm__ volatile("pushal\n movl $1f, um_start\n cmpl %%eax, %%eax\n pushfl\n"              \
                         "orl $0x100, (%%esp)\n popfl\n"                                           \
                         "1: " insns "\n pushfl\n andl $~0x100, (%%esp)\n popfl\n popal"           \
                         : : "b"(um_base) : "cc", "memory");                                       \
        see(name, steps);                                                                          \
        see("sum", mixed());                                                                       \
    } while (0)

static void case_step(void)
{
    um_traps();
    um_signal(SIGTRAP, note_step, 0);
    STEPPED("plain", "movl $5, %%ecx\n 2: decl %%ecx\n jnz 2b\n"
            "call 3f\n jmp 4f\n 3: ret\n 4: nop");
    STEPPED("rep", "movl %%ebx, %%esi\n movl $7, %%ecx\n rep lodsb\n nop");
    STEPPED("pushf", "pushfl\n popl %%eax\n movl %%eax, (%%ebx)\n nop");
    STEPPED("int80", "movl $20, %%eax\n int $0x80\n nop\n nop");
    STEPPED("segment", "movl %%ds, %%eax\n movl %%eax, %%es\n nop\n"
            "pushl %%ss\n popl %%ss\n nop\n nop");
    STEPPED("fpu", "fninit\n fld1\n fstps (%%ebx)\n xorps %%xmm0, %%xmm0\n movups %%xmm0, (%%ebx)");
    STEPPED("cpuid", "xorl %%eax, %%eax\n pushl %%ebx\n cpuid\n popl %%ebx\n nop");
}

/* ---- EFLAGS ------------------------------------------------------------- */

static uint32_t popped(uint32_t flags)
{
    uint32_t got;

    __asm__ volatile("pushfl\n pushl %1\n popfl\n pushfl\n popl %0\n popfl" : "=r"(got)
                     : "r"(flags) : "cc");
    return got;
}

static void case_flags(void)
{
    uint32_t got;

    for (unsigned bit = 0; bit < 32; bit++)
        if (bit != 8)
            mix32(popped(1u << bit | 2));
    see("bits", mixed());
    see("all", popped(0xfffffeff));
    see("none", popped(0));
    see("iopl", popped(0x3202));
    __asm__ volatile("pushfl\n pushw $0\n popfw\n pushfl\n popl %0\n popfl" : "=r"(got) : : "cc");
    see("popfw", got);
    __asm__ volatile("pushfl\n stc\n std\n pushfw\n popw %w0\n popfl" : "=r"(got) : : "cc");
    see("pushfw", got & 0x401);
}

/* ---- System calls -------------------------------------------------------- */

/* Six arguments: the second page of a file, mapped where we want it. */
static void six(const char *name, void (*call)(uint32_t registers[8]), long fd, uint32_t where)
{
    uint32_t r[8] = { SYS_mmap2, where, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, (uint32_t)fd, 1,
                      0x8d5 };
    uint32_t r0[8] = { 100000, 1, 2, 3, 4, 5, 6, 0x80 };

    call(r);
    expect("result", r[0], where);
    expect("registers", (r[1] == where) & (r[2] == PAGE) & (r[4] == MAP_SHARED + MAP_FIXED)
           & (r[5] == (uint32_t)fd) & (r[6] == 1), 1);
    see(name, *(uint32_t *)where);
    see("flags", r[7] & 0x8d5);
    call(r0);
    see("enosys", r0[0]);
    mix(r0 + 1, 6 * 4);
    see("left", mixed());
}

static void case_calls(void)
{
    uint32_t page[2 * PAGE / 4], where = (uint32_t)rt_map(PAGE, PROT_NONE);
    long fd = sys2(SYS_memfd_create, "calls", 0);
    uint32_t r[8] = { SYS_getppid, 0, 0, 0, 0, 0, 0, 0 };

    for (unsigned i = 0; i < sizeof(page) / 4; i++)
        page[i] = i * 3;
    sys3(SYS_write, fd, page, sizeof(page));
    six("int80", um_int80, fd, where);
    six("sysinfo", um_sysinfo, fd, where);
    for (unsigned i = 0; i < 3000; i++) {
        r[0] = SYS_getppid;
        (i & 1 ? um_int80 : um_sysinfo)(r);
        expect("ppid", r[0], (uint32_t)sys0(SYS_getppid));
    }
    see("bad-pointer", (uint32_t)sys3(SYS_write, 1, 16, 4));
}

const struct um_case um_traps_cases[] = {
    { "interrupts", case_interrupts }, { "divide", case_divide },
    { "privileged", case_privileged }, { "ports", case_ports },
    { "counter", case_counter },       { "invalid", case_invalid },
    { "alignment", case_alignment },   { "x87", case_x87 },
    { "sse", case_sse },               { "step", case_step },
    { "flags", case_flags },           { "calls", case_calls },
    { 0, 0 },
};
