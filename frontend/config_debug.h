/* -gdb, -s, -S: where a debugger may come from, and whether the guest waits for it. */
#ifndef FRONTEND_CONFIG_DEBUG_H
#define FRONTEND_CONFIG_DEBUG_H

#include <stdbool.h>

#include "frontend/config_text.h"

struct error;

struct debug_spec {
    bool given;       /* -gdb or -s */
    const char *path; /* of a unix socket, in socket; NULL: */
    char socket[CONFIG_SOCKET_MAX];
    struct tcp_place place;
    bool stopped;     /* -S */
};

/* 0, or -1 with *error. */
int config_debug_take(struct debug_spec *spec, const char *value, struct error *error);

/* -S needs somebody who lets the guest go on. */
int config_debug_check(const struct debug_spec *spec, bool monitor, struct error *error);

#endif
