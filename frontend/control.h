/*
 * Control of a running machine: the protocol and the table of commands.
 *
 * A request is a line that holds a JSON object, an answer is one:
 *
 *   {"execute": "sendkey", "arguments": {"keys": "ctrl-alt-f1"}, "id": 7}
 *   {"return": {}, "id": 7}
 *   {"error": {"class": "GenericError", "desc": "...", "status": 64}, "id": 7}
 *
 * "arguments" and "id" may be left out; an id may be any JSON value. Requests are worked on one by
 * one, on the vcpu's thread, while the guest does not run. For people there is the same in words.
 * Nothing here knows of sockets: frontend/control_lines.h brings lines.
 */
#ifndef FRONTEND_CONTROL_H
#define FRONTEND_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct control;
struct control_spec;
struct error;
struct json_t;
struct machine;

/* Starts to listen where the user asked for it (nowhere: *control is NULL, which is fine for all);
 * the machine is complete. 0, or -1 with *error. */
int control_open(struct control **control, const struct control_spec *spec,
                 struct machine *machine, struct error *error);

/* The same that listens nowhere: for whoever has words of their own. */
int control_begin(struct control **control, struct machine *machine, struct error *error);

/* While the board and the poller are there. */
void control_close(struct control *control);

/* While machine->held_up is set: takes commands, of which few are carried out then. NULL: none. */
void control_held_up(struct control *control);

/* The answer to a line, as a line without its end; the caller frees it. NULL: no memory. A machine
 * of NULL has every command fail that would touch it: for tests of the protocol. */
char *control_answer(struct control *control, const char *line, size_t size);

/* The same for what a person types: text of any number of lines; "" when all is said. */
char *control_answer_words(struct control *control, const char *line, size_t size);

/* For tests: one that listens nowhere. NULL: no memory. */
struct control *control_create(struct machine *machine);

/* --- In words; needs no machine ------------------------------------------------------------- */

/* The request that these words are, or NULL with *error (what is wrong, and the usage). Files'
 * names are made to start at the root where from is the directory that they are meant from. */
struct json_t *control_request(char **words, int count, const char *from, struct error *error);

/* What the command of that name returned, for people. */
void control_print(FILE *out, const char *name, const struct json_t *returned);

/* A line for each command. */
void control_help(FILE *out);

#endif
