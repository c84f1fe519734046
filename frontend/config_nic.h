/* -nic: network cards and what their cables lead to, as the command line has them. */
#ifndef FRONTEND_CONFIG_NIC_H
#define FRONTEND_CONFIG_NIC_H

#include <stdbool.h>

#include "net/net.h"

struct config;
struct error;

enum { NICS_MAX = 8, NIC_TEXT_MAX = 1024 };

enum nic_model { NIC_VIRTIO, NIC_E1000 };

struct nic_spec {
    struct net_config net;
    enum nic_model model;
    bool has_mac;             /* else machine.c makes one up */
    const char *id;           /* what -object calls it; NULL: it has no name */
    const char *dump;         /* the file that gets its frames; NULL: none */
    uint32_t dump_length;     /* how much of each */
    char text[NIC_TEXT_MAX];  /* what the strings point into */
    char dump_text[NIC_TEXT_MAX]; /* dump's, of an -object */
};

struct nic_specs {
    struct nic_spec nic[NICS_MAX];
    unsigned count;
    bool none; /* -nic none */
};

/* Whether a card has that name, with or without what QEMU adds to it ("virtio-net-pci"). */
bool config_nic_is_model(const char *name);

/* Adds what value says, that of a -nic; 0, or -1 with *error. said: how the user has put it, for
 * messages, where it was in other options. */
int config_nic_take(struct nic_specs *nics, const char *value, struct error *error);
int config_nic_take_as(struct nic_specs *nics, const char *said, const char *value,
                       struct error *error);

/* Its frames are to go to a file, of each the first length bytes in decimal or NULL: all. 0, or -1
 * with *error. */
int config_nic_dump(struct nic_spec *nic, const char *said, const char *file, const char *length,
                    struct error *error);

#endif
