/* The other end of the control socket: see control_client.h. Signals that interrupt a call (a
 * terminal that is resized) are nothing to it. */
#include "frontend/control_client.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "frontend/error.h"

struct control_client {
    int fd;
    char *line; /* what has come of the answer */
    size_t used, room;
};

static int connect_to(const char *path, const char *tool, struct error *error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd;

    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(error, EX_USAGE, "%s -s %s: a socket's name has at most %zu characters",
                         tool, path, sizeof(address.sun_path) - 1);
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && !connect(fd, (const struct sockaddr *)&address, sizeof(address)))
        return fd;
    error_set(error, EX_UNAVAILABLE, "%s: no guest at '%s': %s; run it with -monitor unix:%s", tool,
              path, strerror(errno), path);
    if (fd >= 0)
        close(fd);
    return -1;
}

struct control_client *control_client_open(const char *path, const char *tool,
                                           struct error *error)
{
    int fd = connect_to(path, tool, error);
    struct control_client *client = fd >= 0 ? calloc(1, sizeof(*client)) : NULL;

    if (client)
        client->fd = fd;
    else if (fd >= 0)
        close(fd);
    return client;
}

void control_client_close(struct control_client *client)
{
    if (!client)
        return;
    close(client->fd);
    free(client->line);
    free(client);
}

static bool send_all(int fd, const char *bytes, size_t size)
{
    while (size) {
        ssize_t n = write(fd, bytes, size);

        if (n < 0 && errno != EINTR)
            return false;
        bytes += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool send_line(struct control_client *client, const json_t *request)
{
    char *text = json_dumps(request, JSON_COMPACT);
    bool sent = text && send_all(client->fd, text, strlen(text)) && send_all(client->fd, "\n", 1);

    free(text);
    return sent;
}

static bool make_room(struct control_client *client)
{
    size_t room = client->room ? 2 * client->room : 65536;
    char *line = client->used < client->room ? client->line : realloc(client->line, room);

    if (!line)
        return false;
    client->room = client->used < client->room ? client->room : room;
    client->line = line;
    return true;
}

/* Nothing comes unasked, so the line is all there is. */
static bool receive_line(struct control_client *client)
{
    client->used = 0;
    while (!client->used || client->line[client->used - 1] != '\n') {
        ssize_t n = make_room(client) ? read(client->fd, client->line + client->used,
                                             client->room - client->used) : 0;

        if (!n || (n < 0 && errno != EINTR))
            return false;
        client->used += n > 0 ? (size_t)n : 0;
    }
    return true;
}

json_t *control_client_ask(struct control_client *client, const json_t *request)
{
    json_t *answer = NULL;

    if (send_line(client, request) && receive_line(client))
        answer = json_loadb(client->line, client->used, 0, NULL);
    if (json_is_object(answer))
        return answer;
    json_decref(answer);
    return NULL;
}
