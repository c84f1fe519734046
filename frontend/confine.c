/*
 * The monitor's seccomp filter, made by libseccomp.
 *
 * On the list is what novt, its libraries and libc call while a guest runs and afterwards: memory
 * that is never executable, descriptors that are open already, our own threads, clocks and signals.
 * Not on it: execve and fork (the helper of direct/ starts sandboxes), ptrace, kill, files by
 * their names (kernel and initrd stay open, image.h), new sockets unless -nic asked for a network.
 * Whatever else is called is a bug of ours or somebody who took the monitor over: the process ends.
 */
#include "frontend/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <termios.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/count.h"
#include "frontend/terminal.h"

#define FCHMODAT2 452 /* Linux 6.6; libseccomp may be older */
#define ARCH_SET_GS_CODE 0x1001 /* asm/prctl.h */

/* --- The list ------------------------------------------------------------------------------- */

/* With any arguments. */
static const int always[] = {
    /* memory */
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(fallocate),
    SCMP_SYS(memfd_create), SCMP_SYS(ftruncate),
    /* descriptors */
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64),
    SCMP_SYS(pwrite64), SCMP_SYS(lseek), SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(poll),
    SCMP_SYS(ppoll), SCMP_SYS(pipe2), SCMP_SYS(accept4), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg),
    SCMP_SYS(shutdown),
    /* threads, time, signals to ourselves */
    SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_setaffinity),
    SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep), SCMP_SYS(timer_create), SCMP_SYS(timer_settime), SCMP_SYS(timer_delete),
    SCMP_SYS(timer_gettime), SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(sigaltstack), SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    /* sandboxes: signals by pidfds, which come from the helper alone */
    SCMP_SYS(pidfd_send_signal), SCMP_SYS(wait4),
    /* about ourselves */
    SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getpgrp), SCMP_SYS(getrusage), SCMP_SYS(sysinfo),
    SCMP_SYS(getrandom), SCMP_SYS(getcpu),
};

static const int writing[] = {
    SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(creat), SCMP_SYS(rename), SCMP_SYS(renameat),
    SCMP_SYS(renameat2), SCMP_SYS(fchmod), SCMP_SYS(stat), SCMP_SYS(newfstatat),
};

static const int removing[] = { SCMP_SYS(unlink), SCMP_SYS(unlinkat) };

/* -nic user: libslirp's. Which sockets, and bound where to, the arguments say. */
static const int networking[] = {
    SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(sendto),
    SCMP_SYS(recvfrom), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(setsockopt),
    SCMP_SYS(getsockopt),
};

/* -drive; what is put in later comes as a descriptor, and is locked. */
static const int imaging[] = {
    SCMP_SYS(preadv), SCMP_SYS(preadv2), SCMP_SYS(pwritev), SCMP_SYS(fdatasync),
};

/* -nic socket */
static const int joining[] = { SCMP_SYS(connect), SCMP_SYS(setsockopt), SCMP_SYS(getsockopt) };

/* -share: each with a path from the folder's descriptor on. */
static const int sharing[] = {
    SCMP_SYS(openat2), SCMP_SYS(newfstatat), SCMP_SYS(getdents64), SCMP_SYS(fstatfs),
    SCMP_SYS(preadv), SCMP_SYS(pwritev), SCMP_SYS(fsync), SCMP_SYS(fdatasync),
    SCMP_SYS(fchmodat), FCHMODAT2, SCMP_SYS(fchownat), SCMP_SYS(utimensat), SCMP_SYS(mkdirat),
    SCMP_SYS(mknodat), SCMP_SYS(symlinkat), SCMP_SYS(readlinkat), SCMP_SYS(linkat),
    SCMP_SYS(unlinkat), SCMP_SYS(renameat), SCMP_SYS(flock),
};

struct checked {
    int call;
    unsigned arg;
    uint64_t mask, value; /* of the argument */
};

#define ALL UINT32_MAX

/* The sanitizers' run-time opens files and stops all threads by ptrace when it looks for leaks. */
#ifdef __SANITIZE_ADDRESS__
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

