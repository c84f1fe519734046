/*
 * Text modes on the terminal.
 *
 * Reference: ECMA-48 for what is written (in UTF-8, with the sixteen colours that all terminals
 *            have); xterm's control sequences for the keys.
 */
#include "display/terminal_text.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "devices/display.h"
#include "devices/keys.h"

#define GAP_MS    30
#define ESCAPE_MS 40 /* after this a lone ESC is the key */
#define CTRL_A    1

enum { OUT_MAX = 64 << 10, CELL_UNKNOWN = 0x10000 };

struct terminal_text {
    struct terminal_text_config config;
    struct display_picture picture;
    pthread_t thread;
    bool started;
    int wake;
    atomic_bool ending;

    uint32_t *shown; /* config.columns x rows */
    int attribute;   /* set now; -1: unknown */
    int cursor_column, cursor_row;
    unsigned width, height; /* told of a graphics mode; 0: text is shown */
    char *out;
    size_t used;
    char keys[32]; /* a sequence that is not complete */
    unsigned key_count;
    bool command; /* Ctrl-A came */
};

/* --- Characters ----------------------------------------------------------------------------- */

/* Code page 437, 0x00 to 0x1f and 0x7f to 0xff. */
static const uint16_t low[32] = {
    0x0020, 0x263a, 0x263b, 0x2665, 0x2666, 0x2663, 0x2660, 0x2022, 0x25d8, 0x25cb, 0x25d9,
    0x2642, 0x2640, 0x266a, 0x266b, 0x263c, 0x25ba, 0x25c4, 0x2195, 0x203c, 0x00b6, 0x00a7,
    0x25ac, 0x21a8, 0x2191, 0x2193, 0x2192, 0x2190, 0x221f, 0x2194, 0x25b2, 0x25bc,
};

static const uint16_t high[129] = {
    0x2302, 0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb,
    0x00e8, 0x00ef, 0x00ee, 0x00ec, 0x00c4, 0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6,
    0x00f2, 0x00fb, 0x00f9, 0x00ff, 0x00d6, 0x00dc, 0x00a2, 0x00a3, 0x00a5, 0x20a7, 0x0192,
    0x00e1, 0x00ed, 0x00f3, 0x00fa, 0x00f1, 0x00d1, 0x00aa, 0x00ba, 0x00bf, 0x2310, 0x00ac,
    0x00bd, 0x00bc, 0x00a1, 0x00ab, 0x00bb, 0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561,
    0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255d, 0x255c, 0x255b, 0x2510, 0x2514,
    0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f, 0x255a, 0x2554, 0x2569, 0x2566,
    0x2560, 0x2550, 0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553,
    0x256b, 0x256a, 0x2518, 0x250c, 0x2588, 0x2584, 0x258c, 0x2590, 0x2580, 0x03b1, 0x00df,
    0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4, 0x03a6, 0x0398, 0x03a9, 0x03b4, 0x221e,
    0x03c6, 0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00f7, 0x2248,
    0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0, 0x00a0,
};

static unsigned unicode(uint8_t code)
{
    return code < 0x20 ? low[code] : code < 0x7f ? code : high[code - 0x7f];
}

/* --- Writing -------------------------------------------------------------------------------- */

static void flush(struct terminal_text *t)
{
    size_t done = 0;

    while (done < t->used) {
        ssize_t n = write(t->config.out, t->out + done, t->used - done);

        if (n > 0) {
            done += (size_t)n;
            continue;
        }
        poll(&(struct pollfd){ t->config.out, POLLOUT, 0 }, 1, 100);
        if (atomic_load(&t->ending))
            break;
    }
    t->used = 0;
}

__attribute__((format(printf, 2, 3))) static void print(struct terminal_text *t, const char *format,
                                                        ...)
{
    va_list list;
    int n;

    if (t->used > OUT_MAX - 128)
        flush(t);
    va_start(list, format);
    n = vsnprintf(t->out + t->used, OUT_MAX - t->used, format, list);
    va_end(list);
    if (n > 0)
        t->used += (size_t)n;
}

static void put_character(struct terminal_text *t, unsigned c)
{
    if (c < 0x80)
        print(t, "%c", (char)c);
    else if (c < 0x800)
        print(t, "%c%c", (char)(0xc0 | c >> 6), (char)(0x80 | (c & 63)));
    else
        print(t, "%c%c%c", (char)(0xe0 | c >> 12), (char)(0x80 | (c >> 6 & 63)),
              (char)(0x80 | (c & 63)));
}

/* VGA's bit 0 is blue, ANSI's is red. */
static unsigned ansi(unsigned colour)
{
    return (colour & 2) | (colour & 1) << 2 | (colour >> 2 & 1);
}

