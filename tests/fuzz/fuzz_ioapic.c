/*
 * Any accesses to the I/O APIC, any wires, and a local APIC that ends what it was sent at once,
 * late or never. Nothing is sent of a masked entry.
 */
#include "devices/ioapic.h"
#include "tests/fuzz/chip.h"

static bool message(void *arg, uint8_t destination, bool logical, unsigned mode, uint8_t vector,
                    bool level)
{
    struct chip *chip = arg;
    struct ioapic_view view;
    bool unmasked = false;

    (void)logical;
    ioapic_look(chip->dev, &view);
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        unmasked |= !(view.entry[pin] & 0x10000) && (view.entry[pin] & 0xff) == vector;
    if (!unmasked || (level && mode > 1))
        abort();
    if (!chip->waiting) {
        chip->waiting = true; /* the next one is ended late */
        ioapic_eoi(chip->dev, vector);
    }
    return destination & 1;
}

static void *create(struct chip *chip)
{
    return ioapic_create(&(struct ioapic_config){ .memory = chip->memory, .message = message,
        .arg = chip });
}

static void write_behind_window(struct chip *chip)
{
    bus_write(chip->memory, IOAPIC_BASE, 4, fuzz_below(&chip->fuzz, 0x44));
    bus_write(chip->memory, IOAPIC_BASE + 0x10, 4, fuzz_bits(&chip->fuzz, 4));
}

static void step(struct chip *chip, unsigned what)
{
    switch (what % 8) {
    case 0: ioapic_eoi(chip->dev, fuzz_byte(&chip->fuzz)); break;
    case 1:
    case 2: chip_wire_set(ioapic_irq(chip->dev, what / 4 % IOAPIC_PINS), what & 0x40); break;
    case 3: fuzz_access(&chip->fuzz, chip->memory, IOAPIC_BASE, 0x50); break;
    default: write_behind_window(chip); break;
    }
}

CHIP_TARGET(ioapic)
