/* -serial, -debugcon, -virtcon: where a console's bytes go. */
#include "frontend/config_console.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/count.h"
#include "frontend/config_chardev.h"
#include "frontend/config_text.h"
#include "frontend/console.h"
#include "frontend/error.h"
#include "frontend/nearest.h"

int config_console_only(const struct console_spec *spec, const char *what, const char *option,
                        const char *value, struct error *error)
{
    if (spec->kind == CONSOLE_NONE && !*spec->chardev)
        return 0;
    return error_set(error, EX_USAGE, "%s %s: there can be one %s", option, value, what);
}

int config_console_take(struct console_spec *spec, const char *option, const char *value,
                        bool debugcon, struct error *error)
{
    static const struct {
        const char *name;
        struct console_spec spec;
        bool debugcon; /* good for output alone */
    } words[] = {
        { "stdio", { .kind = CONSOLE_STDIO }, true },
        { "mon:stdio", { .kind = CONSOLE_STDIO, .raw = true, .monitor = true }, false },
        { "none", { .kind = CONSOLE_NONE }, true },
        { "null", { .kind = CONSOLE_NULL }, true },
        { "pty", { .kind = CONSOLE_PTY }, false },
    };
    static const char *const names[] = { "stdio", "file:", "none", "null", "chardev:", "pty",
                                         "unix:", "tcp:", "telnet:" };
    size_t len = strcspn(value, ":");

    for (size_t i = 0; i < COUNT(words); i++) {
        if (!strcmp(value, words[i].name) && (words[i].debugcon || !debugcon)) {
            *spec = words[i].spec;
            return 0;
        }
    }
    if (!strncmp(value, "chardev:", 8))
        return config_chardev_name(spec, value + 8, option, value, error);
    if (!strncmp(value, "unix:", 5) && !debugcon) {
        *spec = (struct console_spec){ .kind = CONSOLE_UNIX, .path = spec->socket };
        return config_text_socket(option, value + 5, spec->socket, error);
    }
    if (config_text_is_tcp(value) && !debugcon) {
        *spec = (struct console_spec){ .kind = CONSOLE_TCP };
        return config_text_tcp(&spec->tcp, option, value, error);
    }
    if (!strncmp(value, "/dev/", 5)) { /* for output, as file:PATH */
        *spec = (struct console_spec){ .kind = CONSOLE_FILE, .path = value };
        return 0;
    }
    if (strncmp(value, "file:", 5))
        return nearest_unknown(option, value, len + (value[len] == ':'), names,
                               debugcon ? 5 : COUNT(names), error);
    *spec = (struct console_spec){ .kind = CONSOLE_FILE, .path = value + 5 };
    if (!*spec->path)
        return error_set(error, EX_USAGE, "%s %s: the path is missing after the colon", option,
                         value);
    return 0;
}

int config_console_escape(uint8_t *escape, const char *value, struct error *error)
{
    char *end;
    unsigned long number = strtoul(value, &end, 0);

    if (*value < '0' || *value > '9' || *end || !number || number >= ' ')
        return error_set(error, EX_USAGE, "-echr %s: write a number from 1 to 31: 20 is Ctrl-T",
                         value);
    *escape = (uint8_t)number;
    return 0;
}
