/* 82441FX, the host bridge of the i440FX chip set: PCI configuration at ports 0xcf8-0xcff. */
#ifndef DEVICES_I440FX_H
#define DEVICES_I440FX_H

#include <stdbool.h>
#include <stdint.h>

struct bus;
struct i440fx;
struct pci_bus;
struct snap;

struct i440fx_config {
    struct bus *ports;
    uint16_t base;       /* of the eight configuration ports */
    /* Where accesses to them go that are none of configuration space: the ports of the PCI bus,
     * with their own addresses. */
    struct bus *pci_ports;
    struct pci_bus *pci; /* the bridge is 00.0 on it */
    /* A segment of 0xc0000-0xfffff (gpa; 16 KiB, or 64 KiB at 0xf0000): reads and writes go to RAM,
     * or to PCI. Told when that changes. May be NULL. */
    void (*pam)(void *board, uint32_t gpa, uint32_t size, bool read_ram, bool write_ram);
    void *board;
};

/* NULL with errno set when the ports or the slot are taken or memory is out. */
struct i440fx *i440fx_create(const struct i440fx_config *config);
void i440fx_destroy(struct i440fx *host);

void i440fx_reset(struct i440fx *host);
void i440fx_snapshot(struct i440fx *host, struct snap *snap);

#endif