static const struct checked checked[] = {
    { SCMP_SYS(mmap), 2, PROT_EXEC, 0 },
    { SCMP_SYS(mprotect), 2, PROT_EXEC, 0 },
    { SCMP_SYS(clone), 0, CLONE_VM | CLONE_THREAD, CLONE_VM | CLONE_THREAD },
    { SCMP_SYS(newfstatat), 3, AT_EMPTY_PATH, AT_EMPTY_PATH },
    { SCMP_SYS(arch_prctl), 0, ALL, ARCH_SET_GS_CODE },
    { SCMP_SYS(fcntl), 1, ALL, F_GETFL },
    { SCMP_SYS(fcntl), 1, ALL, F_SETFL },
    { SCMP_SYS(fcntl), 1, ALL, F_GETFD },
    { SCMP_SYS(fcntl), 1, ALL, F_SETFD },
    { SCMP_SYS(fcntl), 1, ALL, F_DUPFD_CLOEXEC },
    { SCMP_SYS(ioctl), 1, ALL, TCGETS },
    { SCMP_SYS(ioctl), 1, ALL, TCSETS },
    { SCMP_SYS(ioctl), 1, ALL, TIOCGPGRP },
    { SCMP_SYS(ioctl), 1, ALL, TIOCGWINSZ },
    { SCMP_SYS(ioctl), 1, ALL, FIONREAD },
    { SCMP_SYS(ioctl), 1, ALL, TIOCGPTPEER },
};

static const struct checked internet_sockets[] = {
    { SCMP_SYS(socket), 0, ALL, AF_INET },
    { SCMP_SYS(socket), 0, ALL, AF_INET6 },
    { SCMP_SYS(ioctl), 1, ALL, FIONBIO },
    { SCMP_SYS(ioctl), 1, ALL, SIOCGIFINDEX },
};

static const struct checked line_sockets[] = {
    { SCMP_SYS(socket), 0, ALL, AF_INET },
    { SCMP_SYS(socket), 0, ALL, AF_UNIX },
};

static const struct checked file_locks[] = {
    { SCMP_SYS(fcntl), 1, ALL, F_OFD_SETLK },
    { SCMP_SYS(fcntl), 1, ALL, F_OFD_GETLK },
};

/* -engine kvm: what kvm/ asks of the VM and its vcpu while the guest runs. */
static const struct checked virtualizing[] = {
#define REQUEST(number) { SCMP_SYS(ioctl), 1, ALL, (uint32_t)(number) }
    REQUEST(KVM_RUN), REQUEST(KVM_INTERRUPT), REQUEST(KVM_NMI),
    REQUEST(KVM_SET_USER_MEMORY_REGION), REQUEST(KVM_GET_DIRTY_LOG),
    REQUEST(KVM_GET_REGS), REQUEST(KVM_SET_REGS), REQUEST(KVM_GET_SREGS), REQUEST(KVM_SET_SREGS),
    REQUEST(KVM_GET_VCPU_EVENTS), REQUEST(KVM_SET_VCPU_EVENTS), REQUEST(KVM_GET_XSAVE),
    REQUEST(KVM_SET_XSAVE), REQUEST(KVM_GET_XCRS), REQUEST(KVM_SET_XCRS),
    REQUEST(KVM_GET_DEBUGREGS), REQUEST(KVM_SET_DEBUGREGS), REQUEST(KVM_GET_MSRS),
    REQUEST(KVM_SET_MSRS),
#undef REQUEST
};

static const struct checked reading[] = {
    { SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC | __O_TMPFILE, O_RDONLY },
    { SCMP_SYS(open), 1, O_ACCMODE | O_CREAT | O_TRUNC | __O_TMPFILE, O_RDONLY },
    { SCMP_SYS(newfstatat), 3, 0, 0 },
    { SCMP_SYS(stat), 0, 0, 0 },
};

/* Two wishes may have a call in common. */
static int known(int err)
{
    return err == -EEXIST ? 0 : err;
}

