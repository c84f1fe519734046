/*
 * What all consoles have in common: moving bytes between a chip and two host descriptors that do
 * not block. Every kind of console has its own file.
 */
#include "frontend/console.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/kill.h"
#include "frontend/console_host.h"
#include "frontend/error.h"
#include "frontend/terminal.h"

#define CAREFUL_WRITE 256 /* what a terminal or pipe that says POLLOUT surely takes */

const char *console_advice(int err)
{
    switch (err) {
    case ENOENT: return "create its directory first, or name another one";
    case EACCES: case EPERM: case EROFS: return "change its permissions, or name another one";
    case ENOSPC: case EDQUOT: return "free some space, or name a file elsewhere";
    case EISDIR: return "name a file in it";
    case ENXIO: return "start its reader first";
    case EPIPE: return "its reader has gone; keep that running";
    case EADDRINUSE: return "end the program that has it, or name another one";
    case ENAMETOOLONG: return "name a shorter one";
    default: return "check it, or name another one";
    }
}

/* --- Rings ------------------------------------------------------------------ */

static struct console_ring *ring_of(struct console_ring **ring)
{
    if (!*ring)
        *ring = calloc(1, sizeof(**ring));
    return *ring;
}

static void ring_put(struct console_ring *ring, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        ring->bytes[(ring->start + ring->size) % sizeof(ring->bytes)] = bytes[i];
        if (ring->size < sizeof(ring->bytes))
            ring->size++;
        else
            ring->start = (ring->start + 1) % sizeof(ring->bytes);
    }
}

/* The oldest bytes that lie in one piece. */
static size_t ring_peek(const struct console_ring *ring, const uint8_t **bytes)
{
    size_t to_end = sizeof(ring->bytes) - ring->start;

    *bytes = ring->bytes + ring->start;
    return ring->size < to_end ? ring->size : to_end;
}

static void ring_drop(struct console_ring *ring, size_t size)
{
    ring->start = (ring->start + size) % sizeof(ring->bytes);
    ring->size -= size;
}

/* --- Guest to host ---------------------------------------------------------- */

static const char *shown_name(const struct console *console)
{
    return console->config.spec.path ? console->config.spec.path : "standard output";
}

static void write_failed(struct console *console, int err)
{
    if (console->ops->lost) {
        console->ops->lost(console);
        return;
    }
    console->failed = true;
    vm_stop(console->config.stop, VM_HOST_ERROR, err, "%s: cannot write to '%.120s': %s; %s",
            console->config.name, shown_name(console), strerror(err), console_advice(err));
}

/* One write; 0 when the host takes nothing now, -1 when it failed for good. */
static ssize_t write_some(struct console *console, const uint8_t *bytes, size_t size)
{
    struct pollfd fd = { console->out.fd, POLLOUT, 0 };
    ssize_t n;

    if (console->careful) {
        if (poll(&fd, 1, 0) <= 0)
            return 0;
        size = size < CAREFUL_WRITE ? size : CAREFUL_WRITE;
    }
    do
        n = write(console->out.fd, bytes, size);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return 0;
    write_failed(console, errno);
    return -1;
}

