/*
 * What the host offers, and bringing up a sandboxed process: the stub from a sealed memfd, started
 * by the helper (helper.c) with an address space of its own and three file descriptors.
 */
#include <asm/prctl.h>
#include <asm/unistd.h>
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "direct/sandbox_private.h"

#define SHARED_SIZE (STUB_ORDERS_SIZE + STUB_REPORT_SIZE)
#define HWCAP2_FSGSBASE_BIT 2ul
#define MFD_EXEC_FLAG 0x10u
#define MAGIC_XSTATE 0x46505853u /* in the bytes that XSAVE leaves to software */
#define OWN_AREAS 16
#define GRACE_NS 1000000000ull
#define XSTATE_LEGACY_SIZE 512
#define XSTATE_HEADER_SIZE 64
#define MXCSR_MASK_OLD 0xffbfu /* where FXSAVE says 0 (SDM 1, 11.6.6) */
#define FUTEX_WAIT_OP 0
#define TRY_NS 2000000000ull

extern const uint8_t stub_image[], stub_image_end[];

/* --- The stub's file ---------------------------------------------------------------- */

static int executable_memfd(void)
{
    int fd = memfd_create("novt-stub", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC_FLAG);

    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = memfd_create("novt-stub", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd;
}

static int stub_file(const char **why)
{
    size_t size = (size_t)(stub_image_end - stub_image);
    int fd = executable_memfd();

    if (fd < 0) {
        *why = errno == EMFILE ? "no more file descriptors (ulimit -n)"
                               : "memfd_create for an executable file is refused "
                                 "(vm.memfd_noexec?)";
        return -1;
    }
    if (write(fd, stub_image, size) != (ssize_t)size
        || fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)) {
        *why = "a memfd could not be written and sealed";
        close(fd);
        return -1;
    }
    return fd;
}

/* --- A sandbox ---------------------------------------------------------------------- */

static const char *setup_reason(const volatile struct stub_report *r)
{
    static const char *const reason[] = {
        [STEP_START] = "the sandboxed process ended before it began: a seccomp profile?",
        [STEP_PARENT] = "the sandboxed process could not be tied to this one",
        [STEP_SHARED] = "the sandboxed process could not map its shared pages",
        [STEP_SIGNALS] = "the sandboxed process could not set its signal handlers",
        [STEP_MAPPER] = "the sandboxed process could not start its second task under seccomp",
        [STEP_UNMAP] = "the sandboxed process could not unmap its stack and vDSO",
        [STEP_CPUID] = "CPUID faulting could not be switched on",
        [STEP_SECCOMP] = "seccomp filters are refused or not in this kernel",
        [STEP_CALLS] = "a 32-bit system call kills its process here: a seccomp profile for x86-64 "
                       "only",
    };
    uint32_t step = r->error ? r->failed : r->step;

    if (r->error == -EAGAIN)
        return "no more processes: fork is refused";
    return step < STEP_COUNT ? reason[step] : "the sandboxed process was killed while it started";
}

static bool make_shared(struct sandbox *s, int *fd)
{
    *fd = memfd_create("novt-shared", MFD_CLOEXEC);
    if (*fd < 0 || ftruncate(*fd, SHARED_SIZE))
        return false;
    s->shared = mmap(NULL, SHARED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, *fd, 0);
    if (s->shared == MAP_FAILED) {
        s->shared = NULL;
        return false;
    }
    s->orders = (struct stub_orders *)s->shared;
    s->request = (struct stub_request *)(s->shared + STUB_REQUESTS);
    s->report = (volatile struct stub_report *)(s->shared + STUB_ORDERS_SIZE);
    return true;
}

static void first_orders(struct sandbox *s)
{
    s->run = 1;
    s->orders->run = 1;
    s->orders->flags = s->host->stub_flags;
    s->orders->parent = (uint32_t)getpid();
    s->orders->stack[0] = STUB_REPORT + STUB_ALTSTACK;
    s->orders->stack[2] = STUB_ALTSTACK_SIZE;
    s->orders->tsc = PR_TSC_ENABLE;
    s->report->exit = ~0u;
}

