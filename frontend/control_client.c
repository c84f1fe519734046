/* The other end of the control socket: see control_client.h. */
#include "frontend/control_client.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "frontend/error.h"

struct control_client {
    FILE *file;
    char *line;
    size_t room;
};

static FILE *connect_to(const char *path, const char *tool, struct error *error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    FILE *file = NULL;
    int fd;

    if (strlen(path) >= sizeof(address.sun_path)) {
        error_set(error, EX_USAGE, "%s -s %s: a socket's name has at most %zu characters", tool,
                  path, sizeof(address.sun_path) - 1);
        return NULL;
    }
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && !connect(fd, (const struct sockaddr *)&address, sizeof(address)))
        file = fdopen(fd, "r+");
    if (file)
        return file;
    error_set(error, EX_UNAVAILABLE, "%s: no guest at '%s': %s; run it with -monitor unix:%s", tool,
              path, strerror(errno), path);
    if (fd >= 0)
        close(fd);
    return NULL;
}

struct control_client *control_client_open(const char *path, const char *tool,
                                           struct error *error)
{
    FILE *file = connect_to(path, tool, error);
    struct control_client *client = file ? calloc(1, sizeof(*client)) : NULL;

    if (client)
        client->file = file;
    else if (file)
        fclose(file);
    return client;
}

void control_client_close(struct control_client *client)
{
    if (!client)
        return;
    fclose(client->file);
    free(client->line);
    free(client);
}

json_t *control_client_ask(struct control_client *client, const json_t *request)
{
    json_t *answer = NULL;

    if (!json_dumpf(request, client->file, JSON_COMPACT) && fputc('\n', client->file) != EOF &&
        !fflush(client->file) && getline(&client->line, &client->room, client->file) > 0)
        answer = json_loads(client->line, 0, NULL);
    if (json_is_object(answer))
        return answer;
    json_decref(answer);
    return NULL;
}
