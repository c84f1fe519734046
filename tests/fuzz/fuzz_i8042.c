/* Any accesses to the keyboard controller's two ports, keys and movements of the mouse. */
#include "devices/i8042.h"
#include "tests/fuzz/fuzz.h"

static void ignore(void *sink, unsigned n, bool level)
{
    (void)sink, (void)n, (void)level;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz fuzz = { data, size };
    struct bus *bus = bus_create();
    const struct irq wire = { ignore, NULL, 0 };
    struct i8042_config config = { .ports = bus, .data_port = 0x60, .command_port = 0x64,
        .keyboard_irq = wire, .mouse_irq = wire, .a20 = wire, .reset = wire };
    struct i8042 *kbc = i8042_create(&config);

    while (kbc && fuzz_more(&fuzz)) {
        switch (fuzz_byte(&fuzz) & 7) {
        case 0: i8042_key(kbc, fuzz_byte(&fuzz), fuzz_byte(&fuzz) & 1); break;
        case 1:
            i8042_move(kbc, (int)fuzz_bits(&fuzz, 4), (int)fuzz_bits(&fuzz, 4),
                       (int8_t)fuzz_byte(&fuzz), fuzz_byte(&fuzz));
            break;
        default: fuzz_access(&fuzz, bus, 0x60, 5); break;
        }
    }
    i8042_destroy(kbc);
    bus_destroy(bus);
    return 0;
}
