/*
 * What the stub and the monitor share: addresses in the sandboxed process and the two kinds of
 * pages. Included by C and by assembly.
 *
 *   ORDERS: written by the monitor, read-only in the process.
 *   REPORT: read-write in the process; the monitor trusts none of it (sandbox.h, D1).
 */
#ifndef DIRECT_STUB_H
#define DIRECT_STUB_H

#define STUB_BASE 0x7e0000000000   /* the stub's text */
#define STUB_ORDERS 0x7e0000100000
#define STUB_REPORT 0x7e0000200000
#define STUB_LAST 0x7e0000300000   /* nothing of ours from here on */
/* Where the kernel is made to believe that the vDSO lies: SYSENTER returns to somewhere in the
 * first pages of it, in 32-bit code with the low 32 bits only. Nothing is mapped there. */
#define STUB_LANDING 0x7e00fff00000

#define STUB_ORDERS_SIZE 0x8000
#define STUB_REQUESTS 0x1000       /* offset of struct stub_request[] in the orders */
#define STUB_REQUEST_COUNT 448
#define STUB_REPORT_SIZE 0xc000
#define STUB_ALTSTACK 0x2000       /* offset in the report; the page before is a scratch stack */
#define STUB_ALTSTACK_SIZE 0xa000

/* File descriptors that the process is started with. */
#define STUB_FD_RAM 3
#define STUB_FD_SHARED 4
#define STUB_FD_DONE 5

/* stub_orders.flags */
#define STUB_FSGSBASE 1
#define STUB_CPUID_FAULT 2
#define STUB_TSC_SET 4             /* for one run: PR_SET_TSC with what the orders say */
#define STUB_ALTSTACK_AGAIN 8      /* for one run: a sandbox for another program */
#define STUB_START 16              /* the mapper starts the runner when the batch is done */

#define STUB_PR_SET_TSC 26         /* for assembly; stub.c asserts these, and the offsets: */
#define STUB_TSC_FAULTS 2
#define ORDERS_RUN 0
#define ORDERS_MAP 4
#define ORDERS_COUNT 8
#define ORDERS_FLAGS 12
#define ORDERS_FS_BASE 16
#define ORDERS_GS_BASE 24
#define ORDERS_DS 32
#define ORDERS_ES 34
#define ORDERS_FS 36
#define ORDERS_GS 38
#define ORDERS_RFLAGS 40
#define ORDERS_START 52
#define ORDERS_TSC 56
#define ORDERS_STACK 64
#define ORDERS_FRAME 128
#define REPORT_EXIT 0
#define REPORT_GO 4
#define REPORT_DS 8
#define REPORT_ES 10
#define REPORT_FS 12
#define REPORT_GS 14
#define REPORT_FS_BASE 16
#define REPORT_GS_BASE 24
#define REPORT_RSP 32
#define REPORT_TSC_IN 56
#define REPORT_TSC_OUT 64

#ifndef __ASSEMBLER__
#include <stdint.h>

/* The kernel's struct rt_sigframe for 64-bit code, without what follows the registers. */
enum {
    FRAME_R8, FRAME_R12 = 4, FRAME_RDI = 8, FRAME_RSI, FRAME_RBP, FRAME_RBX, FRAME_RDX, FRAME_RAX,
    FRAME_RCX, FRAME_RSP, FRAME_RIP, FRAME_RFLAGS, FRAME_SELECTORS, FRAME_ERROR, FRAME_TRAP,
    FRAME_OLDMASK, FRAME_CR2, FRAME_REGS
};
struct stub_frame {
    uint64_t return_address;
    uint64_t uc_flags, uc_link, stack[3];
    uint64_t reg[FRAME_REGS];
    uint64_t fpstate;      /* address in the process */
    uint64_t reserved[8];
    uint64_t sigmask;
    uint32_t signo, si_errno, si_code, padding; /* siginfo */
    uint64_t call_addr;    /* SIGSYS */
    uint32_t syscall_number, arch;
};

struct stub_request { /* a system call, as it is */
    uint64_t number, arg[6], spare;
};

struct stub_orders {
    uint32_t run;          /* futex: number of the run; the runner leaves its park */
    uint32_t map;          /* futex: number of the batch */
    uint32_t count;        /* of requests in it */
    uint32_t flags;
    uint64_t fs_base, gs_base;
    uint16_t ds, es, fs, gs;
    uint64_t rflags;       /* those that sigreturn does not set: NT, ID */
    uint32_t parent;
    uint32_t start;        /* with STUB_START: the batch that comes before the run */
    uint32_t tsc;          /* with STUB_TSC_SET: PR_TSC_ENABLE or PR_TSC_SIGSEGV */
    uint32_t spare2;
    uint64_t stack[3];     /* stack_t: the alternate stack */
    uint64_t spare3[5];
    struct stub_frame frame; /* what the runner "returns" to */
};

struct stub_report {
    uint32_t exit;         /* futex: the run that ended; 0: a task died */
    uint32_t go;           /* futex: the batch that the mapper has done, with STUB_START */
    uint16_t ds, es, fs, gs;
    uint64_t fs_base, gs_base;
    uint64_t rsp;          /* of the handler: where the kernel put the frame */
    uint32_t mapper;       /* its thread id, before any guest code */
    int32_t error;         /* setup: -errno, */
    uint32_t failed;       /* of this enum stub_step; */
    uint32_t step;         /* without an error, how far it came */
    uint64_t tsc_in, tsc_out; /* the last run's beginning and end, unless the TSC faults */
};

/* How far setup came: what the user is told. */
enum stub_step {
    STEP_START, STEP_PARENT, STEP_SHARED, STEP_SIGNALS, STEP_MAPPER, STEP_UNMAP, STEP_CPUID,
    STEP_SECCOMP, STEP_CALLS, STEP_COUNT
};
#endif
#endif
