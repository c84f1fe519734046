/* Any accesses to the keyboard controller's two ports, keys and movements of the mouse. */
#include "devices/i8042.h"
#include "tests/fuzz/chip.h"

static void *create(struct chip *chip)
{
    return i8042_create(&(struct i8042_config){ .ports = chip->ports, .data_port = 0x60,
        .command_port = 0x64, .keyboard_irq = chip_wire, .mouse_irq = chip_wire, .a20 = chip_wire,
        .reset = chip_wire });
}

static void move(struct chip *chip)
{
    struct fuzz *f = &chip->fuzz;

    i8042_move(chip->dev, (int)fuzz_bits(f, 4), (int)fuzz_bits(f, 4), (int8_t)fuzz_byte(f),
               fuzz_byte(f));
}

static void step(struct chip *chip, unsigned what)
{
    switch (what % 8) {
    case 0: i8042_key(chip->dev, fuzz_byte(&chip->fuzz), fuzz_byte(&chip->fuzz) & 1); break;
    case 1: move(chip); break;
    default: fuzz_access(&chip->fuzz, chip->ports, 0x60, 5); break;
    }
}

CHIP_TARGET(i8042)
