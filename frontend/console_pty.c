/*
 * -serial pty: a new pseudo-terminal. Its name is printed; whoever opens it is at the other end.
 *
 * A master without anybody at the slave says "hung up" for ever, so it is not polled then: inotify
 * tells of the next one who opens the slave.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "frontend/console_host.h"
#include "frontend/error.h"

#define DRAIN_TRIES 50
#define DRAIN_US 10000

static void pty_opened(void *arg, short revents)
{
    struct console *console = arg;
    struct pollfd fd = { console->master, POLLOUT, 0 };
    char events[512];

    (void)revents;
    while (read(console->door.fd, events, sizeof(events)) > 0)
        ;
    if (console->absent && poll(&fd, 1, 0) >= 0 && !(fd.revents & POLLHUP))
        console_attach(console, console->master, console->master);
}

static void pty_lost(struct console *console)
{
    console_detach(console);
}

/* A serial line's modes; and after the first close the master can tell that nobody is there. */
static int set_slave_modes(const char *path)
{
    struct termios modes;
    int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC), err = 0;

    if (fd < 0)
        return -1;
    if (tcgetattr(fd, &modes)) {
        err = -1;
    } else {
        cfmakeraw(&modes);
        err = tcsetattr(fd, TCSANOW, &modes);
    }
    close(fd);
    return err;
}

static int pty_make(struct console *console)
{
    console->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (console->master < 0 || grantpt(console->master) || unlockpt(console->master) ||
        ptsname_r(console->master, console->slave, sizeof(console->slave)) ||
        set_slave_modes(console->slave))
        return -1;
    console->door.ready = pty_opened;
    console->door.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (console->door.fd < 0 ||
        inotify_add_watch(console->door.fd, console->slave, IN_OPEN) < 0)
        return -1;
    return 0;
}

static int pty_open(struct console *console, struct error *error)
{
    if (pty_make(console))
        return error_set(error, EX_OSERR, "%s: no pseudo-terminal: %s; write -serial unix:PATH",
                         console->config.name, strerror(errno));
    poller_change(console->config.poller, &console->door, console->door.fd, POLLIN);
    fprintf(stderr, "novt: %s: %s\n", console->config.name, console->slave);
    return 0;
}

/* What the reader has not read yet goes when the master closes: give it a moment. */
static void drain(const struct console *console)
{
    int flags = O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
    int fd = ioctl(console->master, TIOCGPTPEER, flags), waiting = 0; /* without its name */

    if (fd < 0)
        return;
    for (unsigned i = 0; i < DRAIN_TRIES && !ioctl(fd, FIONREAD, &waiting) && waiting > 0; i++)
        usleep(DRAIN_US);
    close(fd);
}

static void pty_close(struct console *console)
{
    if (console->master >= 0 && !console->absent)
        drain(console);
    if (console->master >= 0)
        close(console->master);
    if (console->door.fd >= 0)
        close(console->door.fd);
}

const struct console_ops console_pty = { .open = pty_open, .close = pty_close, .lost = pty_lost };
