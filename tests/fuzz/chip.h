/*
 * What the targets of single chips share: two buses, a clock that goes as the input says, a wire
 * that leads nowhere, resets, and snapshots: what has been loaded is what was saved. The file of a
 * chip `name` has create() and step(), and ends with CHIP_TARGET(name).
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
    void *dev;     /* the chip itself */
    struct bus *ports, *memory;
    struct clock clock;
    struct fuzz fuzz;
    unsigned steps;
    bool lazy;     /* what has come due is worked out when somebody looks, or when it is loaded */
    bool waiting;  /* does the guest still have to take the last interrupt? */
};

struct chip_type {
    void *(*create)(struct chip *chip);              /* NULL: no memory */
    void (*step)(struct chip *chip, unsigned what);  /* an access or an event; what: 8 to 127 */
    void (*reset)(void *dev);
    void (*snapshot)(void *dev, struct snap *snap);
    void (*destroy)(void *dev);
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

static inline size_t chip_save(const struct chip *chip, const struct chip_type *type, uint8_t *to)
{
    struct snap snap = { .at = to };

    type->snapshot(chip->dev, &snap);
    return (size_t)(snap.at - to);
}

/* What is saved comes back when it is loaded by a chip that has been reset. */
static inline void chip_check_snapshot(const struct chip *chip, const struct chip_type *type)
{
    static uint8_t first[CHIP_SNAPSHOT_MAX], second[CHIP_SNAPSHOT_MAX];
    size_t size;

    if (chip->lazy) {
        chip_save(chip, type, first);
        type->snapshot(chip->dev, &(struct snap){ .loading = true, .at = first });
    }
    size = chip_save(chip, type, first);
    type->reset(chip->dev);
    type->snapshot(chip->dev, &(struct snap){ .loading = true, .at = first });
    if (chip_save(chip, type, second) != size || memcmp(first, second, size))
        abort();
}

/* Time goes on, mostly by up to 65 us, at times by up to 16 ms. */
static inline void chip_wait(struct chip *chip, uint8_t how)
{
    chip->waiting = how & 1;
    clock_advance(&chip->clock, fuzz_bits(&chip->fuzz, how < 0xf8 ? 1 + how % 2 : 3));
}

static inline void chip_step(struct chip *chip, const struct chip_type *type)
{
    uint8_t what = fuzz_byte(&chip->fuzz);

    if (what >= 128) {
        chip_wait(chip, what);
    } else if (what >= 8) {
        type->step(chip, what);
    } else {
        if (!what)
            type->reset(chip->dev);
        chip_check_snapshot(chip, type);
    }
}

static inline void chip_run(const struct chip_type *type, const uint8_t *data, size_t size)
{
    struct chip chip = { .ports = bus_create(), .memory = bus_create(),
                         .clock.boot_epoch_s = 951782399, .fuzz = { data, size } };

    chip.dev = type->create(&chip);
    while (chip.dev && fuzz_more(&chip.fuzz) && chip.steps++ < CHIP_STEPS)
        chip_step(&chip, type);
    type->destroy(chip.dev);
    bus_destroy(chip.ports);
    bus_destroy(chip.memory);
}

#define CHIP_TARGET(name)                                                                          \
    static void chip_reset(void *dev)                                                           \
    {                                                                                              \
        name##_reset(dev);                                                                         \
    }                                                                                              \
    static void chip_snapshot(void *dev, struct snap *snap)                                     \
    {                                                                                              \
        name##_snapshot(dev, snap);                                                                \
    }                                                                                              \
    static void chip_destroy(void *dev)                                                         \
    {                                                                                              \
        name##_destroy(dev);                                                                       \
    }                                                                                              \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)                                   \
    {                                                                                              \
        static const struct chip_type type = { create, step, chip_reset, chip_snapshot,      \
                                               chip_destroy };                                  \
                                                                                                   \
        chip_run(&type, data, size);                                                               \
        return 0;                                                                                  \
    }

#endif
