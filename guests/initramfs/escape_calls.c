/* Tries with the host's system calls: every number, by every way, and those that would do harm. */
#include "guests/initramfs/escape.h"

#define NUMBERS 480u
#define X32 0x40000000u
#define X32_FIRST 500u /* those that only x32 has begin a little behind */
#define X32_COUNT 60u
#define AT_FDCWD (-100)
#define REACHES_GUEST 0x1000u /* by SYSENTER a number may reach the guest, like any other: none */

/* x86-64's numbers. */
enum { HOST_WRITE = 1, HOST_MMAP = 9, HOST_MPROTECT, HOST_MUNMAP, HOST_FORK = 57,
       HOST_EXECVE = 59, HOST_KILL = 62, HOST_PTRACE = 101, HOST_MODIFY_LDT = 154,
       HOST_TKILL = 200, HOST_TGKILL = 234, HOST_MREMAP = 25, HOST_READV = 310,
       HOST_WRITEV = 311, HOST_PIDFD_OPEN = 434, HOST_SIGQUEUE = 129 };

static const char canary[] = "/tmp/novt-escaped";
static escape_way *const ways[] = { escape_jump, escape_call, escape_return, escape_iret };

/* Each number by one way, which is another one for the next number, and for another start. The
 * canary's path is where open, mkdir and the like have it, then where openat and its kind do. */
static void numbers(uint32_t mode, unsigned first_way, uint32_t extra)
{
    for (uint32_t n = 0; n < NUMBERS; n += escape_few ? 37 : 1) {
        if (n % 8 < 4)
            SET(mode, n | extra, (uint32_t)canary, 0x41, 0x1ff);
        else
            SET(mode, n | extra, (uint64_t)AT_FDCWD, (uint32_t)canary, 0x41, 0x1ff);
        escape_try(ways[(n + first_way) % 4], "number", n);
    }
}

static void group_syscall(void)
{
    numbers(MODE_SYSCALL, 0, 0);
}

static void group_int80(void)
{
    numbers(MODE_INT80, 1, 0);
}

static void group_sysenter(void)
{
    numbers(MODE_SYSENTER, 2, REACHES_GUEST);
}

static void group_x32(void)
{
    for (uint32_t n = X32_FIRST; n < X32_FIRST + X32_COUNT; n += escape_few ? 29 : 1) {
        SET(MODE_SYSCALL, n | X32, (uint32_t)canary, 0x41, 0x1ff);
        escape_try(ways[n % 4], "number", n);
    }
}

/* Other selectors, 32-bit code behind some of them: whatever runs must not be let out. */
static void group_selectors(void)
{
    static const uint8_t end[] = { 0x0f, 0x0b };
    uint8_t *page = rt_map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);

    page[0] = end[0], page[1] = end[1];
    for (uint32_t selector = 0; selector < 0x100; selector += escape_few ? 41 : 1) {
        SET(0, (uint32_t)page | (uint64_t)selector << 32);
        escape_try(escape_selector_jump, "selector", selector);
    }
}

/* What the stub has to ask for mappings, asked for by the program; what it wrote there must still
 * be there, and what it may only read must be as it was. */
static void group_map(void)
{
    uint32_t *page = rt_map(2 * PAGE, PROT_READ | PROT_WRITE), at = (uint32_t)page;

    page[0] = page[PAGE / 4] = 0x600df00d;
    sys3(SYS_mprotect, page + PAGE / 4, PAGE, PROT_READ);
    SET(MODE_SYSCALL, HOST_MMAP, at, PAGE, 7, 0x11, 3, 0); /* MAP_SHARED | MAP_FIXED of guest RAM */
    escape_try(escape_jump, "mmap", 0);
    SET(MODE_SYSCALL, HOST_MMAP, at, PAGE, 7, 0x32, -1ull, 0);
    escape_try(escape_call, "mmap", 1);
    SET(MODE_SYSCALL, HOST_MPROTECT, at + PAGE, PAGE, 7);
    escape_try(escape_jump, "mprotect", 0);
    SET(MODE_SYSCALL, HOST_MPROTECT, ORDERS, PAGE, 7);
    escape_try(escape_return, "mprotect", 1);
    SET(MODE_SYSCALL, HOST_MUNMAP, STUB, PAGE);
    escape_try(escape_iret, "munmap", 0);
    SET(MODE_SYSCALL, HOST_MREMAP, STUB, PAGE, PAGE, 3, at);
    escape_try(escape_jump, "mremap", 0);
    SET(MODE_SYSCALL, HOST_MODIFY_LDT, 0x11, at, 16);
    escape_try(escape_jump, "modify_ldt", 0);
    if (page[0] != 0x600df00d || page[PAGE / 4] != 0x600df00d)
        escape_wrong("memory changed", page[0]);
}

