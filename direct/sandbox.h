/*
 * A sandboxed process in which guest user code runs on the bare CPU, at its own linear addresses.
 *
 * The process holds nothing of the monitor: a small stub far above 4 GiB, two kinds of pages shared
 * with the monitor, and what the monitor maps of guest RAM below 4 GiB. Of its two tasks the
 * *runner* executes guest code, the *mapper* carries out map requests (docs/decisions/0007).
 *
 *                  sandbox_create
 *                        |
 *                        v          sandbox_run              any fault, system call, kick
 *        map/unmap --> PARKED --------------------> RUNNING ------------------------------+
 *        queued,         ^                             |                                  |
 *        flushed         +-----------------------------|----------------------------------+
 *                        |      killed, no progress    v
 *                        +--------------------------> LOST  -- sandbox_destroy
 *
 *  D1. Nothing read from the process is trusted. sandbox_run copies it once and looks only at the
 *      copy; every value in it may have been made up by the guest's program. Whoever acts on it
 *      (a fault's address, a selector, that a system call was made) checks it as he would check
 *      registers that the program had loaded, and looks at guest memory by the guest's own tables.
 *  D2. What the process can reach below 4 GiB is exactly what was mapped by flushed requests: the
 *      mapper takes orders from a page that nobody in there can write and says "done" through a
 *      pipe that only it has.
 *  D3. A hostile program may go on running while the monitor believes it parked. So a right taken
 *      back (unmap, protect) is gone only after sandbox_flush. sandbox_parked proves that the
 *      runner sleeps in the stub; then the next sandbox_run starts exactly the state it is given,
 *      whatever ran there before, and the sandbox may serve another guest process.
 *  D4. A sandbox dies with the thread that created it, and never outlives this process.
 *
 * One thread owns a sandbox; only sandbox_kick may be called by others. Nothing here allocates, or
 * touches vector registers, between sandbox_create and sandbox_destroy (xstate functions included).
 */
#ifndef DIRECT_SANDBOX_H
#define DIRECT_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sandbox_host;
struct sandbox;

/* --- what the host offers: once per machine ------------------------------------------------- */

struct sandbox_caps {
    bool fsgsbase;      /* else FS and GS bases go through the LDT */
    bool ldt;           /* modify_ldt works */
    bool cpuid_fault;   /* CPUID can be made to come back as #GP; else the guest sees the host's */
    bool shows_cpuid;   /* so it does although SANDBOX_FAULT_CPUID was asked for */
    bool tsc_fault;     /* and RDTSC: sandbox_fault_tsc */
    bool syscall32;     /* `syscall` in 32-bit code is a host system call (AMD), SYSENTER is #UD */
    uint64_t min_gva;   /* lower addresses cannot be mapped (vm.mmap_min_addr) */
    uint64_t max_gva;   /* addresses from here on cannot be mapped: where SYSENTER lands */
    uint32_t max_areas; /* areas one sandbox may have (vm.max_map_count less the stub's own) */
    uint32_t xstate_size; /* bytes of an XSAVE image as sandbox_get_xstate gives it */
    uint64_t xfeatures; /* state components in it */
};

/*
 * ram_fd: the memfd of guest RAM (not taken over); ram_size in bytes. Runs a sandbox once, to see
 * that it works. NULL: *why is a sentence for the user (a static string: what is missing and, where
 * known, what forbids it). flags: SANDBOX_ below.
 */
enum {
    SANDBOX_USE_LDT = 1,    /* as on a host without FSGSBASE: for tests */
    SANDBOX_FAULT_CPUID = 2, /* where caps.cpuid_fault; can make every run several times as dear */
};
struct sandbox_host *sandbox_host_create(int ram_fd, uint64_t ram_size, unsigned flags,
                                         const char **why);
void sandbox_host_destroy(struct sandbox_host *host); /* after its sandboxes */
const struct sandbox_caps *sandbox_host_caps(const struct sandbox_host *host);

/*
 * While any of the functions below waits for a process that the host does not run, longer than a
 * second, give_up(arg) is asked ten times a second, on the thread that waits. True: what is waited
 * for is killed, and all ends as if it were lost. Until this is called nobody is asked.
 */
void sandbox_host_ask(struct sandbox_host *host, bool (*give_up)(void *arg), void *arg);

/* --- life ----------------------------------------------------------------------------------- */

/* Blocks until the process is ready. NULL: *why as above (also: too many processes). */
struct sandbox *sandbox_create(struct sandbox_host *host, const char **why);

