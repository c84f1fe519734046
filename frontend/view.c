/*
 * novt view: registers, how an address is translated, the code around eip and counters of a guest,
 * asked for over its control socket (docs/control.md) twice a second, and single steps. The panels
 * are made in view_text.c, the terminal is view_screen.c's.
 */
#include "frontend/view.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "frontend/control_client.h"
#include "frontend/error.h"
#include "frontend/view_screen.h"
#include "frontend/view_text.h"

enum { REFRESH_MS = 500, ROWS_MIN = 8, COLUMNS_MIN = 40, TYPED_MAX = 64, PANEL_CODE = 3 };

static const char keys[] = "s step  t host step  c continue  p pause  a address  e eip  r cr2  "
                           "arrows scroll  q quit";

struct view {
    struct control_client *client;
    struct view_screen *screen;
    json_t *status, *registers, *walk, *units, *stats, *before; /* NULL: not there */
    json_t *step;           /* the last step by the translation; NULL: units are shown */
    size_t cursor;          /* in it */
    uint64_t asked_ns, before_ns;
    char address[TYPED_MAX]; /* "": eip */
    char typed[TYPED_MAX];   /* while typing */
    bool typing, lost, quit;
    int scroll;
    char message[512];
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* --- Asking --------------------------------------------------------------------------------- */

/* What the command returned, to be dropped; NULL with a message, or because the guest has gone.
 * arguments may be NULL. */
static json_t *ask(struct view *v, const char *name, json_t *arguments)
{
    json_t *request = json_pack("{s:s}", "execute", name), *answer, *result;

    if (arguments)
        json_object_set_new(request, "arguments", arguments);
    answer = v->lost ? NULL : control_client_ask(v->client, request);
    json_decref(request);
    v->lost |= !answer;
    result = json_incref(json_object_get(answer, "return"));
    if (answer && !result)
        snprintf(v->message, sizeof(v->message), "%s",
                 json_string_value(json_object_get(json_object_get(answer, "error"), "desc")));
    json_decref(answer);
    return result;
}

static void replace(json_t **old, json_t *new)
{
    json_decref(*old);
    *old = new;
}

static json_t *address_argument(const struct view *v)
{
    return *v->address ? json_pack("{s:s}", "address", v->address) : NULL;
}

static void refresh(struct view *v)
{
    replace(&v->status, ask(v, "status", NULL));
    replace(&v->registers, ask(v, "info", json_pack("{s:s}", "what", "registers")));
    replace(&v->walk, ask(v, "walk", address_argument(v)));
    replace(&v->units, ask(v, "units", NULL));
    replace(&v->before, v->stats);
    v->before_ns = v->asked_ns;
    v->stats = ask(v, "stats", NULL);
    v->asked_ns = now_ns();
}

/* --- Drawing -------------------------------------------------------------------------------- */

static const char *state(const struct view *v)
{
    const char *text = json_string_value(json_object_get(v->status, "state"));

    return text ? text : "?";
}

static void print_title(const struct view *v, FILE *out)
{
    const char *engine = json_string_value(json_object_get(v->status, "engine"));
    const char *name = json_string_value(json_object_get(v->units, "name"));
    const char *eip = json_string_value(json_object_get(v->registers, "eip"));

    fprintf(out, "novt view: %s%s at %s %s   CPL %lld   engine %s   %.1f s\n", state(v),
            json_is_true(json_object_get(v->registers, "halted")) ? " in HLT" : "",
            eip ? eip + 2 : "?", name ? name : "",
            (long long)json_integer_value(json_object_get(v->registers, "cpl")),
            engine ? engine : "?", json_real_value(json_object_get(v->status, "uptime_s")));
}

static void print_counters(const struct view *v, FILE *out)
{
    if (v->stats)
        view_text_counters(out, v->stats, v->before,
                           (double)(v->asked_ns - v->before_ns) / NS_PER_SEC);
}

static void print_code(const struct view *v, FILE *out)
{
    if (v->step)
        view_text_steps(out, v->step, v->cursor);
    else if (v->units)
        view_text_units(out, v->units);
}

/* Panel n: 0 registers, 1 address, 2 counters, PANEL_CODE. */
static void print_panel(const struct view *v, int n, bool brief, FILE *out)
{
    switch (n) {
    case 0: view_text_registers(out, v->registers, brief); break;
    case 1: view_text_address(out, v->walk); break;
    case 2: print_counters(v, out); break;
    default: print_code(v, out); break;
    }
}

static char *panel_text(const struct view *v, int n, bool brief)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, &(size_t){ 0 });

    if (out)
        print_panel(v, n, brief, out);
    if (!out || fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}

