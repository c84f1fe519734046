/* Control: requests in JSON and in words, and the one table of commands. See control.h. */
#include "frontend/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/count.h"
#include "devices/display.h"
#include "frontend/config_control.h"
#include "frontend/control_command.h"
#include "frontend/control_lines.h"
#include "frontend/input.h"
#include "frontend/machine.h"
#include "frontend/nearest.h"
#include "frontend/screen.h"

enum { ARGUMENTS_MAX = 4, WORDS_MAX = 256 };

/* A file's name is a string; text is all the rest of the words; a place is a number or a name. */
enum kind { STRING = 1, FILE_NAME, TEXT, NUMBER, FLAG, PLACE };

struct argument {
    const char *name;
    enum kind kind;
    bool optional;
};

struct control_row {
    const char *name;
    control_function *function;
    struct argument argument[ARGUMENTS_MAX];
    const char *usage, *help;
};

static control_function list_commands;

static const struct control_row commands[] = {
    { "status", control_status, { { 0 } }, "", "does the guest run, and for how long" },
    { "pause", control_pause, { { 0 } }, "", "stop the guest, and its clocks" },
    { "continue", control_continue, { { 0 } }, "", "let it go on" },
    { "reset", control_reset, { { 0 } }, "", "as the reset button does" },
    { "powerdown", control_powerdown, { { 0 } }, "",
      "press the power button: the guest shuts down" },
    { "sleepbutton", control_sleepbutton, { { 0 } }, "", "press the sleep button" },
    { "quit", control_quit, { { 0 } }, "", "end novt at once, with status 130" },
    { "screenshot", control_screenshot, { { "file", FILE_NAME, false } }, "FILE.png",
      "a picture of the screen" },
    { "sendkey", control_sendkey, { { "keys", STRING, false } }, "KEY[-KEY...]",
      "press keys together: ctrl-alt-f2, ret, a" },
    { "type", control_type, { { "text", TEXT, false } }, "TEXT",
      "type it on the keyboard; \\n is Enter, \\t is Tab" },
    { "mouse", control_mouse,
      { { "dx", NUMBER, false }, { "dy", NUMBER, false }, { "dz", NUMBER, true },
        { "buttons", NUMBER, true } },
      "DX DY [DZ [BUTTONS]]", "move it; buttons held: 1 left + 2 right + 4 middle" },
    { "eject", control_eject, { { "drive", STRING, false }, { "force", FLAG, true } },
      "DRIVE [force]", "take the medium out" },
    { "change", control_change,
      { { "drive", STRING, false }, { "file", FILE_NAME, false }, { "force", FLAG, true } },
      "DRIVE IMAGE [force]", "put another one in" },
    { "balloon", control_balloon, { { "size", NUMBER, true } }, "[MIB]",
      "how much memory the guest has; it is to keep so much" },
    { "stats", control_stats, { { 0 } }, "", "what -stats-json writes at the end, now" },
    { "dump", control_dump,
      { { "what", STRING, false }, { "file", FILE_NAME, true }, { "address", NUMBER, true },
        { "size", NUMBER, true } },
      "memory [FILE] [ADDRESS SIZE]", "physical memory into a file; without: in hexadecimal" },
    { "info", control_info, { { "what", STRING, false }, { "address", NUMBER, true } },
      "registers|mem|tlb|pic|pci|block|network|balloon|status|version",
      "look inside; mem and tlb from [ADDRESS] on" },
    { "walk", control_walk, { { "address", PLACE, true } }, "[ADDRESS|NAME]",
      "how the guest's page tables and the shadow translate it; without: eip" },
    { "units", control_units, { { "address", PLACE, true } }, "[ADDRESS|NAME]",
      "the units of translated code that hold it" },
    { "step", control_step, { { "count", NUMBER, true }, { "translated", FLAG, true } },
      "[COUNT] [translated]",
      "paused: execute guest instructions; translated: by their translation, shown" },
    { "explain", control_explain, { { "at", STRING, false } }, "ADDRESS|SYMBOL",
      "the code there as it is translated now, and how it has fared" },
    { "count", control_count, { { "what", STRING, false } }, "on|off",
      "translated code counts how often it runs, for explain" },
    { "help", list_commands, { { 0 } }, "", "this list" },
};

