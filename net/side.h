/*
 * Between net.c (queues, thread, waking) and the kinds of cable (slirp.c, tap.c, socket.c). All of
 * a kind's functions but open run with the cable's lock held, on its thread or (direct) the vcpu's.
 */
#ifndef NET_SIDE_H
#define NET_SIDE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/netdev.h"
#include "net/net.h"

enum { SIDE_FDS_MAX = 4096 };

/* What a kind waits for: it adds descriptors in fill, and looks at revents in polled. */
struct side_poll {
    struct pollfd *fd;
    unsigned count, room;
    int64_t deadline_ms; /* of CLOCK_MONOTONIC; lowered by who has something to do then */
};

/* Returns the index, or -1: memory is out, or there are SIDE_FDS_MAX. */
int side_poll_add(struct side_poll *poll, int fd, short events);

struct side_ops {
    const char *name;
    size_t state_size;
    /* output() answers the guest at once, and never blocks: it may run on the vcpu's thread. */
    bool direct;
    /* On the main thread, before the confinement. 0, or -1 with why. */
    int (*open)(void *state, const struct net_config *config, char *why);
    /* What to wait for, and, before, sends the guest what is not sent yet. full: the guest has not
     * taken what came before. */
    void (*fill)(void *state, struct side_poll *poll, bool full);
    void (*polled)(void *state, const struct side_poll *poll);
    /* Takes a sane frame of the guest, which it may change, with the offload. False: not now, offer
     * it again. */
    bool (*output)(void *state, uint8_t *frame, size_t size, struct netdev_offload *offload);
    void (*close)(void *state);
};

extern const struct side_ops side_user, side_tap, side_socket;

/* --- For the kinds ------------------------------------------------------ */

struct side;

/* Every state starts with this. */
struct side {
    struct net *net;
};

/* Room to make a frame of up to size bytes in; NULL: the guest takes no more now. */
uint8_t *side_room(struct side *side, size_t size);
/* Sends what is in the room to the guest. */
void side_input(struct side *side, size_t size, const struct netdev_offload *offload);
void side_dropped(struct side *side);

/* The host's monotonic clock. */
int64_t side_now_ms(void);
/* Puts the sentence into why; returns -1. */
int side_error(char *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
