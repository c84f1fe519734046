/*
 * System control port A.
 *
 * Reference: IBM PS/2 Hardware Interface Technical Reference, "System Control Port A".
 * Modelled:  A20 (bit 1), fast reset (bit 0 going up), the other writable bits as storage.
 * Not:       watchdog and power-on password.
 */
#include "devices/port92.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/snap.h"
#include "devices/bus.h"

/* --- Registers ---------------------------------------------------------- */

#define FAST_RESET 0x01
#define A20        0x02
#define WRITABLE   0xcb /* bits 2, 4 and 5 read as 0 */

/* --- State -------------------------------------------------------------- */

struct port92 {
    struct port92_config config;
    uint8_t value;
};

/* --- Ports -------------------------------------------------------------- */

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
    struct port92 *port = dev;

    (void)offset;
    (void)size;
    return port->value;
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct port92 *port = dev;
    bool reset = value & ~port->value & FAST_RESET;

    (void)offset;
    (void)size;
    port->value = value & WRITABLE;
    irq_set(&port->config.a20, value & A20);
    if (!reset)
        return;
    irq_set(&port->config.reset, true);
    irq_set(&port->config.reset, false);
}

static const struct bus_ops port_ops = {
    .read = port_read,
    .write = port_write,
    .max_size = 1,
    .name = "port92",
};

/* --- Life --------------------------------------------------------------- */

void port92_reset(struct port92 *port)
{
    port->value = A20; /* as firmware leaves it */
}

void port92_snapshot(struct port92 *port, struct snap *snap)
{
    snap_u8(snap, &port->value);
}

struct port92 *port92_create(const struct port92_config *config)
{
    struct port92 *port = calloc(1, sizeof(*port));
    int err;

    if (!port)
        return NULL;
    port->config = *config;
    err = bus_claim(config->ports, config->base, 1, &port_ops, port);
    if (err) {
        free(port);
        errno = -err;
        return NULL;
    }
    port92_reset(port);
    return port;
}

void port92_destroy(struct port92 *port)
{
    free(port);
}
