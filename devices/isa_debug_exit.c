/*
 * isa-debug-exit, as QEMU has it.
 *
 * Reference: QEMU's documentation of -device isa-debug-exit (iobase, iosize).
 * Modelled:  all of it. A process's exit status keeps eight bits of what is written. No state.
 */
#include "devices/isa_debug_exit.h"

#include <errno.h>
#include <stdlib.h>

#include "devices/bus.h"

/* --- State -------------------------------------------------------------- */

struct isa_debug_exit {
    struct isa_debug_exit_config config;
};

/* --- Ports -------------------------------------------------------------- */

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
    (void)dev;
    (void)offset;
    (void)size;
    return 0;
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct isa_debug_exit *exit_port = dev;

    (void)offset;
    (void)size;
    exit_port->config.exit(exit_port->config.arg, (int)((value << 1 | 1) & 0xff));
}

static const struct bus_ops port_ops = {
    .read = port_read,
    .write = port_write,
    .max_size = 4,
    .name = "isa-debug-exit",
};

/* --- Life --------------------------------------------------------------- */

struct isa_debug_exit *isa_debug_exit_create(const struct isa_debug_exit_config *config)
{
    struct isa_debug_exit *dev = calloc(1, sizeof(*dev));
    int err;

    if (!dev)
        return NULL;
    dev->config = *config;
    err = config->size >= 1 && config->size <= 4 ? 0 : -EINVAL;
    if (!err)
        err = bus_claim(config->ports, config->base, config->size, &port_ops, dev);
    if (err) {
        free(dev);
        errno = -err;
        return NULL;
    }
    return dev;
}

void isa_debug_exit_destroy(struct isa_debug_exit *dev)
{
    free(dev);
}
