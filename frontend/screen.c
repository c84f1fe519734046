/* The screen: what -display and -screenshot ask for. */
#include "frontend/screen.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/output.h"
#include "base/spent.h"
#include "cpu/vcpu.h"
#include "devices/display.h"
#include "display/picture_png.h"
#include "display/terminal_text.h"
#include "display/window.h"
#include "frontend/config_display.h"
#include "frontend/error.h"
#include "frontend/input.h"
#include "frontend/machine.h"
#include "frontend/poller.h"
#include "frontend/terminal.h"

#define VGA_BIOS "/usr/share/seabios/vgabios-stdvga.bin" /* Debian's package seabios */
#define SAMPLE_NS 40000000ull
enum { BIOS_MAX = 256 << 10, TITLE_MAX = 160 };

struct shot {
    struct screen *screen;
    const struct screenshot_spec *spec;
    FILE *file;
    struct timer timer;
    int err;
    bool taken;
};

struct screen {
    const struct display_spec *spec;
    struct machine *machine;
    struct display *display;
    uint8_t *bios;
    uint32_t bios_size;
    struct window *window;
    struct terminal_text *terminal;
    struct input *input;
    int listener;
    struct shot shot[SCREENSHOTS_MAX];

    /* The window's thread rings when it is closed. */
    struct poller_fd closed;
    atomic_bool by_user;

    /* The title. */
    struct spent account;         /* of a short time, unless there is one of all the time */
    uint64_t before[SPENT_COUNT]; /* its cycles at the last sample */
    struct timer sampler;
    uint64_t sampled_ns, sampled_cpu_ns; /* virtual time and the vcpu thread's, at the last one */
    pthread_mutex_t lock; /* of title */
    char title[TITLE_MAX];
};

/* --- Screenshots ---------------------------------------------------------------------------- */

int screen_shoot(struct screen *screen, FILE *file)
{
    struct display_picture picture = { 0 };
    int err = screen ? -ENOMEM : -ENODEV;

    if (screen && display_shoot(screen->display, &picture))
        err = picture_png_write(file, &picture);
    if (screen)
        display_forget(screen->display, &picture);
    return err;
}

static void take_shot(void *arg)
{
    struct shot *shot = arg;

    shot->taken = true;
    shot->err = screen_shoot(shot->screen, shot->file);
}

static int open_shots(struct screen *screen, struct error *error)
{
    for (unsigned i = 0; i < screen->spec->shots; i++) {
        struct shot *shot = &screen->shot[i];

        *shot = (struct shot){ .screen = screen, .spec = &screen->spec->shot[i] };
        shot->timer = (struct timer){ .fire = take_shot, .arg = shot };
        shot->file = output_stream(shot->spec->path);
        if (!shot->file)
            return error_set(error, EX_CANTCREAT, "-screenshot: cannot write '%s': %s; %s",
                             shot->spec->path, strerror(errno), output_advice(errno));
        if (shot->spec->at_ns != CLOCK_NEVER)
            timer_arm(&shot->timer, &screen->machine->clock, shot->spec->at_ns);
    }
    return 0;
}

static int close_shots(struct screen *screen, struct error *error)
{
    int err = 0;

    for (unsigned i = 0; i < screen->spec->shots; i++) {
        struct shot *shot = &screen->shot[i];

        if (!shot->file)
            continue;
        timer_cancel(&shot->timer);
        if (!shot->taken)
            take_shot(shot);
        if (fclose(shot->file) && !shot->err)
            shot->err = -errno;
        shot->file = NULL;
        if (shot->err)
            err = error_set(error, EX_IOERR, "-screenshot: cannot write '%s': %s",
                            shot->spec->path, strerror(-shot->err));
    }
    return err;
}

/* --- Windows -------------------------------------------------------------------------------- */

static void closed(void *arg, bool by_user)
{
    struct screen *screen = arg;
    const uint64_t one = 1;

    atomic_store(&screen->by_user, by_user);
    if (write(screen->closed.fd, &one, sizeof(one)) < 0)
        return;
}

/* On the vcpu's thread. */
static void was_closed(void *arg, short revents)
{
    struct screen *screen = arg;

    (void)revents;
    poller_remove(screen->machine->poller, &screen->closed);
    if (atomic_load(&screen->by_user))
        vm_stop(&screen->machine->stop, VM_QUIT, 0, "its window was closed");
    else
        fprintf(stderr, "novt: the window's process has ended; the guest goes on without\n");
    window_close(screen->window);
    screen->window = NULL;
}

/* --- The title ----------------------------------------------------------------------------------
 *
 * Once a second the vcpu's thread accounts for SAMPLE_NS of its time: to do it always would make
 * guests slower that call their kernel often. -stats does it always: then it is each second's.
 */

