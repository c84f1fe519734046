/*
 * -serial unix:PATH, tcp:HOST:PORT,server and telnet:HOST:PORT,server: a listening stream socket,
 * one client at a time; others wait their turn. Without ,server it is we who call, by TCP, once.
 *
 * A socket file that nobody listens to any more is replaced, one in use is not. A client that only
 * stops sending (nc at the end of its input) still hears the guest; by TCP it may as well be gone,
 * so it is hung up.
 *
 * A telnet client's BREAK is the line's.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/tcp_socket.h"
#include "base/unix_socket.h"
#include "frontend/console_host.h"
#include "frontend/error.h"

static size_t telnet_filter_input(struct console *console, uint8_t *bytes, size_t size)
{
    struct telnet *telnet = &console->telnet;
    unsigned before = telnet->breaks;

    size = telnet_filter(telnet, bytes, size);
    for (; before != telnet->breaks; before++)
        chardev_receive_break(&console->line);
    return size;
}

/* --- Coming and going ----------------------------------------------------------------------- */

static void listen_again(struct console *console, bool again)
{
    if (console->door.fd < 0) /* it has called, and that was all */
        return;
    poller_change(console->config.poller, &console->door, console->door.fd, again ? POLLIN : 0);
}

static void knock(void *arg, short revents)
{
    struct console *console = arg;
    int client = accept4(console->door.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)revents;
    if (client < 0)
        return;
    listen_again(console, false);
    if (console->config.spec.tcp.telnet)
        telnet_greet(&console->telnet, client);
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
static void lost(struct console *console)
{
    struct pollfd fd = { console->out.fd, POLLOUT, 0 };

    if (console->absent)
        return;
    if (console->config.spec.kind == CONSOLE_UNIX && console->input_ended &&
        console->in.fd >= 0 && poll(&fd, 1, 0) > 0 && !(fd.revents & (POLLHUP | POLLERR)))
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
    console->door.ready = knock;
    poller_change(console->config.poller, &console->door, fd, POLLIN);
    return 0;
}

static void close_all(struct console *console)
{
    if (console->out.fd >= 0)
        close(console->out.fd);
    if (console->door.fd < 0)
        return;
    close(console->door.fd);
    if (console->config.spec.kind == CONSOLE_UNIX)
        unlink(console->config.spec.path);
}

static int tcp_open(struct console *console, struct error *error)
{
    const struct tcp_end *end = &console->config.spec.tcp;
    char why[TCP_WHY_MAX];
    int fd = end->listens ? tcp_socket_listen(&end->place, 4, why)
                          : tcp_socket_connect(&end->place, why);

    if (fd < 0)
        return error_set(error, -fd, "%s: tcp:%s:%s: %s", console->config.name, end->place.host,
                         end->place.port, why);
    if (end->telnet)
        console->filter = telnet_filter_input;
    console->door.ready = knock;
    if (end->listens)
        poller_change(console->config.poller, &console->door, fd, POLLIN);
    else
        console_attach(console, fd, fd);
    return 0;
}

const struct console_ops console_unix = { .open = unix_open, .close = close_all, .lost = lost };
const struct console_ops console_tcp = { .open = tcp_open, .close = close_all, .lost = lost };
