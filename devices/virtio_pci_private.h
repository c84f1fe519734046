/* Between virtio_pci.c and virtio_pci_regs.c. */
#ifndef DEVICES_VIRTIO_PCI_PRIVATE_H
#define DEVICES_VIRTIO_PCI_PRIVATE_H

#include "devices/virtio_pci.h"

/* The status register. */
enum {
    STATUS_DRIVER_OK = 0x04,
    STATUS_FEATURES_OK = 0x08,
    STATUS_NEEDS_RESET = 0x40,
    STATUS_BUSY = 0x01, /* what is read until chains of before a reset are back */
};

#define NO_VECTOR 0xffff /* of MSI-X */

/* Little-endian numbers of size bytes. */
static inline void put_le(uint8_t *at, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        at[i] = value >> 8 * i & 0xff;
}

static inline uint64_t get_le(const uint8_t *at, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

/* --- What the registers do (virtio_pci.c) --------------------------------- */

/* Feature bits: what a driver of each kind is shown, and what it took of them. */
uint64_t virtio_pci_offered_modern(const struct virtio_pci *v);
uint32_t virtio_pci_offered_legacy(const struct virtio_pci *v);
void virtio_pci_accept(struct virtio_pci *v, uint64_t features);

/* Device status; 0 written resets the device. */
uint8_t virtio_pci_read_status(const struct virtio_pci *v);
void virtio_pci_write_status(struct virtio_pci *v, uint8_t value, bool modern);
uint8_t virtio_pci_read_isr(struct virtio_pci *v); /* and the line goes down */

/* The guest may have turned MSI-X on or off. */
void virtio_pci_update_line(struct virtio_pci *v);

/* MSI-X vectors: of changed configuration, and of the selected queue. One that there is none
 * becomes NO_VECTOR. */
void virtio_pci_set_config_vector(struct virtio_pci *v, uint16_t vector);
void virtio_pci_set_queue_vector(struct virtio_pci *v, uint16_t vector);
uint16_t virtio_pci_queue_vector(const struct virtio_pci *v);

/* The queue that the driver has selected; NULL: there is none with that number. */
struct virtqueue *virtio_pci_selected(struct virtio_pci *v);
void virtio_pci_start_queue(struct virtio_pci *v, struct virtqueue *vq);
void virtio_pci_notify(struct virtio_pci *v, unsigned queue);

/* --- What the device is (virtio_pci_regs.c) --------------------------------- */

/* Fills v->function from v->setup. */
void virtio_pci_identify(struct virtio_pci *v);

#endif
