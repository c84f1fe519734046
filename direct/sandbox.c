/*
 * Running guest code in a sandboxed process: handing the runner its registers, making sense of what
 * it says. Waiting for it: sandbox_wait.c. See sandbox.h for the states and invariants.
 *
 * The kernel's own signal frame is the report: the alternate stack lies in pages shared with the
 * monitor, always at the same place, so nothing is copied in the process. What the runner goes on
 * with is a second frame, in the orders, which it can read only; its FPU state is restored from
 * where the kernel saved it.
 */
#include "direct/sandbox.h"

#include <asm/unistd.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "base/bug.h"
#include "direct/sandbox_private.h"

#define KICK_SIGNAL SIGUSR1
#define PARK_LOOKS 2500       /* in 200 ms; for the few instructions before it sleeps */
#define SYS_SECCOMP_CODE 1
#define LANDING_SIZE 0x100000ull
#define VECTOR_DB 1
#define VECTOR_GP 13
#define VECTOR_PF 14
#define TRAP_BRKPT_CODE 1 /* si_code of SIGTRAP: no single step, no debug register */
#define EFLAGS_TF 0x100u
#define EFAULT_RESULT (-14u)
#define EFLAGS_FIXED 0x202u
#define EFLAGS_RETURNED 0x50dd5u /* what rt_sigreturn sets: CF PF AF ZF SF TF DF OF RF AC */
#define EFLAGS_POPPED 0x204000u  /* NT, ID: the stub's popfq */

void sandbox_set_lost(struct sandbox *s)
{
    s->stats.lost += !s->lost;
    s->lost = true;
}

/* --- Orders ------------------------------------------------------------------------- */

static uint16_t data_selector(uint16_t selector)
{
    if (!selector || ((selector & 7) == 7 && selector < SANDBOX_TLS(SANDBOX_TLS_FIRST)))
        return selector;
    return SANDBOX_DS;
}

static bool is_tls(const struct sandbox *s, uint16_t selector)
{
    return s->host->caps.ldt && (selector & 7) == 7 && selector >> 3 >= SANDBOX_TLS_FIRST &&
           selector >> 3 <= SANDBOX_TLS_LAST;
}

static int flat_entry(struct sandbox *s, unsigned entry, uint64_t base)
{
    if (s->ldt_set & 1u << entry && s->ldt_base[entry] == base && !s->ldt_limited[entry])
        return 0;
    s->ldt_set |= 1u << entry;
    s->ldt_limited[entry] = 0;
    return sandbox_queue_ldt(s, entry, (uint32_t)base, 0xfffff, true);
}

static int limited_entry(struct sandbox *s, unsigned entry, uint64_t descriptor)
{
    if (s->ldt_set & 1u << entry && s->ldt_limited[entry] == descriptor)
        return 0;
    s->ldt_set |= 1u << entry;
    s->ldt_limited[entry] = descriptor;
    return sandbox_queue_descriptor(s, entry, descriptor);
}

/* A selector for FS or GS and the base that goes with it; without FSGSBASE, by an LDT entry. */
static int base_order(struct sandbox *s, uint16_t *selector, uint64_t *base, uint64_t limited,
                      unsigned entry)
{
    bool by_ldt = !(s->host->stub_flags & STUB_FSGSBASE);

    if (!is_tls(s, *selector)) {
        *selector = data_selector(*selector);
        if (*selector & 4)
            *base = s->ldt_base[*selector >> 3];
        if (*selector != SANDBOX_DS || !by_ldt)
            return 0;
        *selector = LDT_SELECTOR(entry);
    } else if (limited) {
        return limited_entry(s, *selector >> 3, limited);
    }
    return flat_entry(s, *selector >> 3, by_ldt ? *base : 0);
}

/* Code that loads a selector of no thread area of its own must fault. */
static int drop_others(struct sandbox *s, uint16_t fs, uint16_t gs)
{
    int error = 0;

    for (unsigned n = SANDBOX_TLS_FIRST; n <= SANDBOX_TLS_LAST && !error; n++) {
        if (!(s->ldt_set & 1u << n) || fs == SANDBOX_TLS(n) || gs == SANDBOX_TLS(n))
            continue;
        s->ldt_set &= ~(1u << n);
        error = sandbox_queue_ldt(s, n, 0, 0, false);
    }
    return error;
}

