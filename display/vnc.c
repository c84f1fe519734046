/*
 * VNC by libvncserver, which is loaded here, in the window's process, and nowhere else. The monitor
 * has opened the listening socket; accepting is done here, so that one poll() waits for everybody.
 * Without a password: who may connect is a matter of the address that is listened on.
 */
#include <dlfcn.h>
#include <poll.h>
#include <rfb/rfb.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "display/keysyms.h"
#include "display/picture.h"

enum { CLIENTS_MAX = 32, WIDTH = 640, HEIGHT = 480 /* before the first picture */ };

static struct {
#define VNC_CALL(type, name, arguments) type(*name) arguments;
#include "display/vnc_calls.def"
} vnc;

struct server {
    struct picture *picture;
    rfbScreenInfoPtr screen;
    int listener;
    int x, y; /* where the pointer was last */
    unsigned buttons;
    bool has_pointer;
    uintptr_t sizes; /* how many there have been, from 1 on; clientData: the one a client knows */
};

static uint32_t black[WIDTH * HEIGHT];

static bool load(char *why, size_t size)
{
    void *library = dlopen("libvncserver.so.1", RTLD_NOW | RTLD_LOCAL);

    if (!library) {
        snprintf(why, size, "libvncserver cannot be loaded (apt-get install libvncserver1)");
        return false;
    }
    snprintf(why, size, "this libvncserver is too old");
#define VNC_CALL(type, name, arguments)                                                           \
    *(void **)&vnc.name = dlsym(library, #name);                                                  \
    if (!vnc.name)                                                                                \
        return false;
#include "display/vnc_calls.def"
    return true;
}

/* --- Input ---------------------------------------------------------------------------------- */

static void on_key(rfbBool down, rfbKeySym symbol, rfbClientPtr client)
{
    struct server *s = client->screen->screenData;
    unsigned key = keysyms_find(symbol);

    if (key)
        picture_key(s->picture, key, down);
}

/* VNC: left, middle, right, wheel up, wheel down. */
static unsigned buttons_of(int mask)
{
    return (mask & 1 ? DISPLAY_LEFT : 0) | (mask & 2 ? DISPLAY_MIDDLE : 0) |
           (mask & 4 ? DISPLAY_RIGHT : 0);
}

/* Positions become movement: the guest's mouse knows nothing else. */
static void on_pointer(int mask, int x, int y, rfbClientPtr client)
{
    struct server *s = client->screen->screenData;
    int dz = (mask & 0x10 ? 1 : 0) - (mask & 0x08 ? 1 : 0);
    int dx = s->has_pointer ? x - s->x : 0, dy = s->has_pointer ? y - s->y : 0;

    if (dx || dy || dz || buttons_of(mask) != s->buttons)
        picture_pointer(s->picture, dx, dy, dz, buttons_of(mask));
    s->x = x;
    s->y = y;
    s->buttons = buttons_of(mask);
    s->has_pointer = true;
}

/* --- Pictures ------------------------------------------------------------------------------- */

static void set_format(rfbScreenInfoPtr screen)
{
    screen->serverFormat.redShift = 16;
    screen->serverFormat.greenShift = 8;
    screen->serverFormat.blueShift = 0;
}

/* libvncserver tells a new size only to clients that have said before that they can take one. A
 * client's first size is the one when it gets to RFB_NORMAL. */
static void tell_sizes(struct server *s)
{
    rfbClientIteratorPtr all = vnc.rfbGetClientIterator(s->screen);
    rfbClientPtr client;

    while ((client = vnc.rfbClientIteratorNext(all))) {
        if (client->state != RFB_NORMAL || (uintptr_t)client->clientData == s->sizes)
            continue;
        if (client->clientData && !client->useNewFBSize)
            continue;
        client->newFBSizePending |= client->clientData != NULL;
        client->clientData = (void *)s->sizes;
    }
    vnc.rfbReleaseClientIterator(all);
}

static void process(struct server *s)
{
    vnc.rfbProcessEvents(s->screen, 0);
    tell_sizes(s);
}

static void resize(struct server *s)
{
    rfbClientIteratorPtr all;
    rfbClientPtr client;

    vnc.rfbNewFramebuffer(s->screen, (char *)s->picture->pixels, (int)s->picture->width,
                          (int)s->picture->height, 8, 3, 4);
    s->sizes++;
    set_format(s->screen); /* which it has set to its default */
    all = vnc.rfbGetClientIterator(s->screen);
    while ((client = vnc.rfbClientIteratorNext(all)))
        s->screen->setTranslateFunction(client);
    vnc.rfbReleaseClientIterator(all);
}

static void change(struct server *s)
{
    const struct link_message *m = &s->picture->message;

    if (s->picture->resized)
        resize(s);
    for (unsigned i = 0; i < m->picture.count; i++) {
        const struct display_rect *r = &m->picture.rect[i];

        vnc.rfbMarkRectAsModified(s->screen, (int)r->x, (int)r->y, (int)(r->x + r->width),
                                  (int)(r->y + r->height));
    }
}

/* False: the monitor is gone. */
static bool take_messages(struct server *s)
{
    enum picture_news news;

    while ((news = picture_next(s->picture)) != PICTURE_NOTHING) {
        if (news == PICTURE_GONE)
            return false;
        if (news == PICTURE_TITLE)
            continue;
        change(s);
        process(s);
        picture_shown(s->picture);
    }
    return true;
}

/* --- The loop ------------------------------------------------------------------------------- */

static void accept_client(struct server *s)
{
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0)
        vnc.rfbNewClient(s->screen, fd);
}

