/*
 * Any accesses to the I/O APIC, any wires, and a local APIC that ends what it was sent at once,
 * late or never. Nothing is sent of a masked entry.
 */
#include "devices/ioapic.h"
#include "tests/fuzz/chip.h"

static struct ioapic *ioapic;
static bool ends; /* within the message */

static void snapshot(void *dev, struct snap *snap)
{
    ioapic_snapshot(dev, snap);
}

static bool message(void *arg, uint8_t destination, bool logical, unsigned mode, uint8_t vector,
                    bool level)
{
    struct ioapic_view view;
    bool unmasked = false;

    (void)arg, (void)logical;
    ioapic_look(ioapic, &view);
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        unmasked |= !(view.entry[pin] & 0x10000) && (view.entry[pin] & 0xff) == vector;
    if (!unmasked || (level && mode > 1))
        abort();
    if (ends) {
        ends = false;
        ioapic_eoi(ioapic, vector);
    }
    return destination & 1;
}

static void one(struct chip *chip, unsigned what)
{
    switch (what % 8) {
    case 0: ioapic_eoi(ioapic, fuzz_byte(&chip->fuzz)); break;
    case 1:
    case 2: chip_wire_set(ioapic_irq(ioapic, what / 4 % IOAPIC_PINS), what & 0x40); break;
    case 3:
        if (what == 3)
            ioapic_reset(ioapic);
        ends = what & 8;
        chip_snapshot(ioapic, snapshot);
        break;
    case 4: fuzz_access(&chip->fuzz, chip->memory, IOAPIC_BASE, 0x50); break;
    default: /* a register behind the window */
        bus_write(chip->memory, IOAPIC_BASE, 4, fuzz_below(&chip->fuzz, 0x44));
        bus_write(chip->memory, IOAPIC_BASE + 0x10, 4, fuzz_bits(&chip->fuzz, 4));
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chip chip;

    chip_begin(&chip, data, size);
    ends = false;
    ioapic = ioapic_create(&(struct ioapic_config){ .memory = chip.memory, .message = message });
    for (int what; ioapic && (what = chip_step(&chip)) >= 0;)
        one(&chip, (unsigned)what);
    ioapic_destroy(ioapic);
    chip_end(&chip);
    return 0;
}
