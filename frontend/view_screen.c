/* A terminal by ncurses: see view_screen.h. Signals that end us give the terminal back, too:
 * ncurses sees to that. */
#include "frontend/view_screen.h"

#define NCURSES_NOMACROS 1 /* functions, which can be found in a library */
#include <dlfcn.h>
#include <ncurses.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "frontend/error.h"

static struct {
#define CURSES_CALL(type, name, arguments) type (*name) arguments;
#include "frontend/curses_calls.def"
} curses;

struct view_screen {
    SCREEN *screen;
    WINDOW *window;
};

/* Where ncurses keeps its standard screen. NULL with *error. */
static WINDOW **load(struct error *error)
{
    void *library = dlopen("libncursesw.so.6", RTLD_NOW | RTLD_LOCAL);
    WINDOW **standard;
    bool whole = true;

    if (!library) {
        error_set(error, EX_UNAVAILABLE, "view: ncurses cannot be loaded (apt-get install "
                  "libncursesw6)");
        return NULL;
    }
#define CURSES_CALL(type, name, arguments)                                                         \
    *(void **)&curses.name = dlsym(library, #name);                                                \
    whole = whole && curses.name;
#include "frontend/curses_calls.def"
    standard = dlsym(library, "stdscr");
    if (!whole || !standard)
        error_set(error, EX_UNAVAILABLE, "view: this ncurses is too old");
    return whole ? standard : NULL;
}

struct view_screen *view_screen_open(struct error *error)
{
    struct view_screen *screen = calloc(1, sizeof(*screen));
    WINDOW **standard = screen ? load(error) : NULL;

    if (!standard) {
        free(screen);
        return NULL;
    }
    screen->screen = curses.newterm(NULL, stdout, stdin);
    if (!screen->screen) {
        error_set(error, EX_UNAVAILABLE, "view: ncurses does not know this terminal: TERM=%s",
                  getenv("TERM") ? getenv("TERM") : "");
        free(screen);
        return NULL;
    }
    screen->window = *standard;
    curses.cbreak();
    curses.noecho();
    curses.curs_set(0);
    curses.keypad(screen->window, true);
    return screen;
}

void view_screen_close(struct view_screen *screen)
{
    if (!screen)
        return;
    curses.endwin();
    curses.delscreen(screen->screen);
    free(screen);
}

void view_screen_size(const struct view_screen *screen, int *rows, int *columns)
{
    *rows = curses.getmaxy(screen->window);
    *columns = curses.getmaxx(screen->window);
}

int view_screen_key(struct view_screen *screen, int ms)
{
    int key;

    curses.wtimeout(screen->window, ms);
    key = curses.wgetch(screen->window);
    switch (key) {
    case ERR: return VIEW_KEY_NONE;
    case KEY_RESIZE: return VIEW_KEY_RESIZED;
    case KEY_UP: return VIEW_KEY_UP;
    case KEY_DOWN: return VIEW_KEY_DOWN;
    case KEY_PPAGE: return VIEW_KEY_PAGE_UP;
    case KEY_NPAGE: return VIEW_KEY_PAGE_DOWN;
    case KEY_BACKSPACE: case 8: case 127: return VIEW_KEY_ERASE;
    case KEY_ENTER: return '\n';
    default: return key;
    }
}

void view_screen_clear(struct view_screen *screen)
{
    curses.werase(screen->window);
}

void view_screen_put(struct view_screen *screen, int row, int column, int width, const char *text,
                     size_t size, enum view_look look)
{
    static const int attributes[] = { A_NORMAL, A_BOLD, A_REVERSE };
    int rows, columns;

    view_screen_size(screen, &rows, &columns);
    width = width < columns - column ? width : columns - column;
    if (row < 0 || row >= rows || width <= 0)
        return;
    curses.wattrset(screen->window, attributes[look]);
    curses.wmove(screen->window, row, column);
    curses.waddnstr(screen->window, text, size < (size_t)width ? (int)size : width);
    if (look == VIEW_REVERSE)
        for (int i = (int)size; i < width; i++)
            curses.waddnstr(screen->window, " ", 1);
    curses.wattrset(screen->window, A_NORMAL);
}

void view_screen_show(struct view_screen *screen)
{
    curses.wrefresh(screen->window);
}
