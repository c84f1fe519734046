/* The one table of commands, and what a request must be to be one of them. See control_table.h. */
#include "frontend/control_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/count.h"
#include "frontend/control.h"
#include "frontend/nearest.h"

static control_function list_commands;

static const struct control_row commands[] = {
    { "status", MACHINE, control_status, { { 0 } }, "", "does the guest run, and for how long" },
    { "pause", GUEST, control_pause, { { 0 } }, "", "stop the guest, and its clocks" },
    { "continue", GUEST, control_continue, { { 0 } }, "", "let it go on" },
    { "reset", MACHINE, control_reset, { { 0 } }, "", "as the reset button does" },
    { "powerdown", GUEST, control_powerdown, { { 0 } }, "",
      "press the power button: the guest shuts down" },
    { "sleepbutton", GUEST, control_sleepbutton, { { 0 } }, "", "press the sleep button" },
    { "quit", MACHINE, control_quit, { { 0 } }, "", "end novt at once, with status 130" },
    { "screenshot", GUEST, control_screenshot, { { "file", FILE_NAME, false } }, "FILE.png",
      "a picture of the screen" },
    { "sendkey", GUEST, control_sendkey, { { "keys", STRING, false } }, "KEY[-KEY...]",
      "press keys together: ctrl-alt-f2, ret, a" },
    { "type", GUEST, control_type, { { "text", TEXT, false } }, "TEXT",
      "type it on the keyboard; \\n is Enter, \\t is Tab" },
    { "mouse", GUEST, control_mouse,
      { { "dx", NUMBER, false }, { "dy", NUMBER, false }, { "dz", NUMBER, true },
        { "buttons", NUMBER, true } },
      "DX DY [DZ [BUTTONS]]", "move it; buttons held: 1 left + 2 right + 4 middle" },
    { "eject", GUEST, control_eject, { { "drive", STRING, false }, { "force", FLAG, true } },
      "DRIVE [force]", "take the medium out" },
    { "change", GUEST, control_change,
      { { "drive", STRING, false }, { "file", FILE_NAME, false }, { "force", FLAG, true } },
      "DRIVE IMAGE [force]", "put another one in" },
    { "balloon", GUEST, control_balloon, { { "size", NUMBER, true } }, "[MIB]",
      "how much memory the guest has; it is to keep so much" },
    { "stats", GUEST, control_stats, { { 0 } }, "", "what -stats-json writes at the end, now" },
    { "dump", GUEST, control_dump,
      { { "what", STRING, false }, { "file", FILE_NAME, true }, { "address", NUMBER, true },
        { "size", NUMBER, true } },
      "memory [FILE] [ADDRESS SIZE]", "physical memory into a file; without: in hexadecimal" },
    { "info", GUEST, control_info, { { "what", STRING, false }, { "address", NUMBER, true } },
      "registers|mem|tlb|pic|pci|block|network|balloon|status|version",
      "look inside; mem and tlb from [ADDRESS] on" },
    { "walk", GUEST, control_walk, { { "address", PLACE, true } }, "[ADDRESS|NAME]",
      "how the guest's page tables and the shadow translate it; without: eip" },
    { "units", GUEST, control_units, { { "address", PLACE, true } }, "[ADDRESS|NAME]",
      "the units of translated code that hold it" },
    { "step", GUEST, control_step, { { "count", NUMBER, true }, { "translated", FLAG, true } },
      "[COUNT] [translated]",
      "paused: execute guest instructions; translated: by their translation, shown" },
    { "explain", GUEST, control_explain, { { "at", STRING, false } }, "ADDRESS|SYMBOL",
      "the code there as it is translated now, and how it has fared" },
    { "count", GUEST, control_count, { { "what", STRING, false } }, "on|off",
      "translated code counts how often it runs, for explain" },
    { "help", NOTHING, list_commands, { { 0 } }, "", "this list" },
};

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

static const struct {
    const char *name, *text;
} elsewhere[] = {
#define ELSEWHERE(name, text) { name, text },
#include "frontend/qemu_commands.def"
};

static void unknown(const char *name, struct error *error)
{
    const char *names[COUNT(commands)];

    for (size_t i = 0; i < COUNT(elsewhere); i++) {
        if (!strcmp(elsewhere[i].name, name)) {
            error_set(error, EX_USAGE, "%s: no command here; %s", name, elsewhere[i].text);
            return;
        }
    }
    for (size_t i = 0; i < COUNT(commands); i++)
        names[i] = commands[i].name;
    error_set(error, EX_USAGE, "%.200s: unknown command%s (help lists all)", name,
              nearest_hint(name, strlen(name), names, COUNT(commands), "", "").text);
}

const struct control_row *control_find(const char *name, struct error *error)
{
    const char *ours = name;

    for (size_t i = 0; i < COUNT(aliases); i++)
        if (!strcmp(aliases[i].other, name))
            ours = aliases[i].name;
    for (size_t i = 0; i < COUNT(commands); i++)
        if (!strcmp(commands[i].name, ours))
            return &commands[i];
    unknown(name, error);
    return NULL;
}

static const struct control_argument *argument_of(const struct control_row *command,
                                                  const char *name)
{
    for (size_t i = 0; i < CONTROL_ARGUMENTS_MAX && command->argument[i].name; i++)
        if (!strcmp(command->argument[i].name, name))
            return &command->argument[i];
    return NULL;
}

void control_help(FILE *out)
{
    for (size_t i = 0; i < COUNT(commands); i++) {
        int at = fprintf(out, "  %s %s", commands[i].name, commands[i].usage);

        fprintf(out, "%*s%s\n", at < 40 ? 40 - at : 1, "", commands[i].help);
    }
}

static int list_commands(struct control_call *call)
{
    json_t *list = json_array();

    for (size_t i = 0; i < COUNT(commands); i++)
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
bool control_is_number(const char *text, int64_t *value)
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
        control_is_number(json_string_value(value), &number);
    else if (value)
        number = json_integer_value(value);
    return number;
}

static bool is_of_kind(const json_t *value, enum control_kind kind)
{
    int64_t number;

    if (kind == FLAG)
        return json_is_boolean(value);
    if (kind == PLACE && json_is_integer(value))
        return true;
    if (kind != NUMBER)
        return json_is_string(value) && (kind == TEXT || *json_string_value(value));
    return json_is_integer(value) ||
           (json_is_string(value) && control_is_number(json_string_value(value), &number));
}

int control_misused(const struct control_row *command, const char *what, const char *why,
                    struct error *error)
{
    return error_set(error, EX_USAGE, "%s: '%.200s' %s; usage: %s%s%s", command->name, what, why,
                     command->name, *command->usage ? " " : "", command->usage);
}

int control_check(const struct control_row *command, json_t *arguments, struct error *error)
{
    const char *name;
    json_t *value;

    if (!json_is_object(arguments))
        return error_set(error, EX_USAGE, "%s: \"arguments\" is no object", command->name);
    json_object_foreach(arguments, name, value) {
        const struct control_argument *argument = argument_of(command, name);

        if (!argument)
            return control_misused(command, name, "is none of its arguments", error);
        if (!is_of_kind(value, argument->kind))
            return control_misused(command, name, "is not what it takes", error);
    }
    for (size_t i = 0; i < CONTROL_ARGUMENTS_MAX && command->argument[i].name; i++)
        if (!command->argument[i].optional &&
            !json_object_get(arguments, command->argument[i].name))
            return control_misused(command, command->argument[i].name, "is missing", error);
    return 0;
}