/* Kills the process, reaps it, frees everything; also for a lost one. NULL is allowed. */
void sandbox_destroy(struct sandbox *s);

/*
 * Makes a sandbox fit for another guest process: proves that the runner is parked, unmaps
 * everything, sets the initial xstate, clears what was left in shared pages. False: destroy it.
 */
bool sandbox_reset(struct sandbox *s);

/* Keeps both tasks on one CPU: that of the thread that calls sandbox_run; -1: on none. 0 or
 * -errno. */
int sandbox_pin(struct sandbox *s, int cpu);

/* The process, for messages and /proc. */
int sandbox_pid(const struct sandbox *s);

/*
 * After SANDBOX_LOST: did somebody outside end the process (SIGKILL)? False: its own program did,
 * or it only says that it ended. Sleeps until that is known.
 */
bool sandbox_killed(struct sandbox *s);

/* --- guest memory --------------------------------------------------------------------------- */

enum {
    SANDBOX_READ = 1,
    SANDBOX_WRITE = 2,
    SANDBOX_EXEC = 4,
    SANDBOX_FRESH = 8, /* sandbox_map: nothing is mapped there, so that the run may begin earlier */
};

/*
 * Requests on [gva, gva + pages * 4096), queued. gva page aligned, within min_gva and max_gva, gpa
 * within RAM: a byte offset in ram_fd. prot: SANDBOX_ bits; 32-bit guest paging without NX wants
 * EXEC always. populate: map all of the run now instead of at each page's first touch. A full queue
 * is flushed. 0, or what sandbox_flush returns or would have returned for the requests before.
 */
int sandbox_map(struct sandbox *s, uint64_t gva, uint64_t gpa, uint64_t pages, unsigned prot,
                bool populate);
int sandbox_unmap(struct sandbox *s, uint64_t gva, uint64_t pages);
/* Of pages that are mapped, each of them; -ENOMEM otherwise. */
int sandbox_protect(struct sandbox *s, uint64_t gva, uint64_t pages, unsigned prot);

/*
 * Carries out what is queued, in order; sandbox_run does so first. 0; -EOWNERDEAD: lost; -ENOMEM
 * and others: one of the requests failed (as for max_map_count) and those behind it were not
 * carried out; unmapping everything then makes the state known again.
 */
int sandbox_flush(struct sandbox *s);

/* From the next run on RDTSC and RDTSCP come back as #GP, or are the host's, as at first. Where
 * caps.tsc_fault is. Costs a system call at that run, nothing when it is so already. */
void sandbox_fault_tsc(struct sandbox *s, bool faults);

/* --- running -------------------------------------------------------------------------------- */

/* The flat selectors that code runs with; visible to it. */
#define SANDBOX_CS32 0x23
#define SANDBOX_CS64 0x33
#define SANDBOX_DS 0x2b
/* In FS or GS, n from 6 to 8: as SANDBOX_DS, but code that reads it finds entry n, as in Linux's
 * selectors for thread areas (C libraries make a new thread's from it). Where caps.ldt is. */
#define SANDBOX_TLS(n) ((n) * 8 + 7)
#define SANDBOX_TLS_FIRST 6
#define SANDBOX_TLS_LAST 8

struct sandbox_regs {
    uint64_t gpr[16];  /* in the order of their encoding: rax rcx rdx rbx rsp rbp rsi rdi ... */
    uint64_t rip;
    uint32_t eflags;   /* in: IF, IOPL, VM ignored. Out: as PUSHF shows, IF set, IOPL 0 */
    uint16_t cs;       /* in: SANDBOX_CS32 (0 means that too). Out, these are what is visible, */
    uint16_t ss;       /* so that selectors loaded by the guest are noticed. In: SANDBOX_DS, */
    uint16_t ds, es;   /* 0 or an LDT selector; other values are taken as SANDBOX_DS. FS, GS: a */
    uint16_t fs, gs;   /* null selector has no usable base. Out: as In where not loaded. */
    uint64_t fs_base, gs_base;
    /* in, with SANDBOX_TLS: 0, or what entry n is instead, of that base: the descriptor of a
     * present and accessed data segment of 32 bits with DPL 3 */
    uint64_t fs_limited, gs_limited;
};

