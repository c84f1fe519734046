/*
 * The host bridge of the i440FX chip set (82441FX): configuration mechanism 1, and the bridge's own
 * configuration space as bus 0, device 0.
 *
 * Reference: Intel 440FX PCIset data sheet (order 290549), 3.1 (the two registers), 3.2 (the
 *            configuration space), 3.2.18 (PAM); PCI Local Bus Specification 2.2, 3.2.2.3.2.
 * Modelled:  the address register, which answers 32-bit accesses alone; the header; shadow RAM
 *            (PAM), as far as telling the board.
 * Not:       SMRAM stays closed; DRAM timing and row boundaries keep what is written.
 */
#include "devices/i440fx.h"

#include <errno.h>
#include <stdlib.h>

#include "base/snap.h"
#include "devices/bus.h"
#include "devices/pci.h"

/* --- Registers ---------------------------------------------------------- */

enum { PORT_ADDRESS = 0, PORT_DATA = 4, PORT_COUNT = 8 };

#define ADDRESS_ENABLE   0x80000000u
#define ADDRESS_WRITABLE 0x80fffffcu

enum {
    CONFIG_LATENCY = 0x0d,
    CONFIG_PAM = 0x59, /* seven of them; the first one's low half is not used */
    PAM_COUNT = 7,
    PAM_READ_RAM = 1,
    PAM_WRITE_RAM = 2,
    SEGMENT_COUNT = 13, /* 12 of 16 KiB from 0xc0000 on, and 64 KiB at 0xf0000 */
    SEGMENT_SIZE = 0x4000,
};

#define SEGMENT_BASE 0xc0000u

static const struct pci_function function = {
    .name = "i440fx",
    .after_reset = {
        [PCI_VENDOR] = 0x86, 0x80, 0x37, 0x12, /* Intel 82441FX */
        [PCI_COMMAND] = 0x06,                  /* memory space and bus master, both fixed */
        [PCI_STATUS] = 0x80, 0x02,             /* fast back-to-back, medium DEVSEL */
        [PCI_REVISION] = 0x02,
        [PCI_CLASS] = 0x00, 0x00, 0x06, /* host bridge */
        [PCI_SUBSYSTEM_VENDOR] = 0xf4, 0x1a, 0x00, 0x11, /* SeaBIOS looks for fw_cfg by it */
        [0x72] = 0x02,                  /* SMRAM closed */
    },
    .writable = {
        [CONFIG_LATENCY] = 0xf8,
        [0x50] = 0xff, 0xff, 0xff, 0xff,  /* configuration, DRAM control and timing */
        [0x57] = 0xff, 0xff,
        [CONFIG_PAM] = 0x30, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33,
        [0x60] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* DRAM row boundaries */
    },
};

/* --- State -------------------------------------------------------------- */

struct i440fx {
    struct i440fx_config config;
    uint32_t address;
    struct pci_function function;
    uint8_t pam[SEGMENT_COUNT]; /* as last told to the board */
};

/* --- Shadow RAM --------------------------------------------------------- */

/* PAM0's upper half is the BIOS segment, PAM1 to 6 are two segments each, the lower half first. */
static uint8_t pam_of(const struct i440fx *host, unsigned segment)
{
    const uint8_t *pam = host->function.config + CONFIG_PAM;

    if (segment == SEGMENT_COUNT - 1)
        return pam[0] >> 4 & 3;
    return pam[1 + segment / 2] >> (segment & 1 ? 4 : 0) & 3;
}

static void update_pam(struct i440fx *host)
{
    for (unsigned i = 0; i < SEGMENT_COUNT; i++) {
        uint8_t pam = pam_of(host, i);

        if (pam == host->pam[i])
            continue;
        host->pam[i] = pam;
        if (host->config.pam)
            host->config.pam(host->config.board, SEGMENT_BASE + i * SEGMENT_SIZE,
                             i == SEGMENT_COUNT - 1 ? 4 * SEGMENT_SIZE : SEGMENT_SIZE,
                             pam & PAM_READ_RAM, pam & PAM_WRITE_RAM);
    }
}

static void written(void *dev, unsigned at, unsigned size)
{
    struct i440fx *host = dev;
    uint8_t *command = host->function.config + PCI_COMMAND;

    command[0] = (command[0] & 0x40) | function.after_reset[PCI_COMMAND];
    command[1] &= 0x01; /* SERR# */
    if (at + size > CONFIG_PAM && at < CONFIG_PAM + PAM_COUNT)
        update_pam(host);
}

/* --- Ports -------------------------------------------------------------- */

static bool is_configuration(const struct i440fx *host, uint64_t offset, unsigned size)
{
    if (offset < PORT_DATA)
        return offset == PORT_ADDRESS && size == 4;
    return host->address & ADDRESS_ENABLE;
}

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
    struct i440fx *host = dev;

    if (!is_configuration(host, offset, size))
        return bus_read(host->config.pci_ports, host->config.base + offset, size);
    if (offset == PORT_ADDRESS)
        return host->address;
    return pci_config_read(host->config.pci, host->address | (offset & 3), size);
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct i440fx *host = dev;

    if (!is_configuration(host, offset, size))
        bus_write(host->config.pci_ports, host->config.base + offset, size, value);
    else if (offset == PORT_ADDRESS)
        host->address = value & ADDRESS_WRITABLE;
    else
        pci_config_write(host->config.pci, host->address | (offset & 3), size, (uint32_t)value);
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
    pci_reset(&host->function);
    update_pam(host);
}

void i440fx_snapshot(struct i440fx *host, struct snap *snap)
{
    snap_bytes(snap, &host->address, sizeof(host->address));
    pci_snapshot(&host->function, snap);
    if (snap->loading)
        update_pam(host);
}

struct i440fx *i440fx_create(const struct i440fx_config *config)
{
    struct i440fx *host = calloc(1, sizeof(*host));
    int err;

    if (!host)
        return NULL;
    host->config = *config;
    host->function = function;
    host->function.dev = host;
    host->function.written = written;
    err = pci_attach(config->pci, 0, 0, &host->function);
    if (!err) {
        err = bus_claim(config->ports, config->base, PORT_COUNT, &port_ops, host);
        if (err)
            pci_detach(&host->function);
    }
    if (err) {
        free(host);
        errno = -err;
        return NULL;
    }
    return host;
}

void i440fx_destroy(struct i440fx *host)
{
    pci_detach(&host->function);
    free(host);
}