static int order_segments(struct sandbox *s, const struct sandbox_regs *io)
{
    struct stub_orders *o = s->orders;
    bool both = io->fs == io->gs && io->fs_base != io->gs_base; /* one entry, two bases */
    uint16_t fs = both ? SANDBOX_DS : io->fs, gs = io->gs;
    int error;

    o->fs_base = io->fs_base;
    o->gs_base = io->gs_base;
    error = base_order(s, &fs, &o->fs_base, io->fs_limited, LDT_FS);
    if (!error)
        error = base_order(s, &gs, &o->gs_base, io->gs_limited, LDT_GS);
    if (!error)
        error = drop_others(s, fs, gs);
    o->ds = data_selector(io->ds);
    o->es = data_selector(io->es);
    o->fs = fs;
    o->gs = gs;
    return error;
}

/* From the encoding's order to the frame's. */
static const uint8_t frame_index[16] = {
    FRAME_RAX, FRAME_RCX, FRAME_RDX, FRAME_RBX, FRAME_RSP, FRAME_RBP, FRAME_RSI, FRAME_RDI,
    0, 1, 2, 3, 4, 5, 6, 7,
};

static void order_registers(struct sandbox *s, const struct sandbox_regs *io)
{
    uint64_t *reg = s->orders->frame.reg;
    uint16_t cs = io->cs == SANDBOX_CS64 ? SANDBOX_CS64 : SANDBOX_CS32;
    uint16_t ss = data_selector(io->ss);

    for (unsigned i = 0; i < 16; i++)
        reg[frame_index[i]] = io->gpr[i];
    reg[FRAME_RIP] = io->rip;
    reg[FRAME_RFLAGS] = (io->eflags & EFLAGS_RETURNED) | EFLAGS_FIXED;
    reg[FRAME_SELECTORS] = cs | (uint64_t)(ss ? ss : SANDBOX_DS) << 48;
    s->orders->rflags = (io->eflags & EFLAGS_POPPED) | EFLAGS_FIXED;
}

/* --- The report --------------------------------------------------------------------- */

static void read_registers(const struct stub_frame *f, bool code32, struct sandbox_regs *io)
{
    for (unsigned i = 0; i < 16; i++)
        io->gpr[i] = code32 && i >= 8 ? 0 : f->reg[frame_index[i]];
    for (unsigned i = 0; code32 && i < 8; i++)
        io->gpr[i] = (uint32_t)io->gpr[i];
    io->rip = code32 ? (uint32_t)f->reg[FRAME_RIP] : f->reg[FRAME_RIP];
    io->eflags = (uint32_t)f->reg[FRAME_RFLAGS];
    io->cs = (uint16_t)f->reg[FRAME_SELECTORS];
    io->ss = (uint16_t)(f->reg[FRAME_SELECTORS] >> 48);
}

static void read_segments(const struct sandbox *s, struct sandbox_regs *io)
{
    const volatile struct stub_report *r = s->report;

    io->ds = r->ds;
    io->es = r->es;
    if (r->fs != s->orders->fs)
        io->fs = r->fs;
    if (r->gs != s->orders->gs)
        io->gs = r->gs;
    if (s->host->stub_flags & STUB_FSGSBASE) {
        io->fs_base = r->fs_base;
        io->gs_base = r->gs_base;
    }
}

static bool at_landing(uint64_t address)
{
    return address >= STUB_LANDING && address < STUB_LANDING + LANDING_SIZE;
}

/* The kernel has what was in EBP in ECX, where the CPU has put EIP, and the word at ESP in EBP. */
static void syscall32(struct sandbox_regs *io, struct sandbox_exit *exit)
{
    exit->kind = SANDBOX_SYSCALL32;
    io->gpr[5] = io->gpr[1];
    io->gpr[1] = io->rip = 0;
}

static void decode_syscall(const struct sandbox *s, const struct stub_frame *f,
                           struct sandbox_regs *io, struct sandbox_exit *exit)
{
    exit->number = f->syscall_number;
    if (f->arch == AUDIT_ARCH_X86_64)
        exit->kind = io->cs == SANDBOX_CS64 ? SANDBOX_SYSCALL : SANDBOX_ESCAPE;
    else if (!at_landing(f->reg[FRAME_RIP]))
        exit->kind = SANDBOX_INT80;
    else if (s->host->caps.syscall32)
        syscall32(io, exit);
    else {
        /* The kernel takes EBP for ESP and the word there for EBP: undo that. */
        exit->kind = SANDBOX_SYSENTER;
        io->gpr[5] = io->gpr[4];
    }
}