/* Waits until both tasks serve. */
static bool wait_ready(struct sandbox *s, const char **why)
{
    uint64_t began = sandbox_now_ns();
    uint32_t seen;

    if (sandbox_wait_done(s)) {
        *why = setup_reason(s->report);
        return false;
    }
    while ((seen = s->report->exit) != s->run && seen) {
        struct timespec slice = { 0, 100000000 };

        if (!sandbox_wait_on(s->host, began)) {
            *why = "the host does not run the sandboxed process";
            return false;
        }
        sandbox_futex(&s->report->exit, FUTEX_WAIT_OP, seen, &slice);
    }
    if (!seen)
        *why = setup_reason(s->report);
    return seen;
}

static bool host_has_xsave(void)
{
    unsigned eax, ebx, ecx, edx;

    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && ecx & bit_OSXSAVE;
}

/* What the frame has of the FPU: an XSAVE image, in room bytes; where the host has no XSAVE, what
 * FXSAVE stores, to which sandbox_get_xstate() adds a header. */
static bool learn_xstate(struct sandbox *s, uint64_t room)
{
    struct sandbox_caps *caps = &s->host->caps;
    uint32_t software[12];

    memcpy(software, s->xstate + 464, sizeof(software));
    memcpy(s->xstate_software, software, sizeof(software));
    memcpy(&s->mxcsr_mask, s->xstate + 28, 4);
    if (!s->mxcsr_mask)
        s->mxcsr_mask = MXCSR_MASK_OLD;
    if (!host_has_xsave()) {
        s->xstate_size = XSTATE_LEGACY_SIZE;
        caps->xstate_size = XSTATE_LEGACY_SIZE + XSTATE_HEADER_SIZE;
        caps->xfeatures = XSTATE_FX;
        return true;
    }
    if (software[0] != MAGIC_XSTATE || software[4] < XSTATE_LEGACY_SIZE + XSTATE_HEADER_SIZE ||
        software[4] + 4 > room)
        return false;
    s->xstate_size = caps->xstate_size = software[4];
    caps->xfeatures = software[2] | (uint64_t)software[3] << 32;
    memcpy(&s->xstate_end, s->xstate + s->xstate_size, 4);
    return true;
}

/* Learns from the first frame, which the kernel made when no guest code had run, where frames are
 * and what is in them besides registers. */
static bool learn_frame(struct sandbox *s, const char **why)
{
    const uint64_t low = STUB_REPORT + STUB_ALTSTACK, high = low + STUB_ALTSTACK_SIZE;
    struct stub_frame *f = &s->orders->frame;
    uint64_t at;

    *why = "the kernel's signal frame is not where it should be";
    s->frame_rsp = s->report->rsp;
    if (s->frame_rsp < low || s->frame_rsp + sizeof(*f) > high)
        return false;
    s->frame = s->shared + STUB_ORDERS_SIZE + (s->frame_rsp - STUB_REPORT);
    memcpy(f, s->frame, sizeof(*f));
    if (f->signo != SIGSYS) {
        *why = "int 0x80 makes no system call here (no IA32 emulation?)";
        return false;
    }
    at = f->fpstate;
    if (at < low || at + XSTATE_LEGACY_SIZE > high)
        return false;
    s->xstate = s->shared + STUB_ORDERS_SIZE + (at - STUB_REPORT);
    if (!learn_xstate(s, high - at)) {
        *why = "the kernel's signal frame has no XSAVE image, or one too long";
        return false;
    }
    return true;
}

static struct sandbox *abandon(struct sandbox *s)
{
    sandbox_destroy(s);
    return NULL;
}

struct sandbox *sandbox_create(struct sandbox_host *host, const char **why)
{
    struct sandbox *s = calloc(1, sizeof(*s));
    int shared = -1, pipes[2] = { -1, -1 };
    bool up = false;