static nfds_t collect(struct server *s, struct pollfd *fds)
{
    rfbClientIteratorPtr all = vnc.rfbGetClientIterator(s->screen);
    rfbClientPtr client;
    nfds_t n = 2;

    fds[0] = (struct pollfd){ s->picture->socket, POLLIN, 0 };
    while (n < CLIENTS_MAX + 2 && (client = vnc.rfbClientIteratorNext(all)))
        fds[n++] = (struct pollfd){ client->sock, POLLIN, 0 };
    vnc.rfbReleaseClientIterator(all);
    fds[1] = (struct pollfd){ n < CLIENTS_MAX + 2 ? s->listener : -1, POLLIN, 0 };
    return n;
}

static bool start(struct server *s)
{
    rfbScreenInfoPtr screen;

    vnc.rfbLogEnable(0);
    screen = vnc.rfbGetScreen(NULL, NULL, WIDTH, HEIGHT, 8, 3, 4);
    if (!screen)
        return false;
    screen->frameBuffer = (char *)black;
    screen->desktopName = "novt";
    screen->alwaysShared = TRUE;
    screen->deferUpdateTime = 0;
    screen->cursor = NULL;
    screen->autoPort = FALSE;
    screen->port = screen->ipv6port = 0;
    screen->kbdAddEvent = on_key;
    screen->ptrAddEvent = on_pointer;
    screen->screenData = s;
    set_format(screen);
    vnc.rfbInitServerWithPthreadsAndZRLE(screen);
    s->screen = screen;
    return true;
}

int vnc_run(struct picture *picture, int listener)
{
    struct server s = { .picture = picture, .listener = listener, .sizes = 1 };
    char why[LINK_TEXT_MAX];

    signal(SIGPIPE, SIG_IGN);
    if (!load(why, sizeof(why)) || !start(&s)) {
        link_say(picture->socket, LINK_FAILED, why);
        return 1;
    }
    link_say(picture->socket, LINK_READY, "");
    for (;;) {
        struct pollfd fds[CLIENTS_MAX + 2];
        nfds_t n = collect(&s, fds);

        poll(fds, n, n > 2 ? 500 : -1);
        if (fds[1].revents)
            accept_client(&s);
        if (!take_messages(&s))
            return 0;
        process(&s);
    }
}
