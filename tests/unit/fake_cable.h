/* The host side of a cable, for the tests of network chips: keeps what the chip sends. */
#ifndef TESTS_UNIT_FAKE_CABLE_H
#define TESTS_UNIT_FAKE_CABLE_H

#include <string.h>

#include "devices/netdev.h"

enum { CABLE_KEEPS = 8 };

struct fake_cable {
    struct netdev dev;
    unsigned room;      /* how many frames it takes yet */
    unsigned sent, readies;
    size_t size[CABLE_KEEPS];                     /* of the last frames, the last one first */
    struct netdev_offload offload[CABLE_KEEPS];
    uint8_t frame[CABLE_KEEPS][NETDEV_FRAME_MAX];
};

static inline bool cable_send(void *host, const struct iovec *iov, unsigned n,
                              const struct netdev_offload *offload)
{
    struct fake_cable *c = host;
    size_t size = 0;

    if (!c->room)
        return false;
    c->room--;
    c->sent++;
    memmove(c->frame[1], c->frame[0], sizeof(c->frame) - sizeof(c->frame[0]));
    memmove(c->size + 1, c->size, sizeof(c->size) - sizeof(c->size[0]));
    memmove(c->offload + 1, c->offload, sizeof(c->offload) - sizeof(c->offload[0]));
    for (unsigned i = 0; i < n && size + iov[i].iov_len <= NETDEV_FRAME_MAX;
         size += iov[i++].iov_len)
        memcpy(c->frame[0] + size, iov[i].iov_base, iov[i].iov_len);
    c->size[0] = size;
    c->offload[0] = offload ? *offload : (struct netdev_offload){ 0 };
    return true;
}

static inline void cable_ready(void *host)
{
    ((struct fake_cable *)host)->readies++;
}

static inline void cable_init(struct fake_cable *c)
{
    memset(c, 0, sizeof(*c));
    c->dev = (struct netdev){ .send = cable_send, .ready = cable_ready, .host = c, .link = true,
                              .mac = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 } };
    c->room = ~0u;
}

static inline bool cable_give(struct fake_cable *c, const uint8_t *frame, size_t size)
{
    struct netdev_offload nothing = { 0 };

    return c->dev.receive(c->dev.chip, frame, size, &nothing);
}

#endif
