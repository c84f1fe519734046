/*
 * Virtio block device: a disk.
 */
#ifndef DEVICES_VIRTIO_BLK_H
#define DEVICES_VIRTIO_BLK_H

#include <stdint.h>

#include "devices/virtio_pci.h"

struct blockdev;
struct virtio_blk;

struct virtio_blk_config {
    struct pci_bus *bus;
    unsigned slot;
    enum virtio_pci_mode mode;
    struct physmem *mem;
    struct blockdev *medium; /* the device is its controller until destroyed */
    unsigned index;          /* for the serial number of a medium without one */
};

/* NULL with errno: ENOMEM, or pci_attach()'s error. */
struct virtio_blk *virtio_blk_create(const struct virtio_blk_config *config);

/* Waits for what is in flight (as reset does). */
void virtio_blk_destroy(struct virtio_blk *blk);
void virtio_blk_reset(struct virtio_blk *blk);
void virtio_blk_snapshot(struct virtio_blk *blk, struct snap *snap);

#endif
