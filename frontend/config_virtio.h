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

/* -chardev: a console by name, for -device virtconsole,chardev=ID. */
struct chardev_spec {
    const char *id;
    struct console_spec console;
    char text[SHARE_TEXT_MAX]; /* what its strings point into */
};

enum { CHARDEVS_MAX = 4, CHARDEV_ID_MAX = 31 };

struct virtio_specs {
    enum virtio_pci_mode mode;
    bool rng, balloon, balloon_reports;
    uint64_t balloon_target; /* bytes; 0: none */
    struct console_spec console; /* CONSOLE_NONE: no such device */
    struct chardev_spec chardev[CHARDEVS_MAX];
    unsigned chardevs;
    char console_id[CHARDEV_ID_MAX + 1]; /* of -device virtconsole; "": none */
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

/* -chardev stdio|null|pty|file,path=P|socket,path=P,id=ID. 0, or -1 with *error. */
int config_virtio_chardev(struct virtio_specs *virtio, const char *value, struct error *error);

/* After all options: joins a virtconsole and its chardev, and sees whether two shares can be told
 * apart. 0, or -1 with *error. */
int config_virtio_check(struct virtio_specs *virtio, struct error *error);

#endif
