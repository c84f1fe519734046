/* Lines of control: see control_lines.h. */
#include "frontend/control_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/tcp_socket.h"
#include "base/unix_socket.h"
#include "frontend/config_control.h"
#include "frontend/error.h"
#include "frontend/poller.h"
#include "frontend/telnet.h"

#define BATCH_NS 1000000ull /* of work, then a rest of REST times as long */
enum { REST = 4, WRITE_MAX = 4096 }; /* what a pipe that has room takes without waiting */

struct client {
    struct control_lines *lines;
    struct poller_fd fd; /* of the input while it is read, of the output while an answer waits */
    int in, out;         /* -1: nobody */
    char *line;          /* CONTROL_LINE_MAX bytes */
    size_t used;
    struct telnet telnet;
    bool after_cr; /* the last byte of it was one */
    bool skipping; /* the rest of a line that was too long */
    char *answer;  /* NULL: none waits */
    size_t size, sent;
};

struct control_lines {
    struct control_lines_config config;
    struct poller_fd door;
    struct poller_call again;
    struct timer rest;
    bool resting;
    uint64_t worked_ns;
    struct client client[CONTROL_CLIENTS_MAX];
};

static uint64_t host_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* --- Coming and going ----------------------------------------------------------------------- */

static void watch_door(struct control_lines *lines)
{
    bool room = false;

    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        room |= lines->client[i].in < 0;
    if (lines->door.fd >= 0)
        poller_change(lines->config.poller, &lines->door, lines->door.fd, room ? POLLIN : 0);
}

static void leave(struct client *client)
{
    struct control_lines *lines = client->lines;

    poller_remove(lines->config.poller, &client->fd);
    if (lines->config.spec->where != CONTROL_STDIO)
        close(client->in);
    free(client->line);
    free(client->answer);
    client->line = client->answer = NULL;
    client->in = client->out = client->fd.fd = -1;
    watch_door(lines);
}

/* What this client is waited for now: room for its answer, its next line, or nothing. */
static void watch(struct client *client)
{
    bool waits = client->answer != NULL;
    short events = waits ? POLLOUT : client->lines->resting ? 0 : POLLIN;

    poller_change(client->lines->config.poller, &client->fd, waits ? client->out : client->in,
                  events);
}

/* --- Answers -------------------------------------------------------------------------------- */

/* False: it has gone. */
static bool send_some(struct client *client)
{
    struct pollfd room = { client->out, POLLOUT, 0 };

    while (client->answer && poll(&room, 1, 0) > 0) {
        size_t left = client->size - client->sent;
        ssize_t n = write(client->out, client->answer + client->sent,
                          left < WRITE_MAX ? left : WRITE_MAX);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n < 0)
            return false;
        client->sent += (size_t)n;
        if (client->sent == client->size) {
            free(client->answer);
            client->answer = NULL;
        }
    }
    return true;
}

/* text is ours now; it becomes whole lines. NULL: nothing is said but the prompt. */
static bool say(struct client *client, char *text)
{
    const char *prompt = client->lines->config.prompt ? client->lines->config.prompt : "";
    size_t size = text ? strlen(text) : 0, end = size && text[size - 1] != '\n';
    char *answer = realloc(text, size + end + strlen(prompt) + 1);

    if (!answer) {
        free(text);
        return false;
    }
    memcpy(answer + size, "\n", end);
    strcpy(answer + size + end, prompt);
    client->answer = answer;
    client->size = strlen(answer);
    client->sent = 0;
    return send_some(client);
}

/* --- Lines ---------------------------------------------------------------------------------- */

static bool work(struct client *client, const char *line, size_t size)
{
    struct control_lines *lines = client->lines;
    uint64_t before = host_ns();
    bool there = say(client, lines->config.answer(lines->config.arg, line, size));

    lines->worked_ns += host_ns() - before;
    return there;
}

