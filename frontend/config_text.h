/* What the values of several options have in common. */
#ifndef FRONTEND_CONFIG_TEXT_H
#define FRONTEND_CONFIG_TEXT_H

#include <stdbool.h>

#include "base/tcp_socket.h"

struct error;

enum { CONFIG_SOCKET_MAX = 256 }; /* more than the host takes */

/* Cuts the next piece off *rest, up to a comma; two commas are one that belongs to it. NULL: there
 * is none. The text is changed; the piece is a part of it. */
char *config_text_next(char **rest);

/* What is behind NAME= in a piece; NULL: it is something else. */
const char *config_text_value(const char *piece, const char *name);

/* on, yes, true, y; off, no, false, n. False: it is neither. */
bool config_text_switch(const char *text, bool *on);

/* NAME, NAME=on, NAME=off. False: it is something else, and *on stays. */
bool config_text_flag(const char *piece, const char *name, bool *on);

/* server, wait=off, nowait and the like, as QEMU says that a socket is ours to listen at. Nobody is
 * waited for here. */
bool config_text_listens(const char *piece);

/* HOST:PORT, [ADDRESS]:PORT or :PORT, up to a comma. False: it is none. */
bool config_text_place(const char *text, struct tcp_place *place);

/* tcp: or telnet: */
bool config_text_is_tcp(const char *value);

/* The rest of it, HOST:PORT,server with whatever else QEMU's command lines say. 0, or -1 with
 * *error, which names the option. */
struct tcp_end {
    struct tcp_place place;
    bool listens; /* else it calls who does */
    bool telnet;  /* who calls speaks that protocol */
};
int config_text_tcp(struct tcp_end *end, const char *option, const char *value,
                    struct error *error);

/* PATH[,server][,wait=off] of such a socket: the path into path. 0, or -1 with *error, which names
 * the option. */
int config_text_socket(const char *option, const char *value, char path[CONFIG_SOCKET_MAX],
                       struct error *error);

#endif
