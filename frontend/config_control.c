/* -monitor: where commands come from. */
#include "frontend/config_control.h"

#include <string.h>
#include <sysexits.h>

#include "frontend/error.h"

/* none is there for QEMU's command lines. */
int config_control_take(struct control_spec *spec, const char *value, struct error *error)
{
    if (!strcmp(value, "none") || !strcmp(value, "null"))
        *spec = (struct control_spec){ 0 };
    else if (!strcmp(value, "stdio"))
        *spec = (struct control_spec){ .given = true };
    else if (!strncmp(value, "unix:", 5) && value[5])
        *spec = (struct control_spec){ .given = true, .path = value + 5 };
    else
        return error_set(error, EX_USAGE, "-monitor %s: write stdio, unix:PATH or none", value);
    return 0;
}
