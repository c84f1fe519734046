/* What the parts of selftest share: the checksum, random numbers, signals' handlers. Each part runs
 * in a process of its own, with the checksum and the random numbers at their start. */
#ifndef GUESTS_INITRAMFS_SELFTEST_H
#define GUESTS_INITRAMFS_SELFTEST_H

#include "guests/bench/rt.h"

#define PAGE 4096u
#define NOINLINE __attribute__((noinline))

#define CF 0x001u
#define PF 0x004u
#define AF 0x010u
#define ZF 0x040u
#define SF 0x080u
#define OF 0x800u

/* Into the part's sum, FNV-1a over bytes. */
void mix(const void *data, size_t size);
void mix32(uint32_t value);

uint32_t random32(void);

#define SIGALRM 14

/* Linux's frame for a handler, up to what is read here (asm/sigcontext.h). */
struct context {
    uint32_t flags, link, stack[3];
    uint32_t gs, fs, es, ds;
    uint32_t edi, esi, ebp, esp, ebx, edx, ecx, eax;
    uint32_t trapno, err, eip, cs, eflags, esp_at_signal, ss;
    uint32_t fpstate, oldmask, cr2;
};

typedef void handler(int signal, void *info, struct context *context);

/* On a stack that is not the program's; ends the part if that fails. */
void on_signal(int signal, handler *handle);

void part_integers(void), part_cmpxchg8b(void), part_strings(void), part_x87(void),
    part_sse(void), part_avx(void), part_avx512(void), part_mmx(void), part_faults(void),
    part_step(void), part_code(void), part_maps(void), part_timer(void), part_tls(void),
    part_limits(void);

#endif
