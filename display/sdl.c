/*
 * A window by SDL 2, which is loaded here, in the window's process, and nowhere else.
 *
 * Ctrl-Alt-G takes the mouse and gives it back, Ctrl-Alt-F is full screen and back, Ctrl-Alt-plus
 * and -minus make the picture larger and smaller, Ctrl-Alt-U as large as it is, Ctrl-Alt-V types
 * what is on the clipboard. The picture is scaled to the window's size in any case. While the mouse
 * is not taken its movement over the window is passed on, and a click takes it.
 */
#include <SDL2/SDL.h>
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/keys.h"
#include "display/picture.h"
#include "display/usb_keys.h"

#define NAME "novt"
#define GRABBED " - Ctrl-Alt-G gives the mouse back"

enum { HALVES_LEAST = 1, HALVES_MOST = 8 }; /* the picture's size: half of it, to four times */

static struct {
#define SDL_CALL(type, name, arguments) type(*name) arguments;
#include "display/sdl_calls.def"
} sdl;

struct window {
    struct picture *picture;
    SDL_Window *window;
    SDL_Renderer *renderer;
    SDL_Texture *texture;
    unsigned width, height; /* of the texture */
    int halves;             /* of its size that the window should have */
    bool grabbed, dirty, ending;
    char title[LINK_TEXT_MAX];
    Uint32 link_event; /* the watching thread's: there is a message */
    atomic_bool told;  /* and it is in SDL's queue */
    unsigned buttons;
    bool down[KEYS_COUNT];
};

/* --- Loading -------------------------------------------------------------------------------- */

