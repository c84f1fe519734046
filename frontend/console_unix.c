/*
 * -serial unix:PATH: a listening stream socket, one client at a time; others wait their turn.
 *
 * A socket file that nobody listens to any more is replaced, one in use is not. A client that only
 * stops sending (nc at the end of its input) still hears the guest.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/unix_socket.h"
#include "frontend/console_host.h"
#include "frontend/error.h"

static void listen_again(struct console *console, bool again)
{
    poller_change(console->config.poller, &console->door, console->door.fd, again ? POLLIN : 0);
}

static void unix_knock(void *arg, short revents)
{
    struct console *console = arg;
    int client = accept4(console->door.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)revents;
    if (client < 0)
        return;
    listen_again(console, false);
    console_attach(console, client, client);
}

static void hang_up(struct console *console)
{
    int client = console->out.fd;

    console_detach(console);
    if (client >= 0)
        close(client);
    listen_again(console, true);
}

/* Input has ended or output failed. */
static void unix_lost(struct console *console)
{
    struct pollfd fd = { console->out.fd, POLLOUT, 0 };

    if (console->absent)
        return;
    if (console->input_ended && console->in.fd >= 0 && poll(&fd, 1, 0) > 0 &&
        !(fd.revents & (POLLHUP | POLLERR)))
        poller_change(console->config.poller, &console->in, console->in.fd, POLLHUP);
    else
        hang_up(console);
}

static int unix_open(struct console *console, struct error *error)
{
    const char *path = console->config.spec.path;
    int fd = unix_socket_listen(path, false, 4);

    if (fd < 0)
        return error_set(error, EX_CANTCREAT, "%s: cannot listen at '%s': %s; %s",
                         console->config.name, path, strerror(-fd), console_advice(-fd));
    console->door.ready = unix_knock;
    poller_change(console->config.poller, &console->door, fd, POLLIN);
    return 0;
}

static void unix_close(struct console *console)
{
    if (console->out.fd >= 0)
        close(console->out.fd);
    if (console->door.fd < 0)
        return;
    close(console->door.fd);
    unlink(console->config.spec.path);
}

const struct console_ops console_unix = { .open = unix_open, .close = unix_close,
                                          .lost = unix_lost };
