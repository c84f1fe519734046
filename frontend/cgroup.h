/* Limits of the control groups that this process is in: a container's, a service's. */
#ifndef FRONTEND_CGROUP_H
#define FRONTEND_CGROUP_H

#include <stdint.h>

/* What limits the controller ("memory", "pids"), as the file of cgroup v2 or of v1 says: bytes, or
 * processes and threads. The least of the groups on the way to the root; UINT64_MAX: none that can
 * be seen. */
uint64_t cgroup_limit(const char *controller, const char *file_v2, const char *file_v1);

#endif
