/* The host side of a cable as net/ is: believes nothing of what a chip sends, finishes, cuts and
 * joins it. Frames towards the chip are the input's. */
#ifndef TESTS_FUZZ_FUZZ_CABLE_H
#define TESTS_FUZZ_FUZZ_CABLE_H

#include <string.h>

#include "devices/netdev.h"
#include "net/segment.h"
#include "tests/fuzz/fuzz.h"

struct fuzz_cable {
    struct netdev dev;
    bool full;
    struct joined joined;
    uint8_t frame[NETDEV_FRAME_MAX], join[NETDEV_FRAME_MAX];
};

static inline void fuzz_cut(void *arg, const uint8_t *frame, size_t size)
{
    struct fuzz_cable *c = arg;

    if (join_add(&c->joined, frame, size))
        return;
    if (c->joined.size)
        join_end(&c->joined);
    memcpy(c->join, frame, size);
    c->joined.frame = c->join;
    join_start(&c->joined, size);
}

static inline bool fuzz_cable_send(void *host, const struct iovec *iov, unsigned n,
                                   const struct netdev_offload *offload)
{
    static const struct netdev_offload nothing;
    struct fuzz_cable *c = host;
    size_t size = 0;

    if (c->full)
        return false;
    for (unsigned i = 0; i < n; size += iov[i++].iov_len) {
        if (iov[i].iov_len > NETDEV_FRAME_MAX - size)
            return true;
        memcpy(c->frame + size, iov[i].iov_base, iov[i].iov_len);
    }
    offload = offload ? offload : &nothing;
    if (!segment_is_sane(c->frame, size, offload))
        return true;
    if (offload->segments != NETDEV_WHOLE) {
        segment_cut(c->frame, size, offload, fuzz_cut, c);
    } else {
        segment_finish(c->frame, size, offload);
        fuzz_cut(c, c->frame, size);
    }
    return true;
}

static inline void fuzz_cable_ready(void *host)
{
    (void)host;
}

static inline void fuzz_cable_init(struct fuzz_cable *c)
{
    *c = (struct fuzz_cable){ .full = false };
    c->dev = (struct netdev){ .send = fuzz_cable_send, .ready = fuzz_cable_ready, .host = c,
                              .link = true, .mac = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 } };
}

/* What a host does: gives a frame (to the card's address mostly), takes again, drops the link. */
static inline void fuzz_cable_step(struct fuzz_cable *c, struct fuzz *f)
{
    static const unsigned sizes[] = { 14, 60, 1514, 1518, 9000, 40000, NETDEV_FRAME_MAX, 0 };
    uint8_t how = fuzz_byte(f);
    size_t size = sizes[how & 7];
    struct netdev_offload offload = { .verified = how & 8 };

    size = size ? size : 14 + fuzz_bits(f, 1);
    if (how & 0x40)
        c->full = how & 0x20;
    if (how & 0x40 && c->dev.room)
        c->dev.room(c->dev.chip);
    if (how & 0x80) {
        c->dev.link = how & 0x10;
        if (c->dev.link_changed)
            c->dev.link_changed(c->dev.chip);
    }
    memset(c->frame, 0, 64);
    if (how & 0x10)
        memcpy(c->frame, c->dev.mac, 6);
    else
        memset(c->frame, 0xff, 6);
    for (unsigned i = 12; i < 40 && how & 0x20; i++)
        c->frame[i] = fuzz_byte(f);
    if (c->dev.takes & NETDEV_TAKES_CHECKSUM && how & 1)
        offload = (struct netdev_offload){ .checksum = true, .sum_from = 34, .sum_at = 50 };
    c->dev.receive(c->dev.chip, c->frame, size, &offload);
}

#endif