static unsigned percent(uint64_t part, uint64_t all)
{
    return all ? (unsigned)((part * 100 + all / 2) / all) : 0;
}

static void make_title(struct screen *screen, const uint64_t cycles[SPENT_COUNT], unsigned busy)
{
    uint64_t direct = cycles[SPENT_CODE_DIRECT] + cycles[SPENT_CODE_KVM], awake = 0;
    uint64_t translated = cycles[SPENT_CODE_TLB] + cycles[SPENT_CODE_WINDOW];
    char text[TITLE_MAX] = "novt - idle";

    for (unsigned i = 0; i < SPENT_COUNT; i++)
        if (i != SPENT_ASLEEP && i != SPENT_MONITOR) /* the latter sleeps, too, when begun so */
            awake += cycles[i];
    if (busy >= 3 && awake)
        snprintf(text, sizeof(text), "novt - speed %u %% (%u %% direct, %u %% translated), "
                                     "%u %% busy",
                 percent(direct + translated, awake), percent(direct, awake),
                 percent(translated, awake), busy);
    pthread_mutex_lock(&screen->lock);
    memcpy(screen->title, text, sizeof(text));
    pthread_mutex_unlock(&screen->lock);
}

static uint64_t cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* What the account has that it did not have before is the title. */
static void take_sample(struct screen *screen, const struct spent *account, uint64_t now)
{
    uint64_t cpu = cpu_ns(), cycles[SPENT_COUNT];

    for (unsigned i = 0; i < SPENT_COUNT; i++)
        cycles[i] = account->cycles[i] - screen->before[i];
    memcpy(screen->before, account->cycles, sizeof(screen->before));
    make_title(screen, cycles, percent(cpu - screen->sampled_cpu_ns, now - screen->sampled_ns));
    screen->sampled_ns = now;
    screen->sampled_cpu_ns = cpu;
}

static void begin_account(struct screen *screen)
{
    spent_start(&screen->account, SPENT_SERVICE);
    memset(screen->before, 0, sizeof(screen->before));
    screen->machine->vcpu->spent = &screen->account;
}

static void sample(void *arg)
{
    struct screen *screen = arg;
    struct vcpu *vcpu = screen->machine->vcpu;
    uint64_t now = clock_now_ns(&screen->machine->clock), next = NS_PER_SEC;

    if (!vcpu->spent) {
        begin_account(screen);
        next = SAMPLE_NS;
    } else {
        spent_back(vcpu->spent, SPENT_SERVICE); /* brings it up to now */
        take_sample(screen, vcpu->spent, now);
        if (vcpu->spent == &screen->account) {
            vcpu->spent = NULL;
            next -= SAMPLE_NS;
        }
    }
    timer_arm(&screen->sampler, &screen->machine->clock, now + next);
}

static void start_sampling(struct screen *screen)
{
    screen->sampler = (struct timer){ .fire = sample, .arg = screen };
    sample(screen);
}

/* On the window's thread. */
static void title(void *arg, char *text, size_t size)
{
    struct screen *screen = arg;

    pthread_mutex_lock(&screen->lock);
    snprintf(text, size, "%s", *screen->title ? screen->title : "novt");
    pthread_mutex_unlock(&screen->lock);
}

/* --- Windows ---------------------------------------------------------------------------------- */

/* A name's first address that can be listened on. */
static int listen_on(const struct display_spec *spec, char *why, size_t size)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *list = NULL;
    char port[8];
    int fd = -1, on = 1, err;

    snprintf(port, sizeof(port), "%u", spec->port);
    err = getaddrinfo(spec->host, port, &hints, &list);
    if (err) {
        snprintf(why, size, "%s", gai_strerror(err));
        return -1;
    }
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0)
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (fd >= 0 && !bind(fd, a->ai_addr, a->ai_addrlen) && !listen(fd, 8))
            break;
        snprintf(why, size, "%s", strerror(errno));
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    freeaddrinfo(list);
    return fd;
}

static int open_window(struct screen *screen, const char *kind, struct error *error)
{
    struct window_config config = {
        .display = screen->display,
        .kind = kind,
        .full_screen = screen->spec->full_screen,
        .listener = screen->listener,
        .title = screen->listener < 0 ? title : NULL,
        .closed = closed,
        .arg = screen,
    };
    char why[256];

    screen->window = window_open(&config, why, sizeof(why));
    if (screen->window && config.title)
        start_sampling(screen);
    if (screen->window)
        return 0;
    return error_set(error, EX_UNAVAILABLE,
                     "-display %s: %s; -display none, vnc=127.0.0.1:0 or curses do without", kind,
                     why);
}

