/*
 * novt bench, novt learn: becomes the script, which is told where this program is.
 *
 * It is looked for where it is installed, ../share/novt from this program, then where the build
 * found it (NOVT_SOURCES, from CMake).
 */
#include "frontend/script_tool.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/count.h"
#include "frontend/error.h"

static const struct script {
    const char *command, *path;
} scripts[] = {
    { "bench", "bench/compare" },
    { "learn", "guests/course/learn" },
};

static const struct script *find(const char *command)
{
    for (size_t i = 0; i < COUNT(scripts); i++)
        if (!strcmp(scripts[i].command, command))
            return &scripts[i];
    return NULL;
}

bool script_tool_is(const char *command)
{
    return find(command);
}

/* This program's own path, absolute. */
static int find_self(const struct script *s, char path[PATH_MAX], struct error *error)
{
    ssize_t size = readlink("/proc/self/exe", path, PATH_MAX - 1);

    if (size < 0)
        return error_set(error, EX_OSERR, "%s: /proc/self/exe: %s; mount /proc", s->command,
                         strerror(errno));
    path[size] = 0;
    return 0;
}

/* Into file, from where this program is: its folder's neighbour. */
static bool installed(const struct script *s, const char *self, char file[PATH_MAX])
{
    const char *slash = strrchr(self, '/');
    int size = snprintf(file, PATH_MAX, "%.*s/../share/novt/%s", (int)(slash - self), self,
                        s->path);

    return size < PATH_MAX && !access(file, R_OK);
}

static int find_file(const struct script *s, const char *self, char file[PATH_MAX],
                     struct error *error)
{
    char beside[PATH_MAX];

    if (installed(s, self, file))
        return 0;
    strcpy(beside, file);
    snprintf(file, PATH_MAX, "%s/%s", NOVT_SOURCES, s->path);
    if (!access(file, R_OK))
        return 0;
    return error_set(error, EX_UNAVAILABLE,
                     "%s: its scripts are neither '%s' nor '%s'; keep the sources where novt "
                     "was built, or install it", s->command, beside, file);
}

static int start(const struct script *s, const char *self, const char *file, int argc,
                 char **argv, struct error *error)
{
    const char **words = calloc((size_t)argc + 6, sizeof(*words));
    unsigned n = 0;

    if (!words)
        return error_set(error, EX_OSERR, "%s: out of memory", s->command);
    words[n++] = "python3";
    words[n++] = "-B"; /* the folder may be somebody else's */
    words[n++] = file;
    words[n++] = "--novt";
    words[n++] = self;
    memcpy(words + n, argv, (size_t)argc * sizeof(*argv));
    execvp(words[0], (char *const *)words);
    free(words);
    return error_set(error, EX_UNAVAILABLE,
                     "%s: cannot start python3: %s; apt-get install python3", s->command,
                     strerror(errno));
}

int script_tool(int argc, char **argv)
{
    const struct script *s = find(argv[0]);
    char self[PATH_MAX], file[PATH_MAX];
    struct error error = { 0 };

    if (!find_self(s, self, &error) && !find_file(s, self, file, &error))
        start(s, self, file, argc - 1, argv + 1, &error);
    error_print(stderr, &error);
    return error.status;
}