static void set_attribute(struct terminal_text *t, unsigned attribute)
{
    unsigned fore = attribute & 15, back = attribute >> 4 & 15;
    bool blinks = t->picture.text.blinks && back & 8;

    if (t->attribute == (int)attribute)
        return;
    t->attribute = (int)attribute;
    if (blinks)
        back &= 7;
    print(t, "\033[0%s;%u;%um", blinks ? ";5" : "", ansi(fore) + (fore & 8 ? 90 : 30),
          ansi(back) + (back & 8 ? 100 : 40));
}

static void clear(struct terminal_text *t)
{
    print(t, "\033[0m\033[2J");
    t->attribute = -1;
    for (unsigned i = 0; i < t->config.columns * t->config.rows; i++)
        t->shown[i] = CELL_UNKNOWN;
}

static void draw_row(struct terminal_text *t, unsigned row)
{
    const struct display_text *text = &t->picture.text;
    unsigned columns = t->config.columns < text->columns ? t->config.columns : text->columns;
    bool there = false; /* the terminal's cursor is */

    for (unsigned column = 0; column < columns; column++) {
        uint16_t cell = text->cell[row * text->columns + column];
        uint32_t *shown = &t->shown[row * t->config.columns + column];

        if (*shown == cell) {
            there = false;
            continue;
        }
        if (!there)
            print(t, "\033[%u;%uH", row + 1, column + 1);
        there = true;
        *shown = cell;
        set_attribute(t, cell >> 8);
        put_character(t, unicode(cell & 0xff));
    }
}

static void draw_graphics(struct terminal_text *t)
{
    if (t->width == t->picture.width && t->height == t->picture.height)
        return;
    t->width = t->picture.width;
    t->height = t->picture.height;
    clear(t);
    print(t, "\033[1;1H%u x %u graphics (Ctrl-A x quits)\033[?25l", t->width, t->height);
}

static void draw(struct terminal_text *t)
{
    const struct display_text *text = &t->picture.text;

    if (!text->columns) {
        draw_graphics(t);
        flush(t);
        return;
    }
    if (t->width || t->picture.resized)
        clear(t);
    t->width = t->height = 0;
    for (unsigned row = 0; row < text->rows && row < t->config.rows; row++)
        draw_row(t, row);
    if (text->cursor_row >= 0)
        print(t, "\033[%d;%dH\033[?25h", text->cursor_row + 1, text->cursor_column + 1);
    else
        print(t, "\033[?25l");
    flush(t);
}

/* --- Keys ----------------------------------------------------------------------------------- */

static const struct {
    const char *sequence; /* after ESC */
    uint8_t key;
} sequences[] = {
    { "[A", 103 },   { "[B", 108 },   { "[C", 106 },   { "[D", 105 },   { "OA", 103 },
    { "OB", 108 },   { "OC", 106 },   { "OD", 105 },   { "[H", 102 },   { "[F", 107 },
    { "OH", 102 },   { "OF", 107 },   { "[1~", 102 },  { "[2~", 110 },  { "[3~", 111 },
    { "[4~", 107 },  { "[5~", 104 },  { "[6~", 109 },  { "[7~", 102 },  { "[8~", 107 },
    { "OP", 59 },    { "OQ", 60 },    { "OR", 61 },    { "OS", 62 },    { "[11~", 59 },
    { "[12~", 60 },  { "[13~", 61 },  { "[14~", 62 },  { "[15~", 63 },  { "[17~", 64 },
    { "[18~", 65 },  { "[19~", 66 },  { "[20~", 67 },  { "[21~", 68 },  { "[23~", 87 },
    { "[24~", 88 },
};

static void tap(struct terminal_text *t, unsigned modifier, unsigned key)
{
    struct display *d = t->config.display;

    if (modifier)
        display_key(d, modifier, true);
    display_key(d, key, true);
    display_key(d, key, false);
    if (modifier)
        display_key(d, modifier, false);
}

static void type(struct terminal_text *t, uint8_t c)
{
    bool shift;
    unsigned key;

    if (c == 0x7f || c == 8) {
        tap(t, 0, 14);
    } else if (c == 27) {
        tap(t, 0, 1);
    } else if (c < 0x20 && c != '\t' && c != '\r' && c != '\n') {
        tap(t, KEYS_CTRL, keys_for_character(c ? c + 0x60u : ' ', &shift));
    } else {
        key = keys_for_character(c, &shift);
        if (key)
            tap(t, shift ? KEYS_SHIFT : 0, key);
    }
}

