/*
 * The monitor on a console's terminal, beside the guest (-serial mon:stdio): Ctrl-A c gives it the
 * keyboard and takes it away. It edits a line, and answers it in words (control.h).
 */
#ifndef FRONTEND_MUX_H
#define FRONTEND_MUX_H

#include <stddef.h>
#include <stdint.h>

struct console;
struct error;
struct machine;
struct mux;

/* For this console; it borrows the machine's control, or begins one. NULL with *error. */
struct mux *mux_create(struct machine *machine, struct console *console, struct error *error);
void mux_destroy(struct mux *mux);

/* struct console_config's monitor; arg: where the mux is (struct mux **). */
void mux_typed(void *arg, const uint8_t *bytes, size_t size);

#endif