enum { COMMANDS = sizeof(commands) / sizeof(*commands) };

/* --- The table ------------------------------------------------------------------------------ */

/* As QEMU's monitor calls them. */
static const struct {
    const char *other, *name;
} aliases[] = {
    { "c", "continue" },
    { "cont", "continue" },
    { "mouse_move", "mouse" },
    { "q", "quit" },
    { "screendump", "screenshot" },
    { "stop", "pause" },
    { "system_powerdown", "powerdown" },
    { "system_reset", "reset" },
};

static const struct control_row *find(const char *name)
{
    for (size_t i = 0; i < sizeof(aliases) / sizeof(*aliases); i++)
        if (!strcmp(aliases[i].other, name))
            name = aliases[i].name;
    for (size_t i = 0; i < COMMANDS; i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

static const struct {
    const char *name, *text;
} elsewhere[] = {
#define ELSEWHERE(name, text) { name, text },
#include "frontend/qemu_commands.def"
};

static int unknown(const char *name, struct error *error)
{
    const char *names[COMMANDS];

    for (size_t i = 0; i < COUNT(elsewhere); i++)
        if (!strcmp(elsewhere[i].name, name))
            return error_set(error, EX_USAGE, "%s: no command here; %s", name, elsewhere[i].text);
    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    return error_set(error, EX_USAGE, "%.200s: unknown command%s (help lists all)", name,
                     nearest_hint(name, strlen(name), names, COMMANDS, "", "").text);
}

static const struct argument *argument_of(const struct control_row *command, const char *name)
{
    for (size_t i = 0; i < ARGUMENTS_MAX && command->argument[i].name; i++)
        if (!strcmp(command->argument[i].name, name))
            return &command->argument[i];
    return NULL;
}

void control_help(FILE *out)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        int at = fprintf(out, "  %s %s", commands[i].name, commands[i].usage);

        fprintf(out, "%*s%s\n", at < 40 ? 40 - at : 1, "", commands[i].help);
    }
}

static int list_commands(struct control_call *call)
{
    json_t *list = json_array();

    for (size_t i = 0; i < COMMANDS; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", commands[i].name, "usage",
                                              commands[i].usage, "help", commands[i].help));
    json_object_set_new(call->result, "commands", list);
    return 0;
}

/* --- Arguments ------------------------------------------------------------------------------ */

const char *control_string(const struct control_call *call, const char *name)
{
    return json_string_value(json_object_get(call->arguments, name));
}

bool control_has(const struct control_call *call, const char *name)
{
    const json_t *value = json_object_get(call->arguments, name);

    return value && !json_is_false(value);
}

/* Numbers may be written as strings: addresses are read more easily in hexadecimal. */
static bool number_of(const char *text, int64_t *value)
{
    char *end;
    const char *digits = text + (*text == '-');

    if (*digits < '0' || *digits > '9')
        return false;
    errno = 0;
    *value = strtoll(text, &end, 0);
    return !*end && !errno;
}

int64_t control_number(const struct control_call *call, const char *name, int64_t otherwise)
{
    const json_t *value = json_object_get(call->arguments, name);
    int64_t number = otherwise;

    if (json_is_string(value))
        number_of(json_string_value(value), &number);
    else if (value)
        number = json_integer_value(value);
    return number;
}

static bool is_of_kind(const json_t *value, enum kind kind)
{
    int64_t number;

    if (kind == FLAG)
        return json_is_boolean(value);
    if (kind == PLACE && json_is_integer(value))
        return true;
    if (kind != NUMBER)
        return json_is_string(value) && (kind == TEXT || *json_string_value(value));
    return json_is_integer(value) ||
           (json_is_string(value) && number_of(json_string_value(value), &number));
}