static const char *next_line(const char *line)
{
    const char *end = strchr(line, '\n');

    return end ? end + 1 : line + strlen(line);
}

/* The line to begin with, so that the marked one is seen. */
static const char *first_line(const char *text, int rows, int scroll)
{
    int marked = 0, line = 0, start;

    for (const char *at = text; *at; at = next_line(at), line++)
        if (*at == '>' && !marked)
            marked = line;
    start = (marked >= rows ? marked - rows / 2 : 0) + scroll;
    for (start = start < line ? start : line - 1; start > 0; start--)
        text = next_line(text);
    return text;
}

/* Draws at most rows lines of the panel; returns the row behind it. */
static int draw_panel(const struct view *v, int n, int row, int rows, bool brief)
{
    char *text = panel_text(v, n, brief);
    const char *line = text ? text : "";
    int end = row + rows, height, width;

    view_screen_size(v->screen, &height, &width);
    if (n == PANEL_CODE)
        line = first_line(line, rows, v->scroll);
    for (; *line && row < end; line = next_line(line), row++) {
        bool heading = *line == '=';

        view_screen_put(v->screen, row, 0, width, line + heading, strcspn(line, "\n") - heading,
                        heading || *line == '>' ? VIEW_BOLD : VIEW_PLAIN);
    }
    free(text);
    return row;
}

static void draw_line(const struct view *v, int row, const char *text)
{
    view_screen_put(v->screen, row, 0, 1 << 16, text, strcspn(text, "\n"), VIEW_REVERSE);
}

static void draw_bottom(const struct view *v, int row)
{
    char text[TYPED_MAX + 64];

    snprintf(text, sizeof(text), "address or name: %s_", v->typed);
    draw_line(v, row, v->typing ? text : *v->message ? v->message : keys);
}

static void draw_title(const struct view *v)
{
    char text[512] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");

    if (out) {
        print_title(v, out);
        fclose(out);
    }
    draw_line(v, 0, text);
}

/* What there is room for, the code last: it has the rest. */
static void draw(const struct view *v)
{
    int rows, columns, row = 1;

    view_screen_size(v->screen, &rows, &columns);
    view_screen_clear(v->screen);
    if (rows < ROWS_MIN || columns < COLUMNS_MIN) {
        draw_line(v, 0, "too small: 40 x 8");
        view_screen_show(v->screen);
        return;
    }
    draw_title(v);
    row = draw_panel(v, 0, row, rows < 12 ? 2 : rows, rows < 34);
    row = draw_panel(v, 1, row, rows < 16 ? 0 : rows < 28 ? 8 : 12, false);
    row = draw_panel(v, 2, row, rows < 20 ? 0 : rows < 34 ? 2 : 7, false);
    draw_panel(v, PANEL_CODE, row, rows - 1 - row, false);
    draw_bottom(v, rows - 1);
    view_screen_show(v->screen);
}

/* --- Keys ----------------------------------------------------------------------------------- */

static void forget_step(struct view *v)
{
    replace(&v->step, NULL);
    v->cursor = 0;
    v->scroll = 0;
}

static void step(struct view *v)
{
    const char *now;
    json_t *result;

    forget_step(v);
    result = ask(v, "step", NULL);
    now = json_string_value(json_object_get(result, "state"));
    if (now && !strcmp(now, "waking"))
        snprintf(v->message, sizeof(v->message), "it sleeps in HLT: it goes on until it wakes");
    json_decref(result);
}

/* The next host instruction of the guest instruction that was executed last, or the next guest
 * instruction, whose first one it is then. */
static void step_host(struct view *v)
{
    v->scroll = 0;
    if (v->cursor < json_array_size(json_object_get(v->step, "host"))) {
        v->cursor++;
        return;
    }
    forget_step(v);
    v->step = ask(v, "step", json_pack("{s:b}", "translated", 1));
    if (v->step && !json_array_size(json_object_get(v->step, "host"))) {
        forget_step(v);
        snprintf(v->message, sizeof(v->message), "there is no translation of it: it was "
                 "interpreted, or the guest sleeps in HLT");
    }
}

static void take_address(struct view *v)
{
    json_t *walk;

    v->typing = false;
    walk = ask(v, "walk", json_pack("{s:s}", "address", v->typed));
    if (walk)
        strcpy(v->address, v->typed);
    json_decref(walk);
}

