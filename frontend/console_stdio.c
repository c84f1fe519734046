/*
 * -serial stdio: standard input and output, whatever they are.
 *
 * On a terminal (both ends, and in the foreground) every key goes to the guest at once; with
 * -nographic and mon:stdio also those that send signals, and Ctrl-A is ours (of mon:stdio in a
 * pipe, too):
 *   Ctrl-A c  gives the keyboard to the monitor, and back to the guest
 *   Ctrl-A x  quits
 *   Ctrl-A h  prints this list
 *   Ctrl-A Ctrl-A  sends one Ctrl-A
 *
 * A chip that wants to know the terminal's size (virtio) hears of it, and of every other one.
 *
 * Writing must not block the guest's timers. O_NONBLOCK belongs to the open file and not to our
 * descriptor of it, and the shell has the same one: so a terminal or pipe is opened again. Where
 * that is not allowed, poll() is asked before each small write.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/kill.h"
#include "frontend/console_host.h"
#include "frontend/error.h"
#include "frontend/terminal.h"

#define CTRL_A 1

static uint8_t escape_of(const struct console *console)
{
    return console->config.escape ? console->config.escape : CTRL_A;
}

static void print_help(const struct console *console)
{
    char key = (char)('@' + escape_of(console)), monitor[64] = "", text[256];
    int size;

    if (console->config.monitor)
        snprintf(monitor, sizeof(monitor), "\r\nCtrl-%c c       the monitor, and back to the guest",
                 key);
    size = snprintf(text, sizeof(text),
                    "%s\r\n"
                    "Ctrl-%c x       quit novt\r\n"
                    "Ctrl-%c h       this help\r\n"
                    "Ctrl-%c Ctrl-%c  send Ctrl-%c to the guest\r\n",
                    monitor, key, key, key, key, key);
    if (write(STDERR_FILENO, text, (size_t)size) < 0)
        return;
}

static void change_focus(struct console *console)
{
    if (!console->config.monitor)
        return;
    console->in_monitor = !console->in_monitor;
    if (console->in_monitor)
        console->config.monitor(console->config.monitor_arg, NULL, 0);
}

static void command(struct console *console, uint8_t key)
{
    switch (key) {
    case 'x': case 'X':
        vm_stop(console->config.stop, VM_QUIT, 0, "quit by Ctrl-A x");
        break;
    case 'c': case 'C': change_focus(console); break;
    case 'h': case '?': print_help(console); break;
    default: break;
    }
}

/* A byte that is none of ours: the guest's, which is true then, or the monitor's. */
static bool is_for_guest(struct console *console, uint8_t byte)
{
    if (console->in_monitor)
        console->config.monitor(console->config.monitor_arg, &byte, 1);
    return !console->in_monitor;
}

static size_t filter(struct console *console, uint8_t *bytes, size_t size)
{
    size_t kept = 0;

    for (size_t i = 0; i < size; i++) {
        uint8_t byte = bytes[i];

        if (!console->escape && byte == escape_of(console)) {
            console->escape = true;
            continue;
        }
        if (console->escape && byte != escape_of(console))
            command(console, byte);
        else if (is_for_guest(console, byte))
            bytes[kept++] = byte;
        console->escape = false;
    }
    return kept;
}

/* A descriptor of standard output that does not block; STDOUT_FILENO itself where there is none. */
static int private_output(struct console *console)
{
    struct stat st;
    int fd;

    if (fstat(STDOUT_FILENO, &st))
        return -1;
    if (!S_ISFIFO(st.st_mode) && !isatty(STDOUT_FILENO)) {
        console->careful = S_ISSOCK(st.st_mode);
        return STDOUT_FILENO;
    }
    fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    console->careful = fd < 0;
    return fd < 0 ? STDOUT_FILENO : fd;
}

/* --- The terminal's size ---------------------------------------------------- */

static void tell_size(struct console *console)
{
    struct winsize size;

    if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
        chardev_resize(&console->line, size.ws_col, size.ws_row);
}

static void size_changed(void *arg, short revents)
{
    struct console *console = arg;
    uint64_t count;

    (void)revents;
    if (read(console->door.fd, &count, sizeof(count)) > 0)
        tell_size(console);
}

/* Without a descriptor for it the size stays what it is now. */
static void watch_size(struct console *console)
{
    int fd;

    if (!chardev_has_size(&console->line) || !isatty(STDOUT_FILENO))
        return;
    tell_size(console);
    fd = terminal_watch();
    if (fd < 0)
        return;
    console->door.ready = size_changed;
    poller_change(console->config.poller, &console->door, fd, POLLIN);
}

/* --- Coming and going ------------------------------------------------------- */

static int stdio_open(struct console *console, struct error *error)
{
    bool raw = console->config.spec.raw;
    int out = private_output(console);

    if (out < 0)
        return error_set(error, EX_IOERR, "%s: standard output is closed; redirect it somewhere",
                         console->config.name);
    if (console->config.input && console->config.spec.monitor)
        console->filter = filter;
    if (console->config.input && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) &&
        terminal_take(STDIN_FILENO, raw) && raw)
        console->filter = filter;
    console->in.urgent = console->filter;
    console_attach(console, STDIN_FILENO, out);
    watch_size(console);
    return 0;
}

static void stdio_close(struct console *console)
{
    if (console->config.input)
        terminal_restore();
    if (console->door.fd >= 0)
        terminal_unwatch();
    if (console->out.fd > STDERR_FILENO)
        close(console->out.fd);
}

const struct console_ops console_stdio = { .open = stdio_open, .close = stdio_close };
