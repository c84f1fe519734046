/* -gdb, -s, -S: see config_debug.h. */
#include "frontend/config_debug.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "frontend/config_text.h"
#include "frontend/error.h"

static int bad(const char *value, struct error *error)
{
    return error_set(error, EX_USAGE,
                     "-gdb %s: write tcp::PORT, tcp:HOST:PORT, unix:PATH or none", value);
}

/* A decimal number that ports have. */
static bool is_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    long port = strtol(text, NULL, 10);

    return digits && !text[digits] && digits < 6 && port > 0 && port < 65536;
}

/* HOST:PORT, [ADDRESS]:PORT or :PORT; what QEMU's command lines add (",server=on,wait=off") is so
 * here in any case. */
static bool take_tcp(struct debug_spec *spec, const char *text)
{
    size_t size = strcspn(text, ",");
    const char *colon = memrchr(text, ':', size);
    size_t host, port;

    if (!colon)
        return false;
    host = (size_t)(colon - text);
    port = size - host - 1;
    if (host && *text == '[' && colon[-1] == ']') {
        text++;
        host -= 2;
    }
    if (host >= sizeof(spec->host) || port >= sizeof(spec->port))
        return false;
    memcpy(spec->host, text, host);
    memcpy(spec->port, colon + 1, port);
    return is_port(spec->port);
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
    if (!strncmp(value, "tcp:", 4) && take_tcp(spec, value + 4))
        return 0;
    return bad(value, error);
}

int config_debug_check(const struct debug_spec *spec, bool monitor, struct error *error)
{
    if (!spec->stopped || spec->given || monitor)
        return 0;
    return error_set(error, EX_USAGE, "-S: nobody could let the guest go on; add -s, -gdb or "
                                      "-monitor");
}
