/*
 * Lines from clients of a listening socket, or from standard input, and answers to them. A CR at a
 * line's end is none of it.
 *
 * All of it happens on the vcpu's thread, through the poller, and never waits:
 * L1. A client that does not take its answer is not read from: it has at most one line and one
 *     answer with us.
 * L2. All clients together take no more than a fifth of the guest's time: after that they are left
 *     alone for a while.
 * L3. A line longer than CONTROL_LINE_MAX is dropped, and answered as an empty one.
 */
#ifndef FRONTEND_CONTROL_LINES_H
#define FRONTEND_CONTROL_LINES_H

#include <stdbool.h>
#include <stddef.h>

struct clock;
struct control_lines;
struct control_spec;
struct error;
struct poller;

enum { CONTROL_LINE_MAX = 65536, CONTROL_CLIENTS_MAX = 4 };

struct control_lines_config {
    const struct control_spec *spec; /* stays where it is; not CONTROL_NOWHERE */
    const char *prompt; /* NULL: none */
    /* The answer, which may be of several lines or empty; to be freed. NULL: no memory. */
    char *(*answer)(void *arg, const char *line, size_t size);
    bool (*is_paused)(void *arg); /* the guest does not run, nobody is held up */
    void *arg;
    struct poller *poller;
    struct clock *clock;
};

/* NULL with *error. */
struct control_lines *control_lines_open(const struct control_lines_config *config,
                                         struct error *error);

/* The clock's timers do not fire now (machine->held_up): whoever rests may go on. */
void control_lines_go_on(struct control_lines *lines);

/* Sends what can be sent at once. */
void control_lines_close(struct control_lines *lines);

#endif
