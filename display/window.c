/*
 * The monitor's end of a window: a thread paints what the chip has published into a picture of its
 * own, copies what changed to the memory it shares with the window's process, and tells it.
 *
 * The process is novt again, started before the monitor confines itself; what it needs of the host
 * (X11, sockets to the network, files of cursors and fonts) the monitor then never calls.
 */
#include "display/window.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "devices/display.h"
#include "display/link.h"

#define START_MS 20000
#define TITLE_MS 1000
#define GAP_MS   15 /* between two pictures, at least */

enum { CHILD_SOCKET = 3, CHILD_LISTENER = 4 };

extern char **environ;

struct window {
    struct window_config config;
    struct display_picture picture;
    int socket, wake;
    pid_t process;
    pthread_t thread;
    bool started;
    atomic_bool ending;

    /* The thread's. */
    int memory; /* memfd with the pixels */
    uint32_t *shared;
    size_t shared_size;
    bool waiting; /* for LINK_SHOWN */
    bool stale;   /* something was published while waiting */
    uint64_t painted_ms, title_ms;
    uint8_t leds;
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- Pictures ------------------------------------------------------------------------------- */

static void forget_memory(struct window *w)
{
    if (w->shared)
        munmap(w->shared, w->shared_size);
    if (w->memory >= 0)
        close(w->memory);
    w->shared = NULL;
    w->memory = -1;
}

static bool new_memory(struct window *w)
{
    void *at;

    forget_memory(w);
    w->shared_size = (size_t)w->picture.width * w->picture.height * 4;
    w->memory = memfd_create("novt-picture", MFD_CLOEXEC);
    if (w->memory < 0 || ftruncate(w->memory, (off_t)w->shared_size))
        return false;
    at = mmap(NULL, w->shared_size, PROT_READ | PROT_WRITE, MAP_SHARED, w->memory, 0);
    if (at == MAP_FAILED)
        return false;
    w->shared = at;
    return true;
}

static void copy_rect(struct window *w, const struct display_rect *r)
{
    const struct display_picture *p = &w->picture;

    for (unsigned y = r->y; y < r->y + r->height; y++)
        memcpy(w->shared + (size_t)y * p->width + r->x, p->pixels + (size_t)y * p->stride + r->x,
               r->width * 4ul);
}

static bool send_picture(struct window *w)
{
    struct display_picture *p = &w->picture;
    struct link_message message = { .kind = LINK_PICTURE };
    bool fresh = p->resized || !w->shared;

    if (fresh && (!p->pixels || !new_memory(w)))
        return true; /* no memory: the window stays as it is */
    if (fresh) {
        p->rects = 1;
        p->rect[0] = (struct display_rect){ 0, 0, p->width, p->height };
    }
    for (unsigned i = 0; i < p->rects; i++) {
        copy_rect(w, &p->rect[i]);
        message.picture.rect[i] = p->rect[i];
    }
    message.picture.width = p->width;
    message.picture.height = p->height;
    message.picture.count = p->rects;
    message.picture.leds = w->leds = display_leds(w->config.display);
    w->waiting = true;
    return link_send(w->socket, &message, fresh ? w->memory : -1);
}

static bool paint(struct window *w, uint64_t now)
{
    w->stale = false;
    w->painted_ms = now;
    if (!display_paint(w->config.display, &w->picture, now) &&
        display_leds(w->config.display) == w->leds)
        return true;
    return send_picture(w);
}

static bool tell_title(struct window *w, uint64_t now)
{
    char text[LINK_TEXT_MAX];

    if (!w->config.title || now < w->title_ms)
        return true;
    w->title_ms = now + TITLE_MS;
    w->config.title(w->config.arg, text, sizeof(text));
    return link_say(w->socket, LINK_TITLE, text);
}

/* --- What the window says ------------------------------------------------------------------- */

/* Returns false when the user has closed it. */
static bool take_message(struct window *w, const struct link_message *m)
{
    struct display *d = w->config.display;

    switch (m->kind) {
    case LINK_SHOWN: w->waiting = false; break;
    case LINK_KEY: display_key(d, m->key.key, m->key.down); break;
    case LINK_POINTER:
        display_pointer(d, m->pointer.dx, m->pointer.dy, m->pointer.dz, m->pointer.buttons);
        break;
    case LINK_TEXT:
        display_type(d, m->text, m->count < sizeof(m->text) ? m->count : sizeof(m->text));
        break;
    case LINK_QUIT: return false;
    default: break;
    }
    return true;
}

/* 1: go on; 0: closed by the user; -1: the process is gone. */
static int take_messages(struct window *w)
{
    struct link_message message;
    int fd, got;

    while ((got = link_receive(w->socket, &message, &fd, false)) > 0) {
        if (fd >= 0)
            close(fd);
        if (!take_message(w, &message))
            return 0;
    }
    return got < 0 ? -1 : 1;
}

/* --- The thread ----------------------------------------------------------------------------- */

/* Until when to sleep, ms: for what blinks, the title, or because the last picture is too young. */
static int sleep_ms(const struct window *w, uint64_t now)
{
    uint64_t until = w->config.title ? w->title_ms : now + 60000;
    uint64_t paint_at = w->painted_ms + (w->stale ? GAP_MS : w->picture.again_ms);

    if (!w->waiting && (w->stale || w->picture.again_ms) && paint_at < until)
        until = paint_at;
    return until > now ? (int)(until - now) : 0;
}

static bool is_time_to_paint(const struct window *w, uint64_t now)
{
    if (w->waiting)
        return false;
    if (w->stale)
        return now >= w->painted_ms + GAP_MS;
    return w->picture.again_ms && now >= w->painted_ms + w->picture.again_ms;
}

static void *run(void *arg)
{
    struct window *w = arg;
    int state = 1;

    while (!atomic_load(&w->ending) && state > 0) {
        struct pollfd fds[] = { { w->socket, POLLIN, 0 }, { w->wake, POLLIN, 0 },
                                { w->stale ? -1 : display_fd(w->config.display), POLLIN, 0 } };
        uint64_t now = now_ms();

        poll(fds, 3, sleep_ms(w, now));
        now = now_ms();
        w->stale |= fds[2].revents != 0;
        state = take_messages(w);
        if (state > 0 && (!tell_title(w, now) || (is_time_to_paint(w, now) && !paint(w, now))))
            state = -1;
    }
    if (state <= 0 && w->config.closed)
        w->config.closed(w->config.arg, !state);
    return NULL;
}

static bool start_thread(struct window *w)
{
    w->started = !thread_start(&w->thread, run, w);
    return w->started;
}

/* --- The process ---------------------------------------------------------------------------- */

/* Ends when the socket closes, whatever happens to us; signals of the terminal are ours. */
static int spawn(struct window *w, int socket)
{
    char *const argv[] = { "novt", "window", (char *)w->config.kind,
                           w->config.full_screen ? "full-screen" : "window", NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    int err;

    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    err = posix_spawn_file_actions_adddup2(&actions, socket, CHILD_SOCKET);
    if (!err && w->config.listener >= 0)
        err = posix_spawn_file_actions_adddup2(&actions, w->config.listener, CHILD_LISTENER);
    if (!err)
        err = posix_spawn(&w->process, "/proc/self/exe", &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return -err;
}

static bool wait_ready(struct window *w, char *why, size_t size)
{
    struct pollfd fds = { w->socket, POLLIN, 0 };
    struct link_message message = { 0 };
    int fd = -1, got = -1;

    if (poll(&fds, 1, START_MS) > 0)
        got = link_receive(w->socket, &message, &fd, true);
    if (fd >= 0)
        close(fd);
    if (got > 0 && message.kind == LINK_READY)
        return true;
    message.text[LINK_TEXT_MAX - 1] = 0;
    snprintf(why, size, "%s", got > 0 && message.kind == LINK_FAILED
                                  ? message.text
                                  : "the window's process did not start");
    return false;
}

/* Above those numbers that the child gets. */
static int move_up(int fd)
{
    int to = fd;

    while (to >= 0 && to <= CHILD_LISTENER)
        to = dup(to);
    return to;
}

static bool start(struct window *w, char *why, size_t size)
{
    int sockets[2], theirs, err;

    snprintf(why, size, "no socket or no process for the window");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
        return false;
    w->socket = sockets[0];
    theirs = move_up(sockets[1]);
    err = spawn(w, theirs);
    close(sockets[1]);
    if (theirs != sockets[1])
        close(theirs);
    return !err && wait_ready(w, why, size);
}

struct window *window_open(const struct window_config *config, char *why, size_t size)
{
    struct window *w = calloc(1, sizeof(*w));

    if (!w) {
        snprintf(why, size, "no memory for the window");
        return NULL;
    }
    w->config = *config;
    w->socket = w->memory = -1;
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (start(w, why, size)) {
        display_look(config->display, true);
        if (start_thread(w))
            return w;
        snprintf(why, size, "no thread for the window");
    }
    window_close(w);
    return NULL;
}

void window_close(struct window *w)
{
    const uint64_t one = 1;

    if (!w)
        return;
    atomic_store(&w->ending, true);
    if (w->started && write(w->wake, &one, sizeof(one)) == sizeof(one))
        pthread_join(w->thread, NULL);
    display_look(w->config.display, false);
    display_forget(w->config.display, &w->picture);
    forget_memory(w);
    if (w->socket >= 0)
        close(w->socket); /* its process ends by that */
    if (w->wake >= 0)
        close(w->wake);
    if (w->process > 0)
        waitpid(w->process, NULL, WNOHANG);
    free(w);
}
