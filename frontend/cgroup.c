/*
 * Limits of control groups, by the files that cgroups(7) describes.
 *
 * Modelled: v1, v2 and both at once, where systemd and container engines mount them. In a container
 * the path that /proc/self/cgroup tells may be one outside of it: what is not there is passed over,
 * and the mount's own directory is the container's group.
 */
#include "frontend/cgroup.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SIZE 4352 /* a group's path, of at most PATH_MAX, and what comes before and behind */

/* "max" and what no host has mean none. */
static uint64_t read_limit(const char *directory, const char *file)
{
    char path[PATH_SIZE + 64];
    uint64_t limit;
    FILE *f;
    int got;

    snprintf(path, sizeof(path), "%s/%s", directory, file);
    f = fopen(path, "re");
    if (!f)
        return UINT64_MAX;
    got = fscanf(f, "%" SCNu64, &limit);
    fclose(f);
    return got == 1 && limit < INT64_MAX / 2 ? limit : UINT64_MAX;
}

/* The least limit of the group and those that it is in, up to where they are mounted. */
static uint64_t least_limit(const char *mount, const char *group, const char *file)
{
    uint64_t least = UINT64_MAX, limit;
    char path[PATH_SIZE];
    char *slash;

    snprintf(path, sizeof(path), "%s%s", mount, strcmp(group, "/") ? group : "");
    for (;;) {
        limit = read_limit(path, file);
        least = limit < least ? limit : least;
        slash = strrchr(path, '/');
        if (!slash || (size_t)(slash - path) < strlen(mount))
            return least;
        *slash = 0;
    }
}

/* Is the controller in a list with commas? */
static bool is_listed(const char *list, const char *controller)
{
    size_t length = strlen(controller);

    for (const char *at = strstr(list, controller); at; at = strstr(at + 1, controller))
        if ((at == list || at[-1] == ',') && (!at[length] || at[length] == ','))
            return true;
    return false;
}

/* A line of /proc/self/cgroup: number:controllers:group, the controllers none for v2. */
static uint64_t limit_of_line(char *line, const char *controller, const char *file_v2,
                              const char *file_v1)
{
    char *controllers, *group;
    char mount[64];

    strsep(&line, ":");
    controllers = strsep(&line, ":");
    group = strsep(&line, "\n");
    if (!group)
        return UINT64_MAX;
    if (!*controllers)
        return least_limit("/sys/fs/cgroup", group, file_v2);
    if (!is_listed(controllers, controller))
        return UINT64_MAX;
    snprintf(mount, sizeof(mount), "/sys/fs/cgroup/%s", controller);
    return least_limit(mount, group, file_v1);
}

uint64_t cgroup_limit(const char *controller, const char *file_v2, const char *file_v1)
{
    FILE *f = fopen("/proc/self/cgroup", "re");
    uint64_t least = UINT64_MAX, limit;
    char *line = NULL;
    size_t size = 0;

    while (f && getline(&line, &size, f) > 0) {
        limit = limit_of_line(line, controller, file_v2, file_v1);
        least = limit < least ? limit : least;
    }
    free(line);
    if (f)
        fclose(f);
    return least;
}
