/*
 * Virtio 9P transport: messages of the guest's file system to a server, and answers back.
 */
#ifndef DEVICES_VIRTIO_9P_H
#define DEVICES_VIRTIO_9P_H

#include "devices/virtio_pci.h"

struct sharedev;
struct virtio_9p;

struct virtio_9p_config {
    struct pci_bus *bus;
    unsigned slot;
    enum virtio_pci_mode mode;
    struct physmem *mem;
    struct sharedev *server;
};

/* NULL with errno: ENOMEM, or pci_attach()'s error. */
struct virtio_9p *virtio_9p_create(const struct virtio_9p_config *config);

/* Waits for what is in flight (as reset does); the server forgets the guest. */
void virtio_9p_destroy(struct virtio_9p *p9);
void virtio_9p_reset(struct virtio_9p *p9);

/* Nothing may be in flight. What the guest has open on the server is not saved. */
void virtio_9p_snapshot(struct virtio_9p *p9, struct snap *snap);

#endif
