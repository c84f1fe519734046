/* Any accesses to the HPET, of any width, and a guest that takes ticks early or late. */
#include "devices/hpet.h"
#include "tests/fuzz/chip.h"

static void snapshot(void *dev, struct snap *snap)
{
    hpet_snapshot(dev, snap);
}

static void replaces(void *arg, bool on)
{
    (void)arg, (void)on;
}

static void write_whole(struct chip *chip, unsigned what)
{
    static const uint16_t reg[] = { 0x10, 0xf0, 0x100, 0x108, 0x120, 0x128, 0x140, 0x148 };

    bus_write(chip->memory, HPET_BASE + reg[what % 8], what & 8 ? 8 : 4,
              fuzz_bits(&chip->fuzz, what & 8 ? 8 : 4));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hpet_config config = { .irq0 = chip_wire, .irq8 = chip_wire, .replaces = replaces,
        .waiting = chip_waiting };
    struct chip chip;
    struct hpet *hpet;

    chip_begin(&chip, data, size);
    config.memory = chip.memory;
    config.clock = &chip.clock;
    config.arg = &chip;
    for (unsigned pin = 0; pin < HPET_PINS; pin++)
        config.pin[pin] = chip_wire;
    hpet = hpet_create(&config);
    for (int what; hpet && (what = chip_step(&chip)) >= 0;) {
        switch (what % 8) {
        case 0: hpet_taken(hpet); break;
        case 1:
            if (what == 1)
                hpet_reset(hpet);
            chip_snapshot(hpet, snapshot);
            break;
        case 2: fuzz_access(&chip.fuzz, chip.memory, HPET_BASE, 0x400); break;
        default: write_whole(&chip, (unsigned)what / 8); break;
        }
    }
    hpet_destroy(hpet);
    chip_end(&chip);
    return 0;
}
