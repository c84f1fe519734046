/*
 * What the monitor and a window's process say to each other, over a socket that keeps messages
 * apart. The picture is in a memfd that comes along with a LINK_PICTURE of a new size. The monitor
 * takes no number from the window on trust, and the other way round.
 *
 *   monitor                         window
 *              <-- LINK_READY ----  it is there (or LINK_FAILED with a sentence, and the end)
 *   LINK_PICTURE ------------->     these rectangles have changed
 *              <-- LINK_SHOWN ----  the next one may come
 *   LINK_TITLE --------------->
 *              <-- LINK_KEY, LINK_POINTER, LINK_TEXT, LINK_QUIT
 */
#ifndef DISPLAY_LINK_H
#define DISPLAY_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "devices/display.h"

enum link_kind {
    LINK_READY = 1, LINK_FAILED, LINK_PICTURE, LINK_SHOWN, LINK_TITLE, LINK_KEY, LINK_POINTER,
    LINK_TEXT, LINK_QUIT,
};

enum { LINK_TEXT_MAX = 240, LINK_SIZE_MAX = 8192 /* pixels, each way */ };

struct link_message {
    uint32_t kind;
    union {
        char text[LINK_TEXT_MAX]; /* FAILED, TITLE: ends with NUL; TEXT: count bytes */
        struct {
            uint32_t width, height, count, leds;
            struct display_rect rect[DISPLAY_RECTS];
        } picture;
        struct {
            uint32_t key, down;
        } key;
        struct {
            int32_t dx, dy, dz;
            uint32_t buttons;
        } pointer;
    };
    uint32_t count; /* TEXT */
};

/* fd: goes along, or -1. False: the other side is gone. */
bool link_send(int socket, const struct link_message *message, int fd);

/* 1: a message, with *fd the caller's (-1: none); 0: none now (with wait: never); -1: the other
 * side is gone or talks nonsense. */
int link_receive(int socket, struct link_message *message, int *fd, bool wait);

/* A sentence, cut to fit. */
bool link_say(int socket, enum link_kind kind, const char *text);

#endif
