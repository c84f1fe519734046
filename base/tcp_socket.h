/* TCP sockets that listen or call. */
#ifndef BASE_TCP_SOCKET_H
#define BASE_TCP_SOCKET_H

struct tcp_place {
    char host[128]; /* a name or an address; "": from this machine alone */
    char port[16];  /* a number */
};

enum { TCP_WHY_MAX = 256 };

/* Listens there, without blocking; what is accepted sends at once (TCP_NODELAY). The descriptor, or
 * minus EX_NOHOST or EX_UNAVAILABLE with why: the end of a sentence that says what to do. */
int tcp_socket_listen(const struct tcp_place *place, int waiting, char why[TCP_WHY_MAX]);

/* Calls who listens there: the same, and waits for an answer TCP_ANSWER_MS at most. */
enum { TCP_ANSWER_MS = 10000 };
int tcp_socket_connect(const struct tcp_place *place, char why[TCP_WHY_MAX]);

#endif