/* INT1 or a single step? */
static void decode_debug(const struct sandbox *s, const struct stub_frame *f,
                         struct sandbox_regs *io, struct sandbox_exit *exit)
{
    exit->int1 = !(io->eflags & EFLAGS_TF) || f->si_code == TRAP_BRKPT_CODE;
    if (exit->int1 && s->host->int1_stays)
        io->rip = io->cs == SANDBOX_CS32 ? (uint32_t)(io->rip + 1) : io->rip + 1;
}

/* A fault at the landing: the kernel could not read the word at EBP (SYSENTER) or at ESP. Some CPUs
 * find the address above 4 GiB there behind the code segment's limit. */
static bool at_lost_call(const struct sandbox *s, const struct stub_frame *f,
                         const struct sandbox_regs *io, const struct sandbox_exit *exit)
{
    if (io->cs != SANDBOX_CS32 || (uint32_t)io->gpr[0] != EFAULT_RESULT ||
        !at_landing(io->rip | (STUB_LANDING & ~0xffffffffull)))
        return false;
    return exit->vector == VECTOR_PF ? exit->cr2 == io->rip
           : exit->vector == VECTOR_GP && s->host->caps.syscall32 && f->reg[FRAME_RIP] >> 32;
}

static void decode_fault(const struct sandbox *s, const struct stub_frame *f,
                         struct sandbox_regs *io, struct sandbox_exit *exit)
{
    exit->kind = SANDBOX_FAULT;
    exit->vector = f->reg[FRAME_TRAP] & 31;
    exit->error = (uint32_t)f->reg[FRAME_ERROR];
    exit->cr2 = f->reg[FRAME_CR2];
    if (exit->vector != VECTOR_PF)
        exit->cr2 = 0;
    if (exit->vector == VECTOR_DB)
        decode_debug(s, f, io, exit);
    if (!at_lost_call(s, f, io, exit))
        return;
    if (s->host->caps.syscall32)
        syscall32(io, exit);
    else {
        exit->kind = SANDBOX_SYSENTER;
        exit->sysenter_lost_eax = true;
        io->gpr[5] = io->gpr[4];
    }
}

static bool is_fault_signal(uint32_t signo)
{
    return signo == SIGSEGV || signo == SIGTRAP || signo == SIGILL || signo == SIGFPE
           || signo == SIGBUS;
}

static void decode(const struct sandbox *s, const struct stub_frame *f, struct sandbox_regs *io,
                   struct sandbox_exit *exit)
{
    if (f->signo == SIGSYS && (int32_t)f->si_code == SYS_SECCOMP_CODE)
        decode_syscall(s, f, io, exit);
    else if (is_fault_signal(f->signo) && (int32_t)f->si_code > 0)
        decode_fault(s, f, io, exit);
    else if (f->signo == KICK_SIGNAL || f->signo == SIGSYS || is_fault_signal(f->signo))
        exit->kind = SANDBOX_KICK; /* ours, or somebody's outside */
    else
        exit->kind = SANDBOX_ESCAPE; /* parked without a signal: a jump into the stub */
}

static void read_report(struct sandbox *s, struct sandbox_regs *io, struct sandbox_exit *exit)
{
    bool code32 = io->cs != SANDBOX_CS64;
    struct stub_frame f;

    sandbox_copy(&f, s->frame, sizeof(f)); /* once: it may change at any time (D1) */
    ((volatile struct stub_frame *)s->frame)->signo = 0; /* what is read twice is old */
    read_registers(&f, code32, io);
    read_segments(s, io);
    if (s->report->rsp != s->frame_rsp || io->cs != (code32 ? SANDBOX_CS32 : SANDBOX_CS64))
        exit->kind = SANDBOX_ESCAPE;
    else
        decode(s, &f, io, exit);
}

/* What the process says. */
static uint64_t user_cycles(const struct sandbox *s)
{
    uint64_t in = s->report->tsc_in, out = s->report->tsc_out;

    return s->orders->tsc == PR_TSC_ENABLE && out > in ? out - in : 0;
}

static void count_exit(struct sandbox *s, enum sandbox_exit_kind kind)
{
    s->stats.faults += kind == SANDBOX_FAULT;
    s->stats.kicks += kind == SANDBOX_KICK;
    s->stats.stuck += kind == SANDBOX_STUCK;
    s->stats.syscalls += kind == SANDBOX_INT80 || kind == SANDBOX_SYSENTER
                         || kind == SANDBOX_SYSCALL32 || kind == SANDBOX_SYSCALL;
}

/* --- Running ------------------------------------------------------------------------ */

