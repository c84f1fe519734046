/* Reference: unix(7). */
#include "base/unix_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static bool is_stale(const struct sockaddr_un *address)
{
    struct stat st;
    bool stale;
    int fd;

    if (lstat(address->sun_path, &st) || !S_ISSOCK(st.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    stale = connect(fd, (const struct sockaddr *)address, sizeof(*address)) &&
            errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static int bind_to(int fd, const struct sockaddr_un *address, bool only_us)
{
    mode_t mask = umask(0777);
    int err;

    umask(only_us ? 077 : mask);
    err = bind(fd, (const struct sockaddr *)address, sizeof(*address)) ? -errno : 0;
    umask(mask);
    return err;
}

int unix_socket_listen(const char *path, bool only_us, int waiting)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd, err;

    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (is_stale(&address))
        unlink(path);
    err = bind_to(fd, &address, only_us);
    if (!err && listen(fd, waiting))
        err = -errno;
    if (!err)
        return fd;
    close(fd);
    return err;
}
