/* 82441FX, the host bridge of the i440FX chip set: PCI configuration at ports 0xcf8-0xcff. */
#ifndef DEVICES_I440FX_H
#define DEVICES_I440FX_H

#include <stdint.h>

struct bus;
struct i440fx;
struct snap;

struct i440fx_config {
    struct bus *ports;
    uint16_t base;       /* of the eight configuration ports */
    /* Where accesses to them go that are none of configuration space: the ports of the PCI bus,
     * with their own addresses. */
    struct bus *pci_ports;
};

/* NULL with errno set when the ports are taken or memory is out. */
struct i440fx *i440fx_create(const struct i440fx_config *config);
void i440fx_destroy(struct i440fx *host);

void i440fx_reset(struct i440fx *host);
void i440fx_snapshot(struct i440fx *host, struct snap *snap);

#endif
