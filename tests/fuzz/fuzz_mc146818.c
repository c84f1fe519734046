/* Any accesses to the real-time clock's ports, and time that goes on. */
#include "devices/mc146818.h"
#include "tests/fuzz/chip.h"

static void *create(struct chip *chip)
{
    chip->lazy = true;
    return mc146818_create(&(struct mc146818_config){ .ports = chip->ports, .base = 0x70,
        .irq = chip_wire, .clock = &chip->clock });
}

static void step(struct chip *chip, unsigned what)
{
    switch (what % 8) {
    case 0: clock_advance(&chip->clock, NS_PER_SEC * what); break;
    case 1:
    case 2: fuzz_access(&chip->fuzz, chip->ports, 0x70, 2); break;
    default: /* a register of the clock's */
        bus_write(chip->ports, 0x70, 1, what / 8);
        fuzz_access(&chip->fuzz, chip->ports, 0x71, 1);
        break;
    }
}

CHIP_TARGET(mc146818)
