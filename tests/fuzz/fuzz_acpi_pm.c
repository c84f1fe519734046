/* Any accesses to the power management's ports, both buttons, and the timer's overflow. */
#include "devices/acpi_pm.h"
#include "tests/fuzz/chip.h"

enum { BASE = 0x600, SIZE = ACPI_PM_TIMER + ACPI_PM_TIMER_SIZE };

static void *create(struct chip *chip)
{
    chip->lazy = true;
    return acpi_pm_create(&(struct acpi_pm_config){ .ports = chip->ports, .base = BASE,
        .sci = chip_wire, .poweroff = chip_wire, .clock = &chip->clock });
}

static void step(struct chip *chip, unsigned what)
{
    switch (what % 8) {
    case 0: acpi_pm_power_button(chip->dev); break;
    case 1: acpi_pm_sleep_button(chip->dev); break;
    case 2: clock_advance(&chip->clock, NS_PER_SEC * what / 32); break;
    default: fuzz_access(&chip->fuzz, chip->ports, BASE, SIZE); break;
    }
}

CHIP_TARGET(acpi_pm)
