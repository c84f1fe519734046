/* Any accesses to the power management's ports, both buttons, and the timer's overflow. */
#include "devices/acpi_pm.h"
#include "tests/fuzz/chip.h"

enum { BASE = 0x600, SIZE = ACPI_PM_TIMER + ACPI_PM_TIMER_SIZE };

static void snapshot(void *dev, struct snap *snap)
{
    acpi_pm_snapshot(dev, snap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chip chip;
    struct acpi_pm *pm;

    chip_begin(&chip, data, size);
    pm = acpi_pm_create(&(struct acpi_pm_config){ .ports = chip.ports, .base = BASE,
        .sci = chip_wire, .poweroff = chip_wire, .clock = &chip.clock });
    for (int what; pm && (what = chip_step(&chip)) >= 0;) {
        switch (what % 8) {
        case 0: acpi_pm_power_button(pm); break;
        case 1: acpi_pm_sleep_button(pm); break;
        case 2:
            if (what == 2)
                acpi_pm_reset(pm);
            chip_snapshot(pm, snapshot);
            break;
        case 3: clock_advance(&chip.clock, NS_PER_SEC * (unsigned)what / 32); break;
        default: fuzz_access(&chip.fuzz, chip.ports, BASE, SIZE); break;
        }
    }
    acpi_pm_destroy(pm);
    chip_end(&chip);
    return 0;
}