static int allow_all(scmp_filter_ctx ctx, const int *call, size_t count)
{
    int err = 0;

    for (size_t i = 0; !err && i < count; i++)
        err = known(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call[i], 0));
    return err;
}

static int allow_checked(scmp_filter_ctx ctx, const struct checked *c)
{
    return known(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, c->call, 1,
                                  SCMP_CMP(c->arg, SCMP_CMP_MASKED_EQ, c->mask, c->value)));
}

static int allow_list(scmp_filter_ctx ctx, const struct checked *list, size_t count)
{
    int err = 0;

    for (size_t i = 0; !err && i < count; i++)
        err = allow_checked(ctx, &list[i]);
    return err;
}

/* A resolver's address may name an interface (fe80::1%eth0), whose number libc asks any socket for,
 * a local one first. That might lead to programs of this host: it takes the next kind. */
static int refuse_local_sockets(scmp_filter_ctx ctx)
{
    const scmp_datum_t type = 15; /* of socket()'s, without the flags */

    return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 2,
                            SCMP_A0(SCMP_CMP_EQ, AF_UNIX),
                            SCMP_A1(SCMP_CMP_MASKED_EQ, type, SOCK_DGRAM));
}

static int allow_network(scmp_filter_ctx ctx, const struct confine_wants *wants)
{
    int err = 0;

    if (wants->user_network)
        err = allow_all(ctx, networking, COUNT(networking));
    if (!err && wants->user_network)
        err = allow_list(ctx, internet_sockets, COUNT(internet_sockets));
    if (!err && wants->user_network && !wants->socket_line)
        err = refuse_local_sockets(ctx);
    if (!err && wants->socket_line)
        err = allow_all(ctx, joining, COUNT(joining));
    if (!err && wants->socket_line)
        err = allow_list(ctx, line_sockets, COUNT(line_sockets));
    return err;
}

static int fill_share(scmp_filter_ctx ctx)
{
    int err = allow_all(ctx, sharing, COUNT(sharing));

    return err ? err : allow_list(ctx, file_locks, COUNT(file_locks));
}

static int fill_drives(scmp_filter_ctx ctx)
{
    int err = allow_all(ctx, imaging, COUNT(imaging));

    return err ? err : allow_list(ctx, file_locks, COUNT(file_locks));
}

static int fill(scmp_filter_ctx ctx, const struct confine_wants *wants)
{
    int err = allow_all(ctx, always, COUNT(always));

    /* libc tries clone3, whose flags no filter can see, and then clone. */
    if (!err)
        err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (!err)
        err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                               SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    if (!err && wants->write_files)
        err = allow_all(ctx, writing, COUNT(writing));
    if (!err && (wants->remove_files || wants->write_files))
        err = allow_all(ctx, removing, COUNT(removing));
    if (!err && wants->read_files && !wants->write_files)
        err = allow_list(ctx, reading, COUNT(reading));
    if (!err)
        err = allow_network(ctx, wants);
    if (!err && wants->share_files)
        err = fill_share(ctx);
    if (!err && wants->drives)
        err = fill_drives(ctx);
    if (!err && wants->kvm)
        err = allow_list(ctx, virtualizing, COUNT(virtualizing));
    return err ? err : allow_list(ctx, checked, COUNT(checked));
}

/* --- What is done instead ------------------------------------------------------------------- */

/*
 * Opening files by their names is not on the list. libslirp reads the resolver's configuration
 * again and again: the handler of what is stopped does it, from a copy made before. And malloc asks
 * for one of the kernel's settings when it shrinks a thread's heap: it is not there.
 */
#define RESOLVER "/etc/resolv.conf"
#define OVERCOMMIT "/proc/sys/vm/overcommit_memory"

static int resolver_copy = -1;

static void copy_resolver(void)
{
    int file = open(RESOLVER, O_RDONLY | O_CLOEXEC);
    char text[65536];
    ssize_t n;

    resolver_copy = memfd_create("resolv.conf", MFD_CLOEXEC);
    while (file >= 0 && resolver_copy >= 0 && (n = read(file, text, sizeof(text))) > 0)
        if (write(resolver_copy, text, (size_t)n) != n)
            break;
    if (file >= 0)
        close(file);
}

