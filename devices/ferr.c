/*
 * Coprocessor error latch.
 *
 * Reference: IBM AT Technical Reference, "Math Coprocessor"; Intel SDM 1, appendix D (MS-DOS
 *            compatibility).
 * Modelled:  the latch and its clear.
 * Not:       IGNNE#, which lets x87 instructions run between the clear and the end of the error.
 */
#include "devices/ferr.h"

#include <errno.h>
#include <stdlib.h>

#include "base/snap.h"
#include "devices/bus.h"

/* --- State -------------------------------------------------------------- */

struct ferr {
    struct ferr_config config;
    uint8_t latched;
};

/* --- Behaviour ---------------------------------------------------------- */

static void set(struct ferr *ferr, uint8_t latched)
{
    ferr->latched = latched;
    irq_set(&ferr->config.irq, latched);
}

void ferr_raise(struct ferr *ferr)
{
    set(ferr, 1);
}

/* --- Ports -------------------------------------------------------------- */

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
    (void)dev;
    (void)offset;
    (void)size;
    return 0xff;
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    (void)offset;
    (void)size;
    (void)value;
    set(dev, 0);
}

static const struct bus_ops port_ops = {
    .read = port_read,
    .write = port_write,
    .max_size = 1,
    .name = "ferr",
};

/* --- Life --------------------------------------------------------------- */

void ferr_reset(struct ferr *ferr)
{
    set(ferr, 0);
}

void ferr_snapshot(struct ferr *ferr, struct snap *snap)
{
    snap_u8(snap, &ferr->latched);
    if (snap->loading)
        set(ferr, ferr->latched);
}

struct ferr *ferr_create(const struct ferr_config *config)
{
    struct ferr *ferr = calloc(1, sizeof(*ferr));
    int err;

    if (!ferr)
        return NULL;
    ferr->config = *config;
    err = bus_claim(config->ports, config->base, 2, &port_ops, ferr);
    if (err) {
        free(ferr);
        errno = -err;
        return NULL;
    }
    return ferr;
}

void ferr_destroy(struct ferr *ferr)
{
    free(ferr);
}
