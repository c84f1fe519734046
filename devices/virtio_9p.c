/*
 * Virtio 9P transport.
 *
 * Reference: Linux, include/uapi/linux/virtio_9p.h; Virtual I/O Device (VIRTIO) 1.2, 5.17 reserves
 *            the number alone.
 * Modelled:  all of it: one queue, a message in the out segments and room for the answer in the
 *            others, the mount tag.
 */
#include "devices/virtio_9p.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/sharedev.h"

enum { QUEUE_SIZE = 128, QUEUE = 0 };
enum { F_MOUNT_TAG = 0 };
enum { CONFIG_TAG_SIZE = 0, CONFIG_TAG = 2, CONFIG_SIZE = 2 + SHAREDEV_TAG_MAX };

struct request {
    struct virtio_9p *p9;
    struct request *next; /* of those that are free */
    unsigned epoch;
    struct share_request share;
    struct virtqueue_chain chain;
};

struct virtio_9p {
    struct virtio_pci virtio;
    struct sharedev *server;
    struct request *free;
    bool starved;
};

static void recycle(struct request *r)
{
    r->next = r->p9->free;
    r->p9->free = r;
}

static void take_requests(struct virtio_9p *p9);

static void done(void *arg, struct share_request *share, uint32_t written)
{
    struct request *r = arg;
    struct virtio_9p *p9 = r->p9;

    (void)share;
    if (!virtio_pci_release(&p9->virtio, r->epoch)) {
        virtqueue_touched(&p9->virtio.queue[QUEUE], &r->chain, 0, written);
    } else if (!written) {
        virtio_pci_fail(&p9->virtio, "a message that is none, or no room for the answer");
    } else {
        virtio_pci_push(&p9->virtio, QUEUE, &r->chain, written);
        virtio_pci_signal(&p9->virtio, QUEUE);
    }
    recycle(r);
    if (p9->starved)
        take_requests(p9);
}

static struct request *get_request(struct virtio_9p *p9)
{
    struct request *r = p9->free;

    if (r) {
        p9->free = r->next;
        return r;
    }
    r = malloc(sizeof(*r));
    if (r)
        r->p9 = p9;
    return r;
}

static void submit(struct virtio_9p *p9, struct request *r)
{
    r->epoch = virtio_pci_hold(&p9->virtio);
    r->share = (struct share_request){
        .out = r->chain.iov,
        .out_count = r->chain.out_count,
        .out_size = r->chain.out_size,
        .in = virtqueue_in(&r->chain),
        .in_count = r->chain.in_count,
        .in_size = r->chain.in_size,
        .done = done,
        .arg = r,
    };
    p9->server->submit(p9->server->server, &r->share);
}

static void take_requests(struct virtio_9p *p9)
{
    for (unsigned n = 0; n < QUEUE_SIZE; n++) {
        struct request *r = get_request(p9);

        p9->starved = !r;
        if (!r)
            return;
        if (!virtio_pci_pop(&p9->virtio, QUEUE, &r->chain)) {
            recycle(r);
            return;
        }
        submit(p9, r);
    }
}

static void notify(void *dev, unsigned queue)
{
    (void)queue;
    take_requests(dev);
}

static void reset(void *dev)
{
    struct virtio_9p *p9 = dev;

    p9->starved = false;
    p9->server->reset(p9->server->server);
}

static const struct virtio_pci_class class = {
    .name = "virtio-9p",
    .type = VIRTIO_9P,
    .pci_class = { 0x00, 0x02, 0x00 },
    .queues = 1,
    .queue_size = (const uint16_t[]){ QUEUE_SIZE },
    .config_size = CONFIG_SIZE,
    .notify = notify,
    .reset = reset,
};

/* --- Life --------------------------------------------------------------- */

struct virtio_9p *virtio_9p_create(const struct virtio_9p_config *config)
{
    struct virtio_9p *p9 = calloc(1, sizeof(*p9));
    size_t tag = strlen(config->server->tag);
    int err;

    if (!p9)
        return NULL;
    p9->server = config->server;
    virtio_pci_put(&p9->virtio, CONFIG_TAG_SIZE, 2, tag);
    memcpy(p9->virtio.config + CONFIG_TAG, config->server->tag, tag);
    err = virtio_pci_attach(&p9->virtio,
                            &(struct virtio_pci_config){ &class, p9, 1 << F_MOUNT_TAG,
                                                         config->mode, config->mem, config->bus,
                                                         config->slot });
    if (err) {
        free(p9);
        errno = -err;
        return NULL;
    }
    return p9;
}

void virtio_9p_destroy(struct virtio_9p *p9)
{
    struct request *next;

    p9->starved = false;
    p9->server->reset(p9->server->server);
    virtio_pci_detach(&p9->virtio);
    for (struct request *r = p9->free; r; r = next) {
        next = r->next;
        free(r);
    }
    free(p9);
}

void virtio_9p_reset(struct virtio_9p *p9)
{
    virtio_pci_reset(&p9->virtio);
}

void virtio_9p_snapshot(struct virtio_9p *p9, struct snap *snap)
{
    virtio_pci_snapshot(&p9->virtio, snap);
}
