/* Control: requests in JSON, carried out and answered, and its life. See control.h. */
#include "frontend/control.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "devices/display.h"
#include "frontend/config_control.h"
#include "frontend/control_lines.h"
#include "frontend/control_table.h"
#include "frontend/input.h"
#include "frontend/machine.h"
#include "frontend/screen.h"

/* --- Answering ------------------------------------------------------------------------------ */

/* 0, or -1 with *error. m: NULL where there is none. */
static int is_possible(const struct control_row *command, const struct machine *m,
                       struct error *error)
{
    if (command->needs != NOTHING && !m)
        return error_set(error, EX_UNAVAILABLE, "%s: there is no machine", command->name);
    if (command->needs == GUEST && m->held_up)
        return error_set(error, EX_TEMPFAIL,
                         "%s: the host does not run the guest's process (stopped? frozen?), and "
                         "what it was doing is not known; status, reset and quit work",
                         command->name);
    return 0;
}

static int call_command(const struct control_row *command, struct control_call *call)
{
    if (control_check(command, call->arguments, &call->error) ||
        is_possible(command, call->machine, &call->error))
        return -1;
    return command->function(call);
}

const char *control_carry_out(struct control *control, json_t *request, json_t *result,
                              struct error *error)
{
    const char *name = json_string_value(json_object_get(request, "execute"));
    json_t *arguments = json_object_get(request, "arguments"), *none = json_object();
    struct control_call call = { control, control->machine, arguments, result, { 0 } };
    const struct control_row *command = name ? control_find(name, &call.error) : NULL;
    int err = -1;

    if (!arguments || json_is_null(arguments))
        call.arguments = none;
    if (!name)
        error_set(&call.error, EX_USAGE,
                  "a request is an object with \"execute\": the name of a command");
    else if (command)
        err = call_command(command, &call);
    json_decref(none);
    if (!err)
        return NULL;
    *error = call.error;
    return name && !command ? "CommandNotFound" : "GenericError";
}

/* Messages hold users' words, cut anywhere. */
static json_t *text_of(const char *text)
{
    json_t *string = json_string(text);
    char copy[sizeof(((struct error *)0)->text)];
    size_t i;

    if (string)
        return string;
    for (i = 0; text[i] && i + 1 < sizeof(copy); i++)
        copy[i] = text[i] & 0x80 ? '?' : text[i];
    copy[i] = 0;
    return json_string(copy);
}

static json_t *answer_to(struct control *control, json_t *request)
{
    json_t *answer = json_object(), *result = json_object();
    json_t *id = json_object_get(request, "id");
    struct error error = { 0 };
    const char *class = control_carry_out(control, request, result, &error);

    if (class)
        json_object_set_new(answer, "error",
                            json_pack("{s:s, s:o, s:i}", "class", class, "desc",
                                      text_of(error.text), "status", error.status));
    else
        json_object_set(answer, "return", result);
    if (id)
        json_object_set(answer, "id", id);
    json_decref(result);
    return answer;
}

char *control_answer(struct control *control, const char *line, size_t size)
{
    json_error_t why;
    json_t *request = json_loadb(line, size, JSON_REJECT_DUPLICATES, &why), *answer;
    char *text;

    if (json_is_object(request)) {
        answer = answer_to(control, request);
    } else {
        struct error error = { 0 };

        error_set(&error, EX_USAGE, "not a JSON object on one line: %s",
                  !size ? "a line that is empty or too long" :
                  request ? "something else" : why.text);
        answer = json_pack("{s:{s:s, s:o, s:i}}", "error", "class", "GenericError", "desc",
                           text_of(error.text), "status", EX_USAGE);
    }
    text = json_dumps(answer, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(answer);
    json_decref(request);
    return text;
}

/* --- Life ----------------------------------------------------------------------------------- */

static char *answer_line(void *arg, const char *line, size_t size)
{
    return control_answer(arg, line, size);
}

/* A program may be at standard input, too. */
static char *answer_person(void *arg, const char *line, size_t size)
{
    size_t blanks = strspn(line, " \t");

    return blanks < size && line[blanks] == '{' ? control_answer(arg, line, size)
                                                : control_answer_words(arg, line, size);
}

static bool is_paused(void *arg)
{
    const struct machine *m = ((struct control *)arg)->machine;

    return m->paused || m->held_up;
}

void control_held_up(struct control *control)
{
    if (control && control->lines)
        control_lines_go_on(control->lines);
}

/* Keys and the mouse are there without a screen, too. */
static int take_keyboard(struct control *control, struct error *error)
{
    struct machine *m = control->machine;

    control->keyboard = screen_display(m->screen);
    if (control->keyboard)
        return 0;
    control->keyboard = control->own = display_create();
    if (!control->own)
        return error_no_event(error, "-monitor");
    control->input = input_create(control->own, m->pc, &m->clock, m->poller);
    return control->input ? 0 : error_set(error, EX_OSERR, "-monitor: no host memory for the "
                                          "keyboard; free some");
}

struct control *control_create(struct machine *machine)
{
    struct control *control = calloc(1, sizeof(*control));

    if (control)
        control->machine = machine;
    return control;
}

int control_begin(struct control **made, struct machine *machine, struct error *error)
{
    *made = control_create(machine);
    if (!*made)
        return error_set(error, EX_OSERR, "no host memory for commands; free some");
    return take_keyboard(*made, error);
}

int control_open(struct control **made, const struct control_spec *spec, struct machine *machine,
                 struct error *error)
{
    bool prompts = spec->where == CONTROL_TCP ||
                   (spec->where == CONTROL_STDIO && isatty(STDIN_FILENO));
    struct control_lines_config config = {
        .spec = spec,
        .prompt = prompts ? "(novt) " : NULL,
        .answer = spec->where == CONTROL_UNIX ? answer_line : answer_person,
        .is_paused = is_paused,
        .poller = machine->poller,
        .clock = &machine->clock,
    };

    *made = NULL;
    if (!spec->where)
        return 0;
    if (control_begin(made, machine, error))
        return -1;
    config.arg = *made;
    (*made)->lines = control_lines_open(&config, error);
    return (*made)->lines ? 0 : -1;
}

void control_close(struct control *control)
{
    if (!control)
        return;
    control_lines_close(control->lines);
    input_destroy(control->input);
    if (control->own)
        display_destroy(control->own);
    free(control);
}
