/*
 * The host bridge of the i440FX chip set (82441FX): configuration mechanism 1, and the bridge's own
 * configuration space as bus 0, device 0.
 *
 * Reference: Intel 440FX PCIset data sheet (order 290549), 3.1 (the two registers), 3.2 (the
 *            configuration space); PCI Local Bus Specification 2.2, 3.2.2.3.2 and 6.1.
 * Modelled:  the address register, which answers 32-bit accesses alone; the header.
 * Not:       shadow RAM (PAM), SMRAM, DRAM timing: they read as after reset and do not change;
 *            other devices on the bus, so that a probe finds one.
 */
#include "devices/i440fx.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/snap.h"
#include "devices/bus.h"

/* --- Registers ---------------------------------------------------------- */

enum { PORT_ADDRESS = 0, PORT_DATA = 4, PORT_COUNT = 8 };

#define ADDRESS_ENABLE   0x80000000u
#define ADDRESS_WRITABLE 0x80fffffcu
#define ADDRESS_FUNCTION 0x00ffff00u /* bus, device, function */
#define ADDRESS_REGISTER 0x000000fcu

enum { CONFIG_COMMAND = 0x04, CONFIG_LATENCY = 0x0d, CONFIG_SIZE = 256 };

static const uint8_t after_reset[CONFIG_SIZE] = {
    [0x00] = 0x86, 0x80, 0x37, 0x12, /* Intel 82441FX */
    [CONFIG_COMMAND] = 0x06,         /* memory space and bus master, both fixed */
    [0x06] = 0x80, 0x02,             /* fast back-to-back, medium DEVSEL */
    [0x08] = 0x02,                   /* revision */
    [0x0b] = 0x06,                   /* class 060000: host bridge */
    [0x72] = 0x02,                   /* SMRAM closed */
};

static const uint8_t writable[CONFIG_SIZE] = {
    [CONFIG_COMMAND] = 0x40, 0x01, /* parity errors, SERR# */
    [CONFIG_LATENCY] = 0xf8,
};

/* --- State -------------------------------------------------------------- */

struct i440fx {
    struct i440fx_config config;
    uint32_t address;
    uint8_t space[CONFIG_SIZE];
};

/* --- Ports -------------------------------------------------------------- */

static bool is_configuration(const struct i440fx *host, uint64_t offset, unsigned size)
{
    if (offset < PORT_DATA)
        return offset == PORT_ADDRESS && size == 4;
    return host->address & ADDRESS_ENABLE;
}

static bool is_own(const struct i440fx *host)
{
    return !(host->address & ADDRESS_FUNCTION);
}

static unsigned selected(const struct i440fx *host, uint64_t offset)
{
    return (host->address & ADDRESS_REGISTER) | (offset & 3);
}

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
    struct i440fx *host = dev;
    uint64_t value = 0;

    if (!is_configuration(host, offset, size))
        return bus_read(host->config.pci_ports, host->config.base + offset, size);
    if (offset == PORT_ADDRESS)
        return host->address;
    if (!is_own(host)) /* nobody claims the cycle: the bridge's master abort */
        return ~0ull;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)host->space[(selected(host, offset) + i) % CONFIG_SIZE] << 8 * i;
    return value;
}

static void config_write(struct i440fx *host, unsigned at, uint8_t value)
{
    at %= CONFIG_SIZE;
    host->space[at] = (host->space[at] & ~writable[at]) | (value & writable[at]);
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct i440fx *host = dev;

    if (!is_configuration(host, offset, size)) {
        bus_write(host->config.pci_ports, host->config.base + offset, size, value);
        return;
    }
    if (offset == PORT_ADDRESS)
        host->address = value & ADDRESS_WRITABLE;
    else if (is_own(host))
        for (unsigned i = 0; i < size; i++)
            config_write(host, selected(host, offset) + i, value >> 8 * i & 0xff);
}

static const struct bus_ops port_ops = {
    .read = port_read,
    .write = port_write,
    .max_size = 4,
    .name = "i440fx",
};

/* --- Life --------------------------------------------------------------- */

void i440fx_reset(struct i440fx *host)
{
    host->address = 0;
    memcpy(host->space, after_reset, sizeof(host->space));
}

void i440fx_snapshot(struct i440fx *host, struct snap *snap)
{
    snap_bytes(snap, &host->address, sizeof(host->address));
    snap_bytes(snap, host->space, sizeof(host->space));
}

struct i440fx *i440fx_create(const struct i440fx_config *config)
{
    struct i440fx *host = calloc(1, sizeof(*host));
    int err;

    if (!host)
        return NULL;
    host->config = *config;
    err = bus_claim(config->ports, config->base, PORT_COUNT, &port_ops, host);
    if (err) {
        free(host);
        errno = -err;
        return NULL;
    }
    i440fx_reset(host);
    return host;
}

void i440fx_destroy(struct i440fx *host)
{
    free(host);
}
