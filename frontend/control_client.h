/* The other end of control.h's socket: one connection, a request and its answer at a time. */
#ifndef FRONTEND_CONTROL_CLIENT_H
#define FRONTEND_CONTROL_CLIENT_H

struct control_client;
struct error;
struct json_t;

/* tool: for messages ("ctl"). NULL with *error: no guest listens there. */
struct control_client *control_client_open(const char *path, const char *tool,
                                           struct error *error);
void control_client_close(struct control_client *client);

/* The answer, an object; the caller drops it. NULL: the guest has gone, or that is no novt. Waits
 * as long as it takes. */
struct json_t *control_client_ask(struct control_client *client, const struct json_t *request);

#endif