/* What is wrong with a command, and how it is used. */
static int misused(const struct control_row *command, struct error *error, const char *what,
                   const char *why)
{
    return error_set(error, EX_USAGE, "%s: '%.200s' %s; usage: %s%s%s", command->name, what, why,
                     command->name, *command->usage ? " " : "", command->usage);
}

static int check(const struct control_row *command, json_t *arguments, struct error *error)
{
    const char *name;
    json_t *value;

    json_object_foreach(arguments, name, value) {
        const struct argument *argument = argument_of(command, name);

        if (!argument)
            return misused(command, error, name, "is none of its arguments");
        if (!is_of_kind(value, argument->kind))
            return misused(command, error, name, "is not what it takes");
    }
    for (size_t i = 0; i < ARGUMENTS_MAX && command->argument[i].name; i++)
        if (!command->argument[i].optional &&
            !json_object_get(arguments, command->argument[i].name))
            return misused(command, error, command->argument[i].name, "is missing");
    return 0;
}

/* --- Answering ------------------------------------------------------------------------------ */

/* Looks at neither the CPU nor memory nor chips. */
static bool is_for_any_time(const struct control_row *command)
{
    return command->function == control_status || command->function == control_reset ||
           command->function == control_quit || command->function == list_commands;
}

/* Fills *error and returns what the "class" of it is, or returns NULL. */
static const char *carry_out(struct control *control, json_t *request, json_t *result,
                             struct error *error)
{
    struct control_call call = { control, control->machine, NULL, result, { 0 } };
    const struct control_row *command;
    json_t *none = json_object();
    const char *name;
    int err;

