/*
 * Virtio over PCI: what every virtio device has towards its driver. Transitional, so that drivers
 * of virtio 1.0 and of 0.9.5 both find it, unless told otherwise.
 *
 * A device embeds a struct virtio_pci, fills its config space, and calls virtio_pci_attach(). From
 * then on the transport does features, status, configuration space, queues and interrupts, and
 * calls the device by its class: notify() when the driver has put chains on a queue. The device
 * takes them with virtio_pci_pop(), gives them back, at once or later, with virtio_pci_push(), and
 * says so with virtio_pci_signal() after the last one of a batch.
 *
 *   static void notify(void *dev, unsigned queue)
 *   {
 *       for (unsigned n = 0; n < VIRTQUEUE_SIZE_MAX; n++) {
 *           if (!virtio_pci_pop(&rng->virtio, queue, &rng->chain))
 *               break;
 *           ...
 *           virtio_pci_push(&rng->virtio, queue, &rng->chain, written);
 *       }
 *       virtio_pci_signal(&rng->virtio, queue);
 *   }
 *
 * Everything runs on the vcpu's thread. A driver that breaks the rules finds "device needs reset"
 * in the status; until it resets, pop() finds nothing and push() does nothing.
 *
 * Resets: a chain that is in flight when the driver resets the device is still the device's. It
 * says how many there are by virtio_pci_hold() and virtio_pci_release(); until all are back, a
 * modern driver reads a status other than 0 and waits.
 *
 * Reference: Virtual I/O Device (VIRTIO) 1.0, 2 (basic facilities), 4.1 (over PCI).
 */
#ifndef DEVICES_VIRTIO_PCI_H
#define DEVICES_VIRTIO_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/pci.h"
#include "devices/pci_msix.h"
#include "devices/virtqueue.h"

struct physmem;
struct snap;

enum {
    VIRTIO_PCI_QUEUES_MAX = 8,
    VIRTIO_PCI_CONFIG_MAX = 96, /* bytes of device-specific configuration */
};

/* Device types. */
enum {
    VIRTIO_NET = 1,
    VIRTIO_BLK = 2,
    VIRTIO_CONSOLE = 3,
    VIRTIO_RNG = 4,
    VIRTIO_BALLOON = 5,
    VIRTIO_9P = 9,
};

/* Features of all devices (bit numbers); the transport offers and handles these. */
enum {
    VIRTIO_F_ANY_LAYOUT = 27,
    VIRTIO_F_INDIRECT_DESC = 28,
    VIRTIO_F_EVENT_IDX = 29,
    VIRTIO_F_VERSION_1 = 32,
};

/* Which drivers find the device; as QEMU's disable-legacy and disable-modern. */
enum virtio_pci_mode { VIRTIO_PCI_TRANSITIONAL, VIRTIO_PCI_MODERN, VIRTIO_PCI_LEGACY };

/* What a kind of device is and does. All calls but notify may be NULL. */
struct virtio_pci_class {
    const char *name;       /* for the log */
    uint16_t type;          /* VIRTIO_ */
    uint8_t pci_class[3];   /* interface, subclass, class: { 0x00, 0x00, 0x02 } is Ethernet */
    unsigned queues;        /* at most VIRTIO_PCI_QUEUES_MAX */
    const uint16_t *queue_size; /* of each: powers of two, at most VIRTQUEUE_SIZE_MAX */
    unsigned config_size;   /* bytes of config[] that the driver sees */

    /* The driver has put chains on the queue (or so it says). Only while the device is live; of
     * what it said before, after start(). */
    void (*notify)(void *dev, unsigned queue);
    /* The driver reset the device, or power came on: back to the state before the first chain. */
    void (*reset)(void *dev);
    /* DRIVER_OK: virtio_pci_has() is final, queues may be used. */
    void (*start)(void *dev);
    /* The driver wrote [at, at + size) of config[], which holds the new bytes already. */
    void (*config_written)(void *dev, unsigned at, unsigned size);
};

