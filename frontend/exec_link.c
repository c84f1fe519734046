/*
 * See exec_link.h; what goes over the console is guests/exec/protocol.h.
 *
 * One loop around poll(). No descriptor of ours is made non-blocking, for standard input and output
 * belong to others as well: only what poll() has promised is read, and no more written at once than
 * a pipe that can be written takes (PIPE_BUF). The guest never has more of an output under way than
 * its stream's buffer holds, so the console is always read.
 */
#include "frontend/exec_link.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "frontend/error.h"
#include "guests/exec/protocol.h"

enum { FRAME_MAX = EXEC_HEADER + EXEC_CHUNK, INPUT_CHUNK = 4096 };

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };

/* One of the command's outputs, on its way to ours. */
struct stream {
    int fd;
    uint8_t kind;
    bool closed; /* nobody takes it any more */
    uint8_t bytes[EXEC_WINDOW];
    size_t from, size;
    uint32_t owed; /* bytes written that the guest has not been granted again */
};

struct link {
    const struct exec_link_config *config;
    struct exec_result *result;
    bool started, input_ended, over;
    int signal_fd;
    uint64_t seen; /* signals that the command was told of, by number */

    uint8_t *out; /* frames for the guest */
    size_t out_size, out_room;
    uint8_t frame[FRAME_MAX];
    size_t got; /* bytes of it */

    struct stream stream[2];
    uint32_t input_granted;
    size_t said; /* bytes of result->text */
};

enum { AT_CONSOLE, AT_SAID, AT_SIGNAL, AT_INPUT, AT_OUTPUT, AT_ERRORS, AT_COUNT };

/* --- Ends ---------------------------------------------------------------------------------- */

static void end(struct link *link, enum exec_end how, int status)
{
    if (link->over)
        return;
    link->over = true;
    link->result->end = how;
    link->result->status = status;
}

/* --- To the guest -------------------------------------------------------------------------- */

static void send_frame(struct link *link, enum exec_frame kind, const void *payload, size_t size)
{
    uint32_t head = (uint32_t)kind | (uint32_t)size << 8;
    size_t wanted = link->out_size + sizeof(head) + size;

    if (wanted > link->out_room) {
        uint8_t *bytes = realloc(link->out, 2 * wanted);

        if (!bytes) {
            end(link, EXEC_END_LOST, EX_OSERR);
            return;
        }
        link->out = bytes;
        link->out_room = 2 * wanted;
    }
    memcpy(link->out + link->out_size, &head, sizeof(head));
    memcpy(link->out + link->out_size + sizeof(head), payload, size);
    link->out_size = wanted;
}

static void write_console(struct link *link)
{
    size_t most = link->out_size < PIPE_BUF ? link->out_size : PIPE_BUF;
    ssize_t n = write(link->config->console, link->out, most);

    if (n <= 0)
        return; /* reading tells that it has gone */
    link->out_size -= (size_t)n;
    memmove(link->out, link->out + n, link->out_size);
}

static void send_words(struct link *link, enum exec_frame kind, char *const *words)
{
    for (; *words; words++)
        send_frame(link, kind, *words, strlen(*words));
}

static void start(struct link *link)
{
    const struct exec_link_config *config = link->config;

    if (config->folder)
        send_frame(link, EXEC_FOLDER, config->folder, strlen(config->folder));
    send_words(link, EXEC_ARGUMENT, config->words);
    send_words(link, EXEC_VARIABLE, config->variables);
    send_frame(link, EXEC_RUN, "", 0);
    link->started = true;
}

static void read_input(struct link *link)
{
    uint8_t bytes[INPUT_CHUNK];
    size_t most = link->input_granted < INPUT_CHUNK ? link->input_granted : INPUT_CHUNK;
    ssize_t n = read(STDIN_FILENO, bytes, most);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n > 0) {
        link->input_granted -= (uint32_t)n;
        send_frame(link, EXEC_INPUT, bytes, (size_t)n);
        return;
    }
    link->input_ended = true;
    send_frame(link, EXEC_INPUT_END, "", 0);
}

/* --- From the guest ------------------------------------------------------------------------ */

static void broken(struct link *link)
{
    snprintf(link->result->text, sizeof(link->result->text), "it says what makes no sense");
    end(link, EXEC_END_FAILED, EX_PROTOCOL);
}

