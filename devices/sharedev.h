/*
 * The contract between a file-sharing device (virtio-9p) and the server behind it.
 *
 * A request is one message of the guest and room for the answer. The device submits it and is
 * called back, always on the vcpu's thread and never from inside submit(). In between another
 * thread reads the one and writes the other; the device keeps both until done().
 */
#ifndef DEVICES_SHAREDEV_H
#define DEVICES_SHAREDEV_H

#include <stdint.h>
#include <sys/uio.h>

#define SHAREDEV_TAG_MAX 32

struct share_request {
    const struct iovec *out; /* the message */
    unsigned out_count;
    uint64_t out_size;
    const struct iovec *in;  /* room for the answer */
    unsigned in_count;
    uint64_t in_size;
    /* written: bytes of the answer; 0 when the message was none, or there was no room. */
    void (*done)(void *arg, struct share_request *request, uint32_t written);
    void *arg;

    struct share_request *next; /* the server's */
    uint32_t written;
};

struct sharedev {
    void (*submit)(void *server, struct share_request *request);
    /* Waits until nothing is in flight, having called done() of all, and forgets what the guest has
     * open: it was reset. */
    void (*reset)(void *server);
    void *server;

    char tag[SHAREDEV_TAG_MAX + 1]; /* by which the guest mounts it */
};

#endif
