/*
 * Executes 32-bit instructions on the CPU in compatibility mode, inside this 64-bit process.
 *
 *   oracle_enter (64-bit)  --ljmp 23h-->  stub32: load state, jmp ORACLE_INSN
 *   the instruction, then  --ljmp 33h-->  stub64: store state, back to oracle_enter's caller
 *   a signal meanwhile: the handler notes the vector and goes on at stub64
 */
#include "tests/insn/fpu_oracle.h"

#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/host_fpu.h"

/* At ORACLE_STATE; the assembler knows the offsets. */
struct shared {
    uint32_t gpr[8];    /* 0: in the order of POPA: edi, esi, ebp, -, ebx, edx, ecx, eax */
    uint32_t flags;     /* 32 */
    uint32_t esp;       /* 36 */
    uint64_t host_rsp;  /* 40 */
    uint32_t out[9];    /* 48: eax, ecx, edx, ebx, esp, ebp, esi, edi, eflags */
    uint32_t stack[8];  /* 84: for PUSHF */
    uint8_t pad[4];
    uint32_t components, mxcsr; /* 120, 124: defaults */
    uint8_t in_fpu[ORACLE_FPU] __attribute__((aligned(64)));  /* 128 */
    uint8_t out_fpu[ORACLE_FPU] __attribute__((aligned(64))); /* 2880 */
    uint32_t env[7];            /* 5632: FNSTENV */
};

_Static_assert(__builtin_offsetof(struct shared, in_fpu) == 128, "");
_Static_assert(__builtin_offsetof(struct shared, out_fpu) == 2880, "");
_Static_assert(__builtin_offsetof(struct shared, env) == 5632, "");

__asm__(
    ".set S, 0x10004000\n"
    ".set COMPONENTS, S + 120\n"
    ".set MXCSR_DEFAULT, S + 124\n"
    /* 32-bit: what is copied to ORACLE_CODE */
    "    .pushsection .rodata\n"
    "    .code32\n"
    "oracle_stub32:\n"
    "    movl COMPONENTS, %eax\n"
    "    xorl %edx, %edx\n"
    "    xrstor S + 128\n"
    "    movl $S + 32, %esp\n"
    "    popfl\n"
    "    movl $S, %esp\n"
    "    popal\n"
    "    movl S + 36, %esp\n"
    "    .byte 0xe9\n"
    "    .long 0x10000800 - (0x10000000 + 1f - oracle_stub32)\n"
    "1:\n"
    "oracle_stub32_end:\n"
    /* 64-bit: what is copied to ORACLE_CODE + 400h */
    "    .code64\n"
    "oracle_stub64:\n"
    "    movl %eax, S + 48\n"
    "    movl %ecx, S + 52\n"
    "    movl %edx, S + 56\n"
    "    movl %ebx, S + 60\n"
    "    movl %esp, S + 64\n"
    "    movl %ebp, S + 68\n"
    "    movl %esi, S + 72\n"
    "    movl %edi, S + 76\n"
    "    movl $S + 116, %esp\n"
    "    pushfq\n"
    "    popq %rax\n"
    "    movl %eax, S + 80\n"
    "    movl COMPONENTS, %eax\n"
    "    xorl %edx, %edx\n"
    "    xsave S + 2880\n"
    "    fnstenv S + 5632\n"
    "    fninit\n"
    "    ldmxcsr MXCSR_DEFAULT\n"
    "    vzeroupper\n"
    "    movq S + 40, %rsp\n"
    "    popq %rax\n"
    "    jmp *%rax\n"
    "oracle_stub64_end:\n"
    "    .popsection\n"
    "    .pushsection .text\n"
    "oracle_enter:\n"
    "    push %rbx\n    push %rbp\n    push %r12\n    push %r13\n    push %r14\n    push %r15\n"
    "    lea 1f(%rip), %rax\n"
    "    push %rax\n"
    "    movq %rsp, S + 40\n"
    "    movl COMPONENTS, %eax\n"
    "    xorl %edx, %edx\n"
    "    xrstor S + 2880\n" /* zeroes: the registers that 32-bit code cannot reach */
    "    movl $0x2b, %ecx\n"
    "    movl %ecx, %ds\n"
    "    movl %ecx, %es\n"
    "    movl $0x10000000, %ecx\n"
    "    movl $S + 84, %eax\n"
    "    movl %ecx, (%rax)\n"
    "    movl $0x23, 4(%rax)\n"
    "    ljmpl *(%rax)\n"
    "1:  cld\n"
    "    pop %r15\n    pop %r14\n    pop %r13\n    pop %r12\n    pop %rbp\n    pop %rbx\n"
    "    ret\n"
    "    .popsection\n");