static void take_output(struct link *link, struct stream *s, const uint8_t *bytes, size_t size)
{
    if (size > sizeof(s->bytes) - s->size) {
        broken(link);
        return;
    }
    for (size_t i = 0; i < size && !s->closed; i++)
        s->bytes[(s->from + s->size++) % sizeof(s->bytes)] = bytes[i];
}

static void take_grant(struct link *link, const uint8_t *payload, size_t size)
{
    uint32_t more;

    if (size != 5)
        return;
    memcpy(&more, payload + 1, sizeof(more));
    if (more <= EXEC_WINDOW - link->input_granted)
        link->input_granted += more;
}

static void take_failure(struct link *link, const uint8_t *payload, size_t size)
{
    struct exec_result *result = link->result;

    size = size < sizeof(result->text) - 1 ? size : sizeof(result->text) - 1;
    memcpy(result->text, payload, size);
    result->text[size] = 0;
    end(link, EXEC_END_FAILED, EX_SOFTWARE);
}

static void take_frame(struct link *link, uint8_t kind, const uint8_t *payload, size_t size)
{
    switch (kind) {
    case EXEC_READY:
        if (!link->started)
            start(link);
        break;
    case EXEC_OUTPUT: take_output(link, &link->stream[0], payload, size); break;
    case EXEC_ERRORS: take_output(link, &link->stream[1], payload, size); break;
    case EXEC_GRANT: take_grant(link, payload, size); break;
    case EXEC_FAILED: take_failure(link, payload, size); break;
    case EXEC_EXIT: end(link, EXEC_END_EXITED, size ? payload[0] : 0); break;
    default: broken(link);
    }
}

/* Frames up to what was read; the rest of a frame waits. */
static void take_frames(struct link *link)
{
    while (link->got >= EXEC_HEADER && !link->over) {
        uint32_t head;
        size_t size;

        memcpy(&head, link->frame, sizeof(head));
        size = EXEC_HEADER + (head >> 8);
        if (size > sizeof(link->frame)) {
            broken(link);
            return;
        }
        if (link->got < size)
            return;
        take_frame(link, (uint8_t)head, link->frame + EXEC_HEADER, size - EXEC_HEADER);
        link->got -= size;
        memmove(link->frame, link->frame + size, link->got);
    }
}

static void read_console(struct link *link)
{
    ssize_t n = read(link->config->console, link->frame + link->got,
                     sizeof(link->frame) - link->got);

    if (n < 0 && errno == EINTR)
        return;
    if (n <= 0) {
        end(link, EXEC_END_LOST, EX_SOFTWARE);
        return;
    }
    link->got += (size_t)n;
    take_frames(link);
}

/* Keeps the last of it, and shows it if asked to. False: that was all. */
static bool read_said(struct link *link)
{
    char bytes[1024], *text = link->result->text;
    const size_t room = sizeof(link->result->text) - 1;
    ssize_t n = read(link->config->said, bytes, sizeof(bytes));

    if (n <= 0)
        return false;
    if (link->config->verbose && write(STDERR_FILENO, bytes, (size_t)n) < 0)
        return false;
    if (link->said + (size_t)n > room) {
        size_t keep = room - (size_t)n;

        memmove(text, text + link->said - keep, keep);
        link->said = keep;
    }
    memcpy(text + link->said, bytes, (size_t)n);
    link->said += (size_t)n;
    text[link->said] = 0;
    return true;
}

/* The guest's novt has ended, or is about to. */
static void read_last_words(struct link *link)
{
    struct pollfd said = { link->config->said, POLLIN, 0 };

    while (poll(&said, 1, 1000) > 0 && read_said(link))
        ;
}

/* --- To our own output --------------------------------------------------------------------- */

static void grant(struct link *link, struct stream *s)
{
    uint8_t payload[5] = { s->kind };

    memcpy(payload + 1, &s->owed, sizeof(s->owed));
    send_frame(link, EXEC_GRANT, payload, sizeof(payload));
    s->owed = 0;
}

static void close_stream(struct link *link, struct stream *s)
{
    s->closed = true;
    s->size = 0;
    send_frame(link, EXEC_CLOSE, &s->kind, 1);
}

static void write_stream(struct link *link, struct stream *s)
{
    size_t most = sizeof(s->bytes) - s->from;
    ssize_t n;

    most = s->size < most ? s->size : most;
    n = write(s->fd, s->bytes + s->from, most < PIPE_BUF ? most : PIPE_BUF);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        close_stream(link, s);
        return;
    }
    s->from = (s->from + (size_t)n) % sizeof(s->bytes);
    s->size -= (size_t)n;
    s->owed += (uint32_t)n;
    if (!s->size || s->owed >= EXEC_WINDOW / 4)
        grant(link, s);
}

