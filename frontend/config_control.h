/* -monitor: where commands come from. */
#ifndef FRONTEND_CONFIG_CONTROL_H
#define FRONTEND_CONFIG_CONTROL_H

#include <stdbool.h>

#include "frontend/config_text.h"

struct error;

struct control_spec {
    bool given;
    const char *path; /* of a socket, in socket; NULL: standard input */
    char socket[CONFIG_SOCKET_MAX];
};

/* 0, or -1 with *error. */
int config_control_take(struct control_spec *spec, const char *value, struct error *error);

#endif
