/* Messages between the monitor and a window's process. */
#include "display/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

bool link_send(int socket, const struct link_message *message, int fd)
{
    struct iovec part = { (void *)message, sizeof(*message) };
    union control control = { { 0 } };
    struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
    ssize_t sent;

    if (fd >= 0) {
        header.msg_control = control.bytes;
        header.msg_controllen = sizeof(control.bytes);
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
    }
    do
        sent = sendmsg(socket, &header, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == sizeof(*message);
}

static int sent_fd(struct msghdr *header)
{
    const struct cmsghdr *c = CMSG_FIRSTHDR(header);
    int fd = -1;

    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(fd)))
        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    return fd;
}

int link_receive(int socket, struct link_message *message, int *fd, bool wait)
{
    struct iovec part = { message, sizeof(*message) };
    union control control;
    struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes) };
    ssize_t got;

    do
        got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    while (got < 0 && errno == EINTR);
    *fd = got >= 0 ? sent_fd(&header) : -1;
    if (got == sizeof(*message))
        return 1;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : -1;
}

bool link_say(int socket, enum link_kind kind, const char *text)
{
    struct link_message message = { .kind = kind };

    snprintf(message.text, sizeof(message.text), "%s", text);
    return link_send(socket, &message, -1);
}
