/* A terminal to draw on, by ncurses, which is loaded for it and by nobody else. */
#ifndef FRONTEND_VIEW_SCREEN_H
#define FRONTEND_VIEW_SCREEN_H

#include <stddef.h>

struct error;
struct view_screen;

/* Keys that are no characters. */
enum { VIEW_KEY_NONE = -1, VIEW_KEY_RESIZED = 0x1000, VIEW_KEY_UP, VIEW_KEY_DOWN, VIEW_KEY_PAGE_UP,
       VIEW_KEY_PAGE_DOWN, VIEW_KEY_ERASE };

enum view_look { VIEW_PLAIN, VIEW_BOLD, VIEW_REVERSE };

/* Takes the terminal. NULL with *error. */
struct view_screen *view_screen_open(struct error *error);

/* Gives it back as it was. */
void view_screen_close(struct view_screen *screen);

/* How large it is now. */
void view_screen_size(const struct view_screen *screen, int *rows, int *columns);

/* The next key, waited for ms milliseconds at most: a character or VIEW_KEY_. */
int view_screen_key(struct view_screen *screen, int ms);

/* Drawing: all is blank after clear; what does not fit into width columns is cut off. */
void view_screen_clear(struct view_screen *screen);
void view_screen_put(struct view_screen *screen, int row, int column, int width, const char *text,
                     size_t size, enum view_look look);
void view_screen_show(struct view_screen *screen);

#endif
