/* What the commands (control_run.c, control_info.c and others) and control.c share. Included by the
 * files frontend/control*.c alone. */
#ifndef FRONTEND_CONTROL_COMMAND_H
#define FRONTEND_CONTROL_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "frontend/error.h"

struct display;
struct input;
struct machine;
struct control_lines;

struct control {
    struct machine *machine;
    struct control_lines *lines; /* NULL: none */
    struct display *keyboard;    /* where keys and the mouse go */
    struct display *own;         /* NULL, or that, since there is no screen, */
    struct input *input;         /* and what takes them from there */
    unsigned buttons;            /* held */
};

struct control_call {
    struct control *control;
    struct machine *machine;
    json_t *arguments; /* an object with nothing but what the table says, of the right kind */
    json_t *result;    /* an object to fill */
    struct error error;
};

/* Fills call->result; 0, or -1 with call->error. */
typedef int control_function(struct control_call *call);

control_function control_status, control_pause, control_continue, control_reset, control_quit,
    control_powerdown, control_sleepbutton, control_screenshot, control_sendkey, control_type,
    control_mouse, control_eject, control_change, control_balloon, control_stats, control_dump,
    control_info, control_walk, control_units, control_step, control_explain, control_count;

/* Prints what a command has returned. */
typedef void control_printer(FILE *out, const json_t *returned);

control_printer control_explain_print;

/* NULL: not given. */
const char *control_string(const struct control_call *call, const char *name);
/* Otherwise: a value for what was not given. */
int64_t control_number(const struct control_call *call, const char *name, int64_t otherwise);
bool control_has(const struct control_call *call, const char *name);

#endif