/* A sequence that may go on: 0; one that is none: -1; else its key. */
static int find_sequence(const struct terminal_text *t)
{
    const char *at = t->keys + 1;
    size_t length = t->key_count - 1;

    for (size_t i = 0; i < sizeof(sequences) / sizeof(*sequences); i++)
        if (strlen(sequences[i].sequence) == length && !memcmp(sequences[i].sequence, at, length))
            return sequences[i].key;
    for (size_t i = 0; i < sizeof(sequences) / sizeof(*sequences); i++)
        if (!strncmp(sequences[i].sequence, at, length))
            return 0;
    return -1;
}

/* What has come is no sequence: ESC as Alt (or alone), and the rest as it is. */
static void give_up(struct terminal_text *t)
{
    bool shift;

    if (t->key_count == 2 && t->keys[1] >= ' ' && t->keys[1] < 0x7f) {
        tap(t, KEYS_ALT, keys_for_character((uint8_t)t->keys[1], &shift));
    } else {
        for (unsigned i = 0; i < t->key_count; i++)
            type(t, (uint8_t)t->keys[i]);
    }
    t->key_count = 0;
}

/* False: the user quits. */
static bool take_byte(struct terminal_text *t, uint8_t c)
{
    int key;

    if (t->command) {
        t->command = false;
        if (c == 'x' || c == 'X')
            return false;
        if (c == 'a' || c == CTRL_A)
            type(t, CTRL_A);
        return true;
    }
    if (!t->key_count && c != 27) {
        t->command = c == CTRL_A;
        if (!t->command)
            type(t, c);
        return true;
    }
    t->keys[t->key_count++] = (char)c;
    key = t->key_count > 1 ? find_sequence(t) : 0;
    if (key > 0) {
        t->key_count = 0;
        tap(t, 0, (unsigned)key);
    } else if (key < 0 || t->key_count == sizeof(t->keys)) {
        give_up(t);
    }
    return true;
}

/* 1: go on; 0: the user quits; -1: the terminal is gone. */
static int take_input(struct terminal_text *t)
{
    uint8_t bytes[256];
    ssize_t n = read(t->config.in, bytes, sizeof(bytes));

    if (!n)
        return -1;
    for (ssize_t i = 0; i < n; i++)
        if (!take_byte(t, bytes[i]))
            return 0;
    return 1;
}

/* --- The thread ----------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void *run(void *arg)
{
    struct terminal_text *t = arg;
    int state = 1;

    while (!atomic_load(&t->ending) && state > 0) {
        struct pollfd fds[] = { { t->config.in, POLLIN, 0 }, { t->wake, POLLIN, 0 },
                                { display_fd(t->config.display), POLLIN, 0 } };
        int ready = poll(fds, 3, t->key_count ? ESCAPE_MS : -1);

        if (!ready && t->key_count)
            give_up(t);
        if (fds[0].revents)
            state = take_input(t);
        if (!fds[2].revents)
            continue;
        display_paint(t->config.display, &t->picture, now_ms());
        draw(t);
        poll(&fds[1], 1, GAP_MS);
    }
    if (state <= 0 && t->config.closed)
        t->config.closed(t->config.arg, !state);
    return NULL;
}

static bool start(struct terminal_text *t)
{
    print(t, "\033[?1049h");
    clear(t);
    flush(t);
    t->started = !thread_start(&t->thread, run, t);
    return t->started;
}

struct terminal_text *terminal_text_open(const struct terminal_text_config *config)
{
    struct terminal_text *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->config = *config;
    if (!config->columns || !config->rows) {
        t->config.columns = 80;
        t->config.rows = 25;
    }
    t->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    t->shown = calloc((size_t)t->config.columns * t->config.rows, sizeof(*t->shown));
    t->out = malloc(OUT_MAX);
    display_look(config->display, true);
    if (t->wake >= 0 && t->shown && t->out && start(t))
        return t;
    terminal_text_close(t);
    return NULL;
}

void terminal_text_close(struct terminal_text *t)
{
    const uint64_t one = 1;

    if (!t)
        return;
    atomic_store(&t->ending, true);
    if (t->started && write(t->wake, &one, sizeof(one)) == sizeof(one))
        pthread_join(t->thread, NULL);
    display_look(t->config.display, false);
    display_forget(t->config.display, &t->picture);
    if (t->started) {
        atomic_store(&t->ending, false); /* flush() may wait */
        print(t, "\033[0m\033[?25h\033[?1049l");
        flush(t);
    }
    if (t->wake >= 0)
        close(t->wake);
    free(t->shown);
    free(t->out);
    free(t);
}