static size_t write_host(struct console *console, const uint8_t *bytes, size_t size)
{
    size_t done = 0;

    while (done < size && console->out.fd >= 0) {
        ssize_t n = write_some(console, bytes + done, size - done);

        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

/* Sends what was kept for whoever came; true when all of it has gone. */
static bool send_kept(struct console *console)
{
    const uint8_t *bytes;
    size_t size, done;

    while (console->kept && console->kept->size) {
        size = ring_peek(console->kept, &bytes);
        done = write_host(console, bytes, size);
        ring_drop(console->kept, done);
        if (done < size)
            return false;
    }
    return true;
}

static void stall(struct console *console)
{
    console->stalled = true;
    poller_change(console->config.poller, &console->out, console->out.fd, POLLOUT);
}

static size_t take(struct console *console, const uint8_t *bytes, size_t size)
{
    size_t done = 0;

    if (console->failed || !console->ops)
        return size;
    if (!console->absent && send_kept(console))
        done = write_host(console, bytes, size);
    if (console->failed)
        return size;
    if (console->absent) { /* possibly only since this write */
        if (ring_of(&console->kept))
            ring_put(console->kept, bytes + done, size - done);
        return size;
    }
    if (done < size)
        stall(console);
    return done;
}

static size_t line_write(void *host, const uint8_t *bytes, size_t size)
{
    struct console *console = host;
    size_t done = take(console, bytes, size);

    if (console->config.output)
        console->config.output(console->config.output_arg, bytes, done);
    return done;
}

static void out_ready(void *arg, short revents)
{
    struct console *console = arg;

    (void)revents;
    if (!console->absent && !console->failed && !send_kept(console) && !console->absent)
        return; /* still waiting for room */
    poller_change(console->config.poller, &console->out, console->out.fd, 0);
    if (!console->stalled)
        return;
    console->stalled = false;
    chardev_writable(&console->line);
}

static void say_some(struct console *console, const char *text, size_t size)
{
    if (ring_of(&console->kept))
        ring_put(console->kept, (const uint8_t *)text, size);
}

void console_say(struct console *console, const char *text, size_t size)
{
    const char *end = text + size;

    while (text < end) {
        const char *line = memchr(text, '\n', (size_t)(end - text));

        say_some(console, text, (size_t)((line ? line : end) - text));
        if (line)
            say_some(console, terminal_is_raw() ? "\r\n" : "\n", terminal_is_raw() ? 2 : 1);
        text = line ? line + 1 : end;
    }
    if (!console->absent && !console->failed && !send_kept(console) && !console->failed)
        poller_change(console->config.poller, &console->out, console->out.fd, POLLOUT);
}

/* --- Host to guest ---------------------------------------------------------- */

/* How much can be read ahead of the guest. On a terminal anything: old keys are forgotten rather
 * than that ours do not work. */
static size_t typed_room(const struct console *console)
{
    bool terminal = console->config.spec.kind == CONSOLE_STDIO && terminal_is_raw();

    if (terminal || !console->typed)
        return CONSOLE_KEPT;
    return CONSOLE_KEPT - console->typed->size;
}

static void listen_for_input(struct console *console)
{
    bool wanted = !console->input_ended && console->in.fd >= 0 &&
                  (console->filter ? typed_room(console) : chardev_window(&console->line));

    if (!console->input_ended)
        poller_change(console->config.poller, &console->in, console->in.fd, wanted ? POLLIN : 0);
}

static void deliver_typed(struct console *console)
{
    const uint8_t *bytes;
    size_t size, window;

    if (console->delivering)
        return; /* from inside chardev_receive() below */
    console->delivering = true;
    while (console->typed && console->typed->size && (window = chardev_window(&console->line))) {
        size = ring_peek(console->typed, &bytes);
        size = size < window ? size : window;
        chardev_receive(&console->line, bytes, size);
        ring_drop(console->typed, size);
    }
    console->delivering = false;
}

static void input_over(struct console *console)
{
    console->input_ended = true;
    poller_change(console->config.poller, &console->in, console->in.fd, 0);
    if (console->ops->lost)
        console->ops->lost(console);
}

static void in_ready(void *arg, short revents)
{
    struct console *console = arg;
    size_t window = chardev_window(&console->line);
    uint8_t bytes[4096];
    size_t room = console->filter ? typed_room(console) : window;
    size_t most = room > sizeof(bytes) ? sizeof(bytes) : room;
    ssize_t n;

    (void)revents;
    if (console->input_ended) { /* waiting for the hang-up of somebody who only listens */
        console->ops->lost(console);
        return;
    }
    if (most) {
        n = read(console->in.fd, bytes, most);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            input_over(console);
            return;
        }
        if (!console->filter) {
            chardev_receive(&console->line, bytes, (size_t)n);
        } else if (ring_of(&console->typed)) {
            ring_put(console->typed, bytes, console->filter(console, bytes, (size_t)n));
            if (poller_is_urgent(console->config.poller))
                poller_call(console->config.poller, &console->later);
            else
                deliver_typed(console);
        }
    }
    listen_for_input(console);
}

static void deliver_later(void *arg)
{
    deliver_typed(arg);
}

static void line_accept(void *host)
{
    struct console *console = host;

    if (!console->ops)
        return;
    deliver_typed(console);
    listen_for_input(console);
}

/* --- Coming and going ------------------------------------------------------- */

void console_attach(struct console *console, int in_fd, int out_fd)
{
    struct poller *poller = console->config.poller;

    console->absent = false;
    console->input_ended = !console->config.input;
    poller_change(poller, &console->out, out_fd, 0);
    poller_change(poller, &console->in, console->config.input ? in_fd : -1, 0);
    listen_for_input(console);
    if (console->kept && console->kept->size)
        poller_change(poller, &console->out, out_fd, POLLOUT);
}

void console_detach(struct console *console)
{
    struct poller *poller = console->config.poller;

    console->absent = true;
    console->input_ended = true;
    poller_change(poller, &console->in, -1, 0);
    poller_change(poller, &console->out, -1, 0);
    if (!console->stalled)
        return;
    console->stalled = false; /* what the chip has goes to the kept bytes now */
    chardev_writable(&console->line);
}

/* --- Life ------------------------------------------------------------------- */

static const struct chardev_host line_ops = { .write = line_write, .accept = line_accept };

static const struct console_ops *const kinds[] = {
    [CONSOLE_STDIO] = &console_stdio,
    [CONSOLE_FILE] = &console_file,
    [CONSOLE_PTY] = &console_pty,
    [CONSOLE_UNIX] = &console_unix,
    [CONSOLE_TCP] = &console_tcp,
};

struct console *console_create(const struct console_config *config)
{
    struct console *console = calloc(1, sizeof(*console));

    if (!console)
        return NULL;
    console->config = *config;
    chardev_init(&console->line, &line_ops, console);
    if (config->spec.kind != CONSOLE_NULL)
        console->ops = kinds[config->spec.kind];
    console->absent = true; /* until it is opened */
    console->input_ended = true;
    console->in = (struct poller_fd){ .fd = -1, .ready = in_ready, .arg = console };
    console->out = (struct poller_fd){ .fd = -1, .ready = out_ready, .arg = console };
    console->door = (struct poller_fd){ .fd = -1, .arg = console };
    console->later = (struct poller_call){ .ready = deliver_later, .arg = console };
    console->master = -1;
    return console;
}

int console_open(struct console *console, struct error *error)
{
    struct poller *poller = console->config.poller;

    if (!console->ops)
        return 0;
    if (poller_add(poller, &console->in) || poller_add(poller, &console->out) ||
        poller_add(poller, &console->door))
        return error_set(error, EX_SOFTWARE, "%s: too many descriptors to wait for",
                         console->config.name);
    poller_add_call(poller, &console->later);
    return console->ops->open(console, error);
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool console_flush(struct console *console, int ms)
{
    int64_t end = now_ms() + ms, left;

    while (console->stalled && !console->failed && !console->absent) {
        struct pollfd fd = { console->out.fd, POLLOUT, 0 };

        left = end - now_ms();
        if (left <= 0)
            return false;
        if (poll(&fd, 1, (int)left) > 0)
            out_ready(console, fd.revents);
    }
    return true;
}

bool console_close(struct console *console, struct error *error)
{
    int fd = console->out.fd;

    if (!console->ops || fd < 0 || console->config.spec.kind != CONSOLE_FILE)
        return true;
    poller_change(console->config.poller, &console->out, -1, 0);
    if (!close(fd) || errno == EINTR)
        return true;
    error_set(error, EX_IOERR, "%s: cannot write to '%s': %s; %s", console->config.name,
              shown_name(console), strerror(errno), console_advice(errno));
    return false;
}

void console_destroy(struct console *console)
{
    if (!console)
        return;
    if (console->ops && console->ops->close)
        console->ops->close(console);
    poller_remove(console->config.poller, &console->in);
    poller_remove(console->config.poller, &console->out);
    poller_remove(console->config.poller, &console->door);
    poller_remove_call(console->config.poller, &console->later);
    free(console->kept);
    free(console->typed);
    free(console);
}

struct chardev *console_line(struct console *console)
{
    return &console->line;
}
