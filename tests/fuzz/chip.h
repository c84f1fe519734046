/*
 * What the targets of single chips share: two buses, a clock that goes as the input says, a wire
 * that leads nowhere, and snapshots: what has been loaded is what was saved.
 */
#ifndef TESTS_FUZZ_CHIP_H
#define TESTS_FUZZ_CHIP_H

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/irq.h"
#include "base/snap.h"
#include "tests/fuzz/fuzz.h"

enum { CHIP_STEPS = 2048, CHIP_SNAPSHOT_MAX = 16384 };

struct chip {
    struct bus *ports, *memory;
    struct clock clock;
    struct fuzz fuzz;
    unsigned steps;
    bool waiting; /* does the guest still have to take the last tick? */
};

static inline void chip_ignore(void *sink, unsigned n, bool level)
{
    (void)sink, (void)n, (void)level;
}

static const struct irq chip_wire = { chip_ignore, NULL, 0 };

static inline void chip_wire_set(struct irq wire, bool level)
{
    irq_set(&wire, level);
}

static inline bool chip_waiting(void *arg)
{
    return ((struct chip *)arg)->waiting;
}

static inline void chip_begin(struct chip *chip, const uint8_t *data, size_t size)
{
    *chip = (struct chip){ .ports = bus_create(), .memory = bus_create(),
        .clock.boot_epoch_s = 951782399, .fuzz = { data, size } };
}

static inline void chip_end(struct chip *chip)
{
    bus_destroy(chip->ports);
    bus_destroy(chip->memory);
}

static inline size_t chip_save(void *dev, void (*snapshot)(void *dev, struct snap *snap),
                               uint8_t *to)
{
    struct snap snap = { .at = to };

    snapshot(dev, &snap);
    return (size_t)(snap.at - to);
}

/* Loading works out what has come due; what is saved then must come back when it is loaded. */
static inline void chip_snapshot(void *dev, void (*snapshot)(void *dev, struct snap *snap))
{
    static uint8_t first[CHIP_SNAPSHOT_MAX], second[CHIP_SNAPSHOT_MAX];
    size_t size;

    chip_save(dev, snapshot, first);
    snapshot(dev, &(struct snap){ .loading = true, .at = first });
    size = chip_save(dev, snapshot, first);
    snapshot(dev, &(struct snap){ .loading = true, .at = first });
    if (chip_save(dev, snapshot, second) != size || memcmp(first, second, size))
        abort();
}

/* In half of the steps time goes on, mostly by up to 65 us, at times by up to 16 ms. The other half
 * is the chip's: 0 to 127; -1 when the input has ended. */
static inline int chip_step(struct chip *chip)
{
    while (fuzz_more(&chip->fuzz) && chip->steps++ < CHIP_STEPS) {
        uint8_t what = fuzz_byte(&chip->fuzz);

        if (what < 128)
            return what;
        chip->waiting = what & 1;
        clock_advance(&chip->clock, fuzz_bits(&chip->fuzz, what < 0xf8 ? 1 + what % 2 : 3));
    }
    return -1;
}

#endif
