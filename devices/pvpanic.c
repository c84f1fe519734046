/*
 * pvpanic, ISA variant.
 *
 * Reference: QEMU's docs/specs/pvpanic.
 * Modelled:  both events. It has no state.
 */
#include "devices/pvpanic.h"

#include <errno.h>
#include <stdlib.h>

#include "devices/bus.h"

/* --- Registers ---------------------------------------------------------- */

#define PANICKED     0x01
#define CRASH_LOADED 0x02

/* --- State -------------------------------------------------------------- */

struct pvpanic {
    struct pvpanic_config config;
};

/* --- Ports -------------------------------------------------------------- */

/* A read says which events we understand. */
static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
    (void)dev;
    (void)offset;
    (void)size;
    return PANICKED | CRASH_LOADED;
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct pvpanic *panic = dev;

    (void)offset;
    (void)size;
    if (value & (PANICKED | CRASH_LOADED))
        panic->config.panicked(panic->config.arg, !(value & PANICKED));
}

static const struct bus_ops port_ops = {
    .read = port_read,
    .write = port_write,
    .max_size = 1,
    .name = "pvpanic",
};

/* --- Life --------------------------------------------------------------- */

struct pvpanic *pvpanic_create(const struct pvpanic_config *config)
{
    struct pvpanic *dev = calloc(1, sizeof(*dev));
    int err;

    if (!dev)
        return NULL;
    dev->config = *config;
    err = bus_claim(config->ports, config->base, 1, &port_ops, dev);
    if (err) {
        free(dev);
        errno = -err;
        return NULL;
    }
    return dev;
}

void pvpanic_destroy(struct pvpanic *dev)
{
    free(dev);
}
