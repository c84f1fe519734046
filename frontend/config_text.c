/* Values of options that have commas, as QEMU writes them. */
#include "frontend/config_text.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/count.h"
#include "frontend/error.h"

char *config_text_next(char **rest)
{
    char *piece = *rest, *to = *rest, *from = *rest;

    if (!piece)
        return NULL;
    while (*from && (*from != ',' || from[1] == ',')) {
        from += *from == ',';
        *to++ = *from++;
    }
    *rest = *from ? from + 1 : NULL;
    *to = 0;
    return piece;
}

const char *config_text_value(const char *piece, const char *name)
{
    size_t len = strlen(name);

    return !strncmp(piece, name, len) && piece[len] == '=' ? piece + len + 1 : NULL;
}

bool config_text_switch(const char *text, bool *on)
{
    static const struct {
        const char *on, *off;
    } words[] = { { "on", "off" }, { "yes", "no" }, { "true", "false" }, { "y", "n" } };

    for (size_t i = 0; i < COUNT(words); i++) {
        *on = !strcmp(text, words[i].on);
        if (*on || !strcmp(text, words[i].off))
            return true;
    }
    return false;
}

bool config_text_flag(const char *piece, const char *name, bool *on)
{
    const char *value = config_text_value(piece, name);
    bool wanted = true;

    if (value ? !config_text_switch(value, &wanted) : strcmp(piece, name))
        return false;
    *on = wanted;
    return true;
}

bool config_text_listens(const char *piece)
{
    bool on;

    return (config_text_flag(piece, "server", &on) && on) ||
           config_text_flag(piece, "wait", &on) || !strcmp(piece, "nowait");
}

/* A decimal number that ports have. */
static bool is_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    long port = strtol(text, NULL, 10);

    return digits && !text[digits] && digits < 6 && port > 0 && port < 65536;
}

bool config_text_place(const char *text, struct tcp_place *place)
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
    if (host >= sizeof(place->host) || port >= sizeof(place->port))
        return false;
    *place = (struct tcp_place){ "", "" };
    memcpy(place->host, text, host);
    memcpy(place->port, colon + 1, port);
    return is_port(place->port);
}

bool config_text_is_tcp(const char *value)
{
    return !strncmp(value, "tcp:", 4) || !strncmp(value, "telnet:", 7);
}

int config_text_tcp(struct tcp_end *end, const char *option, const char *value,
                    struct error *error)
{
    const char *where = strchr(value, ':') + 1, *comma = strchr(where, ',');
    char text[CONFIG_SOCKET_MAX], *rest = comma ? text : NULL, *piece;
    bool on;

    *end = (struct tcp_end){ .telnet = value[1] == 'e' };
    if (!config_text_place(where, &end->place) || (comma && strlen(comma) > sizeof(text)))
        return error_set(error, EX_USAGE, "%s %s: write %.*s:HOST:PORT,server", option, value,
                         (int)(where - 1 - value), value);
    if (comma)
        strcpy(text, comma + 1);
    while ((piece = config_text_next(&rest)))
        if (!config_text_flag(piece, "server", &end->listens) &&
            !config_text_flag(piece, "telnet", &end->telnet) && !config_text_listens(piece) &&
            !config_text_flag(piece, "nodelay", &on))
            return error_set(error, EX_USAGE, "%s %s: '%s' is not known; write server, to listen, "
                             "or nothing", option, value, piece);
    return 0;
}

int config_text_socket(const char *option, const char *value, char path[CONFIG_SOCKET_MAX],
                       struct error *error)
{
    char *rest = path, *piece;

    if (strlen(value) >= CONFIG_SOCKET_MAX)
        return error_set(error, EX_USAGE, "%s unix:%.40s...: too long; paths of sockets have 107 "
                         "characters at most", option, value);
    strcpy(path, value);
    config_text_next(&rest);
    while ((piece = config_text_next(&rest)))
        if (!config_text_listens(piece))
            return error_set(error, EX_USAGE, "%s unix:%s: '%s' is not known; write unix:PATH, with"
                             " two commas for one", option, value, piece);
    if (!*path)
        return error_set(error, EX_USAGE, "%s unix:%s: the path is missing after the colon", option,
                         value);
    return 0;
}
