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
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

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

/* Is there a socket that nobody listens to? */
static bool is_stale(const struct sockaddr_un *address)
{
    struct stat st;
    bool stale;
    int fd;

    if (lstat(address->sun_path, &st) || !S_ISSOCK(st.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    stale = connect(fd, (const struct sockaddr *)address, sizeof(*address)) &&
            errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static int listen_at(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

    if (fd < 0)
        return -errno;
    if (is_stale(address))
        unlink(address->sun_path);
    if (!bind(fd, (const struct sockaddr *)address, sizeof(*address)) && !listen(fd, 4))
        return fd;
    err = -errno;
    close(fd);
    return err;
}

static int unix_open(struct console *console, struct error *error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const char *path = console->config.spec.path;
    int fd = -ENAMETOOLONG;

    if (strlen(path) < sizeof(address.sun_path)) {
        strcpy(address.sun_path, path);
        fd = listen_at(&address);
    }
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
