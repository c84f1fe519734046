/* -gdb, -s, -S: see config_debug.h. */
#include "frontend/config_debug.h"

#include <string.h>
#include <sysexits.h>

#include "frontend/config_text.h"
#include "frontend/error.h"

static int bad(const char *value, struct error *error)
{
    return error_set(error, EX_USAGE,
                     "-gdb %s: write tcp::PORT, tcp:HOST:PORT, unix:PATH or none", value);
}

int config_debug_take(struct debug_spec *spec, const char *value, struct error *error)
{
    bool stopped = spec->stopped;

    *spec = (struct debug_spec){ .given = strcmp(value, "none"), .stopped = stopped };
    if (!spec->given)
        return 0;
    if (!strncmp(value, "unix:", 5)) {
        spec->path = spec->socket;
        return config_text_socket("-gdb", value + 5, spec->socket, error);
    }
    if (!strncmp(value, "tcp:", 4) && config_text_place(value + 4, &spec->place))
        return 0; /* what QEMU's command lines add (",server=on,wait=off") is so in any case */
    return bad(value, error);
}

int config_debug_check(const struct debug_spec *spec, bool monitor, struct error *error)
{
    if (!spec->stopped || spec->given || monitor)
        return 0;
    return error_set(error, EX_USAGE, "-S: nobody could let the guest go on; add -s, -gdb or "
                                      "-monitor");
}
