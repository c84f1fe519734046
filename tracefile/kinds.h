/*
 * The one table of event kinds, base/events.def, as everybody here uses it: what is written, read,
 * filtered and shown.
 */
#ifndef TRACEFILE_KINDS_H
#define TRACEFILE_KINDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/events.h"

enum kind_group {
    GROUP_CPU,
    GROUP_SENSITIVE,
    GROUP_FAULT,
    GROUP_SHADOW,
    GROUP_CODE,
    GROUP_BOARD,
    GROUP_COUNT
};

enum kind_type { TYPE_NONE, TYPE_HEX, TYPE_DEC, TYPE_WORD };

struct kind_value {
    const char *name;
    enum kind_type type; /* TYPE_NONE: there are no more */
};

struct kind {
    const char *name, *help;
    enum kind_group group;
    struct kind_value value[EVENT_VALUES];
};

extern const struct kind kinds[EVENT_COUNT];
extern const char *const kind_groups[GROUP_COUNT];
extern const char *const kind_modes[EVENT_MODES];

/* A sum over the table: of a trace that was written with another one it differs. */
uint32_t kinds_sum(void);

/* The value of this name, or -1. */
int kind_find_value(const struct kind *kind, const char *name, unsigned len);

#endif
