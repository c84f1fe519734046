/*
 * The virtio devices of the board, but network cards: disks, console, entropy, balloon, shared
 * folders. A part of pc_pci.c's list; which of them there are is struct pc_virtio's to say.
 */
#ifndef FRONTEND_PC_VIRTIO_H
#define FRONTEND_PC_VIRTIO_H

struct pc_config;
struct pc_virtio_chips;
struct pci_bus;
struct snap;
struct virtio_balloon;

/* Takes slots from *next_slot on. NULL: no memory. */
struct pc_virtio_chips *pc_virtio_create(const struct pc_config *config, struct pci_bus *bus,
                                         unsigned *next_slot);
void pc_virtio_destroy(struct pc_virtio_chips *chips);
void pc_virtio_reset(struct pc_virtio_chips *chips);
void pc_virtio_snapshot(struct pc_virtio_chips *chips, struct snap *snap);

/* Pushes collected output to the host. */
void pc_virtio_idle(struct pc_virtio_chips *chips);

/* NULL: there is none. */
struct virtio_balloon *pc_virtio_balloon(struct pc_virtio_chips *chips);

#endif
