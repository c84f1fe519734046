/* A window's process: its start, and its end of the link. */
#include "display/picture.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "display/window.h"

enum { SOCKET = 3, LISTENER = 4 }; /* as window.c hands them over */

/* --- Pictures ------------------------------------------------------------------------------- */

static bool is_sane(const struct link_message *m)
{
    unsigned width = m->picture.width, height = m->picture.height;

    if (!width || !height || width > LINK_SIZE_MAX || height > LINK_SIZE_MAX ||
        m->picture.count > DISPLAY_RECTS)
        return false;
    for (unsigned i = 0; i < m->picture.count; i++) {
        const struct display_rect *r = &m->picture.rect[i];

        if (r->x > width || r->width > width - r->x || r->y > height || r->height > height - r->y)
            return false;
    }
    return true;
}

static bool map(struct picture *p, int fd)
{
    size_t size = (size_t)p->message.picture.width * p->message.picture.height * 4;
    struct stat info;
    void *at;

    if (fstat(fd, &info) || (size_t)info.st_size < size)
        return false;
    at = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return false;
    if (p->pixels)
        munmap((void *)p->pixels, p->mapped);
    p->pixels = at;
    p->mapped = size;
    return true;
}

static enum picture_news take_picture(struct picture *p, int fd)
{
    const struct link_message *m = &p->message;

    if (!is_sane(m) || (fd >= 0 && !map(p, fd)))
        return PICTURE_GONE;
    p->resized = fd >= 0;
    if (!p->pixels || (!p->resized &&
                       (m->picture.width != p->width || m->picture.height != p->height)))
        return PICTURE_GONE;
    p->width = m->picture.width;
    p->height = m->picture.height;
    p->leds = (uint8_t)m->picture.leds;
    return PICTURE_CHANGED;
}

enum picture_news picture_next(struct picture *p)
{
    enum picture_news news = PICTURE_NOTHING;
    int fd, got = link_receive(p->socket, &p->message, &fd, false);

    if (got <= 0)
        return got < 0 ? PICTURE_GONE : PICTURE_NOTHING;
    if (p->message.kind == LINK_PICTURE)
        news = take_picture(p, fd);
    else if (p->message.kind == LINK_TITLE)
        news = PICTURE_TITLE;
    p->message.text[LINK_TEXT_MAX - 1] = p->message.kind == LINK_TITLE ? 0
                                         : p->message.text[LINK_TEXT_MAX - 1];
    if (fd >= 0)
        close(fd);
    return news;
}

/* --- Saying something ----------------------------------------------------------------------- */

static void say(struct picture *p, const struct link_message *message)
{
    link_send(p->socket, message, -1); /* the end is seen when reading */
}

void picture_shown(struct picture *p)
{
    say(p, &(struct link_message){ .kind = LINK_SHOWN });
}

void picture_key(struct picture *p, unsigned key, bool down)
{
    say(p, &(struct link_message){ .kind = LINK_KEY, .key = { key, down } });
}

void picture_pointer(struct picture *p, int dx, int dy, int dz, unsigned buttons)
{
    say(p, &(struct link_message){ .kind = LINK_POINTER, .pointer = { dx, dy, dz, buttons } });
}

void picture_text(struct picture *p, const char *text)
{
    struct link_message message = { .kind = LINK_TEXT };
    size_t left = strlen(text);

    while (left) {
        message.count = left < sizeof(message.text) ? (uint32_t)left : sizeof(message.text);
        memcpy(message.text, text, message.count);
        say(p, &message);
        text += message.count;
        left -= message.count;
    }
}

/* --- Start ---------------------------------------------------------------------------------- */

int window_process(int argc, char **argv)
{
    struct picture picture = { .socket = SOCKET };
    int type = 0;
    socklen_t size = sizeof(type);

    if (argc < 2 || getsockopt(SOCKET, SOL_SOCKET, SO_TYPE, &type, &size) ||
        type != SOCK_SEQPACKET)
        return 64; /* somebody typed it; nothing to show */
    fcntl(SOCKET, F_SETFD, FD_CLOEXEC);
    if (!strcmp(argv[0], "sdl"))
        return sdl_run(&picture, !strcmp(argv[1], "full-screen"));
    if (!strcmp(argv[0], "vnc"))
        return vnc_run(&picture, LISTENER);
    return 64;
}
