/* -serial file:PATH: output to a file, a device or a FIFO. It is emptied only when it is opened. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "frontend/console_host.h"
#include "frontend/error.h"

static int file_open(struct console *console, struct error *error)
{
    const char *path = console->config.spec.path;
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = open(path, flags, 0666);

    if (fd < 0)
        return error_set(error, EX_CANTCREAT, "%s: cannot open '%s': %s; %s", console->config.name,
                         path, strerror(errno), console_advice(errno));
    console_attach(console, -1, fd);
    return 0;
}

static void file_close(struct console *console)
{
    if (console->out.fd >= 0)
        close(console->out.fd);
}

const struct console_ops console_file = { .open = file_open, .close = file_close };