/* Takes a line out of the buffer and answers it. False: the client has gone. */
static bool take_line(struct client *client, const char *end)
{
    size_t whole = (size_t)(end - client->line) + 1, size = whole - 1;
    bool there = true;

    size -= size && client->line[size - 1] == '\r';
    if (client->skipping)
        there = work(client, "", 0);
    else if (size && strspn(client->line, " \t\r") < size)
        there = work(client, client->line, size);
    else if (client->lines->config.prompt)
        there = say(client, NULL);
    client->skipping = false;
    client->used -= whole;
    memmove(client->line, end + 1, client->used);
    return there;
}

static bool must_rest(struct control_lines *lines)
{
    if (lines->config.is_paused(lines->config.arg)) {
        lines->worked_ns = 0;
        return false;
    }
    return lines->worked_ns >= BATCH_NS;
}

/* As many lines as there are, while the answers are taken and there is time. */
static void pump(struct client *client)
{
    struct control_lines *lines = client->lines;
    const char *end;

    while (client->in >= 0 && !client->answer && !must_rest(lines) &&
           (end = memchr(client->line, '\n', client->used)))
        if (!take_line(client, end)) {
            leave(client);
            return;
        }
    if (client->in >= 0 && !memchr(client->line, '\n', client->used) &&
        client->used == CONTROL_LINE_MAX) {
        client->skipping = true;
        client->used = 0;
    }
}

static void settle(struct control_lines *lines)
{
    bool was = lines->resting;

    lines->resting = must_rest(lines);
    if (lines->resting && !was)
        timer_arm(&lines->rest, lines->config.clock,
                  clock_now_ns(lines->config.clock) + lines->worked_ns * REST);
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (lines->client[i].in >= 0)
            watch(&lines->client[i]);
    if (was && !lines->resting)
        poller_call(lines->config.poller, &lines->again);
}

static void go_on(void *arg)
{
    struct control_lines *lines = arg;

    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (lines->client[i].in >= 0)
            pump(&lines->client[i]);
    settle(lines);
}

static void rested(void *arg)
{
    struct control_lines *lines = arg;

    lines->worked_ns = 0;
    lines->resting = false;
    go_on(lines);
}

void control_lines_go_on(struct control_lines *lines)
{
    if (!lines->resting)
        return;
    timer_cancel(&lines->rest);
    rested(lines);
}

/* What of it is for us. Telnet's lines end with CR NUL or CR LF. */
static size_t received(struct client *client, size_t size)
{
    char *bytes = client->line + client->used;
    size_t kept = 0;

    if (!client->lines->config.spec->tcp.telnet)
        return size;
    size = telnet_filter(&client->telnet, (uint8_t *)bytes, size);
    for (size_t i = 0; i < size; i++) {
        char byte = bytes[i];

        if (byte != '\n' || !client->after_cr)
            bytes[kept++] = byte == '\r' ? '\n' : byte;
        client->after_cr = byte == '\r';
    }
    return kept;
}

static void ready(void *arg, short revents)
{
    struct client *client = arg;
    struct control_lines *lines = client->lines;
    bool there = true;
    ssize_t n;

    (void)revents;
    if (client->answer) {
        there = send_some(client);
    } else if (client->used < CONTROL_LINE_MAX) {
        n = read(client->in, client->line + client->used, CONTROL_LINE_MAX - client->used);
        there = n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
        client->used += n > 0 ? received(client, (size_t)n) : 0;
    }
    if (there)
        pump(client);
    else
        leave(client);
    settle(lines);
}

/* --- Life ----------------------------------------------------------------------------------- */

/* NULL: there is no room. */
static struct client *enter(struct control_lines *lines, int in, int out)
{
    struct client *client = lines->client;

    while (client->in >= 0)
        client++;
    client->line = malloc(CONTROL_LINE_MAX);
    client->fd = (struct poller_fd){ .fd = in, .events = POLLIN, .ready = ready, .arg = client,
                                     .urgent = true };
    if (!client->line || poller_add(lines->config.poller, &client->fd)) {
        free(client->line);
        client->line = NULL;
        return NULL;
    }
    client->in = in;
    client->out = out;
    client->used = 0;
    client->skipping = false;
    client->telnet = (struct telnet){ 0 };
    client->after_cr = false;
    return client;
}

