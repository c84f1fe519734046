/*
 * Virtio entropy device: random bytes from the host, at a bounded rate.
 */
#ifndef DEVICES_VIRTIO_RNG_H
#define DEVICES_VIRTIO_RNG_H

#include "devices/virtio_pci.h"

struct clock;
struct virtio_rng;

/* The most it gives: so many bytes in each period. */
#define VIRTIO_RNG_BYTES 262144
#define VIRTIO_RNG_PERIOD_NS 100000000ull

struct virtio_rng_config {
    struct pci_bus *bus;
    unsigned slot;
    enum virtio_pci_mode mode;
    struct physmem *mem;
    struct clock *clock;
};

/* NULL with errno: ENOMEM, or pci_attach()'s error. */
struct virtio_rng *virtio_rng_create(const struct virtio_rng_config *config);
void virtio_rng_destroy(struct virtio_rng *rng);
void virtio_rng_reset(struct virtio_rng *rng);
void virtio_rng_snapshot(struct virtio_rng *rng, struct snap *snap);

#endif
