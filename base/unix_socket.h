/* Listening stream sockets with a name in the file system. */
#ifndef BASE_UNIX_SOCKET_H
#define BASE_UNIX_SOCKET_H

#include <stdbool.h>

/*
 * Listens at path, without blocking. A socket's file that nobody listens to any more is replaced,
 * one in use is not. only_us: no other user may connect. The descriptor, or -errno: -ENAMETOOLONG
 * where path does not fit an address, -EADDRINUSE where something else is there.
 */
int unix_socket_listen(const char *path, bool only_us, int waiting);

#endif
