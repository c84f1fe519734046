/* Any accesses to the local APIC, messages to it, its timer, and the CPU's acknowledges. */
#include "devices/lapic.h"
#include "tests/fuzz/chip.h"

static void nmi(void *arg)
{
    (void)arg;
}

static void vector(void *arg, uint8_t vector)
{
    (void)arg, (void)vector;
}

static void *create(struct chip *chip)
{
    return lapic_create(&(struct lapic_config){ .memory = chip->memory, .clock = &chip->clock,
        .intr = chip_wire, .nmi = nmi, .eoi = vector, .taken = vector });
}

static void message(struct chip *chip, unsigned what)
{
    uint8_t to = fuzz_byte(&chip->fuzz);

    lapic_message(chip->dev, to & 3 ? 0xff : to, what & 8, what / 16, fuzz_byte(&chip->fuzz),
                  to & 4);
}

static void step(struct chip *chip, unsigned what)
{
    switch (what % 8) {
    case 0: lapic_ack(chip->dev); break;
    case 1: message(chip, what); break;
    case 2: chip_wire_set(lapic_lint0(chip->dev), what & 8); break;
    case 3:
        if (what == 11)
            lapic_set_base(chip->dev, LAPIC_BASE + fuzz_bits(&chip->fuzz, 2));
        break;
    case 4: fuzz_access(&chip->fuzz, chip->memory, LAPIC_BASE, 0x1000); break;
    default: /* a whole register */
        bus_write(chip->memory, LAPIC_BASE + 16 * fuzz_below(&chip->fuzz, 64), 4,
                  fuzz_bits(&chip->fuzz, 4));
        break;
    }
}

CHIP_TARGET(lapic)
