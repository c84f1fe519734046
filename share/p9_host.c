/* Files of the host below a folder: see p9_host.h. */
#include "share/p9_host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "share/p9.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452 /* Linux 6.6 */
#endif

enum { TRIES = 16 }; /* the kernel gives up when names around the path change */

static int open_beneath(int root, const char *path, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags,
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };

    for (unsigned i = 0; i < TRIES; i++) {
        long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

        if (fd >= 0)
            return (int)fd;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
    return -EAGAIN;
}

int p9_host_open(int root, const char *path, int flags, mode_t mode)
{
    if (!(flags & O_PATH)) /* with which the kernel refuses them */
        flags |= O_NOCTTY | O_NONBLOCK;
    return open_beneath(root, path, flags | O_NOFOLLOW | O_CLOEXEC, mode);
}

int p9_host_find(int root, const char *path)
{
    return open_beneath(root, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
}

bool p9_host_can(int root)
{
    int fd = p9_host_find(root, ".");

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* Whether it is one of the two kinds; -ENXIO when not. */
static int check_kind(int fd, bool *directory)
{
    struct stat st;

    if (fstat(fd, &st))
        return -errno;
    *directory = S_ISDIR(st.st_mode);
    return *directory || S_ISREG(st.st_mode) ? 0 : -ENXIO;
}

int p9_host_open_data(int root, const char *path, int flags, bool *directory)
{
    int fd = p9_host_find(root, path), err;

    /* Opening a device does things to it, so look first; look again at what was opened. */
    if (fd < 0)
        return fd;
    err = check_kind(fd, directory);
    close(fd);
    if (err)
        return err;
    fd = p9_host_open(root, path, flags, 0);
    err = fd < 0 ? fd : check_kind(fd, directory);
    if (err && fd >= 0)
        close(fd);
    return err ? err : fd;
}

/* Before Linux 6.6: by the one name that means this descriptor's file whatever happens. */
static int chmod_by_proc(int fd, mode_t mode)
{
    char path[32];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return fchmodat(AT_FDCWD, path, mode, 0) ? -errno : 0;
}

int p9_host_chmod(int fd, mode_t mode)
{
    struct stat st;

    if (fstat(fd, &st))
        return -errno;
    if (S_ISLNK(st.st_mode))
        return -EOPNOTSUPP;
    if (!syscall(SYS_fchmodat2, fd, "", mode, AT_EMPTY_PATH))
        return 0;
    return errno == ENOSYS ? chmod_by_proc(fd, mode) : -errno;
}

int p9_host_chown(int fd, uid_t uid, gid_t gid)
{
    return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) ? -errno : 0;
}

int p9_host_times(int fd, const struct timespec times[2])
{
    return utimensat(fd, "", times, AT_EMPTY_PATH) ? -errno : 0;
}

int p9_host_readlink(int fd, char *to, size_t size)
{
    ssize_t n = readlinkat(fd, "", to, size);

    return n < 0 ? -errno : (int)n;
}
