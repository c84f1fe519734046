/* novt ctl: one command, one answer. See control.h for what goes over the socket. */
#include "frontend/ctl.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "frontend/control.h"
#include "frontend/control_client.h"
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

/* The answer, or NULL with *error. */
static json_t *ask(const struct ctl *ctl, const json_t *request, struct error *error)
{
    struct control_client *client = control_client_open(ctl->path, "ctl", error);
    json_t *answer = client ? control_client_ask(client, request) : NULL;

    if (client && !answer)
        error_set(error, EX_PROTOCOL, "ctl: '%s' has not answered; is that novt's monitor, and "
                  "does the guest still run?", ctl->path);
    control_client_close(client);
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

/* The answer to the command of that name. */
static int show(const struct ctl *ctl, const char *name, const json_t *answer,
                struct error *error)
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
        control_print(stdout, name, json_object_get(answer, "return"));
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
    err = answer ? show(ctl, argv[taken], answer, error) : -1;
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
