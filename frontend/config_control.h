/* -monitor: where commands come from. */
#ifndef FRONTEND_CONFIG_CONTROL_H
#define FRONTEND_CONFIG_CONTROL_H

#include <stdbool.h>

#include "frontend/config_text.h"

struct error;

enum control_where {
    CONTROL_NOWHERE,
    CONTROL_STDIO,
    CONTROL_UNIX, /* for programs: JSON; the others for people */
    CONTROL_TCP,
};

struct control_spec {
    enum control_where where;
    const char *path; /* unix: of the socket, in socket */
    char socket[CONFIG_SOCKET_MAX];
    struct tcp_end tcp;
};

/* 0, or -1 with *error. */
int config_control_take(struct control_spec *spec, const char *value, struct error *error);

#endif
