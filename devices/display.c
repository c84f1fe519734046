/* Where a video chip, a window and the input devices meet: two eventfds and a queue. */
#include "devices/display.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS = 512, RESERVED = 64 /* of them for keys going up */, TEXT_MAX = 65536 };

struct display {
    struct display_chip chip; /* all NULL: none */
    int published, input;     /* eventfds */
    pthread_mutex_t lock;     /* of the queue */
    struct display_event event[EVENTS];
    unsigned head, count;
    char *text; /* TEXT_MAX bytes once something was to be typed */
    size_t text_head, text_count;
    atomic_uchar leds;
};

/* --- Descriptors ------------------------------------------------------------------------------ */

static void ring(int fd)
{
    const uint64_t one = 1;

    if (write(fd, &one, sizeof(one)) < 0)
        return; /* it is rung already */
}

static void hush(int fd)
{
    uint64_t count;

    if (read(fd, &count, sizeof(count)) < 0)
        return;
}

/* --- Pictures --------------------------------------------------------------------------------- */

void display_attach(struct display *d, const struct display_chip *chip)
{
    d->chip = chip ? *chip : (struct display_chip){ 0 };
}

void display_published(struct display *d)
{
    ring(d->published);
}

bool display_size(struct display_picture *picture, unsigned width, unsigned height)
{
    if (picture->pixels && picture->width == width && picture->height == height)
        return true;
    free(picture->pixels);
    picture->pixels = calloc((size_t)width * height, sizeof(*picture->pixels));
    picture->width = picture->stride = picture->pixels ? width : 0;
    picture->height = picture->pixels ? height : 0;
    picture->resized = true;
    return picture->pixels;
}

bool display_text_size(struct display_picture *picture, unsigned columns, unsigned rows)
{
    struct display_text *text = &picture->text;

    if (text->columns == columns && text->rows == rows)
        return true;
    free(text->cell);
    text->cell = columns && rows ? calloc((size_t)columns * rows, sizeof(*text->cell)) : NULL;
    text->columns = text->cell ? columns : 0;
    text->rows = text->cell ? rows : 0;
    return text->cell || !(columns && rows);
}