/* To the process: the mapper blocks all signals, so the runner gets it. */
void sandbox_signal(const struct sandbox *s, int signal)
{
    syscall(__NR_pidfd_send_signal, s->pidfd, signal, NULL, 0);
}

void sandbox_kick(struct sandbox *s)
{
    int saved = errno;

    __atomic_store_n(&s->kicked, true, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&s->running, __ATOMIC_SEQ_CST))
        sandbox_signal(s, KICK_SIGNAL);
    errno = saved;
}

static void start(struct sandbox *s)
{
    if (s->queued) {
        sandbox_send_batch(s, STUB_START);
        return;
    }
    __atomic_store_n(&s->orders->run, s->run, __ATOMIC_SEQ_CST);
    sandbox_futex(&s->orders->run, FUTEX_WAKE, 1, NULL);
}

static void finish(struct sandbox *s, struct sandbox_regs *io, struct sandbox_exit *exit,
                   enum run_end end)
{
    __atomic_store_n(&s->running, false, __ATOMIC_SEQ_CST);
    s->orders->flags &= ~(uint32_t)(STUB_ALTSTACK_AGAIN | STUB_TSC_SET);
    if (end != RUN_CAME_BACK) {
        sandbox_signal(s, SIGKILL);
        sandbox_set_lost(s);
        exit->kind = end == RUN_STUCK ? SANDBOX_STUCK : SANDBOX_GIVEN_UP;
    } else if (s->lost) {
        exit->kind = SANDBOX_LOST;
    } else {
        read_report(s, io, exit);
        exit->user_cycles = user_cycles(s);
    }
    /* Whatever it came back for: who kicked looks around now. */
    __atomic_store_n(&s->kicked, false, __ATOMIC_SEQ_CST);
    count_exit(s, exit->kind);
}

int sandbox_run(struct sandbox *s, struct sandbox_regs *io, uint64_t timeout_ns,
                struct sandbox_exit *exit)
{
    int error = s->lost ? -EOWNERDEAD : order_segments(s, io);

    if (!error && s->ordered)
        error = sandbox_flush(s);
    if (!error && s->queued)
        error = sandbox_settle(s);
    if (error)
        return error;
    *exit = (struct sandbox_exit){ .kind = SANDBOX_KICK };
    order_registers(s, io);
    __atomic_store_n(&s->running, true, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&s->kicked, __ATOMIC_SEQ_CST)) {
        __atomic_store_n(&s->running, false, __ATOMIC_SEQ_CST);
        __atomic_store_n(&s->kicked, false, __ATOMIC_SEQ_CST);
        count_exit(s, SANDBOX_KICK);
        return 0;
    }
    s->stats.runs++;
    if (!++s->run)
        s->run = 1;
    start(s);
    finish(s, io, exit, sandbox_wait_run(s, timeout_ns));
    return 0;
}

