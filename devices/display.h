/*
 * The contract between a video chip, a host window, and the keyboard and mouse on the board.
 *
 *   vcpu's thread                                   window's thread (its own)
 *   chip: display_published()  ---- eventfd ---->   display_fd() is readable
 *                                                   display_paint(): the chip draws what changed
 *   display_take_event()       <--- eventfd -----   display_key(), display_pointer()
 *
 * Pictures are drawn on the window's thread, from guest video memory and from registers that the
 * chip has copied under its own lock (docs/decisions/0010). Each window has its own struct
 * display_picture; a screenshot makes one for itself.
 */
#ifndef DEVICES_DISPLAY_H
#define DEVICES_DISPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct display;

enum { DISPLAY_RECTS = 32 };

struct display_rect {
    unsigned x, y, width, height;
};

/* What a text mode shows, for windows that are terminals. */
struct display_text {
    unsigned columns, rows; /* 0: a graphics mode */
    uint16_t *cell;         /* [row * columns + column]: code in bits 7:0, attribute in 15:8 */
    int cursor_column, cursor_row; /* -1: none */
    uint32_t colour[16];    /* of attributes, XRGB8888 */
    bool blinks;            /* attribute bit 7, else it is a bright background */
};

struct display_picture {
    uint32_t *pixels; /* XRGB8888, row by row */
    unsigned width, height, stride; /* pixels */
    bool resized; /* by the last display_paint() */
    struct display_rect rect[DISPLAY_RECTS]; /* what it has changed */
    unsigned rects;
    unsigned again_ms; /* paint again after this time, for what blinks; 0: nothing does */
    struct display_text text;
    void *painter; /* the chip's */
};

/* --- The chip's side; on the vcpu's thread but where it says otherwise ----------------------- */

struct display_chip {
    /* On the window's thread: brings the picture up to what was published last. ms: host time, for
     * what blinks. */
    void (*paint)(void *chip, struct display_picture *picture, uint64_t ms);
    /* The same for a fresh picture with all there is now, blinking things shown. On the vcpu's. */
    void (*shoot)(void *chip, struct display_picture *picture);
    void (*forget)(void *chip, struct display_picture *picture);
    /* A window looks from now on, or none does: changes are published or not worth a thought. */
    void (*looked_at)(void *chip, bool yes);
    void *chip;
};

/* One chip at a time; NULL takes it away (no window's thread may be running). */
void display_attach(struct display *d, const struct display_chip *chip);

/* There is something new to paint. From any thread. */
void display_published(struct display *d);

/* For paint(): makes room for width x height pixels. False: no memory, and no picture then. */
bool display_size(struct display_picture *picture, unsigned width, unsigned height);
bool display_text_size(struct display_picture *picture, unsigned columns, unsigned rows);

/* For paint(): adds what has changed; joins what does not fit. */
void display_add_rect(struct display_picture *picture, unsigned x, unsigned y, unsigned width,
                      unsigned height);

/* --- The window's side; on its thread -------------------------------------------------------- */

/* Whether a window looks; before its thread starts, and after it has ended (vcpu's thread). */
void display_look(struct display *d, bool yes);

/* Readable when something was published since the last display_paint(). */
int display_fd(const struct display *d);

/* Returns whether anything changed: picture->rects, or its size. */
bool display_paint(struct display *d, struct display_picture *picture, uint64_t ms);

/* A whole picture of now; on the vcpu's thread. False: there is no chip, or no memory. */
bool display_shoot(struct display *d, struct display_picture *picture);

/* Frees what display_paint() and display_shoot() have put there. */
void display_forget(struct display *d, struct display_picture *picture);

/* --- Input; from any thread ------------------------------------------------------------------- */

enum { DISPLAY_LEFT = 1, DISPLAY_RIGHT = 2, DISPLAY_MIDDLE = 4, DISPLAY_SIDE = 8,
       DISPLAY_EXTRA = 16 };

struct display_event {
    enum { DISPLAY_KEY, DISPLAY_POINTER } kind;
    unsigned key;     /* KEY_ number of devices/keys.def */
    bool down;        /* again and again while the host repeats it */
    int dx, dy, dz;   /* right, down, wheel towards the user */
    unsigned buttons; /* all that are held now */
};

/* Events nobody takes are dropped, oldest last: a queue of some hundreds. */
void display_key(struct display *d, unsigned key, bool down);
void display_pointer(struct display *d, int dx, int dy, int dz, unsigned buttons);

/* Text to be typed; what does not fit (64 KiB wait at most) is dropped. */
void display_type(struct display *d, const char *text, size_t length);

/* The board's: readable when there is input; takes the oldest event, the next character (-1: none).
 * On the vcpu's thread. */
int display_input_fd(const struct display *d);
void display_quiet_input(struct display *d); /* not readable until more comes */
bool display_take_event(struct display *d, struct display_event *event);
int display_take_character(struct display *d);

/* Keyboard lights: bit 0 scroll, 1 num, 2 caps. */
void display_set_leds(struct display *d, uint8_t leds);
uint8_t display_leds(const struct display *d);

/* --- Life ------------------------------------------------------------------------------------- */

/* NULL with errno set. */
struct display *display_create(void);
void display_destroy(struct display *d);

#endif
