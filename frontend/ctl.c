/* novt ctl: one command, one answer. See control.h for what goes over the socket. */
#include "frontend/ctl.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "frontend/control.h"
#include "frontend/error.h"

struct ctl {
    const char *path;
    bool json, help;
};

static void usage(FILE *out)
{
    fprintf(out, "novt ctl -s SOCKET [-json] COMMAND [ARGUMENT...]\n\n"
                 "SOCKET is that of novt run -monitor unix:SOCKET. -json: the answer as it came.\n"
                 "Commands:\n");
    control_help(out);
}

/* --- The socket ----------------------------------------------------------------------------- */

static FILE *connect_to(const char *path, struct error *error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    FILE *file = NULL;
    int fd;

    if (strlen(path) >= sizeof(address.sun_path)) {
        error_set(error, EX_USAGE, "ctl -s %s: a socket's name has at most %zu characters", path,
                  sizeof(address.sun_path) - 1);
        return NULL;
    }
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && !connect(fd, (const struct sockaddr *)&address, sizeof(address)))
        file = fdopen(fd, "r+");
    if (file)
        return file;
    error_set(error, EX_UNAVAILABLE, "ctl: no guest at '%s': %s; run it with -monitor unix:%s",
              path, strerror(errno), path);
    if (fd >= 0)
        close(fd);
    return NULL;
}

/* The answer, or NULL with *error. */
static json_t *ask(const struct ctl *ctl, const json_t *request, struct error *error)
{
    FILE *file = connect_to(ctl->path, error);
    json_t *answer = NULL;
    char *line = NULL;
    size_t size = 0;

    if (!file)
        return NULL;
    if (!json_dumpf(request, file, JSON_COMPACT) && fputc('\n', file) != EOF && !fflush(file) &&
        getline(&line, &size, file) > 0)
        answer = json_loads(line, 0, NULL);
    if (!json_is_object(answer)) {
        json_decref(answer);
        answer = NULL;
        error_set(error, EX_PROTOCOL, "ctl: '%s' has not answered; is that novt's monitor, and "
                  "does the guest still run?", ctl->path);
    }
    free(line);
    fclose(file);
    return answer;
}

/* --- Words ---------------------------------------------------------------------------------- */

/* Takes the options; returns how many words those were, or -1. */
static int take_options(struct ctl *ctl, char **argv, int argc, struct error *error)
{
    int i = 0;

    for (; i < argc && argv[i][0] == '-'; i++) {
        const char *name = argv[i] + (argv[i][1] == '-' ? 2 : 1);

        if (!strcmp(name, "s") && i + 1 < argc)
            ctl->path = argv[++i];
        else if (!strcmp(name, "json"))
            ctl->json = true;
        else if (!strcmp(name, "h") || !strcmp(name, "help"))
            ctl->help = true;
        else
            return error_set(error, EX_USAGE, "ctl: %s: unknown, or its value is missing; write "
                             "novt ctl -s SOCKET COMMAND", argv[i]);
    }
    return i;
}

static json_t *request_of(const struct ctl *ctl, char **words, int count, struct error *error)
{
    char here[PATH_MAX];

    if (!ctl->path) {
        error_set(error, EX_USAGE, "ctl: which guest? write novt ctl -s SOCKET COMMAND, with the "
                                   "SOCKET of novt run -monitor unix:SOCKET");
        return NULL;
    }
    return control_request(words, count, getcwd(here, sizeof(here)), error);
}

static int show(const struct ctl *ctl, const json_t *answer, struct error *error)
{
    const json_t *why = json_object_get(answer, "error");
    const char *text = json_string_value(json_object_get(why, "desc"));
    int status = (int)json_integer_value(json_object_get(why, "status"));

    if (ctl->json) {
        json_dumpf(answer, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
        putchar('\n');
    }
    if (why)
        return error_set(error, status > 0 && status < 256 ? status : EX_SOFTWARE, "ctl: %s",
                         text ? text : "an error without words");
    if (!ctl->json)
        control_print(stdout, json_object_get(answer, "return"));
    return 0;
}

static int carry_out(struct ctl *ctl, char **argv, int argc, struct error *error)
{
    int taken = take_options(ctl, argv, argc, error), err;
    json_t *request, *answer;

    if (taken < 0)
        return -1;
    if (ctl->help || (taken < argc && !strcmp(argv[taken], "help"))) {
        usage(stdout);
        return 0;
    }
    request = request_of(ctl, argv + taken, argc - taken, error);
    if (!request)
        return -1;
    answer = ask(ctl, request, error);
    json_decref(request);
    err = answer ? show(ctl, answer, error) : -1;
    json_decref(answer);
    return err;
}

int ctl_tool(int argc, char **argv)
{
    struct error error = { 0 };
    struct ctl ctl = { 0 };

    if (!carry_out(&ctl, argv, argc, &error))
        return 0;
    error_print(stderr, &error);
    return error.status;
}