static void knock(void *arg, short revents)
{
    struct control_lines *lines = arg;
    int fd = accept4(lines->door.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct client *client = fd >= 0 ? enter(lines, fd, fd) : NULL;

    (void)revents;
    if (!client && fd >= 0)
        close(fd);
    if (client && lines->config.prompt && !say(client, NULL))
        leave(client);
    watch_door(lines);
    settle(lines);
}

static int open_door(struct control_lines *lines, int fd, struct error *error)
{
    lines->door = (struct poller_fd){ .fd = fd, .events = POLLIN, .ready = knock, .arg = lines,
                                      .urgent = true };
    if (poller_add(lines->config.poller, &lines->door))
        return error_set(error, EX_SOFTWARE, "-monitor: too many descriptors to wait for");
    return 0;
}

static int open_tcp(struct control_lines *lines, struct error *error)
{
    const struct tcp_place *place = &lines->config.spec->tcp.place;
    char why[TCP_WHY_MAX];
    int fd = tcp_socket_listen(place, CONTROL_CLIENTS_MAX, why);

    if (fd < 0)
        return error_set(error, -fd, "-monitor tcp:%s:%s: %s", place->host, place->port, why);
    return open_door(lines, fd, error);
}

static int open_socket(struct control_lines *lines, struct error *error)
{
    const char *path = lines->config.spec->path;
    int fd = unix_socket_listen(path, true, CONTROL_CLIENTS_MAX);

    if (fd == -ENAMETOOLONG)
        return error_set(error, EX_USAGE, "-monitor unix:%s: a socket's name has at most %zu "
                         "characters; choose a shorter one", path,
                         sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
    if (fd < 0)
        return error_set(error, EX_CANTCREAT, "-monitor unix:%s: cannot listen there: %s; %s", path,
                         strerror(-fd), fd == -EADDRINUSE ? "something else is there, or another "
                         "novt: choose another name" : "choose another place");
    return open_door(lines, fd, error);
}

static int open_standard(struct control_lines *lines, struct error *error)
{
    if (!enter(lines, STDIN_FILENO, STDOUT_FILENO))
        return error_set(error, EX_SOFTWARE, "-monitor: too many descriptors to wait for");
    say(&lines->client[0], NULL);
    settle(lines);
    return 0;
}

struct control_lines *control_lines_open(const struct control_lines_config *config,
                                         struct error *error)
{
    struct control_lines *lines = calloc(1, sizeof(*lines));
    int err;

    if (!lines) {
        error_set(error, EX_OSERR, "-monitor: no host memory; free some");
        return NULL;
    }
    lines->config = *config;
    lines->door.fd = -1;
    lines->again = (struct poller_call){ .ready = go_on, .arg = lines };
    lines->rest = (struct timer){ .fire = rested, .arg = lines };
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        lines->client[i].lines = lines;
        lines->client[i].in = lines->client[i].out = -1;
    }
    poller_add_call(config->poller, &lines->again);
    err = config->spec->where == CONTROL_UNIX  ? open_socket(lines, error)
          : config->spec->where == CONTROL_TCP ? open_tcp(lines, error)
                                              : open_standard(lines, error);
    if (!err)
        return lines;
    control_lines_close(lines);
    return NULL;
}

void control_lines_close(struct control_lines *lines)
{
    if (!lines)
        return;
    timer_cancel(&lines->rest);
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (lines->client[i].in >= 0)
            leave(&lines->client[i]);
    poller_remove_call(lines->config.poller, &lines->again);
    if (lines->door.fd >= 0) {
        poller_remove(lines->config.poller, &lines->door);
        close(lines->door.fd);
        if (lines->config.spec->where == CONTROL_UNIX)
            unlink(lines->config.spec->path);
    }
    free(lines);
}
