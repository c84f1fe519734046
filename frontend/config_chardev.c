/* Consoles by name: see config_chardev.h. */
#include "frontend/config_chardev.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/count.h"
#include "frontend/config_text.h"
#include "frontend/error.h"

static bool kind_of(const char *name, enum console_kind *kind)
{
    static const struct {
        const char *name;
        enum console_kind kind;
    } kinds[] = {
        { "stdio", CONSOLE_STDIO }, { "null", CONSOLE_NULL },   { "pty", CONSOLE_PTY },
        { "file", CONSOLE_FILE },   { "socket", CONSOLE_UNIX },
    };

    for (size_t i = 0; i < COUNT(kinds); i++) {
        *kind = kinds[i].kind;
        if (!strcmp(name, kinds[i].name))
            return true;
    }
    return false;
}

/* Of a socket by TCP. True: it was one of these. */
static bool take_tcp(struct console_spec *console, const char *text, bool *good)
{
    const char *host = config_text_value(text, "host"), *port = config_text_value(text, "port");
    struct tcp_place place;
    char both[sizeof(place.host) + sizeof(place.port)];

    *good = true;
    if (host)
        *good = strlen(host) < sizeof(place.host) && strcpy(console->tcp.place.host, host);
    else if (port) {
        snprintf(both, sizeof(both), ":%s", port);
        *good = config_text_place(both, &place);
        strcpy(console->tcp.place.port, place.port);
    }
    return host || port || config_text_flag(text, "telnet", &console->tcp.telnet);
}

static int take_property(struct chardev_spec *chardev, const char *text, const char *value,
                         struct error *error)
{
    bool on, good;

    if (take_tcp(&chardev->console, text, &good))
        return good ? 0 : error_set(error, EX_USAGE, "-chardev %s: %s is wrong; write host=ADDRESS,"
                                    "port=NUMBER", value, text);
    if (config_text_flag(text, "server", &chardev->console.tcp.listens)) {
        chardev->calls = !chardev->console.tcp.listens;
        return 0;
    }
    if (config_text_value(text, "id"))
        chardev->id = config_text_value(text, "id");
    else if (config_text_value(text, "path"))
        chardev->console.path = config_text_value(text, "path");
    else if (!config_text_listens(text) && !config_text_flag(text, "signal", &on) &&
             !config_text_flag(text, "mux", &on))
        return error_set(error, EX_USAGE, "-chardev %s: '%s' is not known; write id= and path=, or"
                         " id=, host= and port=, with server=on to listen", value, text);
    return 0;
}

static struct chardev_spec *find(struct chardev_specs *chardevs, const char *id)
{
    for (unsigned i = 0; i < chardevs->count; i++)
        if (!strcmp(chardevs->chardev[i].id, id))
            return &chardevs->chardev[i];
    return NULL;
}

static int check(struct chardev_specs *chardevs, const struct chardev_spec *chardev,
                 const char *value, struct error *error)
{
    const struct console_spec *console = &chardev->console;

    if (!chardev->id || !*chardev->id || strlen(chardev->id) >= sizeof(console->chardev))
        return error_set(error, EX_USAGE, "-chardev %s: id= is needed, of 1 to %zu characters",
                         value, sizeof(console->chardev) - 1);
    if (find(chardevs, chardev->id))
        return error_set(error, EX_USAGE, "-chardev %s: there is one of that id; write another id=",
                         value);
    if (console->kind == CONSOLE_UNIX && chardev->calls)
        return error_set(error, EX_USAGE, "-chardev %s: at a path novt listens; write server=on",
                         value);
    if ((console->kind == CONSOLE_FILE || console->kind == CONSOLE_UNIX) &&
        (!console->path || !*console->path))
        return error_set(error, EX_USAGE, "-chardev %s: path= is needed", value);
    return 0;
}

