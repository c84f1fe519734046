/* -serial, -debugcon, -virtcon: where a console's bytes go. */
#ifndef FRONTEND_CONFIG_CONSOLE_H
#define FRONTEND_CONFIG_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

struct console_spec;
struct error;

/* option: its name with the dash. debugcon: only what is good for output alone. value is kept. 0,
 * or -1 with *error. */
int config_console_take(struct console_spec *spec, const char *option, const char *value,
                        bool debugcon, struct error *error);

/* Has none been given before? 0; else -1 with *error, which says that there can be one. */
int config_console_only(const struct console_spec *spec, const char *what, const char *option,
                        const char *value, struct error *error);

/* -echr: a control character by its number. 0, or -1 with *error. */
int config_console_escape(uint8_t *escape, const char *value, struct error *error);

#endif
