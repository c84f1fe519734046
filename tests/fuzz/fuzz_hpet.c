/* Any accesses to the HPET, of any width, and a guest that takes ticks early or late. */
#include "devices/hpet.h"
#include "tests/fuzz/chip.h"

static void replaces(void *arg, bool on)
{
    (void)arg, (void)on;
}

static void *create(struct chip *chip)
{
    struct hpet_config config = { .memory = chip->memory, .clock = &chip->clock, .irq0 = chip_wire,
        .irq8 = chip_wire, .replaces = replaces, .waiting = chip_waiting, .arg = chip };

    for (unsigned pin = 0; pin < HPET_PINS; pin++)
        config.pin[pin] = chip_wire;
    return hpet_create(&config);
}

static void write_whole(struct chip *chip, unsigned what)
{
    static const uint16_t reg[] = { 0x10, 0xf0, 0x100, 0x108, 0x120, 0x128, 0x140, 0x148 };

    bus_write(chip->memory, HPET_BASE + reg[what % 8], what & 8 ? 8 : 4,
              fuzz_bits(&chip->fuzz, what & 8 ? 8 : 4));
}

static void step(struct chip *chip, unsigned what)
{
    switch (what % 8) {
    case 0: hpet_taken(chip->dev); break;
    case 1: fuzz_access(&chip->fuzz, chip->memory, HPET_BASE, 0x400); break;
    default: write_whole(chip, what / 8); break;
    }
}

CHIP_TARGET(hpet)
