/* Reference: tcp(7), getaddrinfo(3). */
#include "base/tcp_socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

/* Not blocking, and sending at once; so is what it accepts. Or -errno. */
static int make_socket(const struct addrinfo *found)
{
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

    if (fd < 0)
        return -errno;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static int listen_at(const struct addrinfo *found, int waiting)
{
    int fd = make_socket(found), on = 1, err;

    if (fd < 0)
        return fd;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (!bind(fd, found->ai_addr, found->ai_addrlen) && !listen(fd, waiting))
        return fd;
    err = -errno;
    close(fd);
    return err;
}

/* 0 or -errno. */
static int wait_for_answer(int fd)
{
    struct pollfd answer = { fd, POLLOUT, 0 };
    int err = 0, n;
    socklen_t size = sizeof(err);

    do
        n = poll(&answer, 1, TCP_ANSWER_MS);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n ? -errno : -ETIMEDOUT;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size);
    return -err;
}

static int connect_to(const struct addrinfo *found)
{
    int fd = make_socket(found), err = 0;

    if (fd < 0)
        return fd;
    if (connect(fd, found->ai_addr, found->ai_addrlen))
        err = errno == EINPROGRESS ? wait_for_answer(fd) : -errno;
    if (!err)
        return fd;
    close(fd);
    return err;
}

/* NULL with why. */
static struct addrinfo *find(const struct tcp_place *place, char why[TCP_WHY_MAX])
{
    const struct addrinfo hints = { .ai_family = *place->host ? AF_UNSPEC : AF_INET,
                                    .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *found;
    int err = getaddrinfo(*place->host ? place->host : "127.0.0.1", place->port, &hints, &found);

    if (!err)
        return found;
    snprintf(why, TCP_WHY_MAX, "%s; check the address", gai_strerror(err));
    return NULL;
}

int tcp_socket_listen(const struct tcp_place *place, int waiting, char why[TCP_WHY_MAX])
{
    struct addrinfo *found = find(place, why);
    int fd;

    if (!found)
        return -EX_NOHOST;
    fd = listen_at(found, waiting);
    freeaddrinfo(found);
    if (fd >= 0)
        return fd;
    snprintf(why, TCP_WHY_MAX, "cannot listen there: %s; %s", strerror(-fd),
             fd == -EADDRINUSE ? "choose another port" : "choose another address or port");
    return -EX_UNAVAILABLE;
}

int tcp_socket_connect(const struct tcp_place *place, char why[TCP_WHY_MAX])
{
    struct addrinfo *found = find(place, why);
    int fd = -EX_NOHOST;

    if (!found)
        return fd;
    for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next)
        fd = connect_to(at);
    freeaddrinfo(found);
    if (fd >= 0)
        return fd;
    snprintf(why, TCP_WHY_MAX, "cannot connect: %s; start what listens there first, or write "
             ",server to listen", strerror(-fd));
    return -EX_UNAVAILABLE;
}
