/* -display, -vga, -full-screen, -screenshot: what of the screen is shown where. */
#ifndef FRONTEND_CONFIG_DISPLAY_H
#define FRONTEND_CONFIG_DISPLAY_H

#include <stdbool.h>
#include <stdint.h>

struct error;

enum display_kind { DISPLAY_NOT_SAID, DISPLAY_NONE, DISPLAY_SDL, DISPLAY_VNC, DISPLAY_CURSES };

enum { SCREENSHOTS_MAX = 16, DISPLAY_HOST_MAX = 256, DISPLAY_PATH_MAX = 4096 };

struct screenshot_spec {
    char path[DISPLAY_PATH_MAX];
    uint64_t at_ns; /* CLOCK_NEVER: when the run ends */
};

struct display_spec {
    enum display_kind kind;
    enum { VGA_NOT_SAID, VGA_NONE, VGA_STD } vga;
    bool full_screen;
    char host[DISPLAY_HOST_MAX]; /* VNC: a number or a name */
    uint16_t port;
    struct screenshot_spec shot[SCREENSHOTS_MAX];
    unsigned shots;
};

/* Each takes its option's value; 0, or -1 with *error. */
int config_display_take(struct display_spec *spec, const char *value, struct error *error);
int config_display_take_vnc(struct display_spec *spec, const char *value, struct error *error);
int config_display_take_vga(struct display_spec *spec, const char *value, struct error *error);
int config_display_take_shot(struct display_spec *spec, const char *value, struct error *error);

/* Whether somebody may look at a kernel's screen: a VGA, a display or a picture was asked for, or
 * nothing was and there is a desktop. on_terminal: -nographic was said. */
bool config_display_is_seen(const struct display_spec *spec, bool on_terminal);

/*
 * Decides what was not said: firmware shows its screen in a window where there is one to be had; a
 * kernel without firmware has no window unless asked. Linux then has no screen either, which it
 * would spend time on; other kernels write to it without looking. on_terminal: -nographic was said.
 * Notes what is missing on stderr. 0, or -1 with *error.
 */
int config_display_settle(struct display_spec *spec, bool firmware, bool linux_kernel,
                          bool on_terminal, struct error *error);

#endif