static int open_vnc(struct screen *screen, struct error *error)
{
    char why[256];

    screen->listener = listen_on(screen->spec, why, sizeof(why));
    if (screen->listener < 0)
        return error_set(error, EX_UNAVAILABLE,
                         "-display vnc: cannot listen on %s port %u: %s; choose another number or"
                         " address",
                         screen->spec->host, screen->spec->port, why);
    return open_window(screen, "vnc", error);
}

static int open_terminal(struct screen *screen, struct error *error)
{
    struct terminal_text_config config = { .display = screen->display, .in = STDIN_FILENO,
                                           .out = STDOUT_FILENO, .closed = closed, .arg = screen };
    struct winsize size;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || !terminal_take(STDIN_FILENO, true))
        return error_set(error, EX_USAGE,
                         "-display curses: standard input and output must be a terminal");
    if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size)) {
        config.columns = size.ws_col;
        config.rows = size.ws_row;
    }
    screen->terminal = terminal_text_open(&config);
    return screen->terminal ? 0 : error_set(error, EX_OSERR, "-display curses: no host memory");
}

static int open_display(struct screen *screen, struct error *error)
{
    switch (screen->spec->kind) {
    case DISPLAY_SDL: return open_window(screen, "sdl", error);
    case DISPLAY_VNC: return open_vnc(screen, error);
    case DISPLAY_CURSES: return open_terminal(screen, error);
    default: return 0;
    }
}

int screen_open(struct screen *screen, struct machine *machine, struct error *error)
{
    if (!screen)
        return 0;
    screen->machine = machine;
    screen->input = input_create(screen->display, machine->pc, &machine->clock, machine->poller);
    screen->closed = (struct poller_fd){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                                         .events = POLLIN, .ready = was_closed, .arg = screen };
    if (screen->closed.fd < 0)
        return error_no_event(error, "the display");
    if (!screen->input || poller_add(machine->poller, &screen->closed))
        return error_set(error, EX_OSERR, "no host memory for the display's keys; free some");
    if (open_shots(screen, error))
        return -1;
    return open_display(screen, error);
}

/* --- Life ----------------------------------------------------------------------------------- */

/* Without it the guest has a VGA that firmware cannot use, and plain letters. */
static void read_bios(struct screen *screen)
{
    FILE *file = fopen(VGA_BIOS, "rbe");

    screen->bios = file ? malloc(BIOS_MAX) : NULL;
    if (screen->bios)
        screen->bios_size = (uint32_t)fread(screen->bios, 1, BIOS_MAX, file);
    if (file)
        fclose(file);
}

int screen_create(struct screen **made, const struct display_spec *spec, struct error *error)
{
    struct screen *screen;

    *made = NULL;
    if (spec->vga != VGA_STD)
        return 0;
    screen = *made = calloc(1, sizeof(*screen));
    if (screen)
        screen->display = display_create();
    if (!screen)
        return error_set(error, EX_OSERR, "no host memory for the display; free some");
    if (!screen->display)
        return error_no_event(error, "the display");
    pthread_mutex_init(&screen->lock, NULL);
    screen->spec = spec;
    screen->listener = screen->closed.fd = -1;
    read_bios(screen);
    return 0;
}

struct display *screen_display(struct screen *screen)
{
    return screen ? screen->display : NULL;
}

const uint8_t *screen_vga_bios(const struct screen *screen, uint32_t *size)
{
    *size = screen ? screen->bios_size : 0;
    return screen && screen->bios_size ? screen->bios : NULL;
}

void screen_stop(struct screen *screen)
{
    if (!screen)
        return;
    timer_cancel(&screen->sampler);
    if (screen->machine && screen->machine->vcpu->spent == &screen->account)
        screen->machine->vcpu->spent = NULL;
    window_close(screen->window);
    terminal_text_close(screen->terminal);
    input_destroy(screen->input);
    screen->window = NULL;
    screen->terminal = NULL;
    screen->input = NULL;
}

int screen_close(struct screen *screen, struct error *error)
{
    int err;

    if (!screen)
        return 0;
    err = close_shots(screen, error);
    screen_stop(screen);
    return err;
}

void screen_destroy(struct screen *screen)
{
    if (!screen)
        return;
    for (unsigned i = 0; i < SCREENSHOTS_MAX; i++) {
        timer_cancel(&screen->shot[i].timer);
        if (screen->shot[i].file)
            fclose(screen->shot[i].file);
    }
    if (screen->listener >= 0)
        close(screen->listener);
    if (screen->closed.fd >= 0)
        close(screen->closed.fd);
    display_destroy(screen->display);
    pthread_mutex_destroy(&screen->lock);
    free(screen->bios);
    free(screen);
}
