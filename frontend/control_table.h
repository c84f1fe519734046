/* The rows of the table of commands, which requests in JSON (control.c) and in words
 * (control_words.c) are held against. Included by the files frontend/control*.c alone. */
#ifndef FRONTEND_CONTROL_TABLE_H
#define FRONTEND_CONTROL_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend/control_command.h"

enum { CONTROL_ARGUMENTS_MAX = 4 };

/* A file's name is a string; text is all the rest of the words; a place is a number or a name. */
enum control_kind { STRING = 1, FILE_NAME, TEXT, NUMBER, FLAG, PLACE };

/* What there must be: nothing; a machine, of which the command looks at neither the CPU nor memory
 * nor chips; a guest that stands still where its state is known. */
enum control_needs { NOTHING, MACHINE, GUEST };

struct control_argument {
    const char *name;
    enum control_kind kind;
    bool optional;
};

struct control_row {
    const char *name;
    enum control_needs needs;
    control_function *function;
    struct control_argument argument[CONTROL_ARGUMENTS_MAX]; /* up to a name of NULL */
    const char *usage, *help;
};

/* By its name or QEMU's; NULL with *error: there is none. */
const struct control_row *control_find(const char *name, struct error *error);

/* 0, or -1 with *error: arguments is not an object of what the command takes. */
int control_check(const struct control_row *command, json_t *arguments, struct error *error);

/* -1, with *error: what is wrong with a command, and how it is used. */
int control_misused(const struct control_row *command, const char *what, const char *why,
                    struct error *error);

/* All of text is a number, as C writes it. */
bool control_is_number(const char *text, int64_t *value);

/* Fills result, an object, or *error: then returns what the "class" of it is, otherwise NULL. */
const char *control_carry_out(struct control *control, json_t *request, json_t *result,
                              struct error *error);

#endif
