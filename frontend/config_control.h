/* -monitor: where commands come from. */
#ifndef FRONTEND_CONFIG_CONTROL_H
#define FRONTEND_CONFIG_CONTROL_H

#include <stdbool.h>

struct error;

struct control_spec {
    bool given;
    const char *path; /* of a socket; NULL: standard input */
};

/* 0, or -1 with *error. */
int config_control_take(struct control_spec *spec, const char *value, struct error *error);

#endif
