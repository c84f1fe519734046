/* The cables of the network cards: made from the command line, waited for by the poller. */
#ifndef FRONTEND_NICS_H
#define FRONTEND_NICS_H

#include "frontend/pc.h"

struct confine_wants;
struct error;
struct net_counts;
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

/* What has gone over the cable of card n. False: there is none with that number. */
bool nics_count(const struct nics *nics, unsigned n, struct net_counts *counts);

/* Power-on of the guest: what was on its way to it is dropped. */
void nics_reset(struct nics *nics);

/* What the monitor must be able to do for them (confine.h). */
void nics_confine(const struct nic_specs *specs, struct confine_wants *wants);

#endif
