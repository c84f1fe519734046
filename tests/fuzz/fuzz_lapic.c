/* Any accesses to the local APIC, messages to it, its timer, and the CPU's acknowledges. */
#include "devices/lapic.h"
#include "tests/fuzz/chip.h"

static void snapshot(void *dev, struct snap *snap)
{
    lapic_snapshot(dev, snap);
}

static void nmi(void *arg)
{
    (void)arg;
}

static void vector(void *arg, uint8_t vector)
{
    (void)arg, (void)vector;
}

static void message(struct chip *chip, struct lapic *lapic, unsigned what)
{
    uint8_t to = fuzz_byte(&chip->fuzz);

    lapic_message(lapic, to & 3 ? 0xff : to, what & 8, what / 16, fuzz_byte(&chip->fuzz), to & 4);
}

static void one(struct chip *chip, struct lapic *lapic, unsigned what)
{
    switch (what % 8) {
    case 0: lapic_ack(lapic); break;
    case 1: message(chip, lapic, what); break;
    case 2: chip_wire_set(lapic_lint0(lapic), what & 8); break;
    case 3:
        if (what == 3)
            lapic_reset(lapic);
        else if (what == 11)
            lapic_enable(lapic, fuzz_byte(&chip->fuzz) & 1);
        chip_snapshot(lapic, snapshot);
        break;
    case 4: fuzz_access(&chip->fuzz, chip->memory, LAPIC_BASE, 0x1000); break;
    default: /* a whole register */
        bus_write(chip->memory, LAPIC_BASE + 16 * fuzz_below(&chip->fuzz, 64), 4,
                  fuzz_bits(&chip->fuzz, 4));
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chip chip;
    struct lapic *lapic;

    chip_begin(&chip, data, size);
    lapic = lapic_create(&(struct lapic_config){ .memory = chip.memory, .clock = &chip.clock,
        .intr = chip_wire, .nmi = nmi, .eoi = vector, .taken = vector });
    for (int what; lapic && (what = chip_step(&chip)) >= 0;)
        one(&chip, lapic, (unsigned)what);
    lapic_destroy(lapic);
    chip_end(&chip);
    return 0;
}