static unsigned later(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

static void join(struct display_rect *r, const struct display_rect *more)
{
    unsigned right = later(r->x + r->width, more->x + more->width);
    unsigned bottom = later(r->y + r->height, more->y + more->height);

    r->x = r->x < more->x ? r->x : more->x;
    r->y = r->y < more->y ? r->y : more->y;
    r->width = right - r->x;
    r->height = bottom - r->y;
}

void display_add_rect(struct display_picture *picture, unsigned x, unsigned y, unsigned width,
                      unsigned height)
{
    struct display_rect new = { x, y, width, height }, *last;

    last = picture->rects ? &picture->rect[picture->rects - 1] : NULL;
    if (last && last->x == x && last->width == width && last->y + last->height == y)
        last->height += height;
    else if (last && last->y == y && last->height == height && last->x + last->width == x)
        last->width += width;
    else if (picture->rects == DISPLAY_RECTS)
        join(last, &new);
    else
        picture->rect[picture->rects++] = new;
}

void display_look(struct display *d, bool yes)
{
    if (d->chip.looked_at)
        d->chip.looked_at(d->chip.chip, yes);
}

int display_fd(const struct display *d)
{
    return d->published;
}

bool display_paint(struct display *d, struct display_picture *picture, uint64_t ms)
{
    hush(d->published);
    picture->rects = 0;
    picture->resized = false;
    if (d->chip.paint)
        d->chip.paint(d->chip.chip, picture, ms);
    return picture->rects || picture->resized;
}

bool display_shoot(struct display *d, struct display_picture *picture)
{
    picture->rects = 0;
    picture->resized = false;
    if (!d->chip.shoot)
        return false;
    d->chip.shoot(d->chip.chip, picture);
    return picture->pixels;
}

void display_forget(struct display *d, struct display_picture *picture)
{
    if (d->chip.forget)
        d->chip.forget(d->chip.chip, picture);
    free(picture->pixels);
    free(picture->text.cell);
    memset(picture, 0, sizeof(*picture));
}

/* --- Input ------------------------------------------------------------------------------------ */

/* Movement that follows movement with the same buttons is one event. */
static bool joined(struct display *d, const struct display_event *event)
{
    struct display_event *last = &d->event[(d->head + d->count + EVENTS - 1) % EVENTS];

    if (!d->count || event->kind != DISPLAY_POINTER || last->kind != DISPLAY_POINTER ||
        last->buttons != event->buttons || abs(last->dx) > 1 << 20 || abs(last->dy) > 1 << 20 ||
        abs(last->dz) > 1 << 20)
        return false;
    last->dx += event->dx;
    last->dy += event->dy;
    last->dz += event->dz;
    return true;
}

static void push(struct display *d, const struct display_event *event)
{
    bool release = event->kind == DISPLAY_KEY && !event->down;

    pthread_mutex_lock(&d->lock);
    if (!joined(d, event) && d->count < (release ? EVENTS : EVENTS - RESERVED))
        d->event[(d->head + d->count++) % EVENTS] = *event;
    pthread_mutex_unlock(&d->lock);
    ring(d->input);
}

void display_key(struct display *d, unsigned key, bool down)
{
    push(d, &(struct display_event){ .kind = DISPLAY_KEY, .key = key, .down = down });
}

static int within(int value)
{
    return value > 1 << 15 ? 1 << 15 : value < -(1 << 15) ? -(1 << 15) : value;
}

void display_pointer(struct display *d, int dx, int dy, int dz, unsigned buttons)
{
    push(d, &(struct display_event){ .kind = DISPLAY_POINTER,
                                     .dx = within(dx),
                                     .dy = within(dy),
                                     .dz = within(dz),
                                     .buttons = buttons });
}

void display_type(struct display *d, const char *text, size_t length)
{
    pthread_mutex_lock(&d->lock);
    if (!d->text)
        d->text = malloc(TEXT_MAX);
    for (size_t i = 0; d->text && i < length && d->text_count < TEXT_MAX; i++)
        d->text[(d->text_head + d->text_count++) % TEXT_MAX] = text[i];
    pthread_mutex_unlock(&d->lock);
    ring(d->input);
}

int display_take_character(struct display *d)
{
    int character = -1;

    pthread_mutex_lock(&d->lock);
    if (d->text_count) {
        character = (uint8_t)d->text[d->text_head];
        d->text_head = (d->text_head + 1) % TEXT_MAX;
        d->text_count--;
    }
    pthread_mutex_unlock(&d->lock);
    return character;
}

void display_quiet_input(struct display *d)
{
    hush(d->input);
}

int display_input_fd(const struct display *d)
{
    return d->input;
}

bool display_take_event(struct display *d, struct display_event *event)
{
    bool any;

    pthread_mutex_lock(&d->lock);
    any = d->count;
    if (any) {
        *event = d->event[d->head];
        d->head = (d->head + 1) % EVENTS;
        d->count--;
    }
    pthread_mutex_unlock(&d->lock);
    return any;
}

void display_set_leds(struct display *d, uint8_t leds)
{
    atomic_store(&d->leds, leds);
}

uint8_t display_leds(const struct display *d)
{
    return atomic_load(&d->leds);
}

/* --- Life ------------------------------------------------------------------------------------- */

struct display *display_create(void)
{
    struct display *d = calloc(1, sizeof(*d));
    int err;

    if (!d)
        return NULL;
    d->published = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    d->input = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&d->lock, NULL);
    if (d->published >= 0 && d->input >= 0)
        return d;
    err = errno;
    display_destroy(d);
    errno = err;
    return NULL;
}

void display_destroy(struct display *d)
{
    if (!d)
        return;
    if (d->published >= 0)
        close(d->published);
    if (d->input >= 0)
        close(d->input);
    pthread_mutex_destroy(&d->lock);
    free(d->text);
    free(d);
}
