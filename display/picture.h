/* The monitor's picture as a window's process sees it, and what it says back. */
#ifndef DISPLAY_PICTURE_H
#define DISPLAY_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "display/link.h"

struct picture {
    int socket;
    const uint32_t *pixels; /* XRGB8888, width pixels in a line; NULL: none yet */
    unsigned width, height;
    size_t mapped;
    bool resized;           /* by the last PICTURE_CHANGED */
    uint8_t leds;
    struct link_message message; /* the last one */
};

enum picture_news { PICTURE_GONE = -1, PICTURE_NOTHING, PICTURE_CHANGED, PICTURE_TITLE };

/* The next message without waiting. CHANGED: the rectangles are in message.picture, inside of the
 * picture; picture_shown() is due when they are on the screen. */
enum picture_news picture_next(struct picture *picture);
void picture_shown(struct picture *picture);

/* What the window's user did, to the monitor: a key of devices/keys.h, movement and buttons
 * (DISPLAY_), text to be typed. */
void picture_key(struct picture *picture, unsigned key, bool down);
void picture_pointer(struct picture *picture, int dx, int dy, int dz, unsigned buttons);
void picture_text(struct picture *picture, const char *text);

/* The kinds of windows: run until the monitor ends (0) or nothing can be shown (1, told by
 * LINK_FAILED). */
int sdl_run(struct picture *picture, bool full_screen);
int vnc_run(struct picture *picture, int listener);

#endif
