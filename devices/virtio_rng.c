/*
 * Virtio entropy device.
 *
 * Reference: Virtual I/O Device (VIRTIO) 1.0, 5.4.
 * Modelled:  all of it. The bytes are getrandom()'s. What a guest asks for beyond the rate waits
 *            for the next period.
 */
#include "devices/virtio_rng.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"

enum { QUEUE_SIZE = 64, QUEUE = 0 };

struct virtio_rng {
    struct virtio_pci virtio;
    struct clock *clock;
    struct timer next;      /* period; armed while chains wait for it */
    uint64_t period_end_ns;
    uint32_t left;          /* bytes, in this period */
    struct virtqueue_chain chain;
};

/* Fills up to size bytes of the chain; returns how many. */
static uint32_t fill(struct virtqueue_chain *chain, uint32_t size)
{
    struct iovec *in = virtqueue_in(chain);
    uint32_t done = 0;

    for (unsigned i = 0; i < chain->in_count && done < size; i++) {
        size_t at = 0, len = in[i].iov_len;

        if (len > size - done)
            len = size - done;
        while (at < len) {
            ssize_t n = getrandom((uint8_t *)in[i].iov_base + at, len - at, 0);

            if (n < 0 && errno != EINTR)
                return done;
            at += n > 0 ? (size_t)n : 0;
        }
        done += (uint32_t)len;
    }
    return done;
}

static void begin_period(struct virtio_rng *rng)
{
    uint64_t now = clock_now_ns(rng->clock);

    if (now < rng->period_end_ns)
        return;
    rng->period_end_ns = now + VIRTIO_RNG_PERIOD_NS;
    rng->left = VIRTIO_RNG_BYTES;
}

static void serve(struct virtio_rng *rng)
{
    begin_period(rng);
    for (unsigned n = 0; n < QUEUE_SIZE && rng->left; n++) {
        uint32_t written;

        if (!virtio_pci_pop(&rng->virtio, QUEUE, &rng->chain))
            break;
        written = fill(&rng->chain, rng->left);
        rng->left -= written;
        virtio_pci_push(&rng->virtio, QUEUE, &rng->chain, written);
    }
    virtio_pci_signal(&rng->virtio, QUEUE);
    if (!rng->left && !virtqueue_is_empty(&rng->virtio.queue[QUEUE]))
        timer_arm(&rng->next, rng->clock, rng->period_end_ns);
}

static void next_period(void *arg)
{
    serve(arg);
}

static void notify(void *dev, unsigned queue)
{
    (void)queue;
    serve(dev);
}

static void reset(void *dev)
{
    timer_cancel(&((struct virtio_rng *)dev)->next);
}

static const struct virtio_pci_class class = {
    .name = "virtio-rng",
    .type = VIRTIO_RNG,
    .pci_class = { 0x00, 0x00, 0xff },
    .queues = 1,
    .queue_size = (const uint16_t[]){ QUEUE_SIZE },
    .notify = notify,
    .reset = reset,
};

/* --- Life --------------------------------------------------------------- */

struct virtio_rng *virtio_rng_create(const struct virtio_rng_config *config)
{
    struct virtio_rng *rng = calloc(1, sizeof(*rng));
    int err;

    if (!rng)
        return NULL;
    rng->clock = config->clock;
    rng->next = (struct timer){ .fire = next_period, .arg = rng };
    err = virtio_pci_attach(&rng->virtio,
                            &(struct virtio_pci_config){ &class, rng, 0, config->mode, config->mem,
                                                         config->bus, config->slot });
    if (err) {
        free(rng);
        errno = -err;
        return NULL;
    }
    return rng;
}

void virtio_rng_destroy(struct virtio_rng *rng)
{
    timer_cancel(&rng->next);
    virtio_pci_detach(&rng->virtio);
    free(rng);
}

void virtio_rng_reset(struct virtio_rng *rng)
{
    virtio_pci_reset(&rng->virtio);
}

/* What waits for a period is served at once after loading. */
void virtio_rng_snapshot(struct virtio_rng *rng, struct snap *snap)
{
    virtio_pci_snapshot(&rng->virtio, snap);
    if (!virtqueue_is_empty(&rng->virtio.queue[QUEUE]))
        timer_arm(&rng->next, rng->clock, clock_now_ns(rng->clock));
}