extern const uint8_t oracle_stub32[], oracle_stub32_end[], oracle_stub64[], oracle_stub64_end[];
void oracle_enter(void);

#define STUB64 (ORACLE_CODE + 0x400)
#define SHARED ((struct shared *)ORACLE_STATE)

static volatile int caught_vector;
static uint32_t caught_error, caught_cr2;
static uint8_t *code_alias; /* ORACLE_CODE, writable */
static bool drops_pointers;

/* The three selectors share a word in the signal frame: CS is the lowest. */
static void on_signal(int sig, siginfo_t *info, void *context)
{
    greg_t *reg = ((ucontext_t *)context)->uc_mcontext.gregs;

    (void)info;
    if ((reg[REG_CSGSFS] & 0xffff) != 0x23) {
        signal(sig, SIG_DFL);
        return;
    }
    caught_vector = (int)reg[REG_TRAPNO];
    caught_error = (uint32_t)reg[REG_ERR];
    caught_cr2 = (uint32_t)reg[REG_CR2];
    reg[REG_RIP] = STUB64;
    reg[REG_CSGSFS] = (reg[REG_CSGSFS] & ~0xffffll) | 0x33;
}

static int catch_signals(void)
{
    static const int signals[] = { SIGILL, SIGFPE, SIGSEGV, SIGBUS, SIGTRAP };
    static uint8_t alternate[65536];
    stack_t stack = { .ss_sp = alternate, .ss_size = sizeof(alternate) };
    struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };

    if (sigaltstack(&stack, NULL))
        return -1;
    for (unsigned i = 0; i < 5; i++) {
        if (sigaction(signals[i], &action, NULL))
            return -1;
    }
    return 0;
}

static void *map_low(uint32_t at, size_t size, int prot, int flags, int fd)
{
    void *got = mmap((void *)(uintptr_t)at, size, prot, flags | MAP_FIXED_NOREPLACE, fd, 0);

    return got == (void *)(uintptr_t)at ? got : NULL;
}

/* x87, SSE, AVX and AVX-512, as far as the host has them. */
static uint32_t host_components(void)
{
    uint32_t eax, ebx, ecx, edx;

    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_OSXSAVE))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return eax & 0xe7;
}

bool oracle_drops_pointers(void)
{
    return drops_pointers;
}

int oracle_create(void)
{
    int fd = memfd_create("oracle", 0);

    if (fd < 0 || ftruncate(fd, 4096) || catch_signals())
        return -1;
    code_alias = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (code_alias == MAP_FAILED ||
        !map_low(ORACLE_CODE, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd) ||
        !map_low(ORACLE_STATE, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1) ||
        !map_low(ORACLE_DATA, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1))
        return -1;
    close(fd);
    memcpy(code_alias, oracle_stub32, (size_t)(oracle_stub32_end - oracle_stub32));
    memcpy(code_alias + 0x400, oracle_stub64, (size_t)(oracle_stub64_end - oracle_stub64));
    SHARED->components = host_components();
    SHARED->mxcsr = 0x1f80;
    drops_pointers = host_drops_pointers();
    return 0;
}

/* The instruction and the far jump behind it. */
static void put_code(const uint8_t *insn, unsigned len)
{
    uint8_t *at = code_alias + (ORACLE_INSN - ORACLE_CODE);
    uint32_t back = STUB64;

    memcpy(at, insn, len);
    at[len] = 0xea;
    memcpy(at + len + 1, &back, 4);
    at[len + 5] = 0x33;
    at[len + 6] = 0;
}

