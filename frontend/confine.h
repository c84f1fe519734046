/*
 * The monitor's own confinement: a seccomp allow-list for all of its threads, from when everything
 * is open until the end of the process. Why it is drawn so: docs/decisions/0009.
 */
#ifndef FRONTEND_CONFINE_H
#define FRONTEND_CONFINE_H

#include <stdbool.h>

struct confine_wants {
    bool write_files;  /* -stats-json writes a file by its name at the end */
    bool remove_files; /* -serial unix: takes its socket file away */
    bool read_files;   /* -nic user,tftp= serves files by their names */
    bool user_network; /* -nic user: Internet sockets; the resolver's file, from a copy */
    bool share_files;  /* -share: whatever is done to files, beneath an open directory */
    bool drives;       /* images: reads and writes at offsets, fdatasync, locks */
    bool kvm;          /* -engine kvm: its descriptors' ioctls */
    bool socket_line;  /* -nic socket: connects again when the other end went */
};

/*
 * Installs the filter and the handler of what it stops: a line on standard error that names the
 * call, status 70. 0, or -errno: the process is not confined, and *why is a sentence about it.
 */
int confine_enter(const struct confine_wants *wants, const char **why);

/* Whether it could be: tries in a child. NULL, or why not. */
const char *confine_try(void);

#endif
