/*
 * Virtio balloon: memory that the guest lends back to the host.
 */
#ifndef DEVICES_VIRTIO_BALLOON_H
#define DEVICES_VIRTIO_BALLOON_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/virtio_pci.h"

struct clock;
struct virtio_balloon;

struct virtio_balloon_config {
    struct pci_bus *bus;
    unsigned slot;
    enum virtio_pci_mode mode;
    struct physmem *mem;
    struct clock *clock;
    bool reports; /* the guest tells what it has freed, unasked */
};

/* What the guest says about its memory; bytes, or counts since it started. */
struct virtio_balloon_stats {
    bool known;            /* it has said anything since it started */
    uint64_t taken_ns;     /* when, by the machine's clock */
    uint64_t swap_in, swap_out, major_faults, minor_faults; /* the first two in bytes */
    uint64_t free, total, available, caches;
};

/* NULL with errno: ENOMEM, or pci_attach()'s error. */
struct virtio_balloon *virtio_balloon_create(const struct virtio_balloon_config *config);
void virtio_balloon_destroy(struct virtio_balloon *balloon);
void virtio_balloon_reset(struct virtio_balloon *balloon);
void virtio_balloon_snapshot(struct virtio_balloon *balloon, struct snap *snap);

/* Asks the guest to leave itself this much memory, in bytes: the balloon takes the rest. Values
 * above the machine's memory mean all of it. Resets leave it as it is. */
void virtio_balloon_set_target(struct virtio_balloon *balloon, uint64_t memory);

/* How much memory the guest has left to itself, in bytes. */
uint64_t virtio_balloon_memory(const struct virtio_balloon *balloon);

/* The last statistics, and asks for newer ones (not more often than once a second). */
void virtio_balloon_ask_stats(struct virtio_balloon *balloon, struct virtio_balloon_stats *stats);

/* Bytes given back to the host since the start, by balloon and by free page reports. */
uint64_t virtio_balloon_returned(const struct virtio_balloon *balloon);

#endif
