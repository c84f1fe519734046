/* The cables of the network cards: made from the command line, waited for by the poller. */
#ifndef FRONTEND_NICS_H
#define FRONTEND_NICS_H

#include "frontend/pc.h"

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

/* Power-on of the guest: what was on its way to it is dropped. */
void nics_reset(struct nics *nics);

/* What the monitor must be able to do for them (confine.h). */
void nics_confine(const struct nic_specs *specs, struct confine_wants *wants);

#endif
