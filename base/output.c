/* Reference: open(2), fifo(7). */
#include "base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int output_open(const char *path)
{
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY;
    int fd = open(path, flags | O_NONBLOCK, 0666), err;

    if (fd < 0)
        return -errno;
    if (!fcntl(fd, F_SETFL, 0))
        return fd;
    err = -errno;
    close(fd);
    return err;
}

FILE *output_stream(const char *path)
{
    int fd = output_open(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

    if (fd < 0)
        errno = -fd;
    else if (!file)
        close(fd);
    return file;
}

const char *output_advice(int err)
{
    return err == ENXIO ? "start its reader first" : "name a file that can be written";
}
