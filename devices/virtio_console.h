/*
 * Virtio console: one port, a terminal (hvc0 in Linux), on a character line.
 */
#ifndef DEVICES_VIRTIO_CONSOLE_H
#define DEVICES_VIRTIO_CONSOLE_H

#include "devices/virtio_pci.h"

struct chardev;
struct clock;
struct virtio_console;

struct virtio_console_config {
    struct pci_bus *bus;
    unsigned slot;
    enum virtio_pci_mode mode;
    struct physmem *mem;
    struct clock *clock;
    struct chardev *line;
};

/* NULL with errno: ENOMEM, or pci_attach()'s error. */
struct virtio_console *virtio_console_create(const struct virtio_console_config *config);
void virtio_console_destroy(struct virtio_console *console);
void virtio_console_reset(struct virtio_console *console);

/* Pushes collected output to the host. */
void virtio_console_flush(struct virtio_console *console);

void virtio_console_snapshot(struct virtio_console *console, struct snap *snap);

#endif
