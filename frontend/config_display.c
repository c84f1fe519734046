/* -display none|sdl|vnc=HOST:N|curses, -vga std|none, -screenshot FILE[,at=SECONDS] */
#include "frontend/config_display.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/count.h"
#include "frontend/error.h"

enum { VNC_PORT = 5900, VNC_MAX = 59635 };

/* vnc=HOST:N, vnc=:N on this machine alone, vnc=[ADDRESS]:N */
int config_display_take_vnc(struct display_spec *spec, const char *value, struct error *error)
{
    const char *colon = strrchr(value, ':');
    size_t length = colon ? (size_t)(colon - value) : 0;
    unsigned long number;
    char *end;

    if (!colon || colon[1] < '0' || colon[1] > '9' || length >= sizeof(spec->host) ||
        (number = strtoul(colon + 1, &end, 10), *end) || number > VNC_MAX)
        return error_set(error, EX_USAGE,
                         "-display vnc=%s: not a place for VNC; write vnc=127.0.0.1:0 (port 5900) "
                         "or vnc=:1 (this machine, port 5901)",
                         value);
    if (length > 2 && value[0] == '[' && value[length - 1] == ']') {
        value++;
        length -= 2;
    }
    snprintf(spec->host, sizeof(spec->host), "%.*s", (int)length, value);
    if (!length)
        snprintf(spec->host, sizeof(spec->host), "127.0.0.1");
    spec->kind = DISPLAY_VNC;
    spec->port = (uint16_t)(VNC_PORT + number);
    return 0;
}

/* QEMU's windows by other libraries, and properties of windows, are a note. */
int config_display_take(struct display_spec *spec, const char *value, struct error *error)
{
    static const struct {
        const char *name;
        enum display_kind kind;
        bool other;
    } kinds[] = {
        { "none", DISPLAY_NONE, false },   { "sdl", DISPLAY_SDL, false },
        { "curses", DISPLAY_CURSES, false }, { "gtk", DISPLAY_SDL, true },
        { "cocoa", DISPLAY_SDL, true },
    };
    size_t length = strcspn(value, ","), i = 0;

    if (!strncmp(value, "vnc=", 4))
        return config_display_take_vnc(spec, value + 4, error);
    while (i < COUNT(kinds) &&
           (strlen(kinds[i].name) != length || memcmp(kinds[i].name, value, length)))
        i++;
    if (i == COUNT(kinds))
        return error_set(error, EX_USAGE,
                         "-display %s: unknown; write sdl, none, curses or vnc=127.0.0.1:0",
                         value);
    spec->kind = kinds[i].kind;
    if (kinds[i].other)
        fprintf(stderr, "novt: note: -display %.*s: taken as sdl, which is the window that there "
                        "is\n", (int)length, value);
    if (value[length])
        fprintf(stderr, "novt: note: -display %s: its properties are ignored; see -h for the "
                        "window's keys\n", value);
    return 0;
}

int config_display_take_vga(struct display_spec *spec, const char *value, struct error *error)
{
    if (!strcmp(value, "std"))
        spec->vga = VGA_STD;
    else if (!strcmp(value, "none"))
        spec->vga = VGA_NONE;
    else if (!strcmp(value, "cirrus") || !strcmp(value, "vmware") || !strcmp(value, "qxl") ||
             !strcmp(value, "virtio")) {
        fprintf(stderr, "novt: note: -vga %s: taken as std, a VGA with VBE, which is all that "
                        "there is\n", value);
        spec->vga = VGA_STD;
    } else
        return error_set(error, EX_USAGE, "-vga %s: unknown; write std or none", value);
    return 0;
}

/* FILE[,at=SECONDS] */
int config_display_take_shot(struct display_spec *spec, const char *value, struct error *error)
{
    struct screenshot_spec *shot = &spec->shot[spec->shots];
    const char *at = strstr(value, ",at=");
    size_t length = at ? (size_t)(at - value) : strlen(value);
    double seconds = 0;
    char *end = NULL;

    if (spec->shots == SCREENSHOTS_MAX)
        return error_set(error, EX_USAGE, "-screenshot: at most %u", SCREENSHOTS_MAX);
    if (at)
        seconds = strtod(at + 4, &end);
    if (!length || length >= sizeof(shot->path) ||
        (at && (end == at + 4 || *end || !(seconds >= 0 && seconds < 1e9))))
        return error_set(error, EX_USAGE, "-screenshot %s: write FILE.png or FILE.png,at=SECONDS",
                         value);
    snprintf(shot->path, sizeof(shot->path), "%.*s", (int)length, value);
    shot->at_ns = at ? (uint64_t)(seconds * NS_PER_SEC) : CLOCK_NEVER;
    spec->shots++;
    return 0;
}

static bool has_desktop(void)
{
    const char *x11 = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");

    return (x11 && *x11) || (wayland && *wayland);
}

bool config_display_is_seen(const struct display_spec *spec, bool on_terminal)
{
    if (spec->vga != VGA_NOT_SAID)
        return spec->vga == VGA_STD;
    return spec->shots || spec->kind > DISPLAY_NONE ||
           (spec->kind == DISPLAY_NOT_SAID && !on_terminal && has_desktop());
}

static void choose_kind(struct display_spec *spec, bool firmware, bool on_terminal)
{
    spec->kind = DISPLAY_NONE;
    if (!firmware || on_terminal || spec->vga == VGA_NONE)
        return;
    if (has_desktop())
        spec->kind = DISPLAY_SDL;
    else
        fprintf(stderr, "novt: note: there is no desktop here (DISPLAY is not set), so no window; "
                        "-display vnc=127.0.0.1:0 or -display curses shows the screen\n");
}

int config_display_settle(struct display_spec *spec, bool firmware, bool linux_kernel,
                          bool on_terminal, struct error *error)
{
    if (spec->vga == VGA_NONE && (spec->kind > DISPLAY_NONE || spec->shots))
        return error_set(error, EX_USAGE, "-vga none: then there is nothing to show; leave out "
                                          "-display and -screenshot, or write -vga std");
    if (spec->kind == DISPLAY_NOT_SAID)
        choose_kind(spec, firmware, on_terminal);
    if (spec->vga == VGA_NOT_SAID)
        spec->vga = linux_kernel && !firmware && spec->kind <= DISPLAY_NONE && !spec->shots
                        ? VGA_NONE : VGA_STD;
    return 0;
}
