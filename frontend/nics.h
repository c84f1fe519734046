/* The cables of the network cards: made from the command line, waited for by the poller. */
#ifndef FRONTEND_NICS_H
#define FRONTEND_NICS_H

#include "frontend/pc.h"
#include "net/net.h"

struct confine_wants;
struct error;
struct nic_specs;
struct nics;
struct poller;

/* Takes interfaces and ports; specs outlives it. 0, or -1 with *error. */
int nics_create(struct nics **nics, const struct nic_specs *specs, struct poller *poller,
                struct error *error);
/* Starts what moves frames. 0, or -1 with *error. */
int nics_open(struct nics *nics, struct error *error);
/* The chips are gone by then, or do not call any more. */
void nics_destroy(struct nics *nics);

/* What the board needs to know of each card; returns how many there are. */
unsigned nics_fill(const struct nics *nics, struct pc_nic card[PC_NIC_COUNT]);

struct nic_view {
    const char *model; /* as -nic has it */
    const char *cable;
    uint8_t mac[6];
    bool link;
    struct net_counts counts; /* what has gone over it */
};

/* False: there is no card with that number, counted from 0. */
bool nics_view(const struct nics *nics, unsigned n, struct nic_view *view);

/* Power-on of the guest: what was on its way to it is dropped. */
void nics_reset(struct nics *nics);

/* What the monitor must be able to do for them (confine.h). */
void nics_confine(const struct nic_specs *specs, struct confine_wants *wants);

#endif
