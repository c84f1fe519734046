/* -monitor: where commands come from. */
#include "frontend/config_control.h"

#include <string.h>
#include <sysexits.h>

#include "frontend/config_text.h"
#include "frontend/error.h"

static int take_socket(struct control_spec *spec, const char *value, struct error *error)
{
    *spec = (struct control_spec){ .given = true, .path = spec->socket };
    return config_text_socket("-monitor", value, spec->socket, error);
}

/* none is there for QEMU's command lines. */
int config_control_take(struct control_spec *spec, const char *value, struct error *error)
{
    if (!strcmp(value, "none") || !strcmp(value, "null"))
        *spec = (struct control_spec){ 0 };
    else if (!strcmp(value, "stdio"))
        *spec = (struct control_spec){ .given = true };
    else if (!strncmp(value, "unix:", 5))
        return take_socket(spec, value + 5, error);
    else
        return error_set(error, EX_USAGE, "-monitor %s: write stdio, unix:PATH or none", value);
    return 0;
}
