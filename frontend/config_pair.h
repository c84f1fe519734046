/*
 * A device and what is behind it in two options, as QEMU has them: -netdev and -drive if=none with
 * -device, -net nic with -net user or -netdev, -object filter-dump with -netdev or -nic. Which
 * belong together is known when all have been read.
 */
#ifndef FRONTEND_CONFIG_PAIR_H
#define FRONTEND_CONFIG_PAIR_H

#include "frontend/config_drive.h"
#include "frontend/config_nic.h"

struct error;

/* The values are the command line's own. */
struct pair_specs {
    const char *cable[NICS_MAX], *card[NICS_MAX], *disk[DRIVES_MAX];
    const char *dump[NICS_MAX];
    unsigned cables, cards, disks, dumps;
    const char *net_card, *net_cable; /* -net; NULL: not given */
};

/* -netdev and -net VALUE. 0, or -1 with *error. */
int config_pair_netdev(struct pair_specs *pairs, const char *value, struct error *error);
int config_pair_net(struct pair_specs *pairs, const char *value, struct error *error);

/* -device VALUE: 1 when it is a network card or a disk, 0 when not, -1 with *error. */
int config_pair_device(struct pair_specs *pairs, const char *value, struct error *error);

/* -object VALUE: 1 when it is a filter-dump, which a card's frames go to, 0 when not, -1 with
 * *error. */
int config_pair_object(struct pair_specs *pairs, const char *value, struct error *error);

/* Puts them together. 0, or -1 with *error. */
int config_pair_check(const struct pair_specs *pairs, struct nic_specs *nics,
                      struct drive_specs *drives, struct error *error);

#endif
