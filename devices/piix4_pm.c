/*
 * The power management function of PIIX4.
 *
 * Reference: Intel 82371AB (PIIX4) data sheet (order 290562), 7.1 (configuration space), 7.3
 *            (SMBus ports).
 * Modelled:  what firmware reads to find the ports of ACPI's fixed hardware (acpi_pm.c): their base
 *            and that they are on. Both are wired, as the board's tables name that base. So is the
 *            SMBus, with nobody on it: each command ends at once with a device's error.
 * Not:       the SMBus as a slave, its interrupts; device monitors; SMIs (those of APMC are on, as
 *            firmware leaves them).
 */
#include "devices/piix4_pm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/snap.h"
#include "devices/bus.h"
#include "devices/pci.h"

enum { PMBA = 0x40, DEVACTB = 0x58, PMREGMISC = 0x80, SMBBA = 0x90, SMBHSTCFG = 0xd2 };
enum { BASE_IO = 0x01, DEVACTB_APMC_EN_BYTE3 = 0x02, PMREGMISC_PMIOSE = 0x01 };
enum { SMBHSTCFG_ENABLED = 0x01 };

enum { SMBHSTSTS = 0, SMBSLVSTS = 1, SMBHSTCNT = 2, SMB_PORTS = 16 };
enum { STATUS_DEV_ERR = 0x04, CONTROL_KEPT = 0x1d, CONTROL_START = 0x40 };

enum { PIN_A = 1 };

static const struct pci_function function = {
    .name = "piix4_pm",
    .after_reset = {
        [PCI_VENDOR] = 0x86, 0x80, 0x13, 0x71,
        [PCI_STATUS] = 0x80, 0x02,      /* fast back-to-back, medium DEVSEL */
        [PCI_REVISION] = 0x03,          /* revision */
        [PCI_CLASS] = 0x00, 0x80, 0x06, /* another bridge */
        [PCI_SUBSYSTEM_VENDOR] = 0xf4, 0x1a, 0x00, 0x11,
        [PCI_INTERRUPT_PIN] = PIN_A,
        [DEVACTB + 3] = DEVACTB_APMC_EN_BYTE3,
        [PMREGMISC] = PMREGMISC_PMIOSE,
        [SMBHSTCFG] = SMBHSTCFG_ENABLED, /* interrupts are SMIs, of which there are none */
    },
};

struct piix4_pm {
    struct piix4_pm_config config;
    struct pci_function function;
    uint8_t smbus[SMB_PORTS];
};

/* --- SMBus ----------------------------------------------------------------- */

static uint64_t smbus_read(void *dev, uint64_t offset, unsigned size)
{
    struct piix4_pm *pm = dev;

    (void)size;
    return pm->smbus[offset];
}

static void smbus_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct piix4_pm *pm = dev;

    (void)size;
    switch (offset) {
    case SMBHSTSTS: pm->smbus[offset] &= ~value; break; /* a one clears */
    case SMBSLVSTS: break;
    case SMBHSTCNT:
        pm->smbus[offset] = value & CONTROL_KEPT;
        if (value & CONTROL_START)
            pm->smbus[SMBHSTSTS] = STATUS_DEV_ERR;
        break;
    default: pm->smbus[offset] = (uint8_t)value; break;
    }
}

static const struct bus_ops smbus_ops = {
    .read = smbus_read,
    .write = smbus_write,
    .max_size = 1,
    .name = "smbus",
};

/* --- Life ------------------------------------------------------------------ */

void piix4_pm_reset(struct piix4_pm *pm)
{
    pci_reset(&pm->function);
    memset(pm->smbus, 0, sizeof(pm->smbus));
}

void piix4_pm_snapshot(struct piix4_pm *pm, struct snap *snap)
{
    pci_snapshot(&pm->function, snap);
    snap_bytes(snap, pm->smbus, sizeof(pm->smbus));
}

static void fill_config(struct piix4_pm *pm)
{
    const struct piix4_pm_config *config = &pm->config;
    struct pci_function *f = &pm->function;

    *f = function;
    f->dev = pm;
    f->after_reset[PMBA] = (uint8_t)(config->base | BASE_IO);
    f->after_reset[PMBA + 1] = (uint8_t)(config->base >> 8);
    f->after_reset[SMBBA] = (uint8_t)(config->smbus | BASE_IO);
    f->after_reset[SMBBA + 1] = (uint8_t)(config->smbus >> 8);
}

struct piix4_pm *piix4_pm_create(const struct piix4_pm_config *config)
{
    struct piix4_pm *pm = calloc(1, sizeof(*pm));
    int err;

    if (!pm)
        return NULL;
    pm->config = *config;
    fill_config(pm);
    err = bus_claim(config->ports, config->smbus, SMB_PORTS, &smbus_ops, pm);
    if (!err) {
        err = pci_attach(config->pci, config->slot, config->function, &pm->function);
        if (err)
            bus_release(config->ports, config->smbus);
    }
    if (err) {
        free(pm);
        errno = -err;
        return NULL;
    }
    return pm;
}

void piix4_pm_destroy(struct piix4_pm *pm)
{
    pci_detach(&pm->function);
    bus_release(pm->config.ports, pm->config.smbus);
    free(pm);
}
