/* Any accesses to the timer's ports and port 61h, and a guest that takes ticks early or late. */
#include "devices/i8254.h"
#include "tests/fuzz/chip.h"

static void *create(struct chip *chip)
{
    return i8254_create(&(struct i8254_config){ .ports = chip->ports, .base = 0x40, .port_b = 0x61,
        .irq = chip_wire, .clock = &chip->clock, .waiting = chip_waiting, .waiting_arg = chip });
}

static void step(struct chip *chip, unsigned what)
{
    switch (what % 8) {
    case 0: i8254_taken(chip->dev); break;
    case 1: fuzz_access(&chip->fuzz, chip->ports, 0x61, 1); break;
    default: fuzz_access(&chip->fuzz, chip->ports, 0x40, 4); break;
    }
}

CHIP_TARGET(i8254)