static void show_cr2(struct view *v)
{
    const char *cr2 = json_string_value(json_object_get(v->registers, "cr2"));

    snprintf(v->address, sizeof(v->address), "%s", cr2 ? cr2 : "");
}

static void type(struct view *v, int key)
{
    size_t used = strlen(v->typed);

    if (key == '\n' || key == '\r')
        take_address(v);
    else if (key == 27)
        v->typing = false;
    else if (key == VIEW_KEY_ERASE && used)
        v->typed[used - 1] = 0;
    else if (key > ' ' && key < 127 && used + 1 < sizeof(v->typed)) {
        v->typed[used] = (char)key;
        v->typed[used + 1] = 0;
    }
}

static void scroll(struct view *v, int lines)
{
    v->scroll += lines;
}

static void press(struct view *v, int key)
{
    *v->message = 0;
    switch (key) {
    case 'q': v->quit = true; break;
    case 's': step(v); break;
    case 't': step_host(v); break;
    case 'c': forget_step(v); json_decref(ask(v, "continue", NULL)); break;
    case 'p': json_decref(ask(v, "pause", NULL)); break;
    case 'a': v->typing = true; *v->typed = 0; break;
    case 'e': *v->address = 0; break;
    case 'r': show_cr2(v); break;
    case VIEW_KEY_UP: scroll(v, -1); break;
    case VIEW_KEY_DOWN: scroll(v, 1); break;
    case VIEW_KEY_PAGE_UP: scroll(v, -10); break;
    case VIEW_KEY_PAGE_DOWN: scroll(v, 10); break;
    default: break;
    }
}

static void watch(struct view *v)
{
    while (!v->quit && !v->lost) {
        int key;

        refresh(v);
        draw(v);
        key = view_screen_key(v->screen, REFRESH_MS);
        if (v->typing && key != VIEW_KEY_NONE)
            type(v, key);
        else if (key != VIEW_KEY_NONE)
            press(v, key);
    }
}

/* --- The tool ------------------------------------------------------------------------------- */

static void usage(FILE *out)
{
    fprintf(out, "novt view -s SOCKET [-once]\n\n"
                 "Shows the guest of novt run -monitor unix:SOCKET in this terminal: registers,\n"
                 "how an address is translated by its page tables and by the shadow, the\n"
                 "translated code around eip, counters. -once: as plain text, and no more.\n\n"
                 "Keys: %s\n",
            keys);
}

static void print_once(struct view *v)
{
    static const int order[] = { 0, 1, PANEL_CODE, 2 };

    refresh(v);
    if (v->lost)
        return;
    print_title(v, stdout);
    for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
        print_panel(v, order[i], false, stdout);
}

static int show(struct view *v, bool once, struct error *error)
{
    if (once) {
        print_once(v);
        return v->lost ? error_set(error, EX_PROTOCOL, "view: it has not answered; is that novt's "
                                   "monitor, and does the guest still run?") : 0;
    }
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return error_set(error, EX_USAGE, "view: this is no terminal; -once prints what there is");
    v->screen = view_screen_open(error);
    if (!v->screen)
        return -1;
    watch(v);
    view_screen_close(v->screen);
    if (v->lost)
        fprintf(stderr, "novt: view: the guest has ended\n");
    return 0;
}

static void drop(struct view *v)
{
    json_t **all[] = { &v->status, &v->registers, &v->walk, &v->units, &v->stats, &v->before,
                       &v->step };

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        replace(all[i], NULL);
    control_client_close(v->client);
}

int view_tool(int argc, char **argv)
{
    struct error error = { 0 };
    struct view view = { 0 };
    const char *path = NULL;
    bool once = false;

    for (int i = 0; i < argc; i++) {
        const char *name = argv[i] + (argv[i][0] == '-' && argv[i][1] == '-');

        if (!strcmp(name, "-s") && i + 1 < argc) {
            path = argv[++i];
        } else if (!strcmp(name, "-once")) {
            once = true;
        } else if (!strcmp(name, "-h") || !strcmp(name, "-help")) {
            usage(stdout);
            return 0;
        } else {
            error_set(&error, EX_USAGE, "view: %s: unknown, or its value is missing; write "
                      "novt view -s SOCKET", argv[i]);
        }
    }
    if (!path)
        error_set(&error, EX_USAGE, "view: which guest? write novt view -s SOCKET, with the SOCKET "
                  "of novt run -monitor unix:SOCKET");
    if (!error.status)
        view.client = control_client_open(path, "view", &error);
    if (view.client)
        show(&view, once, &error);
    drop(&view);
    if (error.status)
        error_print(stderr, &error);
    return error.status;
}
