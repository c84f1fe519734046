/* -serial, -debugcon, -virtcon: where a console's bytes go. */
#ifndef FRONTEND_CONFIG_CONSOLE_H
#define FRONTEND_CONFIG_CONSOLE_H

#include <stdbool.h>

struct console_spec;
struct error;

/* option: its name with the dash. debugcon: only what is good for output alone. value is kept. 0,
 * or -1 with *error. */
int config_console_take(struct console_spec *spec, const char *option, const char *value,
                        bool debugcon, struct error *error);

#endif
