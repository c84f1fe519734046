/*
 * What the parts of usermode share: observations, which become the case's line of output, and
 * TRAP, which runs an instruction and observes the signal that it ends in.
 */
#ifndef GUESTS_INITRAMFS_USERMODE_H
#define GUESTS_INITRAMFS_USERMODE_H

#include "guests/bench/rt.h"

#define PAGE 4096u
#define NOINLINE __attribute__((noinline))

enum {
    NR_exit = 1,
    NR_ioperm = 101,
    NR_iopl = 110,
    NR_uname = 122,
    NR_prctl = 172,
    NR_alarm = 27,
    NR_ptrace = 26,
    NR_personality = 136,
    NR_sched_yield = 158,
    NR_rt_sigprocmask = 175,
    NR_vfork = 190,
    NR_setuid32 = 213,
    NR_gettid = 224,
    NR_ftruncate = 93,
};

enum { SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGFPE = 8, SIGKILL = 9, SIGUSR1 = 10, SIGSEGV = 11,
       SIGUSR2 = 12, SIGALRM = 14, SIGCHLD = 17, SIGSTOP = 19 };

/* Linux's frame for a handler (asm/sigcontext.h). */
struct context {
    uint32_t flags, link, stack[3];
    uint32_t gs, fs, es, ds;
    uint32_t edi, esi, ebp, esp, ebx, edx, ecx, eax;
    uint32_t trapno, err, eip, cs, eflags, esp_at_signal, ss;
    uint8_t *fpstate;
    uint32_t oldmask, cr2;
    uint32_t mask[2];
};

struct info {
    int32_t signo, error, code;
    uint32_t addr;
};

typedef void handler(int signal, struct info *info, struct context *context);

/* With SA_SIGINFO, SA_NODEFER, SA_RESTART, on the alternate stack unless own_stack. */
void um_signal(int signal, handler *handle, int own_stack);

/* One observation: " what=value", in hexadecimal. */
void see(const char *what, uint32_t value);
/* Many: they go into one sum. */
void mix(const void *data, size_t size);
void mix32(uint32_t value);
uint32_t mixed(void); /* and begins anew */
void expect(const char *what, uint32_t value, uint32_t wanted); /* says so when they differ */

extern volatile uint32_t um_esp, um_start, um_resume, um_base;
void um_traps(void); /* from now on TRAP observes every signal that an exception becomes */
void um_before(void);
void um_see_trap(const char *name);
uint32_t um_caught(void); /* the signal, or 0 */

/* Runs instructions with ebx = um_base, and catches the signal that they end in. */
#define CATCH(insn)                                                                                \
    do {                                                                                           \
        um_before();                                                                               \
        __asm__ volatile("pushal\n movl %%esp, um_esp\n movl $1f, um_start\n"                    \
                         "movl $2f, um_resume\n"                                                  \
                         "1: " insn "\n"                                                           \
                         "2: movl um_esp, %%esp\n popal\n fnclex\n cld"                            \
                         : : "b"(um_base) : "cc", "memory", "xmm0", "xmm1");                       \
    } while (0)
/* The same; sees signal, code, address, vector, error and eip. */
#define TRAP(name, insn)                                                                           \
    do {                                                                                           \
        CATCH(insn);                                                                               \
        um_see_trap(name);                                                                         \
    } while (0)

/* clone() of a thread that runs start(argument) and exits; its thread id or -errno. */
long um_clone(uint32_t flags, void *stack, void (*start)(void *), void *argument, void *tls,
              int *tid);
/* A system call by int 0x80, and what it leaves in eax ebx ecx edx esi edi ebp eflags. */
void um_int80(uint32_t registers[8]);
void um_sysinfo(uint32_t registers[8]); /* the same through the vdso */
uint32_t um_compared_cs(void); /* CS, by code that compares it with 23h */

struct um_case {
    const char *name;
    void (*run)(void);
};
extern const struct um_case um_traps_cases[], um_segment_cases[], um_signal_cases[],
    um_memory_cases[], um_process_cases[];

#endif
