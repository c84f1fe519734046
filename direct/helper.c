/*
 * The helper: a child of the monitor's, from before the monitor confined itself, that starts the
 * sandboxes' processes on request. So the monitor needs neither fork nor execve, and its own
 * filter, which every child would inherit, is not in the runners' way (docs/decisions/0009).
 *
 *   monitor --- a packet, with the shared pages' and the pipe's descriptors ---> helper
 *           <-- a packet: pid, error; with a pidfd ----------------------------- clone, execveat
 *
 * The new process is the monitor's child, not the helper's (CLONE_PARENT): the monitor reaps it,
 * and it dies with the monitor. The helper can do two things only, whatever it is told: execute
 * the sealed stub, and kill the process that it started last, for a monitor that had no descriptor
 * left for the pidfd. It ends with the monitor, or when the socket is closed.
 */
#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "direct/sandbox_private.h"

#define FREE_FD 8 /* above those that the stub gets and a request's, as low as that: ulimit -n */
#define STACK_SIZE 32768

enum { SOCKET_FD = 3, STUB_FILE_FD, RAM_FD, REQUEST_FD }; /* in the helper */

enum { LAUNCH, KILL_LAST }; /* requests */

struct reply {
    int32_t pid, error;
};

/* --- Packets with descriptors --------------------------------------------------------------- */

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(2 * sizeof(int))];
};

static bool send_packet(int socket, void *data, size_t size, const int *fd, unsigned count)
{
    union control control = { 0 };
    struct iovec io = { data, size };
    struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1 };
    ssize_t sent;

    if (count) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fd, count * sizeof(int));
    }
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)size;
}

/* Descriptors that did not come are -1. */
static bool receive_packet(int socket, void *data, size_t size, int *fd, unsigned count)
{
    union control control = { 0 };
    struct iovec io = { data, size };
    struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control,
                              .msg_controllen = sizeof(control) };
    const struct cmsghdr *header;
    ssize_t got;

    for (unsigned i = 0; i < count; i++)
        fd[i] = -1;
    do
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)size)
        return false;
    header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_type == SCM_RIGHTS
        && header->cmsg_len == CMSG_LEN(count * sizeof(int)))
        memcpy(fd, CMSG_DATA(header), count * sizeof(int));
    return true;
}

/* --- In the helper -------------------------------------------------------------------------- */

struct child {
    int shared, done;
    volatile int error;
};

/* In the child, which shares our memory until it executes the stub: system calls only. */
static int launch_child(void *arg)
{
    static char *const none[] = { NULL };
    static char *const args[] = { "novt-runner", NULL };
    struct child *l = arg;
    int stub = fcntl(STUB_FILE_FD, F_DUPFD_CLOEXEC, FREE_FD);
    int ram = fcntl(RAM_FD, F_DUPFD_CLOEXEC, FREE_FD);
    int shared = fcntl(l->shared, F_DUPFD_CLOEXEC, FREE_FD);
    int done = fcntl(l->done, F_DUPFD_CLOEXEC, FREE_FD);

    if (stub >= 0 && ram >= 0 && shared >= 0 && done >= 0 && dup2(ram, STUB_FD_RAM) >= 0
        && dup2(shared, STUB_FD_SHARED) >= 0 && dup2(done, STUB_FD_DONE) >= 0) {
        syscall(__NR_close_range, STUB_FD_DONE + 1, ~0u, CLOSE_RANGE_CLOEXEC);
        syscall(__NR_execveat, stub, "", args, none, AT_EMPTY_PATH);
    }
    l->error = errno;
    return 127;
}

static void launch(const int *fd, int *last)
{
    static uint8_t stack[STACK_SIZE] __attribute__((aligned(16)));
    const int flags = CLONE_VM | CLONE_VFORK | CLONE_PARENT | CLONE_PIDFD | SIGCHLD;
    struct child l = { fd[0], fd[1], 0 };
    struct reply reply = { 0 };
    int pidfd = -1;

    if (*last >= 0)
        close(*last);
    reply.pid = clone(launch_child, stack + STACK_SIZE, flags, &l, &pidfd);
    reply.error = reply.pid < 0 ? errno : l.error;
    if (reply.pid < 0)
        pidfd = -1; /* what Linux has left there is none (seen with a cgroup's pids.max) */
    if (!send_packet(SOCKET_FD, &reply, sizeof(reply), &pidfd, pidfd >= 0))
        _exit(1);
    *last = pidfd;
}

