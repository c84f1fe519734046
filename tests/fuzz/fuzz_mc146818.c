/* Any accesses to the real-time clock's ports, and time that goes on. */
#include "devices/mc146818.h"
#include "tests/fuzz/chip.h"

static void snapshot(void *dev, struct snap *snap)
{
    mc146818_snapshot(dev, snap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chip chip;
    struct mc146818 *rtc;

    chip_begin(&chip, data, size);
    rtc = mc146818_create(&(struct mc146818_config){ .ports = chip.ports, .base = 0x70,
        .irq = chip_wire, .clock = &chip.clock });
    for (int what; rtc && (what = chip_step(&chip)) >= 0;) {
        switch (what % 8) {
        case 0: clock_advance(&chip.clock, NS_PER_SEC * (unsigned)what); break;
        case 1:
            if (what == 1)
                mc146818_reset(rtc);
            chip_snapshot(rtc, snapshot);
            break;
        case 2:
        case 3: fuzz_access(&chip.fuzz, chip.ports, 0x70, 2); break;
        default: /* a register of the clock's */
            bus_write(chip.ports, 0x70, 1, what / 8);
            fuzz_access(&chip.fuzz, chip.ports, 0x71, 1);
            break;
        }
    }
    mc146818_destroy(rtc);
    chip_end(&chip);
    return 0;
}
