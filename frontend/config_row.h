/* The options, a row each, out of options.def. */
#ifndef FRONTEND_CONFIG_ROW_H
#define FRONTEND_CONFIG_ROW_H

struct config;
struct error;

/* Which commands take an option. */
enum { RUN = 1, DOCTOR = 2 };

struct option_row {
    unsigned commands;
    const char *name;  /* NULL: a heading, in help */
    const char *value; /* in help; NULL: the option has none. In brackets it may be left out */
    /* value: NULL where the option has none or it was left out. 0, or -1 with *error. */
    int (*take)(struct config *config, const char *value, struct error *error);
    const char *help;
};

enum {
    CONFIG_ROWS = 0
#define GROUP(heading) + 1
#define OPTION(commands, name, value, take, help) + 1
#include "frontend/options.def"
};

/* The kernel may be named without an option, too. 0, or -1 with *error. */
int config_row_take_kernel(struct config *config, const char *value, struct error *error);

/* What -device knows, on standard output. */
void config_row_list_devices(void);

extern const struct option_row config_rows[CONFIG_ROWS];

#endif