/* The runner says that it has come back a little before it sleeps. */
bool sandbox_parked(struct sandbox *s)
{
    const struct timespec pause = { 0, 20000 };

    for (unsigned i = 0; i < PARK_LOOKS && !s->lost; i++) {
        if (sandbox_asleep(s))
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

/* --- State -------------------------------------------------------------------------- */

#define XSAVE_MXCSR 24
#define XSAVE_MXCSR_MASK 28
#define XSAVE_ST 32
#define XSAVE_XMM 160
#define XSAVE_LEGACY 464
#define XSAVE_HEADER 512
#define XSAVE_HEADER_END 576

/* Makes an image legal for XRSTOR, whoever wrote it. */
static void clean(const struct sandbox *s, uint8_t *image, size_t size)
{
    uint64_t features = s->host->caps.xfeatures, present;
    uint32_t mxcsr;

    if (size < XSAVE_HEADER)
        return;
    __builtin_memcpy(&mxcsr, image + XSAVE_MXCSR, 4);
    mxcsr &= s->mxcsr_mask;
    __builtin_memcpy(image + XSAVE_MXCSR, &mxcsr, 4);
    __builtin_memcpy(image + XSAVE_MXCSR_MASK, &s->mxcsr_mask, 4);
    sandbox_zero(image + XSAVE_LEGACY, XSAVE_HEADER - XSAVE_LEGACY);
    if (size < XSAVE_HEADER_END)
        return;
    __builtin_memcpy(&present, image + XSAVE_HEADER, 8);
    if (size < s->host->caps.xstate_size) /* components behind the end: initial */
        features &= size >= 832 ? 7 : 3;
    present &= features;
    sandbox_zero(image + XSAVE_HEADER, XSAVE_HEADER_END - XSAVE_HEADER);
    __builtin_memcpy(image + XSAVE_HEADER, &present, 8);
}

/* What FXSAVE has no header for: all of it is present. */
static void add_header(uint8_t *image, size_t size)
{
    const uint64_t present = XSTATE_FX;

    sandbox_zero(image + XSAVE_HEADER, size - XSAVE_HEADER);
    if (size == XSAVE_HEADER_END)
        __builtin_memcpy(image + XSAVE_HEADER, &present, 8);
}

/* FXRSTOR loads all: what the header says is initial must be it. MXCSR is loaded by XRSTOR, too. */
static void make_initial(uint8_t *legacy, uint64_t present)
{
    static const uint16_t fcw = 0x37f;

    if (!(present & XSTATE_X87)) {
        sandbox_zero(legacy, XSAVE_MXCSR);
        __builtin_memcpy(legacy, &fcw, 2);
        sandbox_zero(legacy + XSAVE_ST, XSAVE_XMM - XSAVE_ST);
    }
    if (!(present & XSTATE_SSE))
        sandbox_zero(legacy + XSAVE_XMM, XSAVE_LEGACY - XSAVE_XMM);
}

void sandbox_get_xstate(const struct sandbox *s, void *image, size_t size)
{
    size_t there;

    size = sandbox_min(size, s->host->caps.xstate_size);
    there = sandbox_min(size, s->xstate_size);
    sandbox_copy(image, s->xstate, there);
    if (there < size)
        add_header(image, size);
    clean(s, image, size);
}

/* The kernel looks at its own marks when it restores the frame. */
static void mark_xstate(struct sandbox *s)
{
    sandbox_copy(s->xstate + XSAVE_LEGACY, s->xstate_software, sizeof(s->xstate_software));
    if (s->xstate_size > XSAVE_HEADER)
        sandbox_copy(s->xstate + s->xstate_size, &s->xstate_end, 4);
}

void sandbox_set_xstate(struct sandbox *s, const void *image, size_t size)
{
    uint64_t present;
    size_t there;

    size = sandbox_min(size, s->host->caps.xstate_size);
    there = sandbox_min(size, s->xstate_size);
    sandbox_copy(s->xstate, image, there);
    if (there < XSAVE_HEADER_END && size == XSAVE_HEADER_END) {
        __builtin_memcpy(&present, (const uint8_t *)image + XSAVE_HEADER, 8);
        make_initial(s->xstate, present);
    }
    clean(s, s->xstate, there);
    mark_xstate(s);
}

static void initial_xstate(struct sandbox *s)
{
    static const uint16_t fcw = 0x37f;
    static const uint32_t mxcsr = 0x1f80;

    sandbox_zero(s->xstate, s->xstate_size);
    __builtin_memcpy(s->xstate, &fcw, 2);
    __builtin_memcpy(s->xstate + XSAVE_MXCSR, &mxcsr, 4);
    mark_xstate(s);
}

bool sandbox_reset(struct sandbox *s)
{
    const struct sandbox_caps *caps = &s->host->caps;

    s->queued = 0;
    sandbox_settle(s); /* whatever failed goes with all the rest */
    if (!sandbox_parked(s))
        return false;
    if (sandbox_unmap(s, caps->min_gva, (caps->max_gva - caps->min_gva) / PAGE))
        return false;
    for (unsigned i = 0; caps->ldt && i < LDT_USED; i++) {
        if (!s->ldt_base[i])
            continue;
        s->ldt_set &= ~(1u << i);
        if (sandbox_queue_ldt(s, i, 0, 0, false))
            return false;
    }
    if (sandbox_flush(s))
        return false;
    sandbox_zero((uint8_t *)s->shared + STUB_ORDERS_SIZE + STUB_ALTSTACK, STUB_ALTSTACK_SIZE);
    initial_xstate(s);
    s->orders->flags |= STUB_ALTSTACK_AGAIN | STUB_TSC_SET;
    s->kicked = false;
    return sandbox_parked(s);
}

void sandbox_fault_tsc(struct sandbox *s, bool faults)
{
    uint32_t tsc = faults ? PR_TSC_SIGSEGV : PR_TSC_ENABLE;

    if (s->orders->tsc == tsc)
        return;
    s->orders->tsc = tsc;
    s->orders->flags |= STUB_TSC_SET;
}

int sandbox_pid(const struct sandbox *s)
{
    return s->pid;
}

const struct sandbox_stats *sandbox_stats(const struct sandbox *s)
{
    return &s->stats;
}
