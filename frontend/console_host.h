/*
 * What the kinds of consoles (console_*.c) share with console.c: a console is one descriptor to
 * read and one to write, and a kind says how they come and go. Included by those files alone.
 */
#ifndef FRONTEND_CONSOLE_HOST_H
#define FRONTEND_CONSOLE_HOST_H

#include "devices/chardev.h"
#include "frontend/console.h"
#include "frontend/poller.h"
#include "frontend/telnet.h"

struct console_ops {
    int (*open)(struct console *console, struct error *error);
    void (*close)(struct console *console); /* may be NULL */
    /* The other end has gone: reading or writing said so. NULL: output that fails ends the run. */
    void (*lost)(struct console *console);
};

extern const struct console_ops console_stdio, console_file, console_pty, console_unix,
    console_tcp;

/* A queue of bytes that forgets the oldest ones. */
struct console_ring {
    uint8_t bytes[CONSOLE_KEPT];
    size_t start, size;
};

struct console {
    struct chardev line;
    struct console_config config;
    const struct console_ops *ops;
    struct poller_fd in, out; /* fd < 0: not there */
    /* Takes our own keys out of what was typed; returns how many bytes are left for the guest. With
     * it, input is read ahead of the guest, so that our keys work when the guest is deaf. */
    size_t (*filter)(struct console *console, uint8_t *bytes, size_t size);
    bool input_ended;
    bool careful;      /* a write to out may block: ask first, and write little */
    bool absent;       /* nobody is at the other end */
    bool stalled;      /* we owe the chip a chardev_writable() */
    bool failed;       /* the host side is broken: output is dropped */
    bool delivering;
    struct console_ring *kept;  /* output for whoever comes; allocated when first needed */
    struct console_ring *typed; /* input read ahead (filter) */
    struct poller_call later;   /* delivers it */
    /* The kinds' own: */
    bool escape;           /* stdio: Ctrl-A was the last key */
    bool in_monitor;       /* stdio: the monitor has the keyboard */
    struct poller_fd door; /* pty: inotify of the slave's name; sockets: the listening one;
                            * stdio: the terminal's size may have changed */
    int master;            /* pty */
    char slave[64];        /* pty: its name */
    struct telnet telnet;  /* tcp */
};

/* The other end is there, or gone; the console's descriptors are up to date. */
void console_attach(struct console *console, int in_fd, int out_fd);
void console_detach(struct console *console);

/* What to do about a host error, for the end of a sentence. */
const char *console_advice(int err);

#endif
