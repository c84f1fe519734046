/*
 * The user's terminal: raw while the guest has it, as it was before on every way out, also when
 * novt crashes.
 */
#ifndef FRONTEND_TERMINAL_H
#define FRONTEND_TERMINAL_H

#include <stdbool.h>

/*
 * Puts the terminal of descriptor fd into the mode a serial line wants: each key at once, no echo.
 * all_keys: Ctrl-C and its like are keys as well, and output goes through unchanged. False when fd
 * is no terminal, or not ours to change (we are in the background).
 */
bool terminal_take(int fd, bool all_keys);

/* Output goes through unchanged: our own lines need a carriage return as well. */
bool terminal_is_raw(void);

/*
 * A descriptor, one for the process, that can be read (8 bytes, an eventfd) when the terminal may
 * have another size: it was changed, or we are back in the foreground. -errno. Close it by
 * terminal_unwatch() alone.
 */
int terminal_watch(void);
void terminal_unwatch(void);

/* Gives it back; nothing happens when it was not taken. Async-signal-safe. */
void terminal_restore(void);

/* Restores it when a host fault or abort() kills novt, too. Call before engines install their own
 * handlers for host faults: they hand on what is not theirs. */
void terminal_guard(void);

#endif
