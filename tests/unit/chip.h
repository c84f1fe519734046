/* What every chip's test needs: an interrupt pin that counts, and byte-wide port access. */
#ifndef TESTS_UNIT_CHIP_H
#define TESTS_UNIT_CHIP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/irq.h"
#include "devices/bus.h"
#include "tests/check.h"

struct pin {
    unsigned edges; /* rising */
    bool level;
};

static inline void pin_set(void *sink, unsigned n, bool level)
{
    struct pin *pin = sink;

    (void)n;
    pin->edges += level && !pin->level;
    pin->level = level;
}

static inline struct irq pin_irq(struct pin *pin)
{
    return (struct irq){ pin_set, pin, 0 };
}

static inline uint8_t in8(struct bus *bus, uint16_t port)
{
    return bus_read(bus, port, 1);
}

static inline void out8(struct bus *bus, uint16_t port, uint8_t value)
{
    bus_write(bus, port, 1, value);
}

#endif
