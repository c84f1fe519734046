/*
 * A line to another novt on this machine: frames over a stream, each after its length in four bytes
 * of network order (as QEMU's -netdev socket does it). Nothing is left to do in them.
 *
 *            connect, or accept
 *   ALONE ----------------------> JOINED     One of the two listens; who connects tries again
 *     ^                             |        every RETRY_MS after the other end went.
 *     +-----------------------------+
 *          end of the stream, or a length that is none
 *
 * path=: who finds nobody at the UNIX socket's name listens there. Alone, frames are lost, as on a
 * cable that hangs loose; likewise when the other end takes none for STUCK_MS.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/unix_socket.h"
#include "net/segment.h"
#include "net/side.h"

enum {
    RETRY_MS = 300,
    STUCK_MS = 200,
    LENGTH = 4,
    BUFFER = 2 * (LENGTH + NETDEV_FRAME_MAX),
};

union name {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_un un;
};

struct line {
    struct side side;
    union name name;
    socklen_t name_size;
    bool bound;             /* our UNIX socket's file is to be taken away at the end */
    int door;               /* listening, or -1 */
    int fd;                 /* the other end, or -1 */
    bool connecting;        /* connect() has not come back yet */
    int64_t retry_ms, stuck_ms, full_ms; /* when; 0: not */
    int entry, door_entry;  /* in the poll set, or -1 */
    bool discard;           /* the guest takes nothing, for long now */
    size_t in_size, out_size;
    uint8_t in[BUFFER];     /* what has come and is not whole yet */
    uint8_t out[BUFFER];    /* what the stream has not taken yet */
};

/* --- Coming and going ------------------------------------------------------- */

static void hang_up(struct line *line)
{
    if (line->fd >= 0)
        close(line->fd);
    line->fd = -1;
    line->connecting = false;
    line->in_size = line->out_size = 0;
    line->stuck_ms = 0;
    line->retry_ms = side_now_ms() + RETRY_MS;
}