/* --- Signals ------------------------------------------------------------------------------- */

static void signal_set(sigset_t *set)
{
    sigemptyset(set);
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        sigaddset(set, signals[i]);
}

void exec_link_block(void)
{
    sigset_t set;

    signal_set(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

void exec_link_unblock(void)
{
    sigset_t set;

    signal_set(&set);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void take_signal(struct link *link)
{
    struct signalfd_siginfo info;
    uint8_t number;

    if (read(link->signal_fd, &info, sizeof(info)) != sizeof(info))
        return;
    number = (uint8_t)info.ssi_signo;
    if (!link->started || link->over || link->seen & 1ull << number) {
        link->over = false; /* although output is still to be written */
        end(link, EXEC_END_SIGNAL, 128 + number);
        return;
    }
    link->seen |= 1ull << number;
    send_frame(link, EXEC_SIGNAL, &number, 1);
}

/* --- The loop ------------------------------------------------------------------------------ */

static void wish(struct pollfd *fd, int number, bool wanted, short events)
{
    *fd = (struct pollfd){ wanted ? number : -1, events, 0 };
}

/* Input is read when there is room for it, in the guest and on the way there. */
static void wishes(const struct link *link, struct pollfd fds[AT_COUNT])
{
    const struct exec_link_config *config = link->config;
    bool input = link->started && !link->input_ended && link->input_granted > 0 &&
                 link->out_size < EXEC_WINDOW && !link->over;
    short both = (short)(POLLIN | (link->out_size ? POLLOUT : 0));

    wish(&fds[AT_CONSOLE], config->console, !link->over, both);
    wish(&fds[AT_SAID], config->said, !link->over, POLLIN);
    wish(&fds[AT_SIGNAL], link->signal_fd, true, POLLIN);
    wish(&fds[AT_INPUT], STDIN_FILENO, input, POLLIN);
    for (int i = 0; i < 2; i++)
        wish(&fds[AT_OUTPUT + i], link->stream[i].fd, link->stream[i].size > 0, POLLOUT);
}

static bool unwritten(const struct link *link)
{
    return link->result->end == EXEC_END_EXITED && (link->stream[0].size || link->stream[1].size);
}

static void serve(struct link *link, const struct pollfd fds[AT_COUNT])
{
    if (fds[AT_SIGNAL].revents)
        take_signal(link);
    if (fds[AT_SAID].revents & POLLIN)
        read_said(link);
    for (int i = 0; i < 2; i++)
        if (fds[AT_OUTPUT + i].revents)
            write_stream(link, &link->stream[i]);
    if (fds[AT_INPUT].revents)
        read_input(link);
    if (fds[AT_CONSOLE].revents & POLLOUT)
        write_console(link);
    if (fds[AT_CONSOLE].revents & ~POLLOUT)
        read_console(link);
}

static int run_link(struct link *link, struct error *error)
{
    struct pollfd fds[AT_COUNT];

    while (!link->over || unwritten(link)) {
        wishes(link, fds);
        if (poll(fds, AT_COUNT, -1) > 0)
            serve(link, fds);
        else if (errno != EINTR)
            return error_set(error, EX_OSERR, "exec: poll: %s", strerror(errno));
    }
    if (link->result->end == EXEC_END_LOST)
        read_last_words(link);
    return 0;
}

int exec_link_run(const struct exec_link_config *config, struct exec_result *result,
                  struct error *error)
{
    struct link *link = calloc(1, sizeof(*link));
    sigset_t set;
    int err;

    if (!link)
        return error_set(error, EX_OSERR, "exec: out of memory");
    signal_set(&set);
    *result = (struct exec_result){ .end = EXEC_END_LOST };
    link->config = config;
    link->result = result;
    link->input_granted = EXEC_WINDOW;
    link->stream[0].fd = STDOUT_FILENO;
    link->stream[0].kind = EXEC_OUTPUT;
    link->stream[1].fd = STDERR_FILENO;
    link->stream[1].kind = EXEC_ERRORS;
    link->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    err = link->signal_fd < 0 ? error_set(error, EX_OSERR, "exec: signalfd: %s", strerror(errno))
                              : run_link(link, error);
    if (link->signal_fd >= 0)
        close(link->signal_fd);
    free(link->out);
    free(link);
    return err;
}