static void close_from(int first)
{
    if (!syscall(__NR_close_range, first, ~0u, 0))
        return;
    for (int fd = first; fd < 65536; fd++)
        close(fd);
}

/* Nothing stays open of what the monitor had; all signals were blocked before. */
static bool settle(const struct sandbox_host *host, int socket, pid_t monitor)
{
    int from[] = { socket, host->stub_fd, host->ram_fd };

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "novt-helper");
    if (getppid() != monitor)
        return false;
    setsid(); /* the terminal's keys are not for us */
    for (unsigned i = 0; i < 3; i++)
        from[i] = fcntl(from[i], F_DUPFD, FREE_FD);
    for (int i = 0; i < 3; i++)
        if (from[i] < 0 || dup2(from[i], SOCKET_FD + i) < 0)
            return false;
    close_from(REQUEST_FD);
    for (int i = 0; i < SOCKET_FD; i++)
        close(i);
    return !chdir("/");
}

static void serve(const struct sandbox_host *host, int socket, pid_t monitor)
    __attribute__((noreturn));
static void serve(const struct sandbox_host *host, int socket, pid_t monitor)
{
    uint8_t request;
    int fd[2], last = -1;

    if (!settle(host, socket, monitor))
        _exit(1);
    while (receive_packet(SOCKET_FD, &request, 1, fd, 2)) {
        if (request == LAUNCH)
            launch(fd, &last);
        else
            syscall(__NR_pidfd_send_signal, last, SIGKILL, NULL, 0);
        close(fd[0]);
        close(fd[1]);
    }
    _exit(0);
}

/* --- In the monitor ------------------------------------------------------------------------- */

bool helper_start(struct sandbox_host *host, const char **why)
{
    pid_t monitor = getpid();
    sigset_t all, old;
    int pair[2];

    *why = "no socket for the process that starts sandboxes";
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return false;
    sigfillset(&all);
    fflush(NULL);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    host->helper = fork();
    if (!host->helper)
        serve(host, pair[1], monitor);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    close(pair[1]);
    host->helper_socket = pair[0];
    *why = "no more processes: fork is refused";
    if (host->helper < 0)
        return false;
    *why = "pidfds are refused (Linux before 5.3, or a seccomp profile)";
    host->helper_pidfd = (int)syscall(__NR_pidfd_open, host->helper, 0);
    return host->helper_pidfd >= 0
           && !syscall(__NR_pidfd_send_signal, host->helper_pidfd, 0, NULL, 0);
}

/* Without a pidfd nothing can be done to it. */
static void give_up(const struct sandbox_host *host, struct sandbox *s)
{
    uint8_t request = KILL_LAST;

    if (send_packet(host->helper_socket, &request, 1, NULL, 0))
        while (waitpid(s->pid, NULL, __WALL) < 0 && errno == EINTR)
            ;
    s->pid = 0;
}

bool helper_launch(const struct sandbox_host *host, struct sandbox *s, const int *fd,
                   const char **why)
{
    struct reply reply;
    uint8_t request = LAUNCH;

    *why = "the process that starts sandboxes is gone";
    if (!send_packet(host->helper_socket, &request, 1, fd, 2))
        return false;
    if (!sandbox_wait_fd(host, host->helper_socket, sandbox_now_ns()))
        syscall(__NR_pidfd_send_signal, host->helper_pidfd, SIGKILL, NULL, 0); /* no late reply */
    if (!receive_packet(host->helper_socket, &reply, sizeof(reply), &s->pidfd, 1))
        return false;
    *why = "no more processes: fork is refused";
    s->pid = reply.pid;
    if (s->pid > 0 && reply.error)
        *why = "executing the stub from a memfd is refused";
    if (s->pid > 0 && s->pidfd < 0) {
        *why = "no more file descriptors (ulimit -n)";
        give_up(host, s);
    }
    return s->pid > 0 && !reply.error && s->pidfd >= 0;
}

void helper_end(struct sandbox_host *host)
{
    if (host->helper_socket >= 0)
        close(host->helper_socket);
    if (host->helper_pidfd >= 0) {
        syscall(__NR_pidfd_send_signal, host->helper_pidfd, SIGKILL, NULL, 0);
        close(host->helper_pidfd);
    }
    if (host->helper > 0)
        while (waitpid(host->helper, NULL, 0) < 0 && errno == EINTR)
            ;
}