static bool load(char *why, size_t size)
{
    void *library = dlopen("libSDL2-2.0.so.0", RTLD_NOW | RTLD_LOCAL);

    if (!library) {
        snprintf(why, size, "SDL 2 cannot be loaded (apt-get install libsdl2-2.0-0)");
        return false;
    }
    snprintf(why, size, "this SDL 2 is too old");
#define SDL_CALL(type, name, arguments)                                                           \
    *(void **)&sdl.name = dlsym(library, #name);                                                  \
    if (!sdl.name)                                                                                \
        return false;
#include "display/sdl_calls.def"
    return true;
}

/* --- The picture ---------------------------------------------------------------------------- */

static void set_title(struct window *w)
{
    char text[LINK_TEXT_MAX + sizeof(GRABBED)];

    snprintf(text, sizeof(text), "%s%s", *w->title ? w->title : NAME, w->grabbed ? GRABBED : "");
    sdl.SDL_SetWindowTitle(w->window, text);
}

/* As the picture's size and the user want it. */
static void fit_window(struct window *w)
{
    if (!(sdl.SDL_GetWindowFlags(w->window) &
          (SDL_WINDOW_FULLSCREEN_DESKTOP | SDL_WINDOW_MAXIMIZED)))
        sdl.SDL_SetWindowSize(w->window, (int)w->width * w->halves / 2,
                              (int)w->height * w->halves / 2);
    w->dirty = true;
}

static void zoom(struct window *w, int halves)
{
    if (halves >= HALVES_LEAST && halves <= HALVES_MOST)
        w->halves = halves;
    fit_window(w);
}

static bool resize(struct window *w)
{
    const struct picture *p = w->picture;
    bool changed = p->width != w->width || p->height != w->height;

    if (w->texture)
        sdl.SDL_DestroyTexture(w->texture);
    w->texture = sdl.SDL_CreateTexture(w->renderer, SDL_PIXELFORMAT_RGB888,
                                       SDL_TEXTUREACCESS_STREAMING, (int)p->width,
                                       (int)p->height);
    w->width = p->width;
    w->height = p->height;
    if (changed) {
        fit_window(w);
        sdl.SDL_RenderSetLogicalSize(w->renderer, (int)p->width, (int)p->height);
    }
    return w->texture;
}

static void change(struct window *w)
{
    const struct picture *p = w->picture;

    if ((p->resized || !w->texture) && !resize(w))
        return;
    for (unsigned i = 0; i < p->message.picture.count; i++) {
        const struct display_rect *r = &p->message.picture.rect[i];
        const SDL_Rect rect = { (int)r->x, (int)r->y, (int)r->width, (int)r->height };

        sdl.SDL_UpdateTexture(w->texture, &rect, p->pixels + (size_t)r->y * p->width + r->x,
                              (int)p->width * 4);
    }
    w->dirty = true;
}

static void present(struct window *w)
{
    if (!w->dirty || !w->texture)
        return;
    w->dirty = false;
    sdl.SDL_RenderClear(w->renderer);
    sdl.SDL_RenderCopy(w->renderer, w->texture, NULL, NULL);
    sdl.SDL_RenderPresent(w->renderer);
}

static void take_messages(struct window *w)
{
    enum picture_news news;

    atomic_store(&w->told, false);
    while ((news = picture_next(w->picture)) != PICTURE_NOTHING) {
        if (news == PICTURE_GONE) {
            w->ending = true;
            return;
        }
        if (news == PICTURE_TITLE) {
            snprintf(w->title, sizeof(w->title), "%s", w->picture->message.text);
            set_title(w);
            continue;
        }
        change(w);
        present(w);
        picture_shown(w->picture);
    }
}

/* --- Input ---------------------------------------------------------------------------------- */

static void grab(struct window *w, bool on)
{
    w->grabbed = on;
    sdl.SDL_SetRelativeMouseMode(on ? SDL_TRUE : SDL_FALSE);
    sdl.SDL_SetWindowGrab(w->window, on ? SDL_TRUE : SDL_FALSE);
    set_title(w);
}

static void key(struct window *w, unsigned number, bool down)
{
    if (!number || number >= KEYS_COUNT || (!down && !w->down[number]))
        return;
    w->down[number] = down;
    picture_key(w->picture, number, down);
}

/* The guest must not see keys held that were let go elsewhere. */
static void let_go(struct window *w)
{
    for (unsigned i = 0; i < KEYS_COUNT; i++)
        key(w, i, false);
}

static void paste(struct window *w)
{
    char *text = sdl.SDL_GetClipboardText();

    if (text)
        picture_text(w->picture, text);
    sdl.SDL_free(text);
}

/* Ctrl-Alt with a letter: for us. */
static bool command(struct window *w, SDL_Scancode code)
{
    switch (code) {
    case SDL_SCANCODE_G: grab(w, !w->grabbed); break;
    case SDL_SCANCODE_V:
        let_go(w);
        paste(w);
        return true;
    case SDL_SCANCODE_F:
        sdl.SDL_SetWindowFullscreen(w->window, sdl.SDL_GetWindowFlags(w->window) &
                                                       SDL_WINDOW_FULLSCREEN_DESKTOP
                                                   ? 0
                                                   : SDL_WINDOW_FULLSCREEN_DESKTOP);
        w->dirty = true;
        break;
    case SDL_SCANCODE_EQUALS: case SDL_SCANCODE_KP_PLUS: zoom(w, w->halves + 1); break;
    case SDL_SCANCODE_MINUS: case SDL_SCANCODE_KP_MINUS: zoom(w, w->halves - 1); break;
    case SDL_SCANCODE_U: zoom(w, 2); break;
    default: return false;
    }
    let_go(w);
    return true;
}

static void keyboard(struct window *w, const SDL_KeyboardEvent *e)
{
    bool ours = w->down[KEYS_CTRL] && w->down[KEYS_ALT];

    if (e->type == SDL_KEYDOWN && ours && !e->repeat && command(w, e->keysym.scancode))
        return;
    key(w, usb_keys_find(e->keysym.scancode), e->type == SDL_KEYDOWN);
}

static unsigned button_bit(unsigned button)
{
    switch (button) {
    case SDL_BUTTON_LEFT: return DISPLAY_LEFT;
    case SDL_BUTTON_RIGHT: return DISPLAY_RIGHT;
    case SDL_BUTTON_MIDDLE: return DISPLAY_MIDDLE;
    case SDL_BUTTON_X1: return DISPLAY_SIDE;
    case SDL_BUTTON_X2: return DISPLAY_EXTRA;
    default: return 0;
    }
}

static void button(struct window *w, const SDL_MouseButtonEvent *e)
{
    unsigned bit = button_bit(e->button);

    if (!w->grabbed && e->type == SDL_MOUSEBUTTONDOWN) {
        grab(w, true);
        return;
    }
    if (e->type == SDL_MOUSEBUTTONDOWN)
        w->buttons |= bit;
    else
        w->buttons &= ~bit;
    picture_pointer(w->picture, 0, 0, 0, w->buttons);
}

static void window_event(struct window *w, const SDL_WindowEvent *e)
{
    if (e->event == SDL_WINDOWEVENT_FOCUS_LOST)
        let_go(w);
    if (e->event == SDL_WINDOWEVENT_EXPOSED || e->event == SDL_WINDOWEVENT_SIZE_CHANGED)
        w->dirty = true;
}

static void take_event(struct window *w, const SDL_Event *e)
{
    switch (e->type) {
    case SDL_QUIT: link_say(w->picture->socket, LINK_QUIT, ""); break;
    case SDL_KEYDOWN:
    case SDL_KEYUP: keyboard(w, &e->key); break;
    case SDL_MOUSEMOTION:
        picture_pointer(w->picture, e->motion.xrel, e->motion.yrel, 0, w->buttons);
        break;
    case SDL_MOUSEBUTTONDOWN:
    case SDL_MOUSEBUTTONUP: button(w, &e->button); break;
    case SDL_MOUSEWHEEL: picture_pointer(w->picture, 0, 0, -e->wheel.y, w->buttons); break;
    case SDL_WINDOWEVENT: window_event(w, &e->window); break;
    case SDL_RENDER_TARGETS_RESET: w->dirty = true; break;
    default:
        if (e->type == w->link_event)
            take_messages(w);
        break;
    }
}

/* --- The loop ------------------------------------------------------------------------------- */

/* SDL waits for its own events only: a message becomes one of them. */
static void *watch(void *arg)
{
    struct window *w = arg;
    struct pollfd fds = { w->picture->socket, POLLIN, 0 };

    for (;;) {
        poll(&fds, 1, -1);
        if (!atomic_exchange(&w->told, true))
            sdl.SDL_PushEvent(&(SDL_Event){ .type = w->link_event });
        poll(NULL, 0, 2); /* until it has been read */
    }
    return NULL;
}

/* Where SDL finds no desktop it draws into memory that nobody sees: only for who asks for that. */
static bool is_unseen(void)
{
    return !getenv("SDL_VIDEODRIVER") && !strcmp(sdl.SDL_GetCurrentVideoDriver(), "offscreen");
}

/* What went wrong, or NULL. */
static const char *open_window(struct window *w, bool full_screen)
{
    Uint32 flags = SDL_WINDOW_RESIZABLE | (full_screen ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);

    sdl.SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
    sdl.SDL_SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
    sdl.SDL_SetHint(SDL_HINT_RENDER_SCALE_QUALITY, "linear");
    if (sdl.SDL_Init(SDL_INIT_VIDEO))
        return sdl.SDL_GetError();
    if (is_unseen())
        return "there is no desktop here (neither X11 nor Wayland)";
    w->window = sdl.SDL_CreateWindow(NAME, SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, 720,
                                     400, flags);
    if (w->window)
        w->renderer = sdl.SDL_CreateRenderer(w->window, -1, SDL_RENDERER_SOFTWARE);
    if (!w->renderer)
        return sdl.SDL_GetError();
    sdl.SDL_StopTextInput();
    w->link_event = sdl.SDL_RegisterEvents(1);
    return NULL;
}

int sdl_run(struct picture *picture, bool full_screen)
{
    struct window w = { .picture = picture, .halves = 2 };
    char why[LINK_TEXT_MAX];
    const char *wrong = NULL;
    pthread_t thread;
    SDL_Event event;

    if (!load(why, sizeof(why)) || ((wrong = open_window(&w, full_screen)) &&
                                    snprintf(why, sizeof(why), "no window: %.180s", wrong))) {
        link_say(picture->socket, LINK_FAILED, why);
        return 1;
    }
    link_say(picture->socket, LINK_READY, "");
    if (pthread_create(&thread, NULL, watch, &w))
        return 1;
    while (!w.ending) {
        if (sdl.SDL_WaitEventTimeout(&event, 1000))
            do
                take_event(&w, &event);
            while (!w.ending && sdl.SDL_PollEvent(&event));
        present(&w);
    }
    sdl.SDL_Quit();
    return 0;
}