struct virtio_pci_config {
    const struct virtio_pci_class *class;
    void *dev;
    uint64_t features;      /* the device's own (bits 0 to 23), as bits */
    enum virtio_pci_mode mode;
    struct physmem *mem;
    struct pci_bus *bus;
    unsigned slot;
};

/* Embedded in a device. Open for that, and so that the device may fill config[]. */
struct virtio_pci {
    struct virtio_pci_config setup;
    struct pci_function function;
    struct virtqueue queue[VIRTIO_PCI_QUEUES_MAX];
    uint8_t config[VIRTIO_PCI_CONFIG_MAX]; /* device-specific configuration, little-endian */
    uint8_t config_writable[VIRTIO_PCI_CONFIG_MAX]; /* bits that a driver may write */

    /* The transport's. */
    uint64_t accepted;
    uint32_t feature_select, driver_feature_select;
    uint16_t queue_select;
    uint8_t status, isr, generation;
    uint8_t early;          /* queues notified of before DRIVER_OK, as bits */
    struct pci_msix msix;
    uint16_t config_vector, queue_vector[VIRTIO_PCI_QUEUES_MAX]; /* MSI-X's, or none */
    unsigned epoch;         /* counts resets */
    unsigned held, stale;   /* chains in flight of this epoch, and of those before */
};

/* Puts the device on the bus. Fill config[] before the guest runs. 0, or pci_attach()'s error. */
int virtio_pci_attach(struct virtio_pci *v, const struct virtio_pci_config *config);
void virtio_pci_detach(struct virtio_pci *v);

/* Power-on: the class's reset(), and the configuration space as after attaching. */
void virtio_pci_reset(struct virtio_pci *v);

/* Whether the driver has accepted this feature (a bit number). */
static inline bool virtio_pci_has(const struct virtio_pci *v, unsigned feature)
{
    return v->accepted >> feature & 1;
}

/* Whether the driver is there: DRIVER_OK, and nothing broken since. */
bool virtio_pci_is_live(const struct virtio_pci *v);

/* The next chain of a queue. False: none (the driver will notify of the next), or not live. */
bool virtio_pci_pop(struct virtio_pci *v, unsigned queue, struct virtqueue_chain *chain);

/* Puts the chain just popped back; pop() will find it again. */
void virtio_pci_unpop(struct virtio_pci *v, unsigned queue);

/* Gives a chain back with so many bytes written; the driver hears of it by virtio_pci_signal(). The
 * chain must have been popped since the last reset. */
void virtio_pci_push(struct virtio_pci *v, unsigned queue, const struct virtqueue_chain *chain,
                     uint32_t written);

/* Lets the driver see what was pushed, with an interrupt if it wants one. */
void virtio_pci_signal(struct virtio_pci *v, unsigned queue);

/* A chain stays with the device after its callback: returns the epoch it belongs to. */
unsigned virtio_pci_hold(struct virtio_pci *v);

/* It is back: before pushing it. False: the device has been reset since; do not push it, but tell
 * physmem of what may have been written (virtqueue_touched()). */
bool virtio_pci_release(struct virtio_pci *v, unsigned epoch);

/* The device changed config[]: a new generation, and an interrupt. */
void virtio_pci_config_changed(struct virtio_pci *v);

/* The driver broke the rules: needs reset. why is for the log. */
void virtio_pci_fail(struct virtio_pci *v, const char *why);

/* Little-endian numbers in config[]. */
void virtio_pci_put(struct virtio_pci *v, unsigned at, unsigned size, uint64_t value);
uint64_t virtio_pci_get(const struct virtio_pci *v, unsigned at, unsigned size);

/* Everything but the class's own; nothing may be in flight. */
void virtio_pci_snapshot(struct virtio_pci *v, struct snap *snap);

#endif