int config_chardev_take(struct chardev_specs *chardevs, const char *value, struct error *error)
{
    struct chardev_spec *chardev = &chardevs->chardev[chardevs->count];
    char *at, *part;

    if (chardevs->count == CHARDEVS_MAX || strlen(value) >= sizeof(chardev->text))
        return error_set(error, EX_USAGE, "-chardev: one too many, or too long");
    at = strcpy(chardev->text, value);
    part = config_text_next(&at);
    if (!kind_of(part, &chardev->console.kind))
        return error_set(error, EX_USAGE,
                         "-chardev %s: '%s' is not known; write stdio, null, pty, file or socket",
                         value, part);
    while ((part = config_text_next(&at)))
        if (take_property(chardev, part, value, error))
            return -1;
    if (chardev->console.kind == CONSOLE_UNIX && *chardev->console.tcp.place.port)
        chardev->console.kind = CONSOLE_TCP;
    if (check(chardevs, chardev, value, error))
        return -1;
    chardevs->count++;
    return 0;
}

int config_chardev_name(struct console_spec *spec, const char *id, const char *option,
                        const char *value, struct error *error)
{
    *spec = (struct console_spec){ .kind = CONSOLE_NONE };
    if (!id || !*id || strlen(id) >= sizeof(spec->chardev))
        return error_set(error, EX_USAGE, "%s %s: the id of a -chardev is needed, of 1 to %zu "
                         "characters", option, value, sizeof(spec->chardev) - 1);
    strcpy(spec->chardev, id);
    spec->option = option;
    return 0;
}

int config_chardev_join(struct chardev_specs *chardevs, struct console_spec *spec, bool output,
                        struct error *error)
{
    const char *option = spec->option;
    struct chardev_spec *chardev;

    if (!*spec->chardev)
        return 0;
    chardev = find(chardevs, spec->chardev);
    if (!chardev)
        return error_set(error, EX_USAGE, "%s: no -chardev has id=%s", option, spec->chardev);
    if (chardev->taken)
        return error_set(error, EX_USAGE, "%s: another has the -chardev with id=%s already; give "
                         "this one its own", option, spec->chardev);
    if (output && chardev->console.kind >= CONSOLE_PTY)
        return error_set(error, EX_USAGE, "%s: the -chardev with id=%s must be stdio, file or null",
                         option, spec->chardev);
    chardev->taken = true;
    *spec = chardev->console;
    return 0;
}

/* --- -mon ------------------------------------------------------------------- */

int config_chardev_mon(struct chardev_specs *chardevs, const char *value, struct error *error)
{
    const char *mode = strstr(value, "mode=control");

    if (chardevs->monitor)
        return error_set(error, EX_USAGE, "-mon %s: one too many; novt ctl has as many as one "
                         "wants, by -monitor unix:PATH", value);
    if (mode)
        return error_set(error, EX_USAGE, "-mon %s: novt has this in other words; write -monitor "
                         "unix:PATH; docs/control.md has its JSON", value);
    chardevs->monitor = value;
    return 0;
}

int config_chardev_find_monitor(struct chardev_specs *chardevs, struct error *error)
{
    const char *value = chardevs->monitor, *id;
    struct chardev_spec *chardev = NULL;
    size_t size;

    if (!value)
        return 0;
    id = config_text_value(value, "chardev") ? config_text_value(value, "chardev") : value;
    size = strcspn(id, ",");
    for (unsigned i = 0; i < chardevs->count; i++)
        if (strlen(chardevs->chardev[i].id) == size && !memcmp(chardevs->chardev[i].id, id, size))
            chardev = &chardevs->chardev[i];
    if (!chardev)
        return error_set(error, EX_USAGE, "-mon %s: no -chardev has id=%.*s", value, (int)size, id);
    if (chardev->console.kind == CONSOLE_FILE || chardev->console.kind == CONSOLE_PTY ||
        (chardev->console.kind == CONSOLE_TCP && !chardev->console.tcp.listens))
        return error_set(error, EX_USAGE, "-mon %s: the -chardev must be stdio, null or a socket "
                         "with server=on", value);
    chardev->monitor = true;
    if (chardev->console.kind == CONSOLE_STDIO)
        chardev->console.raw = chardev->console.monitor = true;
    return 0;
}

const struct chardev_spec *config_chardev_monitor(const struct chardev_specs *chardevs)
{
    for (unsigned i = 0; i < chardevs->count; i++)
        if (chardevs->chardev[i].monitor && !chardevs->chardev[i].taken)
            return &chardevs->chardev[i];
    return NULL;
}
