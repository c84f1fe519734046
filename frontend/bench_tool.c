/*
 * novt bench: becomes bench/compare, with this program as the novt that is measured.
 *
 * The folder is looked for where it is installed, ../share/novt/bench from this program, then where
 * the build found it (NOVT_BENCH, from CMake).
 */
#include "frontend/bench_tool.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "frontend/error.h"

#define SCRIPT "compare"

/* This program's own path, absolute. */
static int find_self(char path[PATH_MAX], struct error *error)
{
    ssize_t size = readlink("/proc/self/exe", path, PATH_MAX - 1);

    if (size < 0)
        return error_set(error, EX_OSERR, "bench: /proc/self/exe: %s; mount /proc",
                         strerror(errno));
    path[size] = 0;
    return 0;
}

/* Into script, from where this program is: its folder's neighbour. */
static bool installed(const char *self, char script[PATH_MAX])
{
    const char *slash = strrchr(self, '/');
    int size = snprintf(script, PATH_MAX, "%.*s/../share/novt/bench/" SCRIPT, (int)(slash - self),
                        self);

    return size < PATH_MAX && !access(script, R_OK);
}

static int find_script(const char *self, char script[PATH_MAX], struct error *error)
{
    char beside[PATH_MAX];

    if (installed(self, script))
        return 0;
    strcpy(beside, script);
    snprintf(script, PATH_MAX, "%s/" SCRIPT, NOVT_BENCH);
    if (!access(script, R_OK))
        return 0;
    return error_set(error, EX_UNAVAILABLE,
                     "bench: its scripts are neither '%s' nor '%s'; keep the sources where novt "
                     "was built, or install it", beside, script);
}

static int start(const char *self, const char *script, int argc, char **argv, struct error *error)
{
    const char **words = calloc((size_t)argc + 6, sizeof(*words));
    unsigned n = 0;

    if (!words)
        return error_set(error, EX_OSERR, "bench: out of memory");
    words[n++] = "python3";
    words[n++] = "-B"; /* the folder may be somebody else's */
    words[n++] = script;
    words[n++] = "--novt";
    words[n++] = self;
    memcpy(words + n, argv, (size_t)argc * sizeof(*argv));
    execvp(words[0], (char *const *)words);
    free(words);
    return error_set(error, EX_UNAVAILABLE,
                     "bench: cannot start python3: %s; apt-get install python3", strerror(errno));
}

int bench_tool(int argc, char **argv)
{
    char self[PATH_MAX], script[PATH_MAX];
    struct error error = { 0 };

    if (!find_self(self, &error) && !find_script(self, script, &error))
        start(self, script, argc, argv, &error);
    error_print(stderr, &error);
    return error.status;
}