/* An exception changes no pointers, but its signal's way through the kernel loses what XSAVE64 does
 * not store. */
static void find_again(const struct oracle_state *in, struct oracle_state *out, bool pending)
{
    if (!pending)
        memcpy(out->fpu + FPU_FOP, in->fpu + FPU_FOP, FPU_MXCSR - FPU_FOP);
    memcpy(out->fpu + FPU_FIP + 4, in->fpu + FPU_FIP + 4, 4);
    memcpy(out->fpu + FPU_FDP + 4, in->fpu + FPU_FDP + 4, 4);
}

/* Pointers that XSAVE has not stored: FNSTENV's. */
static void find_pointers(const struct oracle_state *in, struct oracle_state *out)
{
    const uint32_t *env = SHARED->env;
    uint16_t fop = env[4] >> 16 & 0x7ff;
    bool pending = out->fpu[FPU_SW] & 0x80;

    if (drops_pointers && out->vector >= 0)
        find_again(in, out, pending);
    if (!drops_pointers || out->vector >= 0 || pending)
        return;
    memcpy(out->fpu + FPU_FOP, &fop, 2);
    memcpy(out->fpu + FPU_FIP, &env[3], 4);
    memcpy(out->fpu + FPU_FIP + 4, &env[4], 2);
    memcpy(out->fpu + FPU_FDP, &env[5], 4);
    memcpy(out->fpu + FPU_FDP + 4, &env[6], 2);
}

void oracle_run(const uint8_t *insn, unsigned len, const struct oracle_state *in,
                struct oracle_state *out)
{
    for (unsigned i = 0; i < 8; i++)
        SHARED->gpr[7 - i] = in->gpr[i];
    SHARED->esp = in->gpr[4];
    SHARED->flags = (in->eflags & 0x8d5) | 2;
    memcpy(SHARED->in_fpu, in->fpu, sizeof(in->fpu));
    memset(SHARED->out_fpu, 0, sizeof(SHARED->out_fpu));
    put_code(insn, len);
    caught_vector = -1;
    oracle_enter();
    memcpy(out->gpr, SHARED->out, sizeof(out->gpr));
    out->eflags = SHARED->out[8];
    out->vector = caught_vector;
    out->error = caught_error;
    out->cr2 = caught_cr2;
    memcpy(out->fpu, SHARED->out_fpu, sizeof(out->fpu));
    find_pointers(in, out);
}

void oracle_to_image(const uint8_t *fpu, uint8_t *image)
{
    memcpy(image, fpu, ORACLE_FPU);
    memcpy(image + FPU_FCS, fpu + FPU_FIP + 4, 2);
    memcpy(image + FPU_FDS, fpu + FPU_FDP + 4, 2);
    memset(image + FPU_FIP + 4, 0, 4);
    memset(image + FPU_FDP + 4, 0, 4);
}

/* Upper halves of pointers, which must be 0, stay. */
void oracle_from_image(const uint8_t *image, uint8_t *fpu)
{
    memcpy(fpu, image, ORACLE_FPU);
    for (unsigned i = 0; i < 2; i++) {
        fpu[FPU_FIP + 4 + i] |= image[FPU_FCS + i];
        fpu[FPU_FDP + 4 + i] |= image[FPU_FDS + i];
    }
}

void oracle_normalize(uint8_t *fpu)
{
    uint32_t mxcsr = 0x1f80;

    memcpy(SHARED->in_fpu, fpu, sizeof(SHARED->in_fpu));
    memset(SHARED->out_fpu, 0, sizeof(SHARED->out_fpu));
    __asm__ volatile("xrstor (%0)\n\txsave (%1)\n\tfninit\n\tldmxcsr %2\n\tvzeroupper"
                     :
                     : "r"(SHARED->in_fpu), "r"(SHARED->out_fpu), "m"(mxcsr),
                       "a"(SHARED->components), "d"(0)
                     : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    memcpy(fpu, SHARED->out_fpu, sizeof(SHARED->out_fpu));
}
