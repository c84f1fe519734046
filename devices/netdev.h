/*
 * The contract between a network chip and the host side of its cable. Frames are whole Ethernet
 * frames without FCS, at most NETDEV_FRAME_MAX bytes. Both directions run on the vcpu's thread;
 * neither side calls the other from inside its own call.
 *
 * A frame may come with work that its sender left to do (struct netdev_offload): a checksum to be
 * filled in, or a TCP segment larger than the wire's. The host side takes all of it from a chip;
 * a chip says in takes what it can be given, and gets nothing else.
 */
#ifndef DEVICES_NETDEV_H
#define DEVICES_NETDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define NETDEV_FRAME_MAX 65550  /* with segments left to be cut */
#define NETDEV_FRAME_MIN 14

enum netdev_segments { NETDEV_WHOLE, NETDEV_TCP4, NETDEV_TCP6 };

/* Offsets are bytes from the frame's start. All 0: there is nothing left to do. */
struct netdev_offload {
    bool checksum;           /* the Internet checksum of [sum_from, end) is to be put at sum_at, */
    uint16_t sum_from, sum_at; /* where the sum of the pseudo-header is now */
    bool verified;           /* to a chip: the checksums inside have been found right */
    enum netdev_segments segments; /* not NETDEV_WHOLE: then checksum, too; */
    uint16_t segment_size;   /* the payload of each segment, above 0 */
    uint16_t header_size;    /* up to the payload */
};

/* struct netdev.takes */
enum { NETDEV_TAKES_CHECKSUM = 1, NETDEV_TAKES_TCP4 = 2, NETDEV_TAKES_TCP6 = 4 };

struct netdev {
    /* The host side's: takes a frame; offload NULL: nothing is left to do. False: not now; room()
     * of the chip follows. A frame that makes no sense is dropped: true. */
    bool (*send)(void *host, const struct iovec *frame, unsigned count,
                 const struct netdev_offload *offload);
    /* The chip can take frames again, after receive() said no. */
    void (*ready)(void *host);
    void *host;

    /* The chip's: takes a frame; offload is never NULL. False: no buffers now, keep it until
     * ready(). NULL until the chip is there. */
    bool (*receive)(void *chip, const uint8_t *frame, size_t size,
                    const struct netdev_offload *offload);
    /* The host can take frames again, after send() said no. */
    void (*room)(void *chip);
    void (*link_changed)(void *chip); /* may be NULL */
    void *chip;
    unsigned takes; /* NETDEV_TAKES_, as the guest's driver has it now */

    bool link;
    uint8_t mac[6];
};

#endif
