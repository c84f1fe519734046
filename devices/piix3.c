/*
 * The ISA bridge of PIIX3.
 *
 * Reference: Intel 82371FB/82371SB (PIIX/PIIX3) data sheet (order 290550), 2.2 (function 0's
 *            configuration space), 3.7.5 (interrupt steering).
 * Modelled:  the four PIRQ route registers: each PIRQ goes to an IRQ or to none, several may share
 *            one, and an IRQ is up as long as any wire behind it is.
 * Not:       the other registers do nothing but keep what is written. What the chip holds besides
 *            (8259, 8254, 8237, port 61h, 0xcf9, IDE) are chips of their own here. No SMIs.
 */
#include "devices/piix3.h"

#include <errno.h>
#include <stdlib.h>

#include "base/snap.h"
#include "devices/pci.h"

/* --- Registers ---------------------------------------------------------- */

enum {
    ROUTE_OFF = 0x80,
    ROUTE_IRQ = 0x0f,
    ROUTE_WRITABLE = 0x8f,
};

#define ROUTABLE 0xdef8u /* IRQ 3-7, 9-12, 14, 15: the others are reserved */

static const struct pci_function function = {
    .name = "piix3",
    .after_reset = {
        [PCI_VENDOR] = 0x86, 0x80, 0x00, 0x70,
        [PCI_COMMAND] = 0x07,         /* fixed */
        [PCI_STATUS + 1] = 0x02,      /* medium DEVSEL */
        [PCI_CLASS] = 0x00, 0x01, 0x06, /* ISA bridge */
        [PCI_SUBSYSTEM_VENDOR] = 0xf4, 0x1a, 0x00, 0x11,
        [0x4c] = 0x4d,                /* I/O recovery timer */
        [0x4e] = 0x03,                /* X-bus chip selects: RTC, keyboard */
        [PIIX3_PIRQ_ROUTE] = ROUTE_OFF, ROUTE_OFF, ROUTE_OFF, ROUTE_OFF,
        [0x69] = 0x02,                /* top of memory, for ISA masters */
        [0x70] = 0x80,                /* motherboard device's IRQ: none */
        [0x76] = 0x0c, 0x0c,          /* motherboard devices' DMA: none */
        [0x78] = 0x02,                /* programmable chip select: off */
        [0xa0] = 0x08,                /* SMI control */
        [0xa8] = 0x0f,                /* clock throttle */
    },
    .writable = {
        [0x4c] = 0x7f,
        [0x4e] = 0xff, 0x01,
        [PIIX3_PIRQ_ROUTE] = ROUTE_WRITABLE, ROUTE_WRITABLE, ROUTE_WRITABLE, ROUTE_WRITABLE,
        [0x69] = 0xfe,
        [0x6a] = 0x80,
        [0x70] = 0xef,
        [0x76] = 0x8f, 0x8f,
        [0x78] = 0xff, 0xff,
        [0x80] = 0x7f,
        [0x82] = 0x0f,
        [0xa0] = 0x1f,
        [0xa2] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        [0xaa] = 0xff,
        [0xac] = 0xff,
        [0xae] = 0xff,
    },
};

/* --- State -------------------------------------------------------------- */

struct piix3 {
    struct piix3_config config;
    struct pci_function function;
    uint32_t sources[PIIX3_PIRQ_COUNT]; /* who drives each PIRQ, a bit each */
    uint16_t up;                        /* IRQs as last driven */
};

/* --- Routing ------------------------------------------------------------ */

static uint16_t irqs_wanted(const struct piix3 *piix3)
{
    unsigned up = 0;

    for (unsigned i = 0; i < PIIX3_PIRQ_COUNT; i++) {
        uint8_t route = piix3->function.config[PIIX3_PIRQ_ROUTE + i];

        if (piix3->sources[i] && !(route & ROUTE_OFF))
            up |= 1u << (route & ROUTE_IRQ);
    }
    return up & ROUTABLE;
}

static void update(struct piix3 *piix3)
{
    uint16_t wanted = irqs_wanted(piix3), changed = wanted ^ piix3->up;

    piix3->up = wanted;
    for (unsigned i = 0; i < PIIX3_IRQ_COUNT; i++)
        if (changed >> i & 1 && piix3->config.irq[i].set)
            irq_set(&piix3->config.irq[i], wanted >> i & 1);
}

void piix3_set_pirq(struct piix3 *piix3, unsigned pirq, unsigned source, bool level)
{
    uint32_t bit = 1u << source;

    if (level)
        piix3->sources[pirq] |= bit;
    else
        piix3->sources[pirq] &= ~bit;
    update(piix3);
}

static void written(void *dev, unsigned at, unsigned size)
{
    struct piix3 *piix3 = dev;

    piix3->function.config[PCI_COMMAND] = function.after_reset[PCI_COMMAND];
    piix3->function.config[PCI_COMMAND + 1] &= 0x01; /* SERR# alone */
    if (at + size > PIIX3_PIRQ_ROUTE && at < PIIX3_PIRQ_ROUTE + PIIX3_PIRQ_COUNT)
        update(piix3);
}

/* --- Life --------------------------------------------------------------- */

void piix3_reset(struct piix3 *piix3)
{
    pci_reset(&piix3->function);
    update(piix3);
}

void piix3_snapshot(struct piix3 *piix3, struct snap *snap)
{
    pci_snapshot(&piix3->function, snap);
    if (snap->loading)
        update(piix3);
}

struct piix3 *piix3_create(const struct piix3_config *config)
{
    struct piix3 *piix3 = calloc(1, sizeof(*piix3));
    int err;

    if (!piix3)
        return NULL;
    piix3->config = *config;
    piix3->function = function;
    piix3->function.dev = piix3;
    piix3->function.written = written;
    err = pci_attach(config->pci, config->slot, 0, &piix3->function);
    if (err) {
        free(piix3);
        errno = -err;
        return NULL;
    }
    return piix3;
}

void piix3_destroy(struct piix3 *piix3)
{
    pci_detach(&piix3->function);
    free(piix3);
}
