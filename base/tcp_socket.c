/* Reference: tcp(7), getaddrinfo(3). */
#include "base/tcp_socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

static int listen_at(const struct addrinfo *found, int waiting)
{
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, err;

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    /* What is accepted inherits it. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (!bind(fd, found->ai_addr, found->ai_addrlen) && !listen(fd, waiting))
        return fd;
    err = -errno;
    close(fd);
    return err;
}

int tcp_socket_listen(const struct tcp_place *place, int waiting, char why[TCP_WHY_MAX])
{
    const struct addrinfo hints = { .ai_family = *place->host ? AF_UNSPEC : AF_INET,
                                    .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *found;
    int fd, err = getaddrinfo(*place->host ? place->host : "127.0.0.1", place->port, &hints,
                              &found);

    if (err) {
        snprintf(why, TCP_WHY_MAX, "%s; check the address", gai_strerror(err));
        return -EX_NOHOST;
    }
    fd = listen_at(found, waiting);
    freeaddrinfo(found);
    if (fd >= 0)
        return fd;
    snprintf(why, TCP_WHY_MAX, "cannot listen there: %s; %s", strerror(-fd),
             fd == -EADDRINUSE ? "choose another port" : "choose another address or port");
    return -EX_UNAVAILABLE;
}