    *why = "out of memory or file descriptors";
    if (!s)
        return NULL;
    s->host = host;
    s->grace_ns = GRACE_NS;
    s->done_fd = s->pidfd = -1;
    if (make_shared(s, &shared) && !pipe2(pipes, O_CLOEXEC)) {
        const int fds[2] = { shared, pipes[1] };

        first_orders(s);
        up = helper_launch(host, s, fds, why);
    }
    s->done_fd = pipes[0];
    if (pipes[1] >= 0)
        close(pipes[1]);
    if (shared >= 0)
        close(shared);
    if (!up || !wait_ready(s, why) || !learn_frame(s, why))
        return abandon(s);
    s->mapper = (int)s->report->mapper;
    return s;
}

void sandbox_destroy(struct sandbox *s)
{
    if (!s)
        return;
    if (s->pid > 0) {
        sandbox_signal(s, SIGKILL);
        while (waitpid(s->pid, NULL, __WALL) < 0 && errno == EINTR)
            ;
    }
    if (s->pidfd >= 0)
        close(s->pidfd);
    if (s->done_fd >= 0)
        close(s->done_fd);
    if (s->shared)
        munmap(s->shared, SHARED_SIZE);
    free(s);
}

int sandbox_pin(struct sandbox *s, int cpu)
{
    cpu_set_t set;

    if (cpu >= CPU_SETSIZE)
        return -EINVAL;
    if (s->pinned_to == cpu + 1)
        return 0;
    CPU_ZERO(&set);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (cpu < 0 || i == cpu)
            CPU_SET(i, &set);
    s->pinned_to = cpu + 1;
    if (sched_setaffinity(s->pid, sizeof(set), &set)
        || sched_setaffinity(s->mapper, sizeof(set), &set))
        return -errno;
    return 0;
}

/* --- The host ----------------------------------------------------------------------- */

static uint64_t read_number(const char *path, uint64_t otherwise)
{
    FILE *f = fopen(path, "re");
    unsigned long long n;

    if (!f)
        return otherwise;
    if (fscanf(f, "%llu", &n) != 1)
        n = otherwise;
    fclose(f);
    return n;
}

static void look_at_host(struct sandbox_host *host, unsigned flags)
{
    struct sandbox_caps *caps = &host->caps;
    uint64_t areas = read_number("/proc/sys/vm/max_map_count", 65530);
    bool cpuid;

    caps->fsgsbase = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT && !(flags & SANDBOX_USE_LDT);
    caps->cpuid_fault = !syscall(__NR_arch_prctl, ARCH_SET_CPUID, 1ul);
    caps->tsc_fault = !prctl(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0); /* as it is */
    cpuid = caps->cpuid_fault && flags & SANDBOX_FAULT_CPUID;
    caps->shows_cpuid = !caps->cpuid_fault && flags & SANDBOX_FAULT_CPUID;
    caps->min_gva = read_number("/proc/sys/vm/mmap_min_addr", 65536);
    caps->min_gva = (caps->min_gva + PAGE - 1) & ~(PAGE - 1);
    caps->max_gva = STUB_LANDING & 0xffffffff;
    caps->max_areas = areas > OWN_AREAS ? (uint32_t)(areas - OWN_AREAS) : 0;
    host->stub_flags = (caps->fsgsbase ? STUB_FSGSBASE : 0)
                       | (cpuid ? STUB_CPUID_FAULT : 0);
}

/* Guests without NX execute what they write. */
static int try_mapping(struct sandbox *s)
{
    int error = sandbox_map(s, s->host->caps.min_gva, 0, 1,
                            SANDBOX_READ | SANDBOX_WRITE | SANDBOX_EXEC, false);

    return error ? error : sandbox_flush(s);
}

/* These bytes from the page that try_mapping() has mapped, with a stack there; guest RAM is as it
 * was afterwards. */
static int try_code(struct sandbox *s, const uint8_t code[2], struct sandbox_regs *regs,
                    struct sandbox_exit *exit)
{
    const uint64_t at = s->host->caps.min_gva;
    uint8_t kept[2] = { 0, 0 };
    int error;