/* Signals to novt, by its number, which its orders have, and to whoever else there is. */
static void group_kill(void)
{
    static const uint8_t calls[] = { HOST_KILL, HOST_TKILL, HOST_SIGQUEUE };
    uint32_t monitor;

    escape_copy(ORDERS, PAGE);
    monitor = *(uint32_t *)(escape_copied + ORDERS_PARENT); /* 0: there is none */
    for (unsigned i = 0; i < sizeof(calls); i++) {
        SET(MODE_SYSCALL, calls[i], monitor, SIGKILL);
        escape_try(ways[i % 4], "kill", calls[i]);
        SET(MODE_SYSCALL, calls[i], monitor + 1, SIGKILL); /* the helper, most likely */
        escape_try(ways[i % 4], "kill", calls[i]);
    }
    SET(MODE_SYSCALL, HOST_TGKILL, monitor, monitor, SIGKILL);
    escape_try(escape_jump, "tgkill", 0);
    SET(MODE_SYSCALL, HOST_PIDFD_OPEN, monitor, 0);
    escape_try(escape_jump, "pidfd_open", 0);
    SET(MODE_INT80, SYS_kill, monitor, SIGKILL);
    escape_try(escape_jump, "kill", SYS_kill);
}

static void group_ptrace(void)
{
    static const uint16_t requests[] = { 0, 1, 2, 4, 16, 0x4206 };
    uint32_t monitor;

    escape_copy(ORDERS, PAGE);
    monitor = *(uint32_t *)(escape_copied + ORDERS_PARENT);
    for (unsigned i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
        SET(MODE_SYSCALL, HOST_PTRACE, requests[i], monitor, 0x400000, 0);
        escape_try(ways[i % 4], "ptrace", requests[i]);
    }
    SET(MODE_SYSCALL, HOST_READV, monitor, (uint32_t)escape_frame, 1, (uint32_t)escape_frame, 1);
    escape_try(escape_jump, "process_vm_readv", 0);
    SET(MODE_SYSCALL, HOST_WRITEV, monitor, (uint32_t)escape_frame, 1, (uint32_t)escape_frame, 1);
    escape_try(escape_jump, "process_vm_writev", 0);
    SET(MODE_SYSCALL, HOST_WRITE, 5, (uint32_t)canary, 1); /* the mapper's pipe */
    escape_try(escape_jump, "write", 5);
    SET(MODE_SYSCALL, HOST_EXECVE, (uint32_t)canary, 0, 0);
    escape_try(escape_jump, "execve", 0);
    SET(MODE_SYSCALL, HOST_FORK);
    escape_try(escape_jump, "fork", 0);
}

/* By the guest's own means: another process's registers, with the selector in them. It stops with
 * the exception's signal, and then ends well: it has handlers. Where the selector is refused, or
 * means its own (23h, 2Bh; docs/direct-execution.md), it runs the 64-bit code as 32-bit code. */
enum { PTRACE_TRACEME, PTRACE_POKEUSER = 6, PTRACE_CONT, USER_EIP = 12 * 4, USER_CS = 13 * 4 };

static void group_poke(void)
{
    static const uint16_t selectors[] = { 0x33, 0x23, 0x2b, 0x30, 0x10, 0 };

    for (unsigned i = 0; i < sizeof(selectors) / sizeof(*selectors); i++) {
        int pid = rt_fork(), status = 0, raised = 0;

        if (!pid) {
            sys4(NR_ptrace, PTRACE_TRACEME, 0, 0, 0);
            sys2(SYS_kill, sys0(SYS_getpid), SIGSTOP);
            __asm__ volatile("ud2");
        }
        sys4(SYS_wait4, pid, &status, 0, 0);
        SET(MODE_SYSCALL, 83, (uint32_t)canary, 0x1ff); /* mkdir */
        sys4(NR_ptrace, PTRACE_POKEUSER, pid, USER_EIP, escape_64);
        sys4(NR_ptrace, PTRACE_POKEUSER, pid, USER_CS, selectors[i]);
        while ((status & 0xff) == 0x7f) { /* as it stops: it goes on with its signal */
            int signal = status >> 8;

            raised |= escape_is_exception(signal);
            sys4(NR_ptrace, PTRACE_CONT, pid, 0, signal == SIGSTOP ? 0 : signal);
            sys4(SYS_wait4, pid, &status, 0, 0);
        }
        if (!raised || status)
            escape_wrong("poked selector", selectors[i]);
    }
    SET(MODE_LOOP, 0);
    escape_try(escape_jump, "loop", 0);
}

/* The same by a frame of its own for the guest's sigreturn. */
static uint16_t forged_selector;

static void forge_frame(int signal, struct info *info, struct context *context)
{
    (void)signal, (void)info;
    context->cs = forged_selector;
    context->eip = (uint32_t)escape_64;
}

static void return_forged(void)
{
    um_signal(SIGUSR1, forge_frame, 0);
    sys2(SYS_kill, sys0(SYS_getpid), SIGUSR1);
}

static void group_frames(void)
{
    static const uint16_t selectors[] = { 0x33, 0x23, 0x2b, 0x30, 0x10, 7 };

    for (unsigned i = 0; i < sizeof(selectors) / sizeof(*selectors); i += escape_few ? 3 : 1) {
        forged_selector = selectors[i];
        SET(MODE_SYSCALL, 83, (uint32_t)canary, 0x1ff); /* mkdir */
        escape_try(return_forged, "frame's selector", selectors[i]);
    }
}

const struct um_case escape_call_groups[] = {
    { "syscall", group_syscall },     { "int80", group_int80 },
    { "sysenter", group_sysenter },   { "x32", group_x32 },
    { "selectors", group_selectors }, { "map", group_map },
    { "kill", group_kill },           { "ptrace", group_ptrace },
    { "poke", group_poke },           { "frames", group_frames },
    { 0, 0 },
};
