/*
 * A window in a process of its own, as the monitor sees it: a thread that paints and talks to it.
 */
#ifndef DISPLAY_WINDOW_H
#define DISPLAY_WINDOW_H

#include <stdbool.h>
#include <stddef.h>

struct display;
struct window;

struct window_config {
    struct display *display;
    const char *kind;      /* "sdl" or "vnc" */
    bool full_screen;
    int listener;          /* vnc: a listening socket, which stays the caller's; else -1 */
    /* On the window's thread, about once a second: what the title says. May be NULL. */
    void (*title)(void *arg, char *text, size_t size);
    /* On the window's thread: the user has closed it, or its process has ended. */
    void (*closed)(void *arg, bool by_user);
    void *arg;
};

/* Starts the process and waits until its window is there. NULL with a sentence in why. The display
 * stays the caller's and must outlive the window. */
struct window *window_open(const struct window_config *config, char *why, size_t size);

/* Ends both; from the vcpu's thread. NULL does nothing. */
void window_close(struct window *window);

/* The window's process: main() comes here when the command line says so (argv from its kind on).
 * Returns its exit status. */
int window_process(int argc, char **argv);

#endif