    call.arguments = json_object_get(request, "arguments");
    if (!call.arguments || json_is_null(call.arguments))
        call.arguments = none;
    name = json_string_value(json_object_get(request, "execute"));
    command = name ? find(name) : NULL;
    if (!name)
        err = error_set(&call.error, EX_USAGE,
                        "a request is an object with \"execute\": the name of a command");
    else if (!command)
        err = unknown(name, &call.error);
    else if (!json_is_object(call.arguments))
        err = error_set(&call.error, EX_USAGE, "%s: \"arguments\" is no object", name);
    else
        err = check(command, call.arguments, &call.error);
    if (!err && !control->machine && command->function != list_commands)
        err = error_set(&call.error, EX_UNAVAILABLE, "%s: there is no machine", name);
    if (!err && control->machine && control->machine->held_up && !is_for_any_time(command))
        err = error_set(&call.error, EX_TEMPFAIL,
                        "%s: the host does not run the guest's process (stopped? frozen?), and "
                        "what it was doing is not known; status, reset and quit work", name);
    if (!err)
        err = command->function(&call);
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
    const char *class = carry_out(control, request, result, &error);

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

/* --- Words ---------------------------------------------------------------------------------- */

static json_t *file_name(const char *word, const char *from)
{
    return from && *word != '/' ? json_sprintf("%s/%s", from, word) : json_string(word);
}

/* \n, \t and \\ */
static void unescape(char *text)
{
    char *to = text;

    for (; *text; text++) {
        if (*text == '\\' && text[1] && strchr("nt\\", text[1])) {
            text++;
            *to++ = *text == 'n' ? '\n' : *text == 't' ? '\t' : '\\';
        } else {
            *to++ = *text;
        }
    }
    *to = 0;
}

static json_t *text_from(char **words, int count)
{
    size_t size = 1;
    json_t *value;
    char *text;

    for (int i = 0; i < count; i++)
        size += strlen(words[i]) + 1;
    text = calloc(1, size);
    if (!text)
        return NULL;
    for (int i = 0; i < count; i++) {
        strcat(text, i ? " " : "");
        strcat(text, words[i]);
    }
    unescape(text);
    value = json_string(text);
    free(text);
    return value;
}

/* Whether the word can be this argument; the next one it is then, if this may be left out. */
static bool fits(const struct argument *argument, const char *word)
{
    int64_t number;

    if (argument->kind == FLAG)
        return !strcmp(word, argument->name);
    if (argument->kind == PLACE)
        return true;
    return number_of(word, &number) == (argument->kind == NUMBER) || !argument->optional;
}

static json_t *value_of(const struct argument *argument, char **words, int count, const char *from)
{
    switch (argument->kind) {
    case FILE_NAME: return file_name(words[0], from);
    case TEXT: return text_from(words, count);
    case FLAG: return json_true();
    default: return json_string(words[0]);
    }
}

static int take_words(const struct control_row *command, json_t *arguments, char **words, int count,
                      const char *from, struct error *error)
{
    for (size_t i = 0; i < ARGUMENTS_MAX && command->argument[i].name && count; i++) {
        const struct argument *argument = &command->argument[i];
        int taken = argument->kind == TEXT ? count : 1;

        if (!fits(argument, words[0]))
            continue;
        if (json_object_set_new(arguments, argument->name,
                                value_of(argument, words, count, from)))
            return error_set(error, EX_USAGE, "%s: that is not UTF-8", command->name);
        words += taken;
        count -= taken;
    }
    if (count)
        return misused(command, error, words[0], "is too much or wrong");
    return check(command, arguments, error);
}

json_t *control_request(char **words, int count, const char *from, struct error *error)
{
    const struct control_row *command;
    json_t *arguments;

    if (!count) {
        error_set(error, EX_USAGE, "no command (help lists all)");
        return NULL;
    }
    command = find(words[0]);
    if (!command) {
        unknown(words[0], error);
        return NULL;
    }
    arguments = json_object();
    if (take_words(command, arguments, words + 1, count - 1, from, error)) {
        json_decref(arguments);
        return NULL;
    }
    return json_pack("{s:s, s:o}", "execute", command->name, "arguments", arguments);
}

/* Words are parted by spaces; what is between quotes is one. */
static int split(char *line, char **words)
{
    int count = 0;

    while (count < WORDS_MAX) {
        char *end;

        line += strspn(line, " \t\r\n");
        if (!*line)
            break;
        if (*line == '"') {
            line++;
            end = line + strcspn(line, "\"");
        } else {
            end = line + strcspn(line, " \t\r\n");
        }
        words[count++] = line;
        if (!*end)
            break;
        *end = 0;
        line = end + 1;
    }
    return count;
}

static void answer_words(struct control *control, char *line, FILE *out)
{
    struct error error = { 0 };
    char *words[WORDS_MAX];
    int count = split(line, words);
    json_t *request, *result;

    if (!count)
        return;
    if (!strcmp(words[0], "help")) {
        control_help(out);
        return;
    }
    request = control_request(words, count, NULL, &error);
    result = json_object();
    if (!request || carry_out(control, request, result, &error))
        fprintf(out, "%s\n", error.text);
    else
        control_print(out, words[0], result);
    json_decref(result);
    json_decref(request);
}

char *control_answer_words(struct control *control, const char *line, size_t size)
{
    char *copy = malloc(size + 1), *text = NULL;
    FILE *out = open_memstream(&text, &(size_t){ 0 });

    if (copy && out) {
        memcpy(copy, line, size);
        copy[size] = 0;
        answer_words(control, copy, out);
    }
    free(copy);
    if (out && fclose(out)) {
        free(text);
        return NULL;
    }
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
    struct control_lines_config config = {
        .path = spec->path,
        .prompt = !spec->path && isatty(STDIN_FILENO) ? "(novt) " : NULL,
        .answer = spec->path ? answer_line : answer_person,
        .is_paused = is_paused,
        .poller = machine->poller,
        .clock = &machine->clock,
    };

    *made = NULL;
    if (!spec->given)
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