    *regs = (struct sandbox_regs){ .rip = at, .ss = SANDBOX_DS, .ds = SANDBOX_DS };
    regs->gpr[4] = regs->gpr[5] = at + 0x800;
    if (pread(s->host->ram_fd, kept, sizeof(kept), 0) != sizeof(kept)
        || pwrite(s->host->ram_fd, code, sizeof(kept), 0) != sizeof(kept))
        return -EIO;
    do
        error = sandbox_run(s, regs, TRY_NS, exit);
    while (!error && exit->kind == SANDBOX_KICK); /* a busy host has not run it yet */
    if (!error && sandbox_exit_lost(exit->kind))
        error = -EOWNERDEAD;
    if (pwrite(s->host->ram_fd, kept, sizeof(kept), 0) != sizeof(kept))
        return -EIO;
    return error;
}

/* What differs by the CPU's vendor and by what a hypervisor does to it. */
static int ask_cpu(struct sandbox *s)
{
    static const uint8_t int1[2] = { 0xf1, 0xf4 }, syscall32[2] = { 0x0f, 0x05 };
    struct sandbox_regs regs;
    struct sandbox_exit exit;
    int error = try_code(s, int1, &regs, &exit);

    s->host->int1_stays = !error && exit.int1 && regs.rip == s->host->caps.min_gva;
    if (!error)
        error = try_code(s, syscall32, &regs, &exit);
    s->host->caps.syscall32 = !error && exit.kind != SANDBOX_FAULT;
    return error;
}

/* A sandbox that works: an empty address space faults at the first instruction. */
static bool try_out(struct sandbox_host *host, const char **why)
{
    struct sandbox_regs regs = { .rip = 0x12345678, .ss = SANDBOX_DS, .ds = SANDBOX_DS };
    struct sandbox_exit exit = { 0 };
    struct sandbox *s = sandbox_create(host, why);
    int error;

    if (!s)
        return false;
    host->caps.ldt = !sandbox_queue_ldt(s, 0, 0x1000, 0xfff, false) && !sandbox_flush(s);
    *why = "this kernel has neither FSGSBASE nor modify_ldt";
    error = host->caps.ldt || host->caps.fsgsbase ? 0 : -ENOSYS;
    if (!error) {
        *why = "memory that is written and executed is refused (MemoryDenyWriteExecute?)";
        error = try_mapping(s);
    }
    if (!error) {
        *why = "32-bit code does not run in the sandboxed process (no IA32 emulation?)";
        do
            error = sandbox_run(s, &regs, TRY_NS, &exit);
        while (!error && exit.kind == SANDBOX_KICK);
    }
    if (!error)
        error = ask_cpu(s);
    sandbox_destroy(s);
    return !error && exit.kind == SANDBOX_FAULT && exit.vector == 14 && exit.cr2 == 0x12345678;
}

struct sandbox_host *sandbox_host_create(int ram_fd, uint64_t ram_size, unsigned flags,
                                         const char **why)
{
    struct sandbox_host *host = calloc(1, sizeof(*host));

    *why = "out of memory";
    if (!host)
        return NULL;
    host->ram_fd = ram_fd;
    host->ram_size = ram_size;
    host->stub_fd = stub_file(why);
    host->helper_socket = host->helper_pidfd = -1;
    look_at_host(host, flags);
    if (host->stub_fd < 0 || !helper_start(host, why) || !try_out(host, why)) {
        sandbox_host_destroy(host);
        return NULL;
    }
    *why = NULL;
    return host;
}

void sandbox_host_destroy(struct sandbox_host *host)
{
    if (!host)
        return;
    helper_end(host);
    if (host->stub_fd >= 0)
        close(host->stub_fd);
    free(host);
}

void sandbox_host_ask(struct sandbox_host *host, bool (*give_up)(void *arg), void *arg)
{
    host->give_up = give_up;
    host->give_up_arg = arg;
}

const struct sandbox_caps *sandbox_host_caps(const struct sandbox_host *host)
{
    return &host->caps;
}
