/* Any accesses to the timer's ports and port 61h, and a guest that takes ticks early or late. */
#include "devices/i8254.h"
#include "tests/fuzz/chip.h"

static void snapshot(void *dev, struct snap *snap)
{
    i8254_snapshot(dev, snap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chip chip;
    struct i8254 *pit;

    chip_begin(&chip, data, size);
    pit = i8254_create(&(struct i8254_config){ .ports = chip.ports, .base = 0x40, .port_b = 0x61,
        .irq = chip_wire, .clock = &chip.clock, .waiting = chip_waiting, .waiting_arg = &chip });
    for (int what; pit && (what = chip_step(&chip)) >= 0;) {
        switch (what % 8) {
        case 0: i8254_taken(pit); break;
        case 1: fuzz_access(&chip.fuzz, chip.ports, 0x61, 1); break;
        case 2:
            if (what == 2)
                i8254_reset(pit);
            chip_snapshot(pit, snapshot);
            break;
        default: fuzz_access(&chip.fuzz, chip.ports, 0x40, 4); break;
        }
    }
    i8254_destroy(pit);
    chip_end(&chip);
    return 0;
}
