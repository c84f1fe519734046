/*
 * The contract between a network chip and the host side of its cable. Frames are whole Ethernet
 * frames without FCS, at most NETDEV_FRAME_MAX bytes. Both directions run on the vcpu's thread;
 * neither side calls the other from inside its own call.
 */
#ifndef DEVICES_NETDEV_H
#define DEVICES_NETDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define NETDEV_FRAME_MAX 65550 /* with virtio's segmentation offload; 1518 otherwise */

struct netdev {
    /* The host side's: takes a frame. False: not now; room() of the chip follows. */
    bool (*send)(void *host, const struct iovec *frame, unsigned count);
    /* The chip can take frames again, after receive() said no. */
    void (*ready)(void *host);
    void *host;

    /* The chip's: takes a frame. False: no buffers now, keep it until ready(). */
    bool (*receive)(void *chip, const uint8_t *frame, size_t size);
    /* The host can take frames again, after send() said no. */
    void (*room)(void *chip);
    void (*link_changed)(void *chip); /* may be NULL */
    void *chip;

    bool link;
    uint8_t mac[6];
};

#endif