/* The call's result, or -ENOSYS: it is not about those files. */
static long instead(long call, const greg_t *r)
{
    struct stat *st = (struct stat *)r[REG_RDX];
    const char *name = (const char *)r[REG_RSI];
    int fd;

    if ((call != SCMP_SYS(openat) && call != SCMP_SYS(newfstatat)) ||
        (int)r[REG_RDI] != AT_FDCWD)
        return -ENOSYS;
    if (call == SCMP_SYS(openat) && !strcmp(name, OVERCOMMIT))
        return -ENOENT;
    if (resolver_copy < 0 || strcmp(name, RESOLVER))
        return -ENOSYS;
    if (call == SCMP_SYS(newfstatat))
        return fstat(resolver_copy, st) ? -errno : 0;
    if (r[REG_RDX] & (O_ACCMODE | O_CREAT | O_TRUNC) || lseek(resolver_copy, 0, SEEK_SET))
        return -EACCES;
    fd = fcntl(resolver_copy, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

/* --- What it stops -------------------------------------------------------------------------- */

static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        return;
}

/* Nothing in here but for the name is more than a signal handler may do; that allocates, and what
 * allocation calls is on the list, so it is not what we have interrupted. */
static void stopped(int sig, siginfo_t *info, void *ucontext)
{
    char *name;

    greg_t *regs = ((ucontext_t *)ucontext)->uc_mcontext.gregs;
    int saved = errno;
    long result = instead(info->si_syscall, regs);

    (void)sig;
    errno = saved;
    if (result != -ENOSYS) {
        regs[REG_RAX] = result;
        return;
    }
    terminal_restore();
    name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, info->si_syscall);
    say("novt: the monitor was stopped at a system call that it has no business to make: ");
    say(name ? name : "one without a name");
    say("\n");
    _exit(EX_SOFTWARE);
}

static int catch_stops(void)
{
    struct sigaction action = { .sa_sigaction = stopped, .sa_flags = SA_SIGINFO | SA_ONSTACK };

    sigfillset(&action.sa_mask);
    return sigaction(SIGSYS, &action, NULL) ? -errno : 0;
}

/* --- Entering ------------------------------------------------------------------------------- */

static int load(scmp_filter_ctx ctx, const struct confine_wants *wants)
{
    int err = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_TRAP);

    if (!err)
        err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
    /* Kernels before 5.16 slow everybody with a filter down, unless told. */
    if (!err)
        seccomp_attr_set(ctx, SCMP_FLTATR_CTL_SSB, 1);
    if (!err)
        seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (!err)
        err = fill(ctx, wants);
    return err ? err : seccomp_load(ctx);
}

int confine_enter(const struct confine_wants *wants, const char **why)
{
    scmp_filter_ctx ctx;
    int err;

    *why = "this build's sanitizers need more than a filter could allow";
    if (sanitized)
        return -ENOTSUP;
    if (wants->user_network)
        copy_resolver();
    ctx = seccomp_init(SCMP_ACT_TRAP);
    err = ctx ? catch_stops() : -ENOMEM;
    *why = "seccomp filters are refused or not in this kernel";
    if (!err)
        err = load(ctx, wants);
    if (ctx)
        seccomp_release(ctx);
    return err;
}

const char *confine_try(void)
{
    const struct confine_wants wants = { 0 };
    const char *why;
    int status;
    pid_t pid;

    if (sanitized)
        return "this build's sanitizers need more than a filter could allow";
    why = "no more processes: fork is refused";
    pid = fork();
    if (!pid) {
        int err = confine_enter(&wants, &why);

        _exit(err ? 1 : 0);
    }
    if (pid > 0 && waitpid(pid, &status, 0) == pid)
        why = status ? "seccomp filters are refused or not in this kernel" : NULL;
    return why;
}
