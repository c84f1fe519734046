/* The PIIX3's configuration space, and where it leads the PCI interrupts. */
#include "devices/piix3.h"

#include <errno.h>

#include "base/snap.h"
#include "devices/pci.h"
#include "tests/unit/chip.h"

enum { FUNCTION = 1 << 11 };

static struct pci_bus *bus;
static struct pin pins[PIIX3_IRQ_COUNT];

static void set_pin(void *board, unsigned slot, unsigned pin, bool level)
{
    (void)board;
    (void)slot;
    (void)pin;
    (void)level;
}

static void route(unsigned pirq, uint8_t value)
{
    pci_config_write(bus, FUNCTION | (PIIX3_PIRQ_ROUTE + pirq), 1, value);
}

static void test_space(void)
{
    CHECK_EQ(pci_config_read(bus, FUNCTION, 4), 0x70008086);
    CHECK_EQ(pci_config_read(bus, FUNCTION | 0x08, 4) >> 8, 0x060100);
    CHECK_EQ(pci_config_read(bus, FUNCTION | PIIX3_PIRQ_ROUTE, 4), 0x80808080);
    pci_config_write(bus, FUNCTION | PCI_COMMAND, 2, 0);
    CHECK_EQ(pci_config_read(bus, FUNCTION | PCI_COMMAND, 2), 7);
}

/* Several wires to a PIRQ, several PIRQs to an IRQ: up as long as one is. */
static void test_routing(struct piix3 *piix3)
{
    piix3_set_pirq(piix3, 0, 3, true);
    for (unsigned i = 0; i < PIIX3_IRQ_COUNT; i++)
        CHECK_EQ(pins[i].level, 0);
    route(0, 10);
    CHECK_EQ(pins[10].level, 1);
    route(1, 10);
    piix3_set_pirq(piix3, 1, 4, true);
    piix3_set_pirq(piix3, 1, 8, true);
    piix3_set_pirq(piix3, 0, 3, false);
    CHECK_EQ(pins[10].level, 1);
    piix3_set_pirq(piix3, 1, 4, false);
    CHECK_EQ(pins[10].level, 1);
    CHECK_EQ(pins[10].edges, 1);
    route(1, 5);
    CHECK_EQ(pins[10].level, 0);
    CHECK_EQ(pins[5].level, 1);
    route(1, 0x85); /* off */
    CHECK_EQ(pins[5].level, 0);
    route(1, 13); /* reserved, as 0, 1, 2 and 8 */
    CHECK_EQ(pins[13].level, 0);
    route(1, 9); /* no wire on this board */
    route(1, 5);
    CHECK_EQ(pins[5].level, 1);
}

int main(void)
{
    struct bus *ports = bus_create();
    struct piix3_config config = { .slot = 1 };
    struct piix3 *piix3;
    uint8_t image[512];

    bus = pci_create(&(struct pci_bus_config){ ports, ports, set_pin, NULL, NULL });
    config.pci = bus;
    for (unsigned i = 0; i < PIIX3_IRQ_COUNT; i++)
        if (i != 9)
            config.irq[i] = pin_irq(&pins[i]);
    piix3 = piix3_create(&config);
    test_space();
    test_routing(piix3);
    piix3_snapshot(piix3, &(struct snap){ .at = image });
    piix3_reset(piix3);
    CHECK_EQ(pins[5].level, 0);
    CHECK_EQ(pci_config_read(bus, FUNCTION | PIIX3_PIRQ_ROUTE, 4), 0x80808080);
    piix3_snapshot(piix3, &(struct snap){ .loading = true, .at = image });
    CHECK_EQ(pins[5].level, 1);
    CHECK_EQ(piix3_create(&config) == NULL && errno == EEXIST, 1);
    piix3_destroy(piix3);
    pci_destroy(bus);
    bus_destroy(ports);
    return CHECK_DONE();
}
