/*
 * What a sender left to do, done here: checksums filled in, large TCP segments cut into the wire's;
 * and the other way round, the wire's segments joined. Offsets are bytes from the frame's start.
 */
#ifndef NET_SEGMENT_H
#define NET_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/netdev.h"

enum { SEGMENT_MAX = 65535 }; /* what an IPv4 packet's length can say */

/* Where things are in a frame that holds all of an unfragmented TCP segment. */
struct tcp_place {
    bool v6;
    size_t ip, tcp, payload, end; /* end: of the IP packet; the frame may be padded */
};

/* Whether the numbers fit the frame; a guest may have made them up. */
bool segment_is_sane(const uint8_t *frame, size_t size, const struct netdev_offload *offload);

/* Fills in the checksum that is left; the frame and the offload are sane. */
void segment_finish(uint8_t *frame, size_t size, const struct netdev_offload *offload);

/* Cuts a sane frame whose offload has segments; each one is finished. emit may keep nothing. */
typedef void segment_fn(void *arg, const uint8_t *frame, size_t size);
void segment_cut(const uint8_t *frame, size_t size, const struct netdev_offload *offload,
                 segment_fn *emit, void *arg);

/* --- Joining ------------------------------------------------------------ */

/* A frame that may still grow; frame has room for NETDEV_FRAME_MAX bytes. */
struct joined {
    uint8_t *frame;
    size_t size;           /* 0: there is none */
    struct tcp_place place;
    size_t segment;        /* payload of the first */
    unsigned count;        /* of segments in it */
    bool tcp, closed;      /* may be added to; has had its last */
};

/* The bytes at joined->frame are a frame of its own: the first. */
void join_start(struct joined *joined, size_t size);

/* Appends the payload of the next segment; false: it does not belong there. */
bool join_add(struct joined *joined, const uint8_t *frame, size_t size);

/* Makes one frame of it, with what is left to do. */
struct netdev_offload join_end(struct joined *joined);

#endif
