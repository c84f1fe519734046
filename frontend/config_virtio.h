/* Virtio devices and shared folders, as the command line has them. */
#ifndef FRONTEND_CONFIG_VIRTIO_H
#define FRONTEND_CONFIG_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/virtio_pci.h"
#include "frontend/console.h"
#include "frontend/pc.h"
#include "share/share.h"

struct error;

enum { SHARE_TEXT_MAX = 4096 };

struct share_spec {
    struct share_config share;
    char text[SHARE_TEXT_MAX]; /* what its strings point into */
};

struct virtio_specs {
    enum virtio_pci_mode mode;
    bool rng, balloon, balloon_reports;
    uint64_t balloon_target; /* bytes; 0: none */
    struct console_spec console; /* CONSOLE_NONE: no such device */
    struct share_spec share[PC_SHARE_COUNT];
    unsigned shares;
};

/* -virtio MODE, -share PATH[,tag=TAG][,readonly] and -virtfs local,path=PATH,mount_tag=TAG[,...].
 * 0, or -1 with *error. */
int config_virtio_mode(struct virtio_specs *virtio, const char *value, struct error *error);
int config_virtio_share(struct virtio_specs *virtio, const char *value, struct error *error);
int config_virtio_virtfs(struct virtio_specs *virtio, const char *value, struct error *error);

/* -device virtio-...: 1 when the value names one of these devices, 0 when not, -1 with *error. */
int config_virtio_device(struct virtio_specs *virtio, const char *value, struct error *error);

/* After all options: can the shares be told apart? 0, or -1 with *error. */
int config_virtio_check(const struct virtio_specs *virtio, struct error *error);

#endif
