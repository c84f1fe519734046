/* -monitor: where commands come from. */
#include "frontend/config_control.h"

#include <string.h>
#include <sysexits.h>

#include "frontend/config_text.h"
#include "frontend/error.h"

static int take_tcp(struct control_spec *spec, const char *value, struct error *error)
{
    spec->where = CONTROL_TCP;
    if (config_text_tcp(&spec->tcp, "-monitor", value, error))
        return -1;
    return spec->tcp.listens ? 0 : error_set(error, EX_USAGE, "-monitor %s: it calls nobody, it "
                                             "listens; write %s,server", value, value);
}

/* none is there for QEMU's command lines. */
int config_control_take(struct control_spec *spec, const char *value, struct error *error)
{
    *spec = (struct control_spec){ .where = CONTROL_NOWHERE };
    if (!strcmp(value, "none") || !strcmp(value, "null"))
        return 0;
    if (!strcmp(value, "stdio")) {
        spec->where = CONTROL_STDIO;
        return 0;
    }
    if (config_text_is_tcp(value))
        return take_tcp(spec, value, error);
    if (strncmp(value, "unix:", 5))
        return error_set(error, EX_USAGE, "-monitor %s: write stdio, unix:PATH, tcp:HOST:PORT,"
                         "server, telnet:HOST:PORT,server or none", value);
    spec->where = CONTROL_UNIX;
    spec->path = spec->socket;
    return config_text_socket("-monitor", value + 5, spec->socket, error);
}
