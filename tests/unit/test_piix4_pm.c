/* What firmware reads of the PIIX4's power management function, and cannot change; its SMBus. */
#include "devices/piix4_pm.h"

#include <errno.h>

#include "base/snap.h"
#include "devices/pci.h"
#include "tests/unit/chip.h"

enum { FUNCTION = 1 << 11 | 3 << 8, BASE = 0x600, SMBUS = 0x700 };

static struct pci_bus *bus;

static void set_pin(void *board, unsigned slot, unsigned pin, bool level)
{
    (void)board;
    (void)slot;
    (void)pin;
    (void)level;
}

static uint32_t rd(unsigned at, unsigned size)
{
    return pci_config_read(bus, FUNCTION | at, size);
}

static void wr(unsigned at, unsigned size, uint32_t value)
{
    pci_config_write(bus, FUNCTION | at, size, value);
}

/* Where the timer is, as UEFI asks for it (EDK2's AcpiTimerLib): 8 behind the base, if the ports
 * are on. APMC's SMIs: SeaBIOS makes no attempt at SMM when they are on. */
static void test_space(void)
{
    CHECK_EQ(rd(0, 4), 0x71138086);
    CHECK_EQ(rd(PCI_REVISION, 4), 0x06800003);
    CHECK_EQ(rd(0x80, 1) & 1, 1);
    CHECK_EQ(rd(0x40, 4), BASE | 1);
    CHECK_EQ(rd(0x58, 4), 1 << 25);
    CHECK_EQ(rd(PCI_INTERRUPT_LINE, 2), 0x0100);
}

static void test_wired(void)
{
    wr(0x40, 4, 0xb001);
    wr(0x80, 1, 0);
    wr(0x58, 4, 0);
    wr(PCI_INTERRUPT_LINE, 1, 9);
    CHECK_EQ(rd(0x40, 4), BASE | 1);
    CHECK_EQ(rd(0x80, 1), 1);
    CHECK_EQ(rd(0x58, 4), 1 << 25);
    CHECK_EQ(rd(PCI_INTERRUPT_LINE, 1), 9);
}

/* As Linux's i2c-piix4: the base, enabled, status clean; a command fails, its status goes when it
 * is written. */
static void test_smbus(struct bus *ports)
{
    CHECK_EQ(rd(0x90, 4), SMBUS | 1);
    CHECK_EQ(rd(0xd2, 1), 1);
    CHECK_EQ(bus_read(ports, SMBUS, 1), 0);
    bus_write(ports, SMBUS + 4, 1, 0xa1);
    bus_write(ports, SMBUS + 2, 1, 0x04);
    CHECK_EQ(bus_read(ports, SMBUS, 1), 0);
    bus_write(ports, SMBUS + 2, 1, 0x44);
    CHECK_EQ(bus_read(ports, SMBUS, 4), 0x00040004); /* not busy, no start any more */
    CHECK_EQ(bus_read(ports, SMBUS + 4, 1), 0xa1);
    bus_write(ports, SMBUS, 1, 0x04);
    CHECK_EQ(bus_read(ports, SMBUS, 1), 0);
}

int main(void)
{
    struct bus *ports = bus_create();
    struct piix4_pm_config config = { .slot = 1, .function = 3, .ports = ports, .base = BASE,
                                      .smbus = SMBUS };
    struct piix4_pm *pm;
    uint8_t image[512];

    bus = pci_create(&(struct pci_bus_config){ ports, ports, set_pin, NULL, NULL });
    config.pci = bus;
    pm = piix4_pm_create(&config);
    test_space();
    test_wired();
    test_smbus(ports);
    piix4_pm_snapshot(pm, &(struct snap){ .at = image });
    piix4_pm_reset(pm);
    test_space();
    CHECK_EQ(bus_read(ports, SMBUS + 4, 1), 0);
    piix4_pm_snapshot(pm, &(struct snap){ .loading = true, .at = image });
    CHECK_EQ(rd(PCI_INTERRUPT_LINE, 1), 9);
    CHECK_EQ(bus_read(ports, SMBUS + 4, 1), 0xa1);
    CHECK_EQ(piix4_pm_create(&config) == NULL && errno == EEXIST, 1);
    piix4_pm_destroy(pm);
    CHECK_EQ(rd(0, 4), UINT32_MAX);
    pci_destroy(bus);
    bus_destroy(ports);
    return CHECK_DONE();
}