enum sandbox_exit_kind {
    SANDBOX_FAULT,    /* vector, error, cr2; rip as the CPU would push it */
    SANDBOX_INT80,    /* int 0x80; rip behind it */
    SANDBOX_SYSENTER, /* rip and rsp are lost, as the CPU loses them; rbp and all else are true */
    SANDBOX_SYSCALL32, /* `syscall` in 32-bit code (caps.syscall32): rip and ecx are lost, and are
                         0; eax too where the word at ESP could not be read */
    SANDBOX_SYSCALL,  /* `syscall` in 64-bit code that was meant to run; rip behind it */
    SANDBOX_KICK,     /* sandbox_kick, or no reason at all: go on as you like */
    SANDBOX_ESCAPE,   /* left the segments it was given for 64-bit code: the program is hostile or
                         mad, nothing about its state is known. Registers are as found */
    SANDBOX_STUCK,    /* was kicked, and its program holds out by its own doing: killed, as LOST.
                         What it did since the run began is not undone, and not known */
    SANDBOX_GIVEN_UP, /* sandbox_host_ask's function has ended the wait: killed, as LOST */
    SANDBOX_LOST,     /* the process is gone: destroy it. The registers of that run are unknown:
                         those given to sandbox_run are still in the caller's hands */
};
#define SANDBOX_EXIT_KINDS (SANDBOX_LOST + 1)

/* The process was killed or is gone, with what it knew. */
static inline bool sandbox_exit_lost(enum sandbox_exit_kind kind)
{
    return kind == SANDBOX_STUCK || kind == SANDBOX_GIVEN_UP || kind == SANDBOX_LOST;
}

struct sandbox_exit {
    enum sandbox_exit_kind kind;
    uint8_t vector;  /* SANDBOX_FAULT: 0 to 31 */
    uint32_t error;  /* error code where the vector has one. #GP of `int n`: n * 8 + 2. #PF: the
                        host's bits: P may be clear although the guest's table has it set */
    uint64_t cr2;    /* #PF */
    uint32_t number; /* of a system call, as the host saw it: informative */
    bool sysenter_lost_eax; /* SYSENTER with an unmapped word at EBP: eax is lost too */
    bool int1;       /* #DB: by INT1, not a single step */
    /* TSC cycles between the runner's last instruction before the program's and its first one
     * behind, as the process says (D1): informative. 0: not known, as when the TSC faults. */
    uint64_t user_cycles;
};

/*
 * Flushes, then runs guest code from *io until something needs the monitor; *io is then the state
 * (unchanged for LOST, STUCK and GIVEN_UP). timeout_ns: 0 = none; at its end the runner is
 * kicked. A runner that was kicked (by anyone) and then computes or sleeps for a second by its own
 * doing is killed: STUCK. One that the host does not run (stopped, frozen, traced, other jobs, a
 * page that is read) is waited for. Returns 0, or what sandbox_flush returned (nothing ran, exit
 * not valid).
 *
 * Where only fresh mappings are queued, the mapper starts the runner itself: that saves a change of
 * process. Should one of them fail, the code faults on it, and the next request says why.
 *
 * FPU and vector state stays in the runner from one run to the next.
 */
int sandbox_run(struct sandbox *s, struct sandbox_regs *io, uint64_t timeout_ns,
                struct sandbox_exit *exit);

/* Makes the running or else the next sandbox_run return SANDBOX_KICK soon. Async-signal-safe, from
 * any thread, while the sandbox exists. It may cost one more SANDBOX_KICK later. */
void sandbox_kick(struct sandbox *s);

/*
 * Asks the kernel whether the runner sleeps in the stub (D3). True: its memory rights may be given
 * back lazily. False (after 200 ms or more): it runs, for reasons of its own, or is lost:
 * destroy it. Costs one system call, or a short sleep when the runner has hardly come back.
 */
bool sandbox_parked(struct sandbox *s);

/* The runner's XSAVE image (standard format, caps.xstate_size bytes; header valid, MXCSR legal,
 * bytes 464-511 0; also where the host has no XSAVE): what the guest has in its registers while the
 * sandbox is parked. size: at most that many bytes are copied; components behind it are dropped
 * (get) or made initial (set). */
void sandbox_get_xstate(const struct sandbox *s, void *image, size_t size);
void sandbox_set_xstate(struct sandbox *s, const void *image, size_t size);

struct sandbox_stats {
    uint64_t runs, requests, flushes, kicks, faults, syscalls, stuck, lost;
};
const struct sandbox_stats *sandbox_stats(const struct sandbox *s);

#endif
