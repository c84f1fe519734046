/*
 * Text modes on the terminal: cells by ANSI sequences, keys from what the terminal sends. Graphics
 * modes are told in a line. A thread of the monitor; reads, writes and polls, nothing else.
 */
#ifndef DISPLAY_TERMINAL_TEXT_H
#define DISPLAY_TERMINAL_TEXT_H

#include <stdbool.h>

struct display;
struct terminal_text;

struct terminal_text_config {
    struct display *display;
    int in, out;           /* of a terminal in raw mode; the caller's */
    unsigned columns, rows; /* its size; 0: 80 by 25 */
    /* On its own thread: the user wants to quit (Ctrl-A x), or the terminal is gone. */
    void (*closed)(void *arg, bool by_user);
    void *arg;
};

/* NULL: no thread or no memory. */
struct terminal_text *terminal_text_open(const struct terminal_text_config *config);

/* Leaves the terminal's own screen behind. NULL does nothing. */
void terminal_text_close(struct terminal_text *terminal);

#endif
