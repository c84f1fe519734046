/* Virtio network card: see virtio_net.c. */
#ifndef DEVICES_VIRTIO_NET_H
#define DEVICES_VIRTIO_NET_H

#include <stdint.h>

#include "devices/pci_rom.h"
#include "devices/virtio_pci.h"

struct netdev;
struct physmem;
struct snap;
struct virtio_net;

struct virtio_net_config {
    struct pci_bus *bus;
    unsigned slot;
    enum virtio_pci_mode mode;
    struct physmem *mem;
    struct netdev *cable;  /* outlives the card; its mac is the card's */
    struct pci_rom rom;
};

/* NULL: errno says why. */
struct virtio_net *virtio_net_create(const struct virtio_net_config *config);
void virtio_net_destroy(struct virtio_net *net);
void virtio_net_reset(struct virtio_net *net);
void virtio_net_snapshot(struct virtio_net *net, struct snap *snap);

#endif
