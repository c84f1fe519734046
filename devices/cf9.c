/*
 * The reset control register, a byte among the ports of PCI configuration space: its address
 * register takes 32-bit accesses alone.
 *
 * Reference: Intel 82371AB (PIIX4) data sheet, 4.1.4.
 */
#include "devices/cf9.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/snap.h"
#include "devices/bus.h"

/* --- Registers ---------------------------------------------------------- */

#define RESET_GO 0x04 /* going up resets; bit 1 says how thoroughly */
#define WRITABLE 0x06

/* --- State -------------------------------------------------------------- */

struct cf9 {
    struct cf9_config config;
    uint8_t value;
};

/* --- Ports -------------------------------------------------------------- */

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
    struct cf9 *cf9 = dev;

    (void)offset;
    (void)size;
    return cf9->value;
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct cf9 *cf9 = dev;
    bool go = value & ~cf9->value & RESET_GO;

    (void)offset;
    (void)size;
    cf9->value = value & WRITABLE;
    if (!go)
        return;
    irq_set(&cf9->config.reset, true);
    irq_set(&cf9->config.reset, false);
}

static const struct bus_ops port_ops = {
    .read = port_read,
    .write = port_write,
    .max_size = 1,
    .name = "cf9",
};

/* --- Life --------------------------------------------------------------- */

void cf9_reset(struct cf9 *cf9)
{
    cf9->value = 0;
}

void cf9_snapshot(struct cf9 *cf9, struct snap *snap)
{
    snap_u8(snap, &cf9->value);
}

struct cf9 *cf9_create(const struct cf9_config *config)
{
    struct cf9 *cf9 = calloc(1, sizeof(*cf9));
    int err;

    if (!cf9)
        return NULL;
    cf9->config = *config;
    err = bus_claim(config->ports, config->base, 1, &port_ops, cf9);
    if (err) {
        free(cf9);
        errno = -err;
        return NULL;
    }
    return cf9;
}

void cf9_destroy(struct cf9 *cf9)
{
    free(cf9);
}