static void join(struct line *line, int fd)
{
    int on = 1;

    line->fd = fd;
    if (line->name.any.sa_family == AF_INET)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void try_connect(struct line *line)
{
    int fd = socket(line->name.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    line->retry_ms = side_now_ms() + RETRY_MS;
    if (fd < 0)
        return;
    if (!connect(fd, &line->name.any, line->name_size)) {
        join(line, fd);
    } else if (errno == EINPROGRESS) {
        join(line, fd);
        line->connecting = true;
    } else {
        close(fd);
    }
}

static void connected(struct line *line)
{
    socklen_t size = sizeof(int);
    int err = 0;

    line->connecting = false;
    if (getsockopt(line->fd, SOL_SOCKET, SO_ERROR, &err, &size) || err)
        hang_up(line);
}

static void answer(struct line *line)
{
    int fd = accept4(line->door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0)
        join(line, fd);
}

/* --- To the other end ------------------------------------------------------- */

static void push(struct line *line)
{
    size_t done = 0;

    while (done < line->out_size) {
        ssize_t n = write(line->fd, line->out + done, line->out_size - done);

        if (n <= 0) {
            if (n < 0 && (errno == EAGAIN || errno == EINTR))
                break;
            hang_up(line);
            return;
        }
        done += (size_t)n;
    }
    memmove(line->out, line->out + done, line->out_size - done);
    line->out_size -= done;
    if (done || !line->out_size)
        line->stuck_ms = 0;
    if (line->out_size && !line->stuck_ms)
        line->stuck_ms = side_now_ms();
}

static void append(void *arg, const uint8_t *frame, size_t size)
{
    struct line *line = arg;
    uint32_t length = htonl((uint32_t)size);

    if (line->fd < 0 || line->connecting || line->out_size + LENGTH + size > BUFFER)
        return;
    memcpy(line->out + line->out_size, &length, LENGTH);
    memcpy(line->out + line->out_size + LENGTH, frame, size);
    line->out_size += LENGTH + size;
}

static bool line_output(void *state, uint8_t *frame, size_t size, struct netdev_offload *offload)
{
    struct line *line = state;

    if (line->fd < 0 || line->connecting)
        return true;
    if (line->out_size)
        push(line);
    if (line->out_size) /* what was before has not gone: later, but not for ever */
        return side_now_ms() - line->stuck_ms > STUCK_MS;
    if (offload->segments != NETDEV_WHOLE) {
        segment_cut(frame, size, offload, append, line);
    } else {
        segment_finish(frame, size, offload);
        append(line, frame, size);
    }
    push(line);
    return true;
}

/* --- From the other end ----------------------------------------------------- */

static void deliver(struct line *line, const uint8_t *frame, size_t size)
{
    struct netdev_offload nothing = { 0 };
    uint8_t *room = line->discard ? NULL : side_room(&line->side, size);

    if (!room) {
        side_dropped(&line->side);
        return;
    }
    memcpy(room, frame, size);
    side_input(&line->side, size, &nothing);
}

/* Takes the whole frames out of what has come; false: this is no stream of frames. */
static bool take_frames(struct line *line)
{
    size_t at = 0;

    while (line->in_size - at >= LENGTH) {
        uint32_t length;

        memcpy(&length, line->in + at, LENGTH);
        length = ntohl(length);
        if (length > NETDEV_FRAME_MAX)
            return false;
        if (line->in_size - at < LENGTH + length)
            break;
        if (length >= NETDEV_FRAME_MIN)
            deliver(line, line->in + at + LENGTH, length);
        at += LENGTH + length;
    }
    memmove(line->in, line->in + at, line->in_size - at);
    line->in_size -= at;
    return true;
}

static void pull(struct line *line)
{
    ssize_t n = read(line->fd, line->in + line->in_size, BUFFER - line->in_size);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        hang_up(line);
        return;
    }
    line->in_size += (size_t)n;
    if (!take_frames(line))
        hang_up(line);
}

/* --- The loop ----------------------------------------------------------------- */

static void lower(struct side_poll *poll, int64_t ms)
{
    if (ms < poll->deadline_ms)
        poll->deadline_ms = ms;
}

static void fill_joined(struct line *line, struct side_poll *poll, bool full)
{
    short events = line->connecting || line->out_size ? POLLOUT : 0;

    if (!full)
        line->full_ms = 0;
    else if (!line->full_ms)
        line->full_ms = side_now_ms();
    line->discard = full && side_now_ms() - line->full_ms > STUCK_MS;
    if (!full || line->discard)
        events |= POLLIN;
    else
        lower(poll, line->full_ms + STUCK_MS + 1);
    if (line->stuck_ms)
        lower(poll, line->stuck_ms + STUCK_MS + 1);
    line->entry = side_poll_add(poll, line->fd, events);
}

static void line_fill(void *state, struct side_poll *poll, bool full)
{
    struct line *line = state;

    line->entry = line->door_entry = -1;
    if (line->fd < 0 && line->door < 0 && side_now_ms() >= line->retry_ms)
        try_connect(line);
    if (line->fd >= 0)
        fill_joined(line, poll, full);
    else if (line->door >= 0)
        line->door_entry = side_poll_add(poll, line->door, POLLIN);
    else
        lower(poll, line->retry_ms);
}

static void line_polled(void *state, const struct side_poll *poll)
{
    struct line *line = state;
    short ready = line->entry < 0 ? 0 : poll->fd[line->entry].revents;

    if (line->door_entry >= 0 && poll->fd[line->door_entry].revents)
        answer(line);
    if (line->entry < 0 || line->fd < 0)
        return;
    if (line->connecting) {
        if (ready)
            connected(line);
        return;
    }
    if (ready & POLLOUT)
        push(line);
    if (line->fd >= 0 && ready & (POLLIN | POLLHUP | POLLERR))
        pull(line);
}

/* --- Life ------------------------------------------------------------------- */

static const char *advice(int err)
{
    switch (err) {
    case EADDRINUSE: return "choose another port, or end the program that has it";
    case EACCES: return "choose a port above 1023, or a directory that can be written";
    case ENOENT: return "create its directory first";
    case EADDRNOTAVAIL: return "name an address of this machine";
    default: return "choose another one";
    }
}

static int listen_error(const struct line *line, int err, char *why)
{
    char text[INET_ADDRSTRLEN];

    if (line->name.any.sa_family == AF_UNIX)
        return side_error(why, "-nic socket: path: cannot listen at '%.108s': %s; %s",
                          line->name.un.sun_path, strerror(err),
                          err == EADDRINUSE ? "choose another name" : advice(err));
    return side_error(why, "-nic socket: listen: cannot take TCP port %u of %s: %s; %s",
                      ntohs(line->name.in.sin_port),
                      inet_ntop(AF_INET, &line->name.in.sin_addr, text, sizeof(text)),
                      strerror(err), advice(err));
}

static int listen_at_port(struct line *line, char *why)
{
    int on = 1;

    line->door = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (line->door < 0)
        return side_error(why, "-nic socket: no socket: %s; raise the limit (ulimit -n)",
                          strerror(errno));
    setsockopt(line->door, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (!bind(line->door, &line->name.any, line->name_size) && !listen(line->door, 1))
        return 0;
    listen_error(line, errno, why);
    close(line->door);
    return -1;
}

/* Who finds nobody listens. */
static int meet_at(struct line *line, const char *path, char *why)
{
    int door;

    if (strlen(path) >= sizeof(line->name.un.sun_path))
        return side_error(why, "-nic socket: path: '%.200s' is too long for a socket's name; name "
                               "a shorter one", path);
    line->name.un.sun_family = AF_UNIX;
    strcpy(line->name.un.sun_path, path);
    line->name_size = sizeof(line->name.un);
    try_connect(line);
    if (line->fd >= 0)
        return 0;
    door = unix_socket_listen(path, false, 1);
    if (door == -EADDRINUSE)
        try_connect(line); /* the other end has come meanwhile */
    if (line->fd >= 0)
        return 0;
    if (door < 0)
        return listen_error(line, -door, why);
    line->door = door;
    line->bound = true;
    return 0;
}

static int line_open(void *state, const struct net_config *config, char *why)
{
    const struct net_socket *s = &config->socket;
    struct line *line = state;

    line->fd = line->door = -1;
    if (s->kind == NET_PATH)
        return meet_at(line, s->path, why);
    line->name.in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(s->port),
                                          .sin_addr.s_addr = s->address };
    line->name_size = sizeof(line->name.in);
    return s->kind == NET_LISTEN ? listen_at_port(line, why) : 0;
}

static void line_close(void *state)
{
    struct line *line = state;

    if (line->fd >= 0)
        close(line->fd);
    if (line->door >= 0)
        close(line->door);
    if (line->bound)
        unlink(line->name.un.sun_path);
}

const struct side_ops side_socket = {
    .name = "socket",
    .state_size = sizeof(struct line),
    .open = line_open,
    .fill = line_fill,
    .polled = line_polled,
    .output = line_output,
    .close = line_close,
};
