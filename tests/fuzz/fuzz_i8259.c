/* Any accesses to both interrupt controllers and ELCR, any wires, the CPU's acknowledges. */
#include "devices/i8259.h"
#include "tests/fuzz/chip.h"

static void snapshot(void *dev, struct snap *snap)
{
    i8259_snapshot(dev, snap);
}

static void access_ports(struct chip *chip, unsigned what)
{
    static const uint16_t base[] = { 0x20, 0xa0, 0x4d0 };

    fuzz_access(&chip->fuzz, chip->ports, base[what % 3], 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chip chip;
    struct i8259 *pic;

    chip_begin(&chip, data, size);
    pic = i8259_create(&(struct i8259_config){ .ports = chip.ports, .master_base = 0x20,
        .slave_base = 0xa0, .elcr_base = 0x4d0, .intr = chip_wire });
    for (int what; pic && (what = chip_step(&chip)) >= 0;) {
        switch (what % 8) {
        case 0: i8259_ack(pic); break;
        case 1:
        case 2: chip_wire_set(i8259_irq(pic, what / 8), fuzz_byte(&chip.fuzz) & 1); break;
        case 3:
            if (what == 3)
                i8259_reset(pic);
            chip_snapshot(pic, snapshot);
            break;
        default: access_ports(&chip, (unsigned)what / 8); break;
        }
    }
    i8259_destroy(pic);
    chip_end(&chip);
    return 0;
}
