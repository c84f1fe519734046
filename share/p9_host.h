/*
 * Files of the host below a folder, by their paths, and nothing else of the host.
 *
 * Every path is resolved by openat2() from the folder's descriptor, with RESOLVE_BENEATH,
 * RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS: each step happens in the kernel, so there is no
 * moment between a look and a use. Links are the guest's to follow; on the host none is. What is
 * done to a name (unlink, rename, ...) is done relative to the directory's descriptor so found, by
 * calls that do not follow the name itself.
 *
 * Internal to share/. Functions return 0 or a descriptor, or -errno.
 */
#ifndef SHARE_P9_HOST_H
#define SHARE_P9_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

/* flags as open() has them; O_NOFOLLOW, O_CLOEXEC, O_NOCTTY and O_NONBLOCK are added. */
int p9_host_open(int root, const char *path, int flags, mode_t mode);

/* The file itself, also if it is a link: an O_PATH descriptor. */
int p9_host_find(int root, const char *path);

/* Opens a regular file or a directory; -ENXIO for anything else, which is not touched. */
int p9_host_open_data(int root, const char *path, int flags, bool *directory);

/* Of a descriptor, which may be O_PATH: */
int p9_host_chmod(int fd, mode_t mode);
int p9_host_chown(int fd, uid_t uid, gid_t gid);
int p9_host_times(int fd, const struct timespec times[2]);
int p9_host_readlink(int fd, char *to, size_t size); /* how many bytes, no 0 behind them */

#endif
