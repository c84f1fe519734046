/* The servers of shared folders: made from the command line, waited for by the poller. */
#ifndef FRONTEND_SHARES_H
#define FRONTEND_SHARES_H

#include "frontend/pc.h"

struct confine_wants;
struct error;
struct poller;
struct shares;
struct virtio_specs;

/* Opens the folders; specs outlives it. 0, or -1 with *error. */
int shares_create(struct shares **shares, const struct virtio_specs *specs, struct poller *poller,
                  struct error *error);

/* Starts the threads. 0, or -1 with *error. */
int shares_open(struct shares *shares, struct error *error);

/* The devices are gone by then. */
void shares_destroy(struct shares *shares);

/* What the board needs of each; returns how many there are. */
unsigned shares_fill(const struct shares *shares, struct sharedev *device[PC_SHARE_COUNT]);

/* What the monitor must be able to do for them (confine.h). */
void shares_confine(const struct virtio_specs *specs, struct confine_wants *wants);

#endif
