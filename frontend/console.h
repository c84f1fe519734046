/*
 * Consoles: the host side of a character line (devices/chardev.h).
 *
 * A console is made before the board and opened after the kernel has been loaded, so that nothing
 * on the host is touched by a run that cannot start.
 *
 *   stdio      the terminal (raw when asked, with Ctrl-A as its escape), a pipe, a file;
 *              mon:stdio: with the monitor beside it (mux.h)
 *   file:PATH  output only
 *   pty        a new pseudo-terminal; its name is printed
 *   unix:PATH  a listening socket, one client at a time
 *   tcp:, telnet:  the same by TCP, at HOST:PORT, or it calls who listens there
 *   null       takes everything, sends nothing
 *   none       no line at all: the chip is not on the board
 *
 * Nothing is lost while somebody is at the other end: the guest is made to wait instead. While
 * nobody is (pty, sockets), the last CONSOLE_KEPT bytes are kept for whoever comes.
 */
#ifndef FRONTEND_CONSOLE_H
#define FRONTEND_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frontend/config_text.h"

#define CONSOLE_KEPT 65536

enum console_kind {
    CONSOLE_NONE,
    CONSOLE_NULL,
    CONSOLE_STDIO,
    CONSOLE_FILE,
    CONSOLE_PTY,
    CONSOLE_UNIX,
    CONSOLE_TCP,
};

struct console_spec {
    enum console_kind kind;
    bool raw;         /* stdio: on a terminal, every key is the guest's, and Ctrl-A is ours */
    const char *path; /* file, unix */
    char socket[CONFIG_SOCKET_MAX]; /* where path is, with unix: */
    struct tcp_end tcp;
    bool monitor;     /* with raw: Ctrl-A c leads to the monitor; Ctrl-A is ours in a pipe, too */
    char chardev[32]; /* the id of a -chardev, which is to take this one's place; "": none */
    const char *option; /* that named it; NULL without */
};

struct chardev;
struct console;
struct error;
struct poller;
struct vm_stop;

struct console_config {
    struct console_spec spec; /* not CONSOLE_NONE */
    const char *name;         /* "serial line", for messages */
    bool input;               /* the guest can hear */
    struct poller *poller;
    struct vm_stop *stop;
    /* Hears what the host has taken; may be NULL. */
    void (*output)(void *arg, const uint8_t *bytes, size_t size);
    void *output_arg;
    /* Where what is typed goes between one Ctrl-A c and the next (spec.monitor); size 0: it begins.
     */
    void (*monitor)(void *arg, const uint8_t *bytes, size_t size);
    void *monitor_arg;
    uint8_t escape; /* stdio: the control character that is ours; 0: Ctrl-A */
};

/* NULL: no memory. */
struct console *console_create(const struct console_config *config);
void console_destroy(struct console *console);

/* The end for a chip; the console's. */
struct chardev *console_line(struct console *console);

/* Text of ours among the guest's output, with \n at lines' ends. It is never waited for. */
void console_say(struct console *console, const char *text, size_t size);

/* Opens the host side. 0, or -1 with *error. */
int console_open(struct console *console, struct error *error);

/* Writes out what still waits, for at most ms milliseconds; false when something is left. */
bool console_flush(struct console *console, int ms);

/* Closes the host side; false with *error when the host lost output. */
bool console_close(struct console *console, struct error *error);

#endif
