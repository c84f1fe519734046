/*
 * Terminal modes. What was there before is kept here, and not in a struct of the caller's, because
 * signal handlers need it.
 */
#include "frontend/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "base/count.h"

static struct {
    struct termios before, ours;
    int fd;
    volatile sig_atomic_t taken;
    volatile sig_atomic_t watch; /* an eventfd; 0: nobody watches the size */
} terminal;

static const int fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };
static struct sigaction before[COUNT(fatal)];

void terminal_restore(void)
{
    if (!terminal.taken)
        return;
    terminal.taken = 0;
    tcsetattr(terminal.fd, TCSANOW, &terminal.before);
}

static void resized(int sig)
{
    uint64_t one = 1;
    int saved = errno;

    (void)sig;
    if (terminal.watch && write(terminal.watch, &one, sizeof(one)) < 0)
        errno = saved; /* it is told already */
}

/* Back in the foreground after a stop: the shell has put its own modes back meanwhile. */
static void continued(int sig)
{
    int saved = errno;

    if (terminal.taken && tcgetpgrp(terminal.fd) == getpgrp())
        tcsetattr(terminal.fd, TCSANOW, &terminal.ours);
    errno = saved;
    resized(sig);
}

static void catch(int sig, void (*handler)(int sig))
{
    struct sigaction action = { .sa_handler = handler, .sa_flags = SA_ONSTACK | SA_RESTART };

    sigemptyset(&action.sa_mask);
    sigaction(sig, &action, NULL);
}

static void set_modes(struct termios *modes, bool all_keys)
{
    modes->c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    modes->c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    modes->c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
    modes->c_cflag |= CS8;
    modes->c_cc[VMIN] = 1;
    modes->c_cc[VTIME] = 0;
    if (all_keys) {
        modes->c_lflag &= ~(tcflag_t)ISIG;
        modes->c_oflag &= ~(tcflag_t)OPOST;
    }
}

bool terminal_take(int fd, bool all_keys)
{
    if (terminal.taken || tcgetattr(fd, &terminal.before) || tcgetpgrp(fd) != getpgrp())
        return false;
    terminal.fd = fd;
    terminal.ours = terminal.before;
    set_modes(&terminal.ours, all_keys);
    terminal.taken = 1;
    atexit(terminal_restore);
    catch(SIGCONT, continued);
    if (tcsetattr(fd, TCSANOW, &terminal.ours)) {
        terminal.taken = 0;
        return false;
    }
    return true;
}

bool terminal_is_raw(void)
{
    return terminal.taken && !(terminal.ours.c_oflag & OPOST);
}

int terminal_watch(void)
{
    int fd = terminal.watch ? -EBUSY : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return fd == -EBUSY ? fd : -errno;
    terminal.watch = fd;
    catch(SIGCONT, continued);
    catch(SIGWINCH, resized);
    return fd;
}

void terminal_unwatch(void)
{
    int fd = terminal.watch;

    if (!fd)
        return;
    signal(SIGWINCH, SIG_DFL);
    terminal.watch = 0;
    close(fd);
}

/* The signal comes again to whoever had it before: by itself for a fault, else by our hand. */
static void died(int sig, siginfo_t *info, void *ucontext)
{
    (void)ucontext;
    terminal_restore();
    for (size_t i = 0; i < COUNT(fatal); i++)
        if (fatal[i] == sig)
            sigaction(sig, &before[i], NULL);
    if (info->si_code <= 0)
        syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), sig);
}

void terminal_guard(void)
{
    struct sigaction action = { .sa_sigaction = died, .sa_flags = SA_SIGINFO | SA_ONSTACK };

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < COUNT(fatal); i++)
        sigaction(fatal[i], &action, &before[i]);
}
