/*
 * The guest's screen on the host: the display that VGA and windows meet at, the window that the
 * user asked for, screenshots, and input on its way back.
 */
#ifndef FRONTEND_SCREEN_H
#define FRONTEND_SCREEN_H

#include <stdint.h>
#include <stdio.h>

struct display;
struct display_spec;
struct error;
struct machine;
struct screen;

/* Before the board is made. 0 (with *screen NULL when there is no VGA), or -1 with *error. */
int screen_create(struct screen **screen, const struct display_spec *spec, struct error *error);
/* NULL is fine for these. */
struct display *screen_display(struct screen *screen);
const uint8_t *screen_vga_bios(const struct screen *screen, uint32_t *size);

/* Opens the window and the files of screenshots; the machine is complete. 0, or -1 with *error. */
int screen_open(struct screen *screen, struct machine *machine, struct error *error);

/* Takes the screenshots that are due at the end and closes the window, while the board is there. 0,
 * or -1 with *error. */
int screen_close(struct screen *screen, struct error *error);

/* Before the board goes: closes the window in any case. After it has gone: the rest. */
void screen_stop(struct screen *screen);
void screen_destroy(struct screen *screen);

/* A PNG of what the guest shows now, into a file that is open for writing. On the vcpu's thread. 0
 * or -errno (ENODEV: there is no VGA). */
int screen_shoot(struct screen *screen, FILE *file);

#endif
