/* Any accesses to both interrupt controllers and ELCR, any wires, the CPU's acknowledges. */
#include "devices/i8259.h"
#include "tests/fuzz/chip.h"

static void *create(struct chip *chip)
{
    return i8259_create(&(struct i8259_config){ .ports = chip->ports, .master_base = 0x20,
        .slave_base = 0xa0, .elcr_base = 0x4d0, .intr = chip_wire });
}

static void step(struct chip *chip, unsigned what)
{
    static const uint16_t base[] = { 0x20, 0xa0, 0x4d0 };

    switch (what % 8) {
    case 0: i8259_ack(chip->dev); break;
    case 1:
    case 2: chip_wire_set(i8259_irq(chip->dev, what / 8), fuzz_byte(&chip->fuzz) & 1); break;
    default: fuzz_access(&chip->fuzz, chip->ports, base[what / 8 % 3], 2); break;
    }
}

CHIP_TARGET(i8259)
